"""Each request of a publish, a promote and a collection, each with every fault: nothing torn, nothing lost."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from cosgen.errors import CosgenError
from cosgen.repository import channel as moves
from cosgen.repository.gc import DAY, collect
from cosgen.repository.log import State
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.storage.retry import Patience
from tests.fakes.faulty_store import Crashed, Fault, FaultyStore, World
from tests.property.publish_world import RETENTION, VARIANT, Watcher, WorldClock, package, request

Command = Callable[[Session], object]

_SESSIONS = count()


def publish_second(session: Session) -> object:
    return publish(session, request("testing", package("a", body="new"), package("b")), PublishOptions())


def promote(session: Session) -> object:
    return moves.promote(session, "testing", "stable")


def garbage(session: Session) -> object:
    return collect(session, RETENTION, apply=True)


COMMANDS: dict[str, Command] = {"publish": publish_second, "promote": promote, "collect": garbage}


def session_on(world: World, watcher: Watcher, fault: Fault | None = None, at: int = -1) -> Session:
    store: FaultyStore

    def choose(kind: str, key: str) -> Fault | None:
        del kind, key
        return fault if len(store.requests) - 1 == at else None

    store = FaultyStore(world, choose, step=watcher.look)
    session = next(_SESSIONS)
    names = (f"{session}-{number}" for number in count())
    patience = Patience(attempts=6, first=60.0, longest=600.0, chance=lambda: 0.5)
    return Session(store=store, clock=WorldClock(world), patience=patience, new_txn=lambda: next(names))


def prepared() -> tuple[World, Watcher]:
    """Return a world with two channels, old snapshots, and condemned keys that are ripe for deletion."""
    world = World.new()
    watcher = Watcher(world)
    session = session_on(world, watcher)
    for body in ("one", "two", "three", "four"):
        publish(session, request("testing", package("a", body=body)), PublishOptions())
        world.pass_time(2 * DAY)
        collect(session, RETENTION, apply=True)
        if body == "two":
            moves.promote(session, "testing", "stable")
    world.pass_time(4 * DAY)
    return world, watcher


def trace_length(command: Command) -> int:
    world, watcher = prepared()
    session = session_on(world, watcher)
    command(session)
    assert isinstance(session.store, FaultyStore)
    return len(session.store.requests)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("name", COMMANDS)
def test_one_fault_at_any_request_harms_nothing(name: str, fault: Fault) -> None:
    command = COMMANDS[name]
    requests = trace_length(command)
    assert requests >= 5
    for at in range(requests):
        world, watcher = prepared()
        before = watcher.state
        session = session_on(world, watcher, fault, at)
        died = False
        try:
            command(session)
        except (Crashed, CosgenError):
            died = True
        watcher.look()
        if not died:
            assert_views_at_tail(watcher)
        world.pass_time(3600)
        watcher.look()
        after_any_command(world, watcher, before, command)


def after_any_command(world: World, watcher: Watcher, before: State, command: Command) -> None:
    """Run one command of another kind, then the same again: views follow, and the work is done once."""
    moves.pin(session_on(world, watcher), "testing", "p1")
    watcher.look()
    assert_views_at_tail(watcher)
    command(session_on(world, watcher))
    again = session_on(world, watcher)
    commits = watcher.seen_log
    command(again)
    watcher.look()
    if command is not garbage:
        assert watcher.seen_log == commits, "11: the same again commits nothing"
    assert_views_at_tail(watcher)
    watcher.final()
    assert set(before.channels) <= set(watcher.state.channels)


def assert_views_at_tail(watcher: Watcher) -> None:
    watcher.look()
    for name, channel in watcher.state.channels.items():
        assert watcher.views[f"r/{name}-{VARIANT.key}-repository.yaml"] == channel.seq


def test_a_late_delete_hits_nobody_because_deleted_keys_rest() -> None:
    late_delete()


def test_without_the_rest_of_deleted_keys_a_late_delete_tears_a_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(State, "off_limits", lambda state: frozenset(state.condemned))
    with pytest.raises(AssertionError, match=r"1:"):
        late_delete()


def late_delete() -> None:
    world = World.new()
    watcher = Watcher(world)
    session = session_on(world, watcher)
    retention = replace(RETENTION, default=replace(RETENTION.default, last=1))
    publish(session, request("testing", package("a", body="old")), PublishOptions())
    publish(session, request("testing", package("a", body="new")), PublishOptions())
    world.pass_time(2 * DAY)
    collect(session, retention, apply=True)
    world.pass_time(4 * DAY)
    watcher.promised.clear()
    store = FaultyStore(world, lambda kind, _: Fault.DELAYED if kind == "delete" else None, delay=3600.0)
    clock = WorldClock(world)
    slow = Session(store=store, clock=clock, patience=Patience(attempts=1, chance=lambda: 0.5))
    with pytest.raises(CosgenError):
        collect(slow, retention, apply=True)
    assert world.late
    collect(session_on(world, watcher), retention, apply=True)
    publish(session_on(world, watcher), request("testing", package("a", body="old")), PublishOptions())
    world.pass_time(2 * 3600)
    watcher.look()
    watcher._writes = -2
    watcher.look()


def test_a_dry_run_writes_nothing() -> None:
    world, watcher = prepared()
    session = session_on(world, watcher)
    report = publish(session, request("testing", package("z")), PublishOptions(dry_run=True))
    moves.promote(session, "testing", "stable", options=PublishOptions(dry_run=True))
    collect(session, RETENTION, apply=False)
    assert isinstance(session.store, FaultyStore)
    assert session.store.writes == 0
    assert report.uploads
    assert report.commit is None


def test_promote_and_rollback_send_no_package_and_list_nothing() -> None:
    world, watcher = prepared()
    for move in (promote, lambda session: moves.rollback(session, "stable")):
        session = session_on(world, watcher)
        move(session)
        assert isinstance(session.store, FaultyStore)
        puts = [key for kind, key in session.store.requests if kind == "put"]
        assert not [key for key in puts if ".package." in key]
        assert "list" not in {kind for kind, _ in session.store.requests}
        assert len(session.store.requests) <= 10


def test_the_same_publish_again_costs_three_requests_and_writes_nothing() -> None:
    world, watcher = prepared()
    everything = request("fresh", *(package(f"p{number}") for number in range(300)))
    publish(session_on(world, watcher), everything, PublishOptions())
    session = session_on(world, watcher)
    report = publish(session, everything, PublishOptions())
    assert isinstance(session.store, FaultyStore)
    assert report.commit is None
    assert session.store.writes == 0
    assert len(session.store.requests) <= 3


def test_two_machines_make_the_same_snapshot() -> None:
    ids = set()
    for order in (1, -1):
        world = World.new()
        watcher = Watcher(world)
        packages = [package(f"p{number}") for number in range(200)][::order]
        report = publish(session_on(world, watcher), request("testing", *packages), PublishOptions())
        assert report.snapshot is not None
        ids.add(report.snapshot.digest)
    assert len(ids) == 1
