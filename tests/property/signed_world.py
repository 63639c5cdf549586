"""A signed repository on a store that fails on purpose, its keys, and a client that verifies."""

import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from cosgen.repository.mirror import read_channel
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.rotation import install_trust
from cosgen.repository.session import Session
from cosgen.repository.sign import generate_key
from cosgen.repository.signing import Signatures
from cosgen.repository.tuf import TOP_ROLES, RoleKeys, Trust
from cosgen.repository.tuf_publish import find_trust
from cosgen.repository.tuf_trust import new_trust, rotate_root, rotate_targets
from cosgen.repository.views import read_view
from cosgen.storage.retry import Patience
from tests.fakes.faulty_store import Fault, FaultyStore, World
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
