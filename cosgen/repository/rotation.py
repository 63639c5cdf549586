"""Puts new roots and targets in place: everything is signed first, and only then does the root flip."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from cosgen.errors import Problem, VerificationError
from cosgen.repository import pool
from cosgen.repository.commit import Change, append, make_commit, read_tail
from cosgen.repository.log import Commit, TrustFiles
from cosgen.repository.pins import NO_PINS
from cosgen.repository.session import Session
from cosgen.repository.signing import Signatures, check_trust
from cosgen.repository.tuf import Trust, unfit, version_of
from cosgen.repository.tuf_publish import find_trust, publish_trust
from cosgen.repository.tuf_trust import missing_signatures
from cosgen.repository.views import roll_forward

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def install_trust(session: Session, guard: Signatures, new: Trust) -> Commit | None:
    """Put a new root, new targets, or both in place, and sign everything online with the keys that they name.

    What is signed then is valid under the old root and under the new one; the timestamp moves; the new root
    appears last. So clients find no moment in which something does not fit. Whoever publishes meanwhile meets
    the commit, and has to have the new keys. What ended half-way is completed by running it again.

    Without the old online keys nothing can be valid under both: then the root goes first, and clients that
    look between the two writes refuse what they see and look again later.

    Args:
        session: The repository.
        guard: Keys at hand, and what the project pins.
        new: What shall be; one of the two may be what is there.

    Returns:
        The commit; None when nothing is published yet, so that there is nothing to sign.

    Raises:
        VerificationError: It lacks signatures, is not the next, or the keys at hand do not fit.
    """
    while True:
        old = find_trust(session.patient)
        _check_next(session.store.url, old, new)
        check_trust(new, guard.pins)
        # The old keys need not be those that the project pins from now on.
        adopt = guard.adopt or old is None or session.patient.head(pool.TIMESTAMP) is None
        reading = Signatures(keys=guard.keys, adopt=adopt, pins=NO_PINS, tell=guard.tell)
        tail = read_tail(replace(session, guard=reading))
        if tail.commit.seq < 0:
            publish_trust(session, new)
            return None
        following = _plan(old, new, guard.keys)
        publish_trust(session, replace(new, root=following.root))
        sealing = replace(session, guard=Signatures(keys=guard.keys, pins=guard.pins, following=following))
        details: dict[str, object] = {"root": version_of(new.root), "targets": version_of(new.targets)}
        change = Change(op="keys", state=guard.with_days(tail.state), txn=session.new_txn(), details=details)
        commit = make_commit(sealing, tail, change)
        if append(sealing, commit):
            roll_forward(sealing, replace(tail, commit=commit))
            return commit


def _plan(old: TrustFiles | None, new: Trust, keys: "Iterable[Signer]") -> Trust:
    """Return what the commit is signed under: both roots if the keys allow it, else the new one alone."""
    signers = tuple(keys)
    if old is not None and old.root != new.root:
        both = replace(new, root=old.root, following=new.root)
        if unfit(both, signers) is None:
            return both
    failure = unfit(new, signers)
    if failure is not None:
        raise failure
    return new


def _check_next(url: str, old: TrustFiles | None, new: Trust) -> None:
    """Check that root and targets follow those that are there, and that enough holders signed them.

    Raises:
        VerificationError: With all that is wrong.
    """
    problems: list[Problem] = []
    judges = (("root", new.root, old.root if old else new.root), ("targets", new.targets, new.root))
    for role, data, judge in judges:
        before = None if old is None else (old.root if role == "root" else old.targets)
        if data == before:
            continue
        if version_of(data) != (1 if before is None else version_of(before) + 1):
            problems.append(_not_next(url, role, data, before))
        elif missing := missing_signatures(data, judge):
            problems.append(_incomplete(role, missing))
    if problems:
        raise VerificationError(*problems)


def _not_next(url: str, role: str, data: bytes, before: bytes | None) -> Problem:
    newest = f"the newest is {version_of(before)}" if before else "there is none yet"
    return Problem(
        what=f"{url}: {role} {version_of(data)} cannot follow: {newest}",
        fix="somebody else rotated meanwhile: rotate the newest one (`cosgen key rotate`)",
        id="CG567",
    )


def _incomplete(role: str, missing: int) -> Problem:
    return Problem(
        what=f"{role} lacks {missing} signatures",
        fix="let further holders run `cosgen key sign` on the file",
        id="CG564",
    )
