"""Unit tests for cosgen.site.deploy: a site in a store is whole, never older, and costs what changed."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cosgen.errors import CosgenError, Problem, PublishError
from cosgen.site.deploy import INDEX, deploy_site
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import BytesPayload, StoreError
from tests.fakes.faulty_store import Chance, Crashed, Fault, FaultyStore, World

PAGES = {"index.html": "one", "c/stable/index.html": "stable", "packages/a/b.html": "b", "assets/x.css": "x"}


def site(folder: Path, pages: dict[str, str]) -> Path:
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / ".nojekyll").write_text("")
    return folder


def stored(store: MemoryStore) -> dict[str, str]:
    found = {stat.key: store.get(stat.key) for stat in store.list("")}
    return {key: blob.data.decode() for key, blob in found.items() if blob and key != INDEX}


@pytest.fixture
def world() -> World:
    return World.new()


def client(world: World, choose: Callable[[str, str], Fault | None] = lambda *_: None) -> FaultyStore:
    return FaultyStore(world, choose)


def test_pages_get_their_types_and_may_be_cached_for_half_a_minute(tmp_path: Path) -> None:
    store = MemoryStore()
    deploy_site(site(tmp_path, PAGES), store, 7)
    assert stored(store) == PAGES
    page, style = store.head("c/stable/index.html"), store.head("assets/x.css")
    assert page is not None
    assert page.headers is not None
    assert style is not None
    assert style.headers is not None
    assert page.headers.content_type == "text/html; charset=utf-8"
    assert style.headers.content_type == "text/css; charset=utf-8"
    assert "max-age=30" in page.headers.cache_control


def test_only_what_changed_is_sent_and_what_is_gone_is_deleted(tmp_path: Path, world: World) -> None:
    deploy_site(site(tmp_path / "one", PAGES), world.store, 7)
    after = {**PAGES, "index.html": "two", "packages/a/c.html": "c"}
    del after["packages/a/b.html"]
    store = client(world)
    report = deploy_site(site(tmp_path / "two", after), store, 8)
    assert stored(world.store) == after
    assert (report.sent, report.deleted, report.kept) == (2, 1, 2)
    assert [kind for kind, _ in store.requests] == ["get", "put", "put", "put", "delete", "put"]


def test_the_same_site_again_costs_one_read(tmp_path: Path, world: World) -> None:
    deploy_site(site(tmp_path, PAGES), world.store, 7)
    store = client(world)
    deploy_site(tmp_path, store, 7)
    assert store.requests == [("get", INDEX)]


def test_a_site_of_an_older_commit_changes_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    deploy_site(site(tmp_path / "new", PAGES), store, 9)
    assert deploy_site(site(tmp_path / "old", {"index.html": "old"}), store, 8).newer
    assert stored(store) == PAGES


def test_what_leads_to_pages_is_sent_after_them(tmp_path: Path, world: World) -> None:
    store = client(world)
    deploy_site(site(tmp_path, PAGES), store, 1)
    keys = [key for kind, key in store.requests if kind == "put"]
    assert keys[0] == keys[-1] == INDEX
    assert keys[-2] == "index.html"


@pytest.mark.parametrize(
    "path", ["r/stable-repository.yaml", "x/a.html", "_log/HEAD", "tuf/1.root.json", "_site/x", "a b.html"]
)
def test_a_page_never_takes_a_name_of_the_repository(tmp_path: Path, path: str) -> None:
    store = MemoryStore()
    with pytest.raises(PublishError, match="CG610"):
        deploy_site(site(tmp_path, {**PAGES, path: "mine"}), store, 1)
    assert not stored(store)


def test_files_of_others_in_the_store_stay(tmp_path: Path) -> None:
    store = MemoryStore()
    store.put("r/stable-repository.yaml", BytesPayload(b"theirs"))
    store.put("notes.txt", BytesPayload(b"theirs"))
    deploy_site(site(tmp_path / "one", PAGES), store, 1)
    deploy_site(site(tmp_path / "two", {"index.html": "two"}), store, 2)
    assert stored(store) == {"index.html": "two", "r/stable-repository.yaml": "theirs", "notes.txt": "theirs"}


def test_two_deployments_at_once_tell_so_and_the_next_one_mends_it(tmp_path: Path, world: World) -> None:
    new = site(tmp_path / "new", {**PAGES, "index.html": "new"})
    old = site(tmp_path / "old", {**PAGES, "index.html": "old"})
    met: list[str] = []

    def newer_comes_first() -> None:
        if not met and any(key == "index.html" for _, key in store.requests):
            met.append("met")
            deploy_site(new, world.store, 9)
            world.store.put("index.html", BytesPayload(b"old"))  # the older one's request lands late

    store = FaultyStore(world, lambda *_: None, newer_comes_first)
    with pytest.raises(PublishError, match="CG611"):
        deploy_site(old, store, 8)
    deploy_site(new, world.store, 9)
    assert stored(world.store)["index.html"] == "new"


@pytest.mark.parametrize("seed", range(40))
def test_a_deployment_that_dies_anywhere_is_finished_by_the_next(
    tmp_path: Path, world: World, seed: int
) -> None:
    dice = random.Random(seed)
    sites = [
        site(tmp_path / str(number), {path: f"{text} {number}" for path, text in PAGES.items() if dice.random() < 0.7} | {"index.html": str(number)})
        for number in range(4)
    ]  # fmt: skip
    for number, folder in enumerate(sites[:-1]):
        try:
            deploy_site(folder, client(world, Chance(dice, 0.15)), number)
        except (Crashed, CosgenError):
            continue
        finally:
            world.pass_time(1000)
    deploy_site(sites[-1], world.store, 3)
    wanted = {
        path.relative_to(sites[-1]).as_posix(): path.read_text()
        for path in sites[-1].rglob("*.*")
        if path.name != ".nojekyll"
    }
    assert stored(world.store) == {path: text for path, text in wanted.items() if Path(path).suffix}


class NoDelete(MemoryStore):
    """A store whose identity may write and not delete."""

    allowed = False

    def delete(self, key: str) -> None:
        if not self.allowed:
            raise StoreError(Problem(what=f"403 {key}", fix="ask for the right", id="CG503"))
        super().delete(key)


def test_a_page_that_may_not_be_deleted_says_that_it_is_gone(tmp_path: Path) -> None:
    store = NoDelete()
    deploy_site(site(tmp_path / "one", {**PAGES, "404.html": "gone"}), store, 1)
    after = {path: text for path, text in PAGES.items() if path != "packages/a/b.html"} | {"404.html": "gone"}
    report = deploy_site(site(tmp_path / "two", after), store, 2)
    assert (report.deleted, report.left) == (0, 1)
    assert stored(store) == {**after, "packages/a/b.html": "gone"}
    store.allowed = True
    assert deploy_site(tmp_path / "two", store, 3).deleted == 1
    assert stored(store) == after
