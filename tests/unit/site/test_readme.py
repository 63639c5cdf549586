"""Unit tests for cosgen.site.readme: whatever is in a README, it comes out as plain structure."""

from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosgen.site.readme import render_readme

TAGS = {"p", "h3", "h4", "h5", "h6", "a", "pre", "code", "em", "strong", "s", "ul", "ol", "li", "blockquote", "hr", "br",
        "div", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip
ATTRIBUTES = {
    "a": {"href", "rel", "title"},
    "pre": {"tabindex"},
    "ol": {"start"},
    "div": {"class", "tabindex", "role", "aria-label"},
}
PIECES = ["<script>", "</script>", "<img src=x onerror=y>", "[a](javascript:b)", '![i](http://e/x.png "t")', "`", "```", "\n", "# ",
          "#### ", "> ", "- ", "1. ", "| a | b |\n| :-- | --: |\n", "<!--", "-->", "&lt;", "&#106;avascript:", "[x]: data:text/html,q\n[x]", "<https://ok>",
          "<javascript:x>", "{{ a }}", "\x00", "\u202e", '"onx="', "*", "_", "~~", "\\"]  # fmt: skip


class Allowed(HTMLParser):
    """Fails on a tag or attribute that a README may not make."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES.get(tag, set()), (tag, attrs)
        for name, value in attrs:
            if name == "href":
                assert str(value).lower().startswith(("http:", "https:", "mailto:", "ftp:", "git:")), value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=30))
def test_nothing_but_plain_structure_comes_out(pieces: list[str]) -> None:
    Allowed().feed(render_readme("".join(pieces)))


def test_html_shows_as_text() -> None:
    assert "&lt;script&gt;" in render_readme("<script>alert(1)</script>")


def test_pictures_become_links() -> None:
    assert render_readme("![Logo](https://a.example/l.png)") == (
        '<p><a rel="nofollow noreferrer" href="https://a.example/l.png">Logo</a></p>\n'
    )


@pytest.mark.parametrize(("text", "levels"), [("# a\n### b\n## c", ["h3", "h4", "h4"]), ("##### a", ["h3"])])
def test_headings_skip_no_level(text: str, levels: list[str]) -> None:
    html = render_readme(text)
    assert [part[:2] for part in html.split("<")[1:] if part[0] == "h"] == levels
