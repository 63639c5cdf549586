"""Package records and whole small repositories, made up for tests."""

import hashlib
from collections.abc import Iterable

from cosgen.repository import pool
from cosgen.repository.index import IndexShard, build_index
from cosgen.repository.log import ChannelState, Commit, State
from cosgen.repository.luet_tar import END_OF_ARCHIVE, tar_member
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.snapshot import Snapshot, VariantIndex, encode_shard, shard_count, split_records
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import BytesPayload, digest_of

VARIANT = "green-x86_64"


def archive_of(name: str, version: str) -> bytes:
    return tar_member(f"usr/share/{name}", version.encode()) + END_OF_ARCHIVE


def record(
    name: str,
    version: str = "1.0",
    *,
    category: str = "apps",
    finalize: str | None = None,
    **definition: object,
) -> PackageRecord:
    data = archive_of(name, version)
    digest = digest_of(data)
    key = pool.package_key(name, category, digest, "none")
    return PackageRecord(
        fingerprint=f"{name}-{category}-{version}",
        definition={"name": name, "category": category, "version": version, **definition},
        finalize=finalize,
        readme=None,
        input_digest=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        compression="none",
        archive=ObjectRef(key=key, digest=digest, size=len(data)),
        content_digest=digest,
        attestation=None,
        files=(f"usr/share/{name}",),
        installed_size=len(version),
    )


def put(store: MemoryStore, key: str, data: bytes) -> ObjectRef:
    store.put(key, BytesPayload(data))
    return ObjectRef(key=key, digest=digest_of(data), size=len(data))


def put_snapshot(store: MemoryStore, records: Iterable[PackageRecord]) -> ObjectRef:
    """Store archives, shards, luet files and the root of a snapshot with one variant."""
    packages = list(records)
    for package in packages:
        put(store, package.archive.key, archive_of(package.name, package.version))
    buckets = split_records(packages, shard_count(len(packages)))
    shards = {number: encode_shard(bucket) for number, bucket in sorted(buckets.items())}
    refs = tuple(put(store, pool.shard_key(digest_of(data)), data) for data in shards.values())
    parts = [IndexShard(ref.digest, buckets[number].copy) for number, ref in zip(shards, refs, strict=True)]
    files = build_index(parts).files
    for file in files.all():
        put(store, pool.CLIENT_ROOT + file.key, file.data)
    index = VariantIndex(
        flavor="green",
        arch="x86_64",
        platform="linux/amd64",
        packages=len(packages),
        shards=refs,
        numbers=tuple(shards),
        luet={"tree": files.tree.ref, "meta": files.meta.ref},
    )
    data = Snapshot({VARIANT: index}).encode()
    return put(store, pool.snapshot_key(digest_of(data)), data)


def commit_of(seq: int, time: int, channels: dict[str, ObjectRef]) -> Commit:
    states = {
        name: ChannelState(snapshot=ref, seq=seq, time=time, origin=seq) for name, ref in channels.items()
    }
    return Commit(seq=seq, previous="", txn=f"t{seq}", op="publish", state=State(channels=states), time=time)
