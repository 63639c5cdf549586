"""What `repo fsck` says of signatures: of commits, of what TUF clients follow, and until when they hold."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cosgen.errors import Problem, Severity, VerificationError
from cosgen.repository.codec import integer, mapping
from cosgen.repository.commit import Tail
from cosgen.repository.log import Commit
from cosgen.repository.pins import LIFETIMES_SETTING, lifetimes_of
from cosgen.repository.session import Session
from cosgen.repository.sign import CommitVerifier, unsigned
from cosgen.repository.signing import Signatures

if TYPE_CHECKING:
    from securesystemslib.signer import Key


class CommitSignatures:
    """Checks the commits of a log from the newest down."""

    def __init__(self, session: Session) -> None:
        self._keys = _keys_ever(session)
        self._url = session.store.url
        self._open: list[int] = []  # commits that nobody signed, newer than all that were looked at

    def check(self, commit: Commit) -> Iterator[Problem]:
        """Yield what is wrong with one commit; those from before there were keys need no signature."""
        if not self._keys:
            return
        if not commit.signatures:
            self._open.append(commit.seq)
            return
        for seq in self._open:
            yield unsigned(f"{self._url}: commit {seq}")
        self._open.clear()
        try:
            what = f"{self._url}: commit {commit.seq}"
            CommitVerifier(self._keys).verify(commit.payload(), commit.signatures, what)
        except VerificationError as error:
            yield from error.problems


def check_followed(session: Session, tail: Tail) -> Iterator[Problem]:
    """Yield what a TUF client would stumble over, from the first root on, and what will expire."""
    from cosgen.repository.mirror import read_channel  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf import LIFETIMES  # noqa: PLC0415
    from cosgen.repository.tuf_publish import published_metadata  # noqa: PLC0415
    from cosgen.repository.tuf_trust import expiries  # noqa: PLC0415

    first = session.patient.get("tuf/1.root.json")
    if first is None:
        return
    now = datetime.fromtimestamp(session.now(), UTC)
    lifetimes = lifetimes_of(mapping(tail.state.settings.get(LIFETIMES_SETTING, {})), LIFETIMES)
    found = [item.problem(now, lifetimes) for item in expiries(published_metadata(session.patient))]
    yield from (problem for problem in found if problem is not None)
    if any(problem is not None and problem.severity is Severity.ERROR for problem in found):
        return
    for name, place in tail.state.channels.items():
        with tempfile.TemporaryDirectory(prefix="cosgen-fsck-") as folder:
            try:
                seen = integer(read_channel(session.store, name, Path(folder), first.data), "seq")
            except VerificationError as error:
                yield from error.problems
                return
        if seen != place.seq:
            yield _behind(session.store.url, name, seen, place.seq)


def _keys_ever(session: Session) -> "Mapping[str, Key]":
    guard = session.guard
    pinned = {key.keyid: key for key in guard.pins.channels.keys} if isinstance(guard, Signatures) else {}
    if session.patient.head("tuf/1.root.json") is None:
        return pinned
    from cosgen.repository.tuf_publish import former_keys  # noqa: PLC0415  # slow to import

    return {**former_keys(session.patient), **pinned}


def _behind(url: str, channel: str, seen: int, is_at: int) -> Problem:
    return Problem(
        what=f"{url}: clients that verify see {channel} at commit {seen}, and it is at {is_at}",
        fix="run `cosgen key refresh`, or any command that writes",
        id="CG568",
        severity=Severity.WARNING,
    )
