"""What every command on a repository works with: the store, the time, and who it is."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cosgen.repository.log import Commit, TrustFiles
from cosgen.storage.port import Store
from cosgen.storage.retry import Clock, Patience, PatientStore, SystemClock

if TYPE_CHECKING:
    from cosgen.repository.commit import Tail


def new_txn() -> str:
    """Return a name for one run of a command that no other run has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Followed:
    """What TUF clients see after a commit: who may sign, and the version of the timestamp in the store."""

    trust: TrustFiles | None  # None: the repository is not signed
    etag: str | None = None  # of the timestamp


class Guard(Protocol):
    """Knows who may write, and checks who wrote; `signing.Signatures` is one."""

    def verify(self, session: "Session", tail: "Tail") -> None:
        """Check that the newest commit is signed by those who may; raises `VerificationError`."""

    def seal(self, session: "Session", tail: "Tail", commit: Commit) -> Commit:
        """Sign a commit that is to follow the tail, before anything of it is written.

        Raises:
            VerificationError: Nobody at hand may sign it, so that it must not be written.
        """

    def follow(self, session: "Session", tail: "Tail") -> Followed:
        """Bring what TUF clients see to the newest commit, before the views go there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The surroundings of a command. Tests replace the clock, the chance and the store."""

    store: Store  # one attempt per request
    clock: Clock = field(default_factory=SystemClock)
    patience: Patience = field(default_factory=Patience)
    guard: Guard | None = None  # None: nothing is signed, and no signature is checked
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
