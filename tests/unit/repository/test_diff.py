"""Differences of snapshots, and the docker repository type."""

from dataclasses import dataclass

import pytest

from cosgen.errors import PublishError
from cosgen.repository.diff import diff
from cosgen.repository.docker_layout import docker_layout
from cosgen.repository.luet import RepositoryView, luet_files
from cosgen.repository.record import PackageRecord
from tests.fakes.repository_records import record


@dataclass(frozen=True)
class Component:
    name: str
    version: str


def test_a_diff_names_what_came_went_and_changed() -> None:
    before = [record("a", "1.9"), record("b"), record("c")]
    after = [record("a", "1.10"), record("c"), record("d")]
    found = diff(
        before,
        after,
        components=([Component("deb/x", "1")], [Component("deb/x", "2"), Component("deb/y", "1")]),
    )
    assert {change.package: change.kind for change in found.packages} == {
        "apps/a": "changed",
        "apps/b": "removed",
        "apps/d": "added",
    }
    assert found.same == 1
    assert found.download == sum(item.archive.size for item in (after[0], after[2]))
    text = found.to_markdown()
    assert text.startswith("1 added, 1 changed, 1 removed, 1 the same; ")
    assert "| apps/a | changed | 1.9 → 1.10 |" in text
    assert "| deb/y | – | 1 |" in text
    assert found.to_json()["schema"] == 1


def test_equal_snapshots_do_not_differ() -> None:
    assert diff([record("a")], [record("a")]).to_markdown() == "No package differs; 1 are the same.\n"


def test_versions_are_in_debian_order() -> None:
    found = diff([], [record("a", version) for version in ("1.10", "1.9", "1.9~rc1")])
    assert found.packages[0].after == ("1.9~rc1", "1.9", "1.10")


def layout(records: list[PackageRecord]) -> list[str]:
    files = luet_files(records)
    refs = {"tree": files.tree.ref, "meta": files.meta.ref}
    view = RepositoryView(
        name="acme", description="", urls=(), revision=1, last_update=1, tree=refs["tree"], meta=refs["meta"]
    )
    names = ("stable-green-x86_64-repository.yaml", "s42-green-x86_64-repository.yaml")
    tags = docker_layout(records, refs, dict.fromkeys(names, view), seq=42)
    assert all((tag.data is None) != (tag.source is None) for tag in tags)
    assert [tag.moves for tag in tags] == sorted(tag.moves for tag in tags)
    pointer = tags[-1].data or b""
    assert b'"filename": "s42-tree.tar.zst"' in pointer
    assert b'type: "docker"' in pointer
    return [tag.tag for tag in tags]


def test_the_docker_type_has_packages_first_and_pointers_last() -> None:
    assert layout([record("z", "1.0+2"), record("a")]) == [
        "a-apps-1.0",
        "z-apps-1.0-2",
        "s42-repository.meta.yaml.tar.zst",
        "s42-tree.tar.zst",
        "s42-green-x86_64-repository.yaml",
        "stable-green-x86_64-repository.yaml",
    ]


def test_versions_that_would_share_a_tag_are_told() -> None:
    with pytest.raises(PublishError, match="would be one tag"):
        layout([record("z", "1.0+2"), record("z", "1.0-2")])


def test_names_that_make_no_tag_are_told() -> None:
    with pytest.raises(PublishError, match="is no registry tag"):
        layout([record("z", "1:0")])
