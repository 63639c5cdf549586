"""The commit log: what happened to a repository, and the only truth about what its channels are.

Each commit is one object, `_log/<12 digits>.json`, written create-only. It holds the whole state after
it, the digest of the commit before it, and a signature when keys are configured. `_log/HEAD` is a hint:
a copy of a late commit, written after all views were brought up to that commit.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cosgen.errors import Problem, VerificationError
from cosgen.repository import pool
from cosgen.repository.codec import (
    DecodeError,
    Json,
    canonical,
    decode,
    integer,
    items,
    mapping,
    row,
    text,
    times,
    whole,
)
from cosgen.repository.record import ObjectRef
from cosgen.repository.sign import Signature
from cosgen.storage.port import Store

T = TypeVar("T")
SCHEMA = 1
_READS = 4  # attempts at a commit whose bytes come back wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """Where a channel points, since which commit."""

    snapshot: ObjectRef
    seq: int  # the commit that moved it; the revision clients see
    time: int  # seconds since 1970, of that commit
    origin: int  # the commit that made the snapshot; a promoted snapshot keeps it
    tag: str = ""  # the release it was published for
    previous: tuple["Step", ...] = ()  # where it pointed before, newest first

    @property
    def places(self) -> "tuple[ChannelState | Step, ...]":
        """Where it points and where it pointed before, newest first."""
        return (self, *self.previous)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "snapshot": self.snapshot.to_json(),
            "seq": self.seq,
            "time": self.time,
            "origin": self.origin,
            "tag": self.tag,
            "previous": [step.to_json() for step in self.previous],
        }

    @classmethod
    def from_json(cls, value: Json) -> "ChannelState":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        return cls(
            snapshot=ObjectRef.from_json(data.get("snapshot")),
            seq=integer(data, "seq"),
            time=integer(data, "time"),
            origin=integer(data, "origin"),
            tag=text(data, "tag"),
            previous=tuple(Step.from_json(item) for item in items(data.get("previous", []))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An earlier place of a channel, kept so that one can go back to it."""

    snapshot: ObjectRef
    seq: int
    time: int
    origin: int
    tag: str = ""  # the release it was published for

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        fields: list[Json] = [self.seq, self.time, self.origin, self.tag]
        return {"snapshot": self.snapshot.to_json(), "at": fields}

    @classmethod
    def from_json(cls, value: Json) -> "Step":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        seq, time, origin, tag = row(data.get("at"), 4)
        return cls(
            snapshot=ObjectRef.from_json(data.get("snapshot")),
            seq=whole(seq),
            time=whole(time),
            origin=whole(origin),
            tag=str(tag),
        )


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is true after a commit."""

    channels: Mapping[str, ChannelState] = field(default_factory=dict)
    pins: Mapping[str, Step] = field(default_factory=dict)  # by name; kept for ever
    condemned: Mapping[str, int] = field(default_factory=dict)  # key -> seconds since 1970
    tombs: Mapping[str, int] = field(default_factory=dict)  # deleted keys, not to be used again yet
    garbage: ObjectRef | None = None  # where condemned and tombs are when they are many
    settings: Mapping[str, Json] = field(default_factory=dict)  # name, url, default view, store class

    def off_limits(self) -> frozenset[str]:
        """Return the keys that no new snapshot may name."""
        return frozenset(self.condemned) | frozenset(self.tombs)

    def kept(self) -> dict[str, ObjectRef]:
        """Return every snapshot that must stay whole, by key."""
        steps = [place for channel in self.channels.values() for place in channel.places]
        return {step.snapshot.key: step.snapshot for step in (*steps, *self.pins.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One entry of the log."""

    seq: int
    previous: str  # digest of the entry before; "" for the first
    txn: str  # chosen by the writer, so that it knows its own work again
    op: str  # publish, promote, rollback, yank, pin, unpin, image, keys, refresh, condemn, sweep
    state: State
    time: int  # seconds since 1970
    author: str = ""
    tool: str = ""
    note: str = ""
    changes: Mapping[str, Json] = field(default_factory=dict)  # for people: added, changed, removed
    signatures: tuple[Signature, ...] = ()

    def payload(self) -> bytes:
        """Return the exact bytes that are signed."""
        state = self.state
        inline = state.garbage is None
        return canonical(
            {
                "schema": SCHEMA,
                "seq": self.seq,
                "previous": self.previous,
                "txn": self.txn,
                "op": self.op,
                "channels": {name: channel.to_json() for name, channel in state.channels.items()},
                "pins": {name: step.to_json() for name, step in state.pins.items()},
                "condemned": dict(state.condemned) if inline else {},
                "tombs": dict(state.tombs) if inline else {},
                "garbage": state.garbage.to_json() if state.garbage else None,
                "settings": state.settings,
                "time": self.time,
                "author": self.author,
                "tool": self.tool,
                "note": self.note,
                "changes": self.changes,
            }
        )

    def encode(self) -> bytes:
        """Return the bytes of the log object."""
        payload = self.payload()
        return canonical(
            {
                "payload": decode(payload),
                "digest": hashlib.sha256(payload).hexdigest(),
                "signatures": [signature.to_json() for signature in self.signatures],
            }
        )

    @property
    def digest(self) -> str:
        """Digest of the log object; the next commit names it."""
        return f"sha256:{hashlib.sha256(self.encode()).hexdigest()}"

    def signed(self, signatures: Iterable[Signature]) -> "Commit":
        """Return the commit with signatures over its `payload`."""
        return replace(self, signatures=tuple(signatures))

    @classmethod
    def decode(cls, data: bytes) -> "Commit":
        """Read a log object.

        Raises:
            DecodeError: Its bytes are not those that were written.
        """
        return cls.from_json(decode(data))

    @classmethod
    def from_json(cls, envelope: Mapping[str, Json]) -> "Commit":
        """Read the JSON of a log object; raises `DecodeError`."""
        body = mapping(envelope.get("payload"))
        if hashlib.sha256(canonical(body)).hexdigest() != envelope.get("digest"):
            raise DecodeError("a commit is not the one its digest names")
        garbage = body.get("garbage")
        state = State(
            channels=_by_name(body, "channels", ChannelState.from_json),
            pins=_by_name(body, "pins", Step.from_json),
            condemned=times(body.get("condemned")),
            tombs=times(body.get("tombs")),
            garbage=ObjectRef.from_json(garbage) if garbage else None,
            settings=mapping(body.get("settings")),
        )
        signatures = [mapping(item) for item in items(envelope.get("signatures"))]
        return cls(
            seq=integer(body, "seq"),
            previous=text(body, "previous"),
            txn=text(body, "txn"),
            op=text(body, "op"),
            state=state,
            time=integer(body, "time"),
            author=text(body, "author"),
            tool=text(body, "tool"),
            note=text(body, "note"),
            changes=mapping(body.get("changes")),
            signatures=tuple(Signature(text(item, "keyid"), text(item, "sig")) for item in signatures),
        )


