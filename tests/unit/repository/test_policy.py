"""Unit tests of cosgen.repository.policy: what each document allows."""

from typing import Any

from cosgen.repository.policy import PolicyRequest, policy_documents


def statements(kind: str) -> dict[str, Any]:
    document: Any = policy_documents(PolicyRequest("acme", "repo"))[kind]
    return {item["Sid"]: item for item in document["Statement"]}


def test_who_asks_for_what_is_not_there_is_told_so() -> None:
    """To who may not list a bucket, S3 answers 403 for a missing object."""
    for kind in ("bucket", "publisher", "collector"):
        listing = [item for item in statements(kind).values() if "s3:ListBucket" in str(item["Action"])]
        assert [item["Resource"] for item in listing] == ["arn:aws:s3:::acme"], kind


def test_only_the_collector_may_delete() -> None:
    assert "DeleteObject" not in str(statements("publisher")) + str(statements("bucket"))
    assert "s3:DeleteObject" in statements("collector")["Collect"]["Action"]
