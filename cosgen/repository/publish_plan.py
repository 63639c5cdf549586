"""The plan of a publish: from what is there and what comes to the snapshot that shall be."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cosgen.manifest.platform import Variant
from cosgen.repository import pool
from cosgen.repository.checks import check_variant
from cosgen.repository.codec import canonical
from cosgen.repository.commit import Tail
from cosgen.repository.index import FrameCache, IndexShard, build_index
from cosgen.repository.luet import DEFAULT_COMPRESSION, LuetFile, LuetFileRef, LuetFiles
from cosgen.repository.luet_tar import Compression
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.session import Session
from cosgen.repository.snapshot import (
    Snapshot,
    VariantIndex,
    decode_shard,
    encode_shard,
    load_object,
    load_records,
    load_snapshot,
    shard_count,
    shard_number,
    split_records,
)
from cosgen.repository.sources import UNKNOWN, Sources
from cosgen.storage.port import BytesPayload, Payload, Upload, digest_of

_MODULUS = 1 << 256
_SOURCES = "compilertree"


class Policy(StrEnum):
    """What a publish does with what the channel has, and when the channel moved meanwhile."""

    MERGE = "merge"  # add to what is there, also to what somebody added meanwhile
    REPLACE = "replace"  # the variants become exactly what is given
    FAIL = "fail"  # add to what is there; stop when the channel moved meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One package to be published: its record as if nothing were there, and its bytes."""

    variant: str  # Variant.key
    record: PackageRecord
    archive: Payload
    attestation: Payload | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What to publish, where."""

    channel: str
    variants: Mapping[str, tuple[Variant, str]]  # key -> variant, OCI platform
    packages: tuple[Incoming, ...]
    policy: Policy = Policy.MERGE
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)  # per variant: fingerprints to keep
    compression: Compression = DEFAULT_COMPRESSION
    check_requirements: bool = True
    beneath: Mapping[str, tuple[PackageRecord, ...]] = field(default_factory=dict)
    """Per variant: packages of foundations, which clients read from there."""
    sources: Sources = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChanges:
    """What changes in one variant, as `category/name@version`, each sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPlan:
    """What has to be stored, in this order of stages, before the channel may point at `snapshot`."""

    ref: ObjectRef  # of the snapshot's root
    snapshot: Snapshot
    stages: tuple[tuple[Upload, ...], ...]  # packages, shards, luet files, root
    changes: Mapping[str, VariantChanges]
    keys: frozenset[str]  # every key that is new to the snapshot

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """Everything to be stored."""
        return tuple(upload for stage in self.stages for upload in stage)


@dataclass(slots=True)
class _Draft:
    """One variant while it is planned."""

    records: list[PackageRecord]  # of the shards that change
    count: int
    kept: dict[int, ObjectRef]  # shards that stay
    content: int
    changes: VariantChanges
    uploads: list[Upload]


def plan_publish(session: Session, tail: Tail, request: PublishRequest) -> PublishPlan | None:
    """Plan a publish on top of the newest commit; None when the channel has everything already.

    Raises:
        PublishError: A cross-check fails; with all problems.
        VerificationError: What is there is damaged.
    """
    base = _base_snapshot(session, tail, request.channel)
    variants = dict(base.variants)
    stages: list[list[Upload]] = [[], [], []]
    changes: dict[str, VariantChanges] = {}
    for key in sorted({*request.variants}):
        packages = [item for item in request.packages if item.variant == key]
        draft = _plan_variant(session, tail, base.variants.get(key), request, key, packages)
        if draft is None:
            only = _only_sources(base.variants.get(key), request, tail)
            if only is not None:
                variants[key], files = only
                changes[key] = VariantChanges()
                stages[2].extend(files)
            continue
        changes[key] = draft.changes
        stages[0].extend(draft.uploads)
        variants[key], shards, files = _index_variant(
            session, tail, base.variants.get(key), request, key, draft
        )
        stages[1].extend(shards)
        stages[2].extend(files)
    if not changes:
        return None
    snapshot = Snapshot(dict(sorted(variants.items())))
    data = snapshot.encode()
    root = _place(pool.snapshot_key(digest_of(data)), data, tail)
    ref = ObjectRef(key=root.key, digest=root.payload.digest, size=root.payload.size)
    uploads = (*map(tuple, stages), (root,))
    keys = frozenset(upload.key for stage in uploads for upload in stage)
    return PublishPlan(ref=ref, snapshot=snapshot, stages=uploads, changes=changes, keys=keys)


