"""Unit tests for cosgen.repository.channel: moves, and what is refused."""

from dataclasses import replace

import pytest

from cosgen.errors import PublishError
from cosgen.repository import channel as moves
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.publish_plan import Incoming
from cosgen.repository.reader import open_repository
from cosgen.repository.session import Session
from cosgen.storage.memory import MemoryStore
from tests.property.publish_world import VARIANT, package, request


def built_from(item: Incoming, revision: str) -> Incoming:
    return replace(item, record=replace(item.record, revision=revision))


def session_with(*bodies: str) -> Session:
    session = Session(store=MemoryStore())
    for body in bodies:
        item = built_from(package("a", body=body), f"{body}-revision")
        publish(session, request("testing", item), PublishOptions())
    return session


def body_of(session: Session, channel: str) -> str:
    repository = open_repository(session.store)
    snapshot = repository.snapshot(channel)
    record = repository.record(snapshot, VARIANT.key, "a-apps-1.0")
    assert record is not None
    return record.revision.removesuffix("-revision")


def test_promote_takes_what_the_source_points_at() -> None:
    session = session_with("one", "two")
    commit = moves.promote(session, "testing", "stable")
    assert commit is not None
    assert body_of(session, "stable") == "two"
    assert moves.promote(session, "testing", "stable") is None


@pytest.mark.parametrize("how", [{"revision": "one-rev"}, {"snapshot": "0"}, {"snapshot": "s0"}])
def test_promote_takes_an_earlier_snapshot_by_revision_or_number(how: dict[str, str]) -> None:
    session = session_with("one", "two")
    moves.promote(session, "testing", "stable", **how)  # type: ignore[arg-type]  # texts only
    assert body_of(session, "stable") == "one"


def test_promote_refuses_a_revision_nobody_built() -> None:
    with pytest.raises(PublishError, match="CG525"):
        moves.promote(session_with("one"), "testing", "stable", revision="0123456")


def test_rollback_goes_back_and_revisions_still_rise() -> None:
    session = session_with("one", "two", "three")
    before = open_repository(session.store).channel("testing")
    moves.rollback(session, "testing")
    after = open_repository(session.store).channel("testing")
    assert body_of(session, "testing") == "two"
    assert after.seq > before.seq
    moves.rollback(session, "testing", to="0")
    assert body_of(session, "testing") == "one"


def test_rollback_refuses_when_there_is_nothing_before() -> None:
    with pytest.raises(PublishError, match="CG527"):
        moves.rollback(session_with("one"), "testing")
    with pytest.raises(PublishError, match="CG526"):
        moves.rollback(session_with("one", "two"), "testing", to="v9")


def test_a_channel_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(PublishError, match="choose one of: testing"):
        moves.promote(session_with("one"), "nightly", "stable")


def test_a_pin_does_not_move() -> None:
    session = session_with("one")
    assert moves.pin(session, "testing", "lts") is not None
    assert moves.pin(session, "testing", "lts") is None
    publish(session, request("testing", package("a", body="two")), PublishOptions())
    with pytest.raises(PublishError, match="CG528"):
        moves.pin(session, "testing", "lts")
    assert moves.unpin(session, "lts") is not None
    assert moves.unpin(session, "lts") is None


def test_yank_takes_a_package_out_and_leaves_the_rest() -> None:
    session = session_with("one")
    publish(session, request("testing", package("b")), PublishOptions())
    moves.yank(session, "testing", frozenset({"apps/b@1.0"}))
    repository = open_repository(session.store)
    names = [r.name for r in repository.packages(repository.snapshot("testing"), VARIANT.key)]
    assert names == ["a"]
    with pytest.raises(PublishError, match="CG529"):
        moves.yank(session, "testing", frozenset({"apps/b"}))


def test_history_tells_every_move_newest_first() -> None:
    session = session_with("one", "two")
    moves.rollback(session, "testing", options=PublishOptions(note="two is broken"))
    history = list(open_repository(session.store).history("testing"))
    assert [entry.commit.op for entry in history] == ["rollback", "publish", "publish"]
    assert history[0].commit.note == "two is broken"
