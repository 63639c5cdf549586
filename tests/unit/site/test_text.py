"""Unit tests for cosgen.site.text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosgen.site.text import safe_url, slug


@settings(deadline=None)
@given(st.text(), st.text())
def test_different_names_never_share_a_path(a: str, b: str) -> None:
    a, b = (text.encode("utf-8", "ignore").decode() for text in (a, b))
    assert (slug(a) == slug(b)) == (a == b) or {a, b} == {"", "_"}


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_path_segment_is_plain_and_stays_in_its_folder(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", slug(text))
    assert len(slug(text)) <= 110


def test_long_names_that_differ_at_their_end_have_different_paths() -> None:
    assert slug("a" * 300) != slug("a" * 301)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example",
                                 "java\nscript:x", "/etc/passwd", "https:", "http://a b", "https://a\\b", "https://[", "\u202ehttps://x"])  # fmt: skip
def test_unsafe_addresses_are_not_linked(url: str) -> None:
    assert safe_url(url) == ""
