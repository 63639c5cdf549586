"""Reading the end of the commit log, and appending to it."""

from dataclasses import dataclass, replace

from cosgen.errors import Problem
from cosgen.repository import pool
from cosgen.repository.codec import Json, canonical, decode, times
from cosgen.repository.log import (
    Commit,
    Hint,
    State,
    check_chain,
    read_commit,
    read_hint,
)
from cosgen.repository.record import ObjectRef
from cosgen.repository.session import Session
from cosgen.repository.snapshot import load_object
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    ConditionFailedError,
    Store,
    UncertainError,
    Upload,
    digest_of,
)

_INLINE = 1000  # condemned keys that a commit holds itself
_GENESIS = Commit(seq=-1, previous="", txn="", op="", state=State(), time=0)


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest commit, and what was learned on the way to it."""

    commit: Commit  # seq -1 when the log is empty
    hint: Hint | None
    unsafe: frozenset[str]  # keys condemned or deleted in any commit that was passed

    @property
    def state(self) -> State:
        """The state after the newest commit."""
        return self.commit.state


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a command wants to append: the new state, and what people shall read about it."""

    op: str
    state: State
    txn: str
    note: str = ""
    details: dict[str, Json]


def read_tail(session: Session) -> Tail:
    """Find the newest commit, starting at the hint.

    Raises:
        VerificationError: The log is damaged, or not signed by a trusted key.
    """
    return advance(session, _start(session), verify=True)


def read_hinted(session: Session) -> Tail | None:
    """Return the commit that the hint names, which most often is the newest one; None without a hint.

    For commands that would notice: their commit cannot take the number of one that is there.
    """
    tail = _start(session)
    if tail.hint is None:
        return None
    _verify(session, tail)
    return tail


def _start(session: Session) -> Tail:
    store = session.patient
    hint = read_hint(store)
    commit = _with_garbage(store, hint.commit if hint else _search(store))
    return Tail(commit, hint, commit.state.off_limits())


def advance(session: Session, tail: Tail, *, verify: bool = False) -> Tail:
    """Walk from a commit to the newest one, checking that each follows the one before."""
    store = session.patient
    commit, unsafe, moved = tail.commit, set(tail.unsafe), verify
    while (following := read_commit(store, commit.seq + 1)) is not None:
        if commit.seq >= 0:
            check_chain(commit, following, store.url)
        commit = _with_garbage(store, following)
        unsafe |= commit.state.off_limits()
        moved = True
    newest = Tail(commit, tail.hint, frozenset(unsafe))
    if moved:
        _verify(session, newest)
    return newest


def make_commit(session: Session, tail: Tail, change: Change) -> Commit:
    """Make and sign the commit that follows the tail; nothing is written yet.

    Raises:
        VerificationError: Nobody at hand may sign it.
    """
    before = tail.commit
    commit = Commit(
        seq=before.seq + 1,
        previous=before.digest if before.seq >= 0 else "",
        txn=change.txn,
        op=change.op,
        state=change.state,
        time=next_time(session, tail),
        author=session.author,
        tool=session.tool,
        note=change.note,
        changes=change.details,
    )
    return session.guard.seal(session, tail, commit) if session.guard else commit


def next_time(session: Session, tail: Tail) -> int:
    """Return the time of the next commit: now, but never before the commits that are there."""
    return max(session.now(), tail.commit.time)


def append(session: Session, commit: Commit) -> bool:
    """Write a commit under its number.

    An answer that leaves open what happened is settled by reading: the log then holds our commit, or somebody
    else's, or none yet, and only then the very same bytes are sent again.

    Returns:
        True when it is in the log; False when another commit has its number.

    Raises:
        UncertainError: The store kept silent too long.
        VerificationError: The log answers nonsense.
    """
    key, payload = pool.log_key(commit.seq), BytesPayload(commit.encode())
    for attempt in range(session.patience.attempts):
        try:
            session.store.put(key, payload, headers=pool.headers_of(key), condition=CREATE)
        except (ConditionFailedError, UncertainError):
            found = read_commit(session.patient, commit.seq)
            if found is not None:
                return found.txn == commit.txn and found.digest == commit.digest
            session.clock.sleep(session.patience.wait(attempt))
        else:
            return True
    raise UncertainError(_silent(session.store.url, commit))


def condemned_blob(state: State) -> tuple[State, Upload | None]:
    """Move long lists of condemned keys out of the commit; returns the state, and what to upload first."""
    if len(state.condemned) + len(state.tombs) <= _INLINE:
        return replace(state, garbage=None), None
    data = canonical({"condemned": dict(state.condemned), "tombs": dict(state.tombs)})
    key = pool.garbage_key(digest_of(data))
    ref = ObjectRef(key=key, digest=digest_of(data), size=len(data))
    return replace(state, garbage=ref), Upload(key, BytesPayload(data), pool.headers_of(key))


def _with_garbage(store: Store, commit: Commit) -> Commit:
    garbage = commit.state.garbage
    if garbage is None or commit.state.condemned or commit.state.tombs:
        return commit
    data = decode(load_object(store, garbage))
    state = replace(commit.state, condemned=times(data.get("condemned")), tombs=times(data.get("tombs")))
    return replace(commit, state=state)


def _search(store: Store) -> Commit:
    """Find a late commit without hint or listing: the log has no holes, so halving finds its end."""
    low = read_commit(store, 0)
    if low is None:
        return _GENESIS
    step = 1
    while (found := read_commit(store, low.seq + step)) is not None:
        low, step = found, step * 2
    while step > 1:
        step //= 2
        found = read_commit(store, low.seq + step)
        low = found or low
    return low


def _verify(session: Session, tail: Tail) -> None:
    if session.guard is not None and tail.commit.seq >= 0:
        session.guard.verify(session, tail)


def _silent(url: str, commit: Commit) -> Problem:
    return Problem(
        what=f"{url} does not say whether commit {commit.seq} ({commit.op}) was written",
        fix="run the command again when the store answers: it finds out, and does nothing twice",
        id="CG516",
    )
