"""Unit tests for cosgen.repository.fsck and gc: damage is found, garbage goes after its grace."""

import pytest

from cosgen.errors import PublishError, Severity
from cosgen.repository import channel as moves
from cosgen.repository.fsck import check_repository
from cosgen.repository.gc import DAY, Keep, Retention, collect
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.storage.port import BytesPayload
from tests.fakes.faulty_store import World
from tests.property.publish_world import WorldClock, package, request
from tests.property.signed_world import Signed


def repository() -> tuple[World, Session]:
    world = World.new()
    session = Session(store=world.store, clock=WorldClock(world))
    for body in ("one", "two"):
        publish(session, request("testing", package("a", body=body), package("b")), PublishOptions())
    return world, session


def ids(session: Session, *, deep: bool = False) -> set[str]:
    return {problem.id for problem in check_repository(session, deep=deep).problems}


def test_a_whole_repository_has_no_problems() -> None:
    _, session = repository()
    report = check_repository(session, deep=True)
    assert report.problems == []
    assert (report.commits, report.snapshots, report.orphans) == (2, 2, 0)


@pytest.mark.parametrize("part", [".package.", "x/shard/", "x/snap/", "r/i/"])
def test_a_lost_object_is_found(part: str) -> None:
    world, session = repository()
    key = next(key for key in sorted(world.store.objects) if part in key)
    world.store.delete(key)
    assert ids(session) & {"CG512", "CG536"}


def test_changed_bytes_of_the_same_size_are_found_by_reading() -> None:
    world, session = repository()
    key = next(key for key in world.store.objects if ".package." in key)
    size = world.store.objects[key].stat.size
    world.store.put(key, BytesPayload(b"x" * size))
    assert "CG536" in ids(session, deep=True)


def test_a_missing_commit_is_found() -> None:
    world, session = repository()
    world.store.delete("_log/000000000000.json")
    assert "CG514" in ids(session)


def test_a_view_that_is_behind_is_told_and_cured_by_the_next_writer() -> None:
    world, session = repository()
    world.store.delete("r/testing-x86_64-repository.yaml")
    assert ids(session) == {"CG538"}
    publish(session, request("testing", package("c")), PublishOptions())
    assert ids(session) == set()


@pytest.mark.parametrize("skew", [-20 * DAY, 20 * DAY])
def test_nothing_is_collected_by_a_clock_that_is_wrong(skew: float) -> None:
    world, session = repository()
    world.pass_time(2 * DAY)
    retention = Retention(default=Keep(last=1), grace=3 * DAY)
    collect(session, retention, apply=True)
    before = set(world.store.objects)
    wrong = Session(store=world.store, clock=WorldClock(world, skew=skew))
    with pytest.raises(PublishError, match="CG541"):
        collect(wrong, retention, apply=True)
    assert set(world.store.objects) == before


def test_garbage_is_condemned_then_deleted_after_its_grace_and_then_forgotten() -> None:
    world, session = repository()
    retention = Retention(default=Keep(last=1), grace=3 * DAY)
    old = package("a", body="one").record.archive.key
    world.pass_time(2 * DAY)
    first = collect(session, retention, apply=True)
    assert old in first.condemned
    assert old in world.store.objects
    world.pass_time(2 * DAY)
    assert collect(session, retention, apply=True).deleted == ()
    world.pass_time(2 * DAY)
    assert old in collect(session, retention, apply=True).deleted
    assert old not in world.store.objects
    world.pass_time(2 * DAY)
    assert collect(session, retention, apply=True).forgotten > 0
    assert ids(session, deep=True) == set()


def test_a_condemned_package_comes_back_under_another_name() -> None:
    world, session = repository()
    world.pass_time(2 * DAY)
    collect(session, Retention(default=Keep(last=1)), apply=True)
    report = publish(session, request("testing", package("a", body="one")), PublishOptions())
    assert any(".g1.package." in upload.key for upload in report.uploads)
    assert ids(session, deep=True) == set()


def test_pins_tags_and_other_channels_keep_their_snapshots() -> None:
    world, session = repository()
    moves.promote(session, "testing", "stable", tag="v1")
    publish(session, request("testing", package("a", body="three")), PublishOptions())
    moves.pin(session, "testing", "lts")
    publish(session, request("testing", package("a", body="four")), PublishOptions())
    moves.promote(session, "testing", "stable")
    world.pass_time(2 * DAY)
    report = collect(session, Retention(default=Keep(last=1)), apply=True)
    assert package("a", body="one").record.archive.key in report.condemned
    for body in ("two", "three", "four"):
        assert package("a", body=body).record.archive.key not in report.condemned


def test_a_short_grace_is_refused() -> None:
    _, session = repository()
    with pytest.raises(PublishError, match="CG535"):
        collect(session, Retention(grace=DAY), apply=True)


def test_signatures_that_expire_are_told_in_time() -> None:
    signed = Signed()
    session = signed.session(signed.old)
    assert ids(session) == set()
    signed.world.pass_time(2 * DAY)
    report = check_repository(session)
    assert {(item.id, item.severity) for item in report.problems} == {("CG566", Severity.WARNING)}
    assert "timestamp expires" in report.problems[0].what
    signed.world.pass_time(2 * DAY)
    assert "CG565" in ids(session)


def test_clients_that_verify_and_see_an_older_commit_are_told() -> None:
    signed = Signed()
    before = signed.world.store.objects["tuf/timestamp.json"]
    session = signed.session(signed.old)
    publish(session, request("testing", package("b")), PublishOptions())
    signed.world.store.objects["tuf/timestamp.json"] = before
    assert ids(session) == {"CG568"}
