"""Signing under faults: clients verify at every moment of a rotation, and a publish is signed or does not happen."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from cosgen.errors import CosgenError
from cosgen.repository import channel as moves
from cosgen.repository.mirror import read_channel
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.rotation import install_trust
from cosgen.repository.session import Session
from cosgen.repository.sign import generate_key
from cosgen.repository.signing import Signatures, refresh
from cosgen.repository.tuf import TOP_ROLES, RoleKeys, Trust
from cosgen.repository.tuf_publish import find_trust
from cosgen.repository.tuf_trust import new_trust, rotate_root, rotate_targets
from cosgen.repository.views import read_view
from cosgen.storage.retry import Patience
from tests.fakes.faulty_store import Crashed, Fault, FaultyStore, World
from tests.property.publish_world import VARIANT, WorldClock, package, request

NAMES = itertools.count()
VIEW = f"r/testing-{VARIANT.key}-repository.yaml"


@dataclass
class Signed:
    """A signed repository whose online key is about to be replaced."""

    world: World = field(default_factory=World.new)
    root: CryptoSigner = field(default_factory=generate_key)
    targets: CryptoSigner = field(default_factory=generate_key)
    old: CryptoSigner = field(default_factory=generate_key)
    new: CryptoSigner = field(default_factory=generate_key)

    def __post_init__(self) -> None:
        self.world.time = time.time()
        roles = {role: RoleKeys((self.old.public_key,)) for role in (*TOP_ROLES, "channels")}
        roles |= {"root": RoleKeys((self.root.public_key,)), "targets": RoleKeys((self.targets.public_key,))}
        self.first = new_trust(roles, [self.root, self.targets], self.now)
        install_trust(self.session(self.old), Signatures(keys=(self.old,)), self.first)
        publish(self.session(self.old), request("testing", package("a")), PublishOptions())

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.world.time, UTC)

    def session(
        self,
        *keys: CryptoSigner,
        choose: Callable[[str, str], Fault | None] = lambda *_: None,
        step: Callable[[], None] = lambda: None,
    ) -> Session:
        name = f"t{next(NAMES)}"
        return Session(
            store=FaultyStore(self.world, choose, step=step),
            clock=WorldClock(self.world),
            patience=Patience(attempts=5, first=1.0, longest=8.0, chance=lambda: 0.5),
            guard=Signatures(keys=keys),
            new_txn=lambda: name,
        )

    def rotate(self, session: Session, *keys: CryptoSigner) -> None:
        """Put roles with the new online key in place; what is half done is completed."""
        fresh = RoleKeys((self.new.public_key,))
        found = find_trust(self.world.store)
        assert found is not None
        root, targets = self.first.root, self.first.targets
        second = Trust(
            root=rotate_root(root, {"snapshot": fresh, "timestamp": fresh}, [self.root], self.now),
            targets=rotate_targets(targets, [self.targets], self.now, fresh),
        )
        # Bytes of a first attempt are used again, as `cosgen key publish` does with its files.
        self.second = getattr(self, "second", second)
        install_trust(session, Signatures(keys=keys or (self.old, self.new)), self.second)

    def client(self, state: Path | None = None) -> int:
        """Follow the channel from the first root, or on from what is known; python-tuf judges."""
        with tempfile.TemporaryDirectory() as fresh:
            document = read_channel(self.world.store, "testing", state or Path(fresh), self.first.root)
        return int(str(document["seq"]))

    @property
    def shown(self) -> int:
        """The commit that stock clients see."""
        return int(str(read_view(self.world.store.objects[VIEW].data)["seq"]))

    def trace(self, command: Callable[["Signed", Session], object]) -> int:
        session = self.session(self.old, self.new)
        command(self, session)
        assert isinstance(session.store, FaultyStore)
        return len(session.store.requests)


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


def test_a_lost_online_key_can_be_replaced() -> None:
    signed = Signed()
    signed.rotate(signed.session(signed.new), signed.new)
    assert signed.client() == signed.shown
    publish(signed.session(signed.new), request("testing", package("c")), PublishOptions())
    assert signed.client() == signed.shown
