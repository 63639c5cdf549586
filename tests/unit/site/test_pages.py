"""Unit tests of pages made from data: hostile names, tabs, the index, notes."""

import dataclasses
import json

from cosgen.site.api import SCHEMAS
from cosgen.site.follow import snippet_tabs
from cosgen.site.frame import frame_values
from cosgen.site.model import Change, ComponentChange, Diff
from cosgen.site.notes import release_notes
from cosgen.site.package_page import package_page
from cosgen.site.page import Page
from cosgen.site.pages import category_pages, narrative_pages
from cosgen.site.render import make_environment
from cosgen.site.search import search_index
from tests.fakes.site_data import make_site

EVIL = "<img src=x onerror=alert(1)>{{ 1111*1111 }}"


def render(page: Page, known: frozenset[str] = frozenset()) -> str:
    environment = make_environment(known)
    return environment.get_template(page.template).render(
        base_url=".", **frame_values(make_site(20), "", page), page={"content": ""}
    )


def test_a_hostile_name_is_text_on_every_page() -> None:
    data = make_site(20)
    package = dataclasses.replace(
        data.packages[0], name=EVIL, category=EVIL, dependents=(EVIL,), license=EVIL, uris=(EVIL,)
    )
    channel = dataclasses.replace(data.channels[0], name=EVIL, author=EVIL, history=tuple(
        dataclasses.replace(move, channel=EVIL, note=EVIL, tag=EVIL, run_url=f"https://x/{EVIL}", diff=Diff(added=(Change(human=EVIL, after=EVIL),), components=(ComponentChange(name=EVIL, after=EVIL, packages=(EVIL,)),)))
        for move in data.channels[0].history))  # fmt: skip
    hostile = dataclasses.replace(
        data, packages=(package, *data.packages[1:]), channels=(channel, *data.channels[1:])
    )
    pages = [*narrative_pages(hostile), *category_pages(hostile), package_page(hostile, package, frozenset())]
    for page in pages:
        html = render(page)
        assert "<img src=x" not in html
        assert "1234321" not in html


def test_a_dependency_without_a_page_is_not_linked() -> None:
    data = make_site(20)
    package = dataclasses.replace(data.packages[0], requires=("hid/den",))
    html = render(package_page(data, package, frozenset()))
    assert "hid/den" in html
    assert "packages/hid" not in html


def test_an_axis_with_one_value_makes_no_tabs() -> None:
    snippets = [snippet for snippet in make_site(20).channels[0].snippets if snippet.variant == "blue-arm64"]
    sets = snippet_tabs(snippets)
    assert [one["kind"] for one in sets] == ["follow-generation"]


def test_the_search_index_is_compact_and_complete() -> None:
    data = make_site(400)
    text = search_index(data)
    index = json.loads(text)
    assert set(index) == set(SCHEMAS["search"]["properties"])
    assert len(index["names"]) == len(index["where"]) == 400
    assert len(text) / 400 < 100


def test_notes_mention_and_link_nobody() -> None:
    move = dataclasses.replace(
        make_site(20).channels[0].history[0],
        note="@everyone [x](http://e)",
        diff=Diff(added=(Change(human="a/<b>@c", after="1"),)),
    )
    notes = release_notes(move)
    assert "\\@everyone" in notes
    assert "\\<b\\>\\@c" in notes
    assert "](" not in notes.replace("\\](", "")
