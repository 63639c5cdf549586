"""Unit tests of cosgen.build.reference: what may name an image."""

import pytest

from cosgen.build.reference import reference_problem, tag_problem

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "debian",
        "debian:bookworm-slim",
        f"debian@{DIGEST}",
        f"ghcr.io/acme/os_base:1.0@{DIGEST}",
        "127.0.0.1:5000/a/b/c:x",
        "localhost/cosgen__x",
        "[::1]:5000/a:x",
        "registry.opensuse.org/opensuse/leap:15.3",
    ],
)
def test_references_as_registries_have_them_are_taken(text: str) -> None:
    assert reference_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--output=/x",
        "a b",
        "a\n",
        "a;id",
        "$(id)",
        "Debian",
        "a:",
        "a@sha256:ab",
        "../up",
        "a//b",
        "a:b:c/d",
    ],
)
def test_other_texts_are_told(text: str) -> None:
    found = reference_problem(text)
    assert found is not None
    assert found.id == "CG453"


def test_a_tag_is_letters_digits_and_a_few_marks() -> None:
    assert tag_problem("v1.0_x-y") is None
    assert [bool(tag_problem(text)) for text in ("", ".x", "a b", "a\n", "x" * 129)] == [True] * 5
