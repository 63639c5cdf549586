"""Bring the TUF files of a repository to its newest commit; the step between the commit and the views."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from cosgen.errors import Problem, VerificationError
from cosgen.repository import pool
from cosgen.repository.log import Commit
from cosgen.repository.session import Session
from cosgen.repository.tuf import (
    PREFIX,
    TIMESTAMP_KEY,
    OnlineKeys,
    Trust,
    TufCommit,
    channel_document,
    tuf_files,
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


def publish_tuf(
    session: Session, commit: Commit, keys: OnlineKeys, *, views: Mapping[str, bytes] | None = None
) -> bool:
    """Derive and upload the TUF files of a commit, the timestamp last and never backwards.

    Args:
        session: The surroundings.
        commit: A commit that is in the log.
        keys: Private keys of the online roles.
        views: Bytes of the `repository.yaml` files that show the commit, by key, to sign their digests.

    Returns:
        False when the store has no root, so that nothing is signed.

    Raises:
        VerificationError: A key is not the role's, or what is there is not genuine.
    """
    store = session.patient
    trust = find_trust(store)
    if trust is None:
        return False
    told = tuf_commit(commit, views or {})
    files = tuf_files(told, trust, keys)
    existing = _create(session, files[:-1])
    if existing:
        files = tuf_files(told, trust, keys, existing=existing)
        _create(session, files[:-1])
    _move_timestamp(session, files[-1][1], weak=commit.state.settings.get("store_class") == "B")
    return True


def tuf_commit(commit: Commit, views: Mapping[str, bytes]) -> TufCommit:
    """Return what a commit tells TUF clients: where each channel is, and which views show it."""
    digests = {
        key: {"sha256": hashlib.sha256(data).hexdigest(), "length": len(data)} for key, data in views.items()
    }
    channels = {
        name: channel_document(
            name,
            {
                "seq": place.seq,
                "snapshot": place.snapshot.to_json(),
                "log": {"seq": commit.seq, "digest": commit.digest},
                "time": place.time,
                "views": {
                    key: value
                    for key, value in digests.items()
                    if key.startswith(f"{pool.CLIENT_ROOT}{name}-")
                },
            },
        )
        for name, place in commit.state.channels.items()
    }
    return TufCommit(seq=commit.seq, time=commit.time, channels=channels)


def find_trust(store: Store) -> Trust | None:
    """Return the newest root and targets of a store, or None when it has none.

    Their numbers rise by one, so they are found by asking for the next.
    """
    root = _newest(store, "root")
    if root is None:
        return None
    targets = _newest(store, "targets")
    if targets is None:
        problem = Problem(
            what=f"{store.url} has a TUF root but no targets",
            fix="upload the targets that `cosgen key new` wrote: `cosgen key publish`",
            id="CG567",
        )
        raise VerificationError(problem)
    return Trust(root=root, targets=targets)


def publish_trust(session: Session, trust: Trust) -> tuple[str, ...]:
    """Upload a new root, new targets, or both; returns the keys that were new.

    Raises:
        VerificationError: Another file of the same number is there.
    """
    created = []
    for upload, outcome in session.patient.put_new(_uploads(trust.files)):
        if outcome is Outcome.CREATED:
            created.append(upload.key)
        elif _read(session.patient, upload.key) != dict(trust.files)[upload.key]:
            problem = Problem(
                what=f"{session.store.url}: another {upload.key} is there already",
                fix="somebody else rotated: fetch the newest one and rotate that",
                id="CG567",
            )
            raise VerificationError(problem)
    return tuple(created)


def _newest(store: Store, role: str) -> bytes | None:
    newest = None
    number = 1
    while (data := _read(store, f"{PREFIX}{number}.{role}.json")) is not None:
        newest, number = data, number + 1
    return newest


def _read(store: Store, key: str) -> bytes | None:
    blob = store.get(key)
    return blob.data if blob else None


def _create(session: Session, files: list[tuple[str, bytes]]) -> dict[str, bytes]:
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


def _uploads(files: "tuple[tuple[str, bytes], ...] | list[tuple[str, bytes]]") -> Iterator[Upload]:
    for key, data in files:
        yield Upload(key, BytesPayload(data), pool.headers_of(key))


def _move_timestamp(session: Session, data: bytes, *, weak: bool) -> None:
    mine = version_of(data)
    for attempt in range(_TRIES):
        found = session.patient.get(TIMESTAMP_KEY)
        if found is not None and _version(found.data) >= mine:
            return
        condition = CREATE if found is None else Condition() if weak else Condition(match=found.stat.etag)
        try:
            session.store.put(
                TIMESTAMP_KEY,
                BytesPayload(data),
                headers=pool.headers_of(TIMESTAMP_KEY),
                condition=condition,
            )
        except ConditionFailedError:
            continue
        except UncertainError:
            session.clock.sleep(session.patience.wait(min(attempt, 4)))
        else:
            return
    raise UncertainError(_stuck(session, TIMESTAMP_KEY))


def _version(data: bytes) -> int:
    try:
        version = json.loads(data)["signed"]["version"]
    except (ValueError, KeyError, TypeError):
        return 0  # a timestamp that cannot be read is replaced
    return int(version)


def _stuck(session: Session, key: str) -> Problem:
    return Problem(
        what=f"{session.store.url}: {key} could not be written",
        fix="the commit stands; run any command that writes, and the signatures follow it",
        id="CG568",
    )


def published_metadata(store: Store) -> tuple[bytes, ...]:
    """Return what TUF clients fetch now: root, targets, channels, snapshot and timestamp, as far as there."""
    trust = find_trust(store)
    timestamp = _read(store, TIMESTAMP_KEY)
    if trust is None or timestamp is None:
        return (trust.root, trust.targets) if trust else ()
    version = _version(timestamp)
    online = (_read(store, f"{PREFIX}{version}.{role}.json") for role in ("channels", "snapshot"))
    return (trust.root, trust.targets, *(data for data in online if data is not None), timestamp)
