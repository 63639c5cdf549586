"""Bring the TUF files of a repository to its newest commit; the step between the commit and the views."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Root

from cosgen.errors import Problem, VerificationError
from cosgen.repository import pool
from cosgen.repository.codec import DecodeError, decode, mapping, whole
from cosgen.repository.log import Commit, TrustFiles
from cosgen.repository.session import Session
from cosgen.repository.tuf import (
    PREFIX,
    Trust,
    TufCommit,
    channel_document,
    channel_keys,
    load,
    tuf_files,
    verify_role,
    version_of,
)
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    Condition,
    ConditionFailedError,
    Outcome,
    Store,
    UncertainError,
    Upload,
)

_TRIES = 12

Files = list[tuple[str, bytes]]  # store key and bytes, in upload order


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the writer of the hint left: TUF files up to a commit, and the version of the timestamp then."""

    seq: int = -1  # documents of channels that no later commit moved are there; -1 when that is not known
    etag: str | None = None


NOTHING_KNOWN = Known()


def derive_tuf(commit: Commit, trust: Trust, keys: Iterable[Signer]) -> Files:
    """Make the TUF files of a commit, in memory: so it is known before the commit whether they can be made.

    Raises:
        VerificationError: The keys are not those of the roles, or the trust is not whole.
    """
    return tuf_files(tuf_commit(commit), trust, tuple(keys))


def publish_tuf(
    session: Session,
    commit: Commit,
    trust: Trust,
    keys: Iterable[Signer],
    *,
    files: Files | None = None,
    known: Known = NOTHING_KNOWN,
) -> str:
    """Upload the TUF files of a commit, the timestamp last and never backwards; returns its version.

    Args:
        session: The surroundings.
        commit: A commit that is in the log.
        trust: Who may sign. A root that follows it is put beside it last.
        keys: Private keys at hand.
        files: What `derive_tuf` made of the commit; None to make them here.
        known: What is in the store for sure.

    Raises:
        VerificationError: A key is not the role's, or what is there is not genuine.
    """
    told, signers = tuf_commit(commit), tuple(keys)
    if files is None:
        files = tuf_files(told, trust, signers)
    existing = _create(session, _unknown(files, commit, known))
    if existing:
        files = tuf_files(told, trust, signers, existing=existing)
        _create(session, _unknown(files, commit, known))
    weak = commit.state.settings.get("store_class") == "B"
    etag = _move_timestamp(session, files[-1][1], known.etag, weak=weak)
    if trust.following:
        publish_trust(session, replace(trust, root=trust.following, following=b""))
    return etag


def _unknown(files: Files, commit: Commit, known: Known) -> Files:
    """Leave out the timestamp, which is no new file, and the documents that are there already."""
    settled = tuple(
        f".{name}.json" for name, place in commit.state.channels.items() if place.seq <= known.seq
    )
    documents = f"{PREFIX}targets/"
    return [
        (key, data) for key, data in files[:-1] if not (key.startswith(documents) and _is_of(key, settled))
    ]


def _is_of(key: str, endings: tuple[str, ...]) -> bool:
    name = key.rpartition("/")[2]
    return name[name.index(".") :] in endings


def tuf_commit(commit: Commit) -> TufCommit:
    """Return what a commit tells TUF clients: where each channel is, and which commit it tells of."""
    channels = {
        name: channel_document(
            name, {"seq": place.seq, "snapshot": place.snapshot.to_json(), "time": place.time}
        )
        for name, place in commit.state.channels.items()
    }
    return TufCommit(seq=commit.seq, time=commit.time, digest=commit.digest, channels=channels)


def find_trust(store: Store, base: TrustFiles | None = None) -> TrustFiles | None:
    """Return the newest root and targets of a store, or None when it has none.

    Their numbers rise by one, so they are found by asking for the next.

    Args:
        store: Where the repository lies.
        base: What was the newest some time ago.
    """
    root = _newest(store, "root", base.root if base else None)
    if root is None:
        return None
    targets = _newest(store, "targets", base.targets if base else None)
    if targets is None:
        problem = Problem(
            what=f"{store.url} has a TUF root but no targets",
            fix="upload the targets that `cosgen key new` wrote: `cosgen key publish`",
            id="CG567",
        )
        raise VerificationError(problem)
    return TrustFiles(root, targets)


