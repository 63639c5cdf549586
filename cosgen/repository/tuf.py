"""TUF metadata: who may say what a channel points at, and until when that is fresh.

Root and targets are signed offline (`tuf_trust.py`). `targets` only delegates `channels/*` to the role
`channels`, whose key CI has; `snapshot` and `timestamp` are signed online. Channels are the only targets:
packages are covered by digest through them (channel -> snapshot -> index -> archive), so the metadata stays
small at any number of packages.

Everything here is bytes in, bytes out. Versions of the online roles follow the number of the commit they tell
of, and their expiry counts from its time, so that whoever derives them again gets the same bytes (ed25519).

Source: TUF specification 1.0.34, sections 4-6.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from cosgen.errors import Problem, VerificationError
from cosgen.repository import pool
from cosgen.repository.sign import cannot_sign

_T = TypeVar("_T", Root, Targets)

CHANNELS = "channels"
TOP_ROLES = ("root", "targets", "snapshot", "timestamp")
ROLES = ("root", "targets", CHANNELS, "snapshot", "timestamp")
OFFLINE_ROLES = ("root", "targets")
PREFIX = "tuf/"
LOG_FIELD = "x-cosgen-log"  # of the channels' metadata: number and digest of the commit it tells of

# How long each role is valid after it was signed.
LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=90),
    CHANNELS: timedelta(days=14),
    "snapshot": timedelta(days=14),
    "timestamp": timedelta(days=3),
}
# Warn when less than this share of a lifetime is left.
WARN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The public keys of one role, and how many of them must sign."""

    keys: tuple[Key, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TufCommit:
    """What a commit of the log says to TUF clients."""

    seq: int  # from 0
    time: int  # seconds since 1970
    digest: str  # of the commit: "sha256:" + 64 hex
    channels: Mapping[str, bytes]  # channel -> its document (`channel_document`)

    @property
    def version(self) -> int:
        """Version of the online roles: TUF counts from 1, as luet's revisions do."""
        return self.seq + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The newest offline metadata of a repository, as stored.

    While a root is being replaced, `following` is the next one: what is signed then is valid under both, so
    that no client finds a moment in which it is not.
    """

    root: bytes
    targets: bytes
    following: bytes = b""
    lifetimes: Mapping[str, timedelta] = field(default_factory=lambda: LIFETIMES)

    def roots(self) -> tuple[Root, ...]:
        """Return the root, and the one that follows it when there is one."""
        return tuple(load(data, Root) for data in (self.root, self.following) if data)

    @property
    def files(self) -> tuple[tuple[str, bytes], ...]:
        """Key in the store and bytes of both."""
        return tuple((offline_key(data), data) for data in (self.root, self.targets))


def tuf_files(
    commit: TufCommit, trust: Trust, keys: tuple[Signer, ...], *, existing: Mapping[str, bytes] | None = None
) -> list[tuple[str, bytes]]:
    """Derive the TUF files of a commit, in upload order; all but the timestamp are create-only.

    Args:
        commit: The commit, already in the log.
        trust: Newest root and targets.
        keys: Private keys at hand; each role takes those that are its own.
        existing: Files of this commit that are in the store already, by key: another publisher was faster,
            and its bytes are used, after they are verified.

    Returns:
        Pairs of store key and bytes.

    Raises:
        VerificationError: A key is not the role's, targets lack signatures, or `existing` is not genuine.
    """
    roots, targets = trust.roots(), load(trust.targets, Targets)
    for root in roots:
        verify_role(root, "targets", trust.targets)
    delegations = targets.delegations
    if delegations is None or not delegations.roles or CHANNELS not in delegations.roles:
        _fail("the TUF targets delegate no role `channels`", "run `cosgen key rotate online`")
    now = datetime.fromtimestamp(commit.time, UTC)
    found = existing or {}

    def make(signed: Channels | Snapshot | Timestamp, role: str, key: str) -> bytes:
        judges: tuple[Root | Targets, ...] = (targets,) if role == CHANNELS else roots
        data = found.get(key) or signed_bytes(signed, _usable(keys, judges, role))
        for judge in judges:
            verify_role(judge, role, data)
        return data

    channels_key, snapshot_key = (f"{PREFIX}{commit.version}.{role}.json" for role in (CHANNELS, "snapshot"))
    documents = {channel_target(name): commit.channels[name] for name in sorted(commit.channels)}
    channels = Channels(
        version=commit.version,
        expires=expiry(now, CHANNELS, trust.lifetimes),
        targets={path: TargetFile.from_data(path, data, ["sha256"]) for path, data in documents.items()},
        unrecognized_fields={LOG_FIELD: {"seq": commit.seq, "digest": commit.digest}},
    )
    channels_data = make(channels, CHANNELS, channels_key)
    snapshot = Snapshot(
        version=commit.version,
        expires=expiry(now, "snapshot", trust.lifetimes),
        meta={
            "targets.json": _meta(targets.version, trust.targets),
            "channels.json": _meta(commit.version, channels_data),
        },
    )
    snapshot_data = make(snapshot, "snapshot", snapshot_key)
    timestamp = Timestamp(
        version=commit.version,
        expires=expiry(now, "timestamp", trust.lifetimes),
        snapshot_meta=_meta(commit.version, snapshot_data),
    )
    return [
        *((target_key(path, data), data) for path, data in documents.items()),
        (channels_key, channels_data),
        (snapshot_key, snapshot_data),
        (pool.TIMESTAMP, make(timestamp, "timestamp", pool.TIMESTAMP)),
    ]


Channels = Targets  # the delegated role has the form of targets


def channel_document(channel: str, fields: Mapping[str, object]) -> bytes:
    """Return the document of a channel, canonical JSON; what a TUF client gets as the channel's target.

    Args:
        channel: Name of the channel.
        fields: `seq` and `time` of the commit that moved it, and `snapshot`. Nothing else: the document of a
            channel that does not move stays the same, so that it is not written again.
    """
    document = {**fields, "channel": channel}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def channel_target(channel: str) -> str:
    """Return the TUF target path of a channel."""
    return f"channels/{channel}.json"


def target_key(path: str, data: bytes) -> str:
    """Return where a target is stored: consistent snapshots put the digest before the base name."""
    folder, _, name = path.rpartition("/")
    return f"{PREFIX}targets/{folder}/{hashlib.sha256(data).hexdigest()}.{name}"


def offline_key(data: bytes) -> str:
    """Return where a root or targets is stored."""
    signed = parse(data).signed
    return f"{PREFIX}{signed.version}.{signed.type}.json"


def version_of(data: bytes) -> int:
    """Return the version of some metadata."""
    return int(parse(data).signed.version)


def channel_keys(targets: Iterable[bytes]) -> dict[str, Key]:
    """Return the public keys that the role `channels` has or had, by id; they verify commits."""
    keys: dict[str, Key] = {}
    for data in targets:
        keys |= {key.keyid: key for key in role_keys(load(data, Targets), CHANNELS).keys}
    return keys


def role_keys(delegator: Root | Targets, role: str) -> RoleKeys:
    """Return keys and threshold of a role, as its delegator says."""
    try:
        found = delegator.get_delegated_role(role)
        keys = tuple(delegator.get_key(keyid) for keyid in sorted(found.keyids))
    except ValueError as error:
        _fail(f"the TUF metadata has no role `{role}`", "give the root of this repository", error)
    return RoleKeys(keys, found.threshold)


def owned(signers: Iterable[Signer], keys: tuple[Key, ...]) -> tuple[Signer, ...]:
    """Return the signers that are among some keys."""
    wanted = {key.keyid for key in keys}
    return tuple(signer for signer in signers if signer.public_key.keyid in wanted)


def unfit(trust: Trust, keys: tuple[Signer, ...]) -> VerificationError | None:
    """Return why some keys cannot sign everything online under some trust, or None when they can."""
    roots, targets = trust.roots(), load(trust.targets, Targets)
    try:
        for root in roots:
            verify_role(root, "targets", trust.targets)
        _usable(keys, (targets,), CHANNELS)
        for role in ("snapshot", "timestamp"):
            _usable(keys, roots, role)
    except VerificationError as error:
        return error
    return None


def _usable(signers: tuple[Signer, ...], judges: Iterable[Root | Targets], role: str) -> tuple[Signer, ...]:
    """Return the signers that a role has under one of the judges; there must be enough for each."""
    chosen: dict[str, Signer] = {}
    for judge in judges:
        allowed = role_keys(judge, role)
        usable = owned(signers, allowed.keys)
        if len(usable) < allowed.threshold:
            _fail(*_no_key(signers, allowed, role))
        chosen |= {signer.public_key.keyid: signer for signer in usable}
    return tuple(chosen.values())


def _no_key(signers: Iterable[Signer], allowed: RoleKeys, role: str) -> tuple[str, str]:
    have = ", ".join(signer.public_key.keyid[:12] for signer in signers) or "none"
    want = ", ".join(key.keyid[:12] for key in allowed.keys)
    many = f"{allowed.threshold} of " if allowed.threshold > 1 else ""
    return (
        f"no key at hand may sign TUF role `{role}`: given {have}, trusted {many}{want}",
        "use the role's key, or make a new one trusted: `cosgen key rotate online`",
    )


def signed_bytes(signed: Signed, signers: Iterable[Signer]) -> bytes:
    """Return metadata signed by some keys, in the order of their ids, as compact JSON."""
    metadata: Metadata[Any] = Metadata(signed)
    for signer in sorted(signers, key=lambda item: item.public_key.keyid):
        try:
            metadata.sign(signer, append=True)
        except UnsignedMetadataError as error:
            raise VerificationError(cannot_sign(signer.public_key.keyid, error)) from error
    return metadata.to_bytes(JSONSerializer(compact=True))


def verify_role(delegator: Root | Targets, role: str, data: bytes) -> None:
    """Check that enough keys of a role signed its metadata.

    Raises:
        VerificationError: They did not.
    """
    metadata: Metadata[Any] = parse(data)
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        fix = "let the holders of its keys sign it (`cosgen key sign`), or `cosgen key rotate`"
        _fail(f"TUF role `{role}` is not signed by enough of its keys", fix, error)


def load(data: bytes, kind: type[_T]) -> _T:
    """Return the signed part of a root or targets.

    Raises:
        VerificationError: The bytes are something else.
    """
    signed = parse(data).signed
    if not isinstance(signed, kind):
        _fail(f"expected TUF {kind.type}, found {signed.type}", "give the right file")
    return signed


def parse(data: bytes) -> Metadata[Any]:
    """Return some metadata; nothing is verified.

    Raises:
        VerificationError: The bytes are no TUF metadata.
    """
    try:
        return Metadata[Any].from_bytes(data)
    except RepositoryError as error:
        _fail("a TUF file cannot be read", "fetch it again, and look whether it is an error page", error)


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def expiry(now: datetime, role: str, lifetimes: Mapping[str, timedelta] = LIFETIMES) -> datetime:
    """Return when metadata of a role that is signed now expires, in UTC, whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0) + lifetimes[role]


def _fail(what: str, fix: str, cause: Exception | None = None) -> NoReturn:
    raise VerificationError(Problem(what=what, fix=fix, id="CG564")) from cause