def content_digest(records: Iterable[PackageRecord]) -> int:
    """Return a number that says which packages a variant has: a sum, so that a change needs no full read."""
    return sum(map(_identity, records)) % _MODULUS


def _identity(record: PackageRecord) -> int:
    fields = [
        record.fingerprint,
        record.archive.digest,
        record.definition,
        record.finalize,
        record.readme,
        record.input_digest,
        record.files,
    ]
    return int.from_bytes(hashlib.sha256(canonical(fields)).digest())


def _base_snapshot(session: Session, tail: Tail, channel: str) -> Snapshot:
    state = tail.state.channels.get(channel)
    return load_snapshot(session.patient, state.snapshot) if state else Snapshot()


def _plan_variant(
    session: Session,
    tail: Tail,
    base: VariantIndex | None,
    request: PublishRequest,
    key: str,
    packages: Sequence[Incoming],
) -> _Draft | None:
    given = {item.record.fingerprint: item for item in packages}
    wanted = request.wanted.get(key)
    exact = request.policy is Policy.REPLACE
    if (
        base
        and len(given) == base.packages
        and content_digest(i.record for i in given.values()) == base.content
    ):
        return None
    old = _load_old(session, base, given, everything=exact or wanted is not None)
    new: dict[str, PackageRecord] = {} if exact else dict(old)
    uploads: list[Upload] = []
    for fingerprint, item in sorted(given.items()):
        before = old.get(fingerprint)
        if before is not None and before.same_package(item.record):
            new[fingerprint] = before
        else:
            new[fingerprint], sent = _place_package(item, before, tail)
            uploads.extend(sent)
    if wanted is not None:
        new = {name: record for name, record in new.items() if name in wanted or name in given}
    changes = _compare(old, new)
    if not changes:
        return None
    count = (base.packages if base else 0) + len(new) - len(old)
    check_variant(
        session,
        base,
        new,
        [new[name] for name in given],
        key,
        whole=bool(changes.removed) or exact,
        requirements=request.check_requirements,
        beneath=request.beneath.get(key, ()),
    )
    content = (
        (base.content if base else 0) - content_digest(old.values()) + content_digest(new.values())
    ) % _MODULUS
    records, kept = _rest_of_shards(session, base, old, new, count)
    return _Draft(records, count, kept, content, changes, uploads)


def _load_old(
    session: Session, base: VariantIndex | None, given: Mapping[str, Incoming], *, everything: bool
) -> dict[str, PackageRecord]:
    """Return the records that may be replaced: all of the shards that are touched, or everything."""
    if base is None:
        return {}
    touched = {shard_number(item.record, base.shard_count()) for item in given.values()}
    records = load_records(session.patient, base, lambda number: everything or number in touched)
    return {record.fingerprint: record for record in records}


def _rest_of_shards(
    session: Session,
    base: VariantIndex | None,
    old: Mapping[str, PackageRecord],
    new: Mapping[str, PackageRecord],
    count: int,
) -> tuple[list[PackageRecord], dict[int, ObjectRef]]:
    """Return the records to be written, and the shards that stay because nothing in them changes."""
    if base is None:
        return list(new.values()), {}
    if shard_count(count) != base.shard_count():
        others = [r for r in load_records(session.patient, base) if r.fingerprint not in old]
        return [*others, *new.values()], {}
    shards = base.shard_count()
    changed = {shard_number(old[name], shards) for name in old if new.get(name) is not old[name]}
    changed |= {shard_number(new[name], shards) for name in new if old.get(name) is not new[name]}
    kept = {
        number: shard
        for number, shard in zip(base.numbers, base.shards, strict=True)
        if number not in changed
    }
    return [record for record in new.values() if shard_number(record, shards) in changed], kept


def _place_package(
    item: Incoming, before: PackageRecord | None, tail: Tail
) -> tuple[PackageRecord, list[Upload]]:
    record = item.record
    uploads: list[Upload] = []
    if before is not None and before.archive.digest == record.archive.digest:
        record = replace(record, archive=before.archive)
    else:
        key = pool.free_key(record.archive.key, tail.unsafe)
        record = replace(record, archive=replace(record.archive, key=key))
        uploads.append(Upload(key, item.archive, pool.headers_of(key)))
    if item.attestation is not None and record.attestation is not None:
        key = pool.free_key(record.attestation.key, tail.unsafe)
        record = replace(record, attestation=replace(record.attestation, key=key))
        uploads.append(Upload(key, item.attestation, pool.headers_of(key)))
    return record, uploads