def former_keys(store: Store) -> Mapping[str, Key]:
    """Return every key that the role `channels` ever had, by id: old commits are signed by them.

    Raises:
        VerificationError: A root or targets is not signed by those who might.
    """
    roots = [load(data, Root) for data in _all(store, "root")]
    targets = list(_all(store, "targets"))
    for data in targets:
        _signed_by_one_of(roots, data)
    return channel_keys(targets)


def _signed_by_one_of(roots: list[Root], data: bytes) -> None:
    failure: VerificationError | None = None
    for root in roots:
        try:
            verify_role(root, "targets", data)
        except VerificationError as error:
            failure = error
        else:
            return
    if failure is not None:
        raise failure


def publish_trust(session: Session, trust: Trust) -> tuple[str, ...]:
    """Upload a new root, new targets, or both; returns the keys that were new.

    Raises:
        VerificationError: Another file of the same number is there.
    """
    created = []
    for key, data in reversed(trust.files):  # a root without targets would be of no use
        for upload, outcome in session.patient.put_new(_uploads([(key, data)])):
            if outcome is Outcome.CREATED:
                created.append(upload.key)
            elif _read(session.patient, upload.key) != data:
                problem = Problem(
                    what=f"{session.store.url}: another {upload.key} is there already",
                    fix="somebody else rotated: fetch the newest one and rotate that",
                    id="CG567",
                )
                raise VerificationError(problem)
    return tuple(created)


def _newest(store: Store, role: str, base: bytes | None) -> bytes | None:
    newest = base
    for newest in _all(store, role, after=version_of(base) if base else 0):  # noqa: B007  # the last one counts
        pass
    return newest


def _all(store: Store, role: str, *, after: int = 0) -> Iterator[bytes]:
    number = after + 1
    while (data := _read(store, f"{PREFIX}{number}.{role}.json")) is not None:
        yield data
        number += 1


def _read(store: Store, key: str) -> bytes | None:
    blob = store.get(key)
    return blob.data if blob else None


def _create(session: Session, files: Files) -> dict[str, bytes]:
    """Create files; returns those that were there before with other bytes."""
    wanted = dict(files)
    other: dict[str, bytes] = {}
    for upload, outcome in session.patient.put_new(_uploads(files)):
        if outcome is Outcome.CREATED:
            continue
        found = _read(session.patient, upload.key)
        if found is None:
            raise UncertainError(_stuck(session, upload.key))
        if found != wanted[upload.key]:
            other[upload.key] = found
    return other


def _uploads(files: Iterable[tuple[str, bytes]]) -> Iterator[Upload]:
    for key, data in files:
        yield Upload(key, BytesPayload(data), pool.headers_of(key))


def _move_timestamp(session: Session, data: bytes, etag: str | None, *, weak: bool) -> str:
    """Replace the timestamp unless a newer one is there; `etag` is that of one known to be older."""
    mine = version_of(data)
    if weak:
        etag = None
    for attempt in range(_TRIES):
        if etag is None:
            found = session.patient.get(pool.TIMESTAMP)
            if found is not None and _version(found.data) >= mine:
                return found.stat.etag
            etag = found.stat.etag if found else None
        condition = CREATE if etag is None else Condition() if weak else Condition(match=etag)
        try:
            return session.store.put(
                pool.TIMESTAMP,
                BytesPayload(data),
                headers=pool.headers_of(pool.TIMESTAMP),
                condition=condition,
            )
        except ConditionFailedError:
            etag = None
        except UncertainError:
            etag = None
            session.clock.sleep(session.patience.wait(min(attempt, 4)))
    raise UncertainError(_stuck(session, pool.TIMESTAMP))


def _version(data: bytes) -> int:
    try:
        return whole(mapping(decode(data).get("signed")).get("version"))
    except DecodeError:
        return 0  # a timestamp that cannot be read is replaced


def _stuck(session: Session, key: str) -> Problem:
    return Problem(
        what=f"{session.store.url}: {key} could not be written",
        fix="the commit stands; run any command that writes, and the signatures follow it",
        id="CG568",
    )


def published_metadata(store: Store) -> tuple[bytes, ...]:
    """Return what TUF clients fetch now: root, targets, channels, snapshot and timestamp, as far as there."""
    trust = find_trust(store)
    timestamp = _read(store, pool.TIMESTAMP)
    if trust is None or timestamp is None:
        return (trust.root, trust.targets) if trust else ()
    version = _version(timestamp)
    online = (_read(store, f"{PREFIX}{version}.{role}.json") for role in ("channels", "snapshot"))
    return (trust.root, trust.targets, *(data for data in online if data is not None), timestamp)