def _by_name(body: Mapping[str, Json], key: str, read: Callable[[Json], T]) -> dict[str, T]:
    found = mapping(body.get(key))
    return {name: read(found[name]) for name in sorted(found)}


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """The newest TUF root and targets, byte for byte as stored. Whoever uses them verifies them."""

    root: bytes
    targets: bytes


@dataclass(frozen=True, slots=True)
class Hint:
    """`_log/HEAD`: a late commit whose views were all written, their versions, and who may sign."""

    commit: Commit
    etag: str  # of the hint itself
    views: Mapping[str, str]  # view key -> etag, as it was written
    looked: bool = (
        False  # whoever wrote it looked for root and targets, so `trust` None means: there are none
    )
    trust: TrustFiles | None = None


def read_commit(store: Store, seq: int) -> Commit | None:
    """Read one commit; None when there is none of that number.

    Raises:
        VerificationError: Its bytes are wrong every time.
    """
    failure: DecodeError | None = None
    for _ in range(_READS):
        blob = store.get(pool.log_key(seq))
        if blob is None:
            return None
        try:
            commit = Commit.decode(blob.data)
        except DecodeError as error:
            failure = error
            continue
        if commit.seq == seq:
            return commit
    raise VerificationError(_damaged(store.url, seq)) from failure


def read_hint(store: Store) -> Hint | None:
    """Read `_log/HEAD`; None when there is none, or none that can be believed."""
    for _ in range(_READS):
        blob = store.get(pool.HEAD)
        if blob is None:
            return None
        try:
            data = decode(blob.data)
            views = {key: str(etag) for key, etag in mapping(data.get("views")).items()}
            commit = Commit.from_json(mapping(data.get("commit")))
            return Hint(commit, blob.stat.etag, views, "trust" in data, _trust(data.get("trust")))
        except DecodeError:
            continue
    return None


def encode_hint(
    commit: Commit, views: Mapping[str, str], *, looked: bool = False, trust: TrustFiles | None = None
) -> bytes:
    """Return the bytes of `_log/HEAD`; the arguments are the fields of `Hint`."""
    data: dict[str, Json] = {"commit": decode(commit.encode()), "views": dict(views)}
    if looked:
        data["trust"] = {"root": trust.root.decode(), "targets": trust.targets.decode()} if trust else None
    return canonical(data)


def _trust(value: Json) -> TrustFiles | None:
    if value is None:
        return None
    data = mapping(value)
    return TrustFiles(text(data, "root").encode(), text(data, "targets").encode())


def check_chain(before: Commit, after: Commit, url: str) -> None:
    """Check that a commit follows another.

    Raises:
        VerificationError: It names another predecessor.
    """
    if after.previous != before.digest or after.seq != before.seq + 1:
        problem = Problem(
            what=f"{url}: commit {after.seq} does not follow the commit {before.seq} that is there",
            fix="somebody rewrote the log: compare with a mirror, then restore the bucket from it",
            id="CG513",
        )
        raise VerificationError(problem)


def _damaged(url: str, seq: int) -> Problem:
    return Problem(
        what=f"{url}: commit {seq} of the log is damaged",
        fix="restore _log/ from a mirror or an older version of the bucket",
        id="CG514",
    )