def _index_variant(
    session: Session,
    tail: Tail,
    base: VariantIndex | None,
    request: PublishRequest,
    key: str,
    draft: _Draft,
) -> tuple[VariantIndex, list[Upload], list[Upload]]:
    shards, uploads, fresh = dict(draft.kept), [], {}
    for number, records in split_records(draft.records, shard_count(draft.count)).items():
        data = encode_shard(records)
        upload = _place(pool.shard_key(digest_of(data)), data, tail)
        shards[number] = ObjectRef(key=upload.key, digest=upload.payload.digest, size=len(data))
        fresh[number] = data
        uploads.append(upload)
    numbers = tuple(sorted(shards))

    def load(number: int) -> Iterator[PackageRecord]:
        data = fresh[number] if number in fresh else load_object(session.patient, shards[number])
        return decode_shard(data)

    parts = [IndexShard(shards[number].digest, functools.partial(load, number)) for number in numbers]
    report = build_index(
        parts, base=_frames(session, base, draft, request.compression), compression=request.compression
    )
    files = _place_luet(report.files, tail)
    sources, more = _compilertree(base, request, tail)
    variant, platform = request.variants[key]
    index = VariantIndex(
        flavor=variant.flavor,
        arch=variant.arch,
        platform=platform,
        packages=draft.count,
        content=draft.content,
        shards=tuple(shards[number] for number in numbers),
        numbers=numbers,
        luet={name: file.ref for name, file in files.items()} | sources,
    )
    luet_uploads = [_upload(pool.CLIENT_ROOT + file.key, file.data) for file in files.values()]
    return index, uploads, [*luet_uploads, *more]


def _only_sources(
    base: VariantIndex | None, request: PublishRequest, tail: Tail
) -> tuple[VariantIndex, list[Upload]] | None:
    """Return a variant whose packages stay and whose compiler tree does not; None when both stay."""
    if base is None:
        return None
    sources, uploads = _compilertree(base, request, tail)
    if sources.get(_SOURCES) == base.luet.get(_SOURCES):
        return None
    luet = {name: file for name, file in base.luet.items() if name != _SOURCES}
    return replace(base, luet=luet | sources), uploads


def _compilertree(
    base: VariantIndex | None, request: PublishRequest, tail: Tail
) -> tuple[dict[str, LuetFileRef], list[Upload]]:
    before = base.luet.get(_SOURCES) if base else None
    file = request.sources.file
    if not request.sources.known or (before and file and before.digest == file.digest):
        return ({_SOURCES: before} if before else {}), []
    if file is None:
        return {}, []
    key = pool.free_key(pool.CLIENT_ROOT + file.key, tail.unsafe)
    placed = replace(file, key=key.removeprefix(pool.CLIENT_ROOT))
    return {_SOURCES: placed.ref}, [_upload(key, file.data)]


def _frames(
    session: Session, base: VariantIndex | None, draft: _Draft, compression: Compression
) -> FrameCache | None:
    """Take reusable parts out of the index that is there; with no shard kept there is nothing to take."""
    if base is None or not draft.kept:
        return None
    tree, meta = (
        load_object(session.patient, ObjectRef(key=pool.CLIENT_ROOT + f.key, digest=f.digest, size=f.size))
        for f in (base.luet["tree"], base.luet["meta"])
    )
    return FrameCache.of(tree, meta, compression)


def _place_luet(files: LuetFiles, tail: Tail) -> dict[str, LuetFile]:
    placed: dict[str, LuetFile] = {}
    for name, file in (("tree", files.tree), ("meta", files.meta)):
        key = pool.free_key(pool.CLIENT_ROOT + file.key, tail.unsafe).removeprefix(pool.CLIENT_ROOT)
        placed[name] = replace(file, key=key)
    return placed


def _place(key: str, data: bytes, tail: Tail) -> Upload:
    return _upload(pool.free_key(key, tail.unsafe), data)


def _upload(key: str, data: bytes) -> Upload:
    return Upload(key, BytesPayload(data), pool.headers_of(key))


def _compare(old: Mapping[str, PackageRecord], new: Mapping[str, PackageRecord]) -> VariantChanges:
    both = old.keys() & new.keys()
    return VariantChanges(
        added=tuple(sorted(new[name].human for name in new.keys() - old.keys())),
        changed=tuple(sorted(new[name].human for name in both if new[name] is not old[name])),
        removed=tuple(sorted(old[name].human for name in old.keys() - new.keys())),
    )
