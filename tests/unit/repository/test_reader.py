"""What readers take from a store."""

from dataclasses import replace

import pytest

from cosgen.errors import VerificationError
from cosgen.repository.log import read_commit
from cosgen.repository.pool import log_key
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.reader import open_repository
from cosgen.repository.session import Session
from cosgen.storage.counting import CountingStore
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import BytesPayload
from tests.property.publish_world import package, request


def test_two_snapshots_are_compared_by_the_shards_they_do_not_share() -> None:
    store = CountingStore(MemoryStore())
    session = Session(store=store)
    publish(session, request("stable", *(package(f"p{number}") for number in range(200))), PublishOptions())
    publish(session, request("testing", *(package(f"p{number}") for number in range(200))), PublishOptions())
    publish(session, request("testing", package("p7", body="new"), package("q")), PublishOptions())
    repository = open_repository(store, session)
    before, after = repository.snapshot("stable"), repository.snapshot("testing")
    (key,) = before.variants
    assert len(before.variants[key].shards) == 16
    store.requests.clear()
    found = repository.difference(before, after, key)
    assert dict(store.requests) == {"get": 4}
    assert [(change.package, change.kind) for change in found.packages] == [
        ("apps/p7", "changed"),
        ("apps/q", "added"),
    ]
    assert found.same == 199


def test_a_variant_that_one_snapshot_lacks_is_all_new_or_all_gone() -> None:
    session = Session(store=MemoryStore())
    publish(session, request("stable", package("a"), package("b")), PublishOptions())
    repository = open_repository(session.store, session)
    whole = repository.snapshot("stable")
    (key,) = whole.variants
    none = type(whole)()
    assert [change.kind for change in repository.difference(none, whole, key).packages] == ["added"] * 2
    assert [change.kind for change in repository.difference(whole, none, key).packages] == ["removed"] * 2
    assert repository.difference(whole, whole, key).same == 2


def test_history_that_somebody_rewrote_is_refused() -> None:
    """Only the newest commit is looked at for signatures; those before it are held by their digests alone."""
    session = Session(store=MemoryStore())
    for name in ("a", "b", "c"):
        publish(session, request("stable", package(name)), PublishOptions())
    old = read_commit(session.store, 1)
    assert old is not None
    session.store.put(log_key(1), BytesPayload(replace(old, note="never said").encode()))
    found = open_repository(session.store, session).log()
    assert next(found).seq == 2
    with pytest.raises(VerificationError, match="CG513"):
        next(found)
