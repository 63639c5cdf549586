"""What every command on a repository works with: the store, the time, and who it is."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from cosgen.repository.log import Commit, Signer, Verifier
from cosgen.storage.port import Store
from cosgen.storage.retry import Clock, Patience, PatientStore, SystemClock


def new_txn() -> str:
    """Return a name for one run of a command that no other run has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The surroundings of a command. Tests replace the clock, the chance and the store."""

    store: Store  # one attempt per request
    clock: Clock = field(default_factory=SystemClock)
    patience: Patience = field(default_factory=Patience)
    signer: Signer | None = None
    verifier: Verifier | None = None
    after_commit: Callable[["Session", Commit], None] | None = None  # signs for TUF, before the views move
    author: str = ""  # who runs it: an OIDC subject, or user@host
    tool: str = ""  # "cosgen 1.2.3"
    new_txn: Callable[[], str] = new_txn

    @property
    def patient(self) -> PatientStore:
        """The store, asked again when its answer is uncertain; never for the write that commits."""
        return PatientStore(self.store, self.clock, self.patience)

    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock.now())
