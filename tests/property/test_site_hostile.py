"""Whatever stands in published metadata, pages show it as text: every text of the site's data is an attack here."""

import dataclasses
import json
import random
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from cosgen.manifest.platform import Variant
from cosgen.site.api import api_files, package_json
from cosgen.site.builder import build_site
from cosgen.site.feed import feed_files
from cosgen.site.frame import frame_values
from cosgen.site.model import SiteData
from cosgen.site.notes import release_notes
from cosgen.site.package_page import package_page
from cosgen.site.page import Page
from cosgen.site.pages import category_pages, narrative_pages
from cosgen.site.picture import badge
from cosgen.site.readme import render_readme
from cosgen.site.render import make_environment
from cosgen.site.search import search_index
from tests.fakes.site_data import make_site

ATTACKS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg/onload=alert(1)>', "' onmouseover='alert(1)",
    "javascript:alert(1)", "JaVa\tScript:alert(1)", "data:text/html,<script>alert(1)</script>", "//evil.example/x",
    'https://ok.example/"onclick=alert(1)', "https://ok.example/<b>", "[x](javascript:alert(1))", "![x](https://evil.example/x.png)",
    "{{ 1111*1111 }}{% for x in (1).__class__ %}x{% endfor %}", "${1111*1111}", "<!--", "-->", "]]>", "</title><base href=//evil.example>",
    "</textarea></pre></code></script>", "../../../etc/passwd", "a/../b", "..", ".", "\u202egnp.exe", "\x00\x1b[31m", "a\nb\r\nc", "&lt;b&gt;&amp;",
    "&#x3c;script&#x3e;", "x" * 300, "日本", "%3Cscript%3E", "@everyone #1 `rm -rf`", "\ud83d", "<style>*{display:none}</style>", "| a | b |",
    "<a href=https://evil.example>ok</a>", "<iframe src=//evil.example>", "\u2028", "é" * 40, "",
)  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "div", "nav", "ul", "li", "button", "main", "footer", "p", "span", "h1",
    "h2", "h3", "h4", "h5", "h6", "svg", "path", "rect", "text", "polygon", "polyline", "circle", "table", "thead", "tbody", "tr", "th", "td", "code",
    "pre", "figure", "figcaption", "dl", "dt", "dd", "br", "details", "summary", "small", "strong", "em", "s", "ol", "section", "time", "form", "label",
    "input", "select", "option", "noscript", "img", "blockquote", "hr", "g",
}  # fmt: skip
KEPT = {"signature", "edges"}  # words that this code writes itself
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def poison(value: object, pick: Callable[[], str], field: str = "") -> object:
    """Return the value with most of its texts replaced."""
    if isinstance(value, str):
        return value if field in KEPT else pick() or value
    if isinstance(value, Variant):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        new = {
            one.name: poison(getattr(value, one.name), pick, one.name) for one in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **new)
    if isinstance(value, dict):
        return {pick() or key: poison(item, pick) for key, item in value.items()}
    return tuple(poison(item, pick, field) for item in value) if isinstance(value, tuple) else value


class Checker(HTMLParser):
    """Fails on whatever no page of ours may have."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            text = (value or "").strip().lower()
            assert not name.startswith("on"), (tag, attrs)
            assert name not in {"style", "srcdoc", "action", "formaction"}, (tag, attrs)
            if name in {"href", "src"}:
                assert not re.match(r"(?!https?:|mailto:|ftp:|git:)[a-z][a-z0-9+.-]*:|//|\\", text), (
                    tag,
                    value,
                )
            if tag in {"script", "img", "link"} and name in {"src", "href"}:
                assert "://" not in text, (tag, value)
        if tag == "script":
            assert {name for name, _ in attrs} <= {"src", "defer"}, attrs
        if tag == "meta":
            assert not dict(attrs).get("http-equiv") or "default-src 'none'" in str(
                dict(attrs).get("content")
            )

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def handle_data(self, data: str) -> None:
        assert not HIDDEN.search(data), repr(data)


def hostile(seed: int) -> SiteData:
    dice = random.Random(seed)
    data = make_site(20, seed=seed)
    channels = tuple(
        dataclasses.replace(channel, snippets=channel.snippets[:6], history=channel.history[:2])
        for channel in data.channels
    )
    graphs = tuple(dataclasses.replace(graph, nodes=graph.nodes[:8]) for graph in data.graphs[:1])
    data = dataclasses.replace(data, packages=data.packages[:6], channels=channels, graphs=graphs)
    poisoned = poison(data, lambda: dice.choice(ATTACKS) if dice.random() < 0.8 else "")
    assert isinstance(poisoned, SiteData)
    names = [channel.name for channel in poisoned.channels]  # builds are in channels that there are
    packages = tuple(
        dataclasses.replace(
            package,
            builds=tuple(
                dataclasses.replace(build, channels=(dice.choice(names),)) for build in package.builds
            ),
        )
        for package in poisoned.packages
    )
    return dataclasses.replace(poisoned, packages=packages)


def pages(data: SiteData, known: frozenset[str]) -> Iterator[Page]:
    yield from narrative_pages(data)
    yield from category_pages(data)
    yield from (package_page(data, package, known) for package in data.packages)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_every_text_of_the_metadata_shows_as_text(seed: int) -> None:
    data = hostile(seed)
    known = frozenset(package.human for package in data.packages)
    environment = make_environment(known)
    for page in pages(data, known):
        values = frame_values(data, "", page)
        html = environment.get_template(page.template).render(base_url="..", **values, page={"content": ""})
        Checker(convert_charrefs=True).feed(html)
        assert "1234321" not in html
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", page.path), (
            page.path
        )


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_every_text_of_the_metadata_is_data_in_other_formats(seed: int) -> None:
    data = hostile(seed)
    for path, text in api_files(data):
        assert json.loads(text), path
    for package in data.packages:
        json.dumps(package_json(package))
    assert len(json.loads(search_index(data))["names"]) == len(data.packages)
    for _, text in feed_files(data):
        ET.fromstring(text)
    for channel in data.channels:
        svg = ET.fromstring(badge(channel.name, channel.snapshot))
        assert {element.tag.rpartition("}")[2] for element in svg.iter()} <= {
            "svg",
            "title",
            "clipPath",
            "rect",
            "g",
            "text",
        }


def test_a_site_of_hostile_metadata_is_built(tmp_path: Path) -> None:
    data = hostile(3)
    own = dataclasses.replace(data.info, url="https://docs.example.org/")  # the project's, not the metadata's
    build_site(dataclasses.replace(data, info=own), tmp_path / "site")
    for path in tmp_path.joinpath("site").rglob("*"):
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".html":
            Checker(convert_charrefs=True).feed(path.read_text(encoding="utf-8"))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_notes_render_to_plain_structure(seed: int) -> None:
    for move in hostile(seed).moves[:4]:
        html = render_readme(release_notes(move))
        assert "<a " not in html
        assert "<img" not in html
        Checker(convert_charrefs=True).feed(html)
