"""Signing under faults: clients verify at every moment of a rotation, and a publish is signed or does not happen."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from cosgen.errors import CosgenError, VerificationError
from cosgen.repository import channel as moves
from cosgen.repository.gc import DAY, collect
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.repository.signing import refresh
from tests.fakes.faulty_store import Crashed, Fault
from tests.property.publish_world import RETENTION, package, request
from tests.property.signed_world import Signed


def do_rotate(signed: Signed, session: Session) -> object:
    signed.rotate(session)
    return None


def do_publish(signed: Signed, session: Session) -> object:
    return publish(session, request("testing", package("b")), PublishOptions())


def do_promote(signed: Signed, session: Session) -> object:
    return moves.promote(session, "testing", "stable")


def do_refresh(signed: Signed, session: Session) -> object:
    return refresh(session)


COMMANDS = {"rotate": do_rotate, "publish": do_publish, "promote": do_promote, "refresh": do_refresh}


def test_clients_follow_at_every_moment_of_a_rotation(tmp_path: Path) -> None:
    signed = Signed()
    seen: list[int] = []

    def look() -> None:
        seen.append(signed.client(tmp_path / "known"))
        assert signed.client() == seen[-1]

    signed.client(tmp_path / "known")
    signed.rotate(signed.session(signed.old, signed.new, step=look))
    look()
    assert len(seen) > 10
    assert b'"version":2' in signed.world.store.objects["tuf/2.root.json"].data


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("name", COMMANDS)
def test_one_fault_at_any_request_leaves_clients_able_to_verify(name: str, fault: Fault) -> None:
    command = COMMANDS[name]
    for at in range(Signed().trace(command)):
        signed = Signed()
        count = itertools.count()
        session = signed.session(
            signed.old, signed.new, choose=lambda *_, at=at, count=count: fault if next(count) == at else None
        )
        try:
            command(signed, session)
        except (Crashed, CosgenError):
            assert signed.client() >= 0, f"request {at}"
        signed.world.pass_time(1000)
        command(signed, signed.session(signed.old, signed.new))
        publish(signed.session(signed.old, signed.new), request("testing", package("c")), PublishOptions())
        assert signed.client() == signed.shown, f"request {at}"


def in_the_middle(
    outer: Callable[[Signed, Session], object],
    inner: Callable[[Signed, Session], object],
    keys: Callable[[Signed], tuple[tuple[CryptoSigner, ...], tuple[CryptoSigner, ...]]],
) -> Iterator[tuple[Signed, list[str]]]:
    """Run one command whole before each request of another; yield what became of both."""
    for at in itertools.count():
        signed = Signed()
        refused: list[str] = []
        count = itertools.count()
        mine, theirs = keys(signed)

        def meddle(
            signed: Signed = signed,
            count: Iterator[int] = count,
            at: int = at,
            theirs: tuple[CryptoSigner, ...] = theirs,
            refused: list[str] = refused,
        ) -> None:
            if next(count) == at:
                attempt(lambda: inner(signed, signed.session(*theirs)), refused)

        session = signed.session(*mine, step=meddle)
        attempt(lambda signed=signed, session=session: outer(signed, session), refused)  # type: ignore[misc]  # the defaults bind them
        if next(count) <= at:
            return
        yield signed, refused


def attempt(work: Callable[[], object], refused: list[str]) -> None:
    try:
        work()
    except CosgenError as error:
        refused.extend(problem.id for problem in error.problems)


def test_a_publisher_with_the_old_key_and_a_rotation_at_every_moment_of_each_other() -> None:
    cases = (
        (do_publish, do_rotate, lambda signed: ((signed.old,), (signed.old, signed.new))),
        (do_rotate, do_publish, lambda signed: ((signed.old, signed.new), (signed.old,))),
    )
    outcomes: set[tuple[str, ...]] = set()
    for outer, inner, keys in cases:
        for signed, refused in in_the_middle(outer, inner, keys):
            outcomes.add(tuple(refused))
            assert signed.client() >= 0
            publish(signed.session(signed.new), request("testing", package("c")), PublishOptions())
            assert signed.client() == signed.shown
    assert outcomes <= {(), ("CG564",)}, outcomes
    assert len(outcomes) == 2, "it was both in time and too late"


def test_who_may_not_sign_deletes_nothing_and_may_ask_what_would_be_done() -> None:
    signed = Signed()
    session = signed.session(signed.old)
    retention = replace(RETENTION, default=replace(RETENTION.default, last=1))
    publish(session, request("testing", package("a", body="new")), PublishOptions())
    signed.world.pass_time(2 * DAY)
    assert collect(session, retention, apply=True).condemned
    signed.world.pass_time(4 * DAY)
    before = set(signed.world.store.objects)
    with pytest.raises(VerificationError, match="there is no key at hand"):
        collect(signed.session(), retention, apply=True)
    assert set(signed.world.store.objects) == before
    assert collect(signed.session(), retention, apply=False).deleted
    assert moves.promote(signed.session(), "testing", "stable", options=PublishOptions(dry_run=True))
    assert collect(session, retention, apply=True).deleted


def test_a_lost_online_key_can_be_replaced() -> None:
    signed = Signed()
    signed.rotate(signed.session(signed.new), signed.new)
    assert signed.client() == signed.shown
    publish(signed.session(signed.new), request("testing", package("c")), PublishOptions())
    assert signed.client() == signed.shown
