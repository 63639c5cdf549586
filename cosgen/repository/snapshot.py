"""Snapshots: one immutable index of all variants, named by the digest of its canonical JSON.

A snapshot's root names, for each variant, the shards that hold its package records and the files that luet
clients read. Packages are spread over shards by a hash of `category/name`, so that a publish touches few.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

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
    unpack,
    whole,
)
from cosgen.repository.luet import LuetFileRef
from cosgen.repository.luet_tar import zstd_compressor
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.storage.port import Store, digest_of

SCHEMA = 1
_LEVEL = 3  # of zstd, for shards
_HEX = re.compile(r"[0-9a-f]{64}")
# Packages of a variant up to which so many shards are used: few objects for small repositories, small
# ones for large.
_SHARD_STEPS = ((64, 1), (1024, 16), (100_000, 256))
_MOST_SHARDS = 4096
_MOST_BYTES = 1 << 30  # of the records of one shard
_READS = 4  # attempts at an object whose bytes come back wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantIndex:
    """One variant of a snapshot."""

    flavor: str
    arch: str
    platform: str
    packages: int  # how many
    content: int = 0  # which ones: see publish_plan.content_digest
    shards: tuple[ObjectRef, ...]  # ordered by shard number, empty ones left out
    numbers: tuple[int, ...]  # number of each shard
    luet: Mapping[str, LuetFileRef]  # "tree", "meta", perhaps "compilertree"; keys relative to r/

    def shard_count(self) -> int:
        """Return over how many shards the packages are spread."""
        return shard_count(self.packages)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "flavor": self.flavor,
            "arch": self.arch,
            "platform": self.platform,
            "packages": self.packages,
            "content": f"{self.content:064x}",
            "shards": [
                [number, *(shard.key, shard.digest, shard.size)]
                for number, shard in zip(self.numbers, self.shards, strict=True)
            ],
            "luet": {
                name: [file.key, file.digest, file.size, file.compression] for name, file in self.luet.items()
            },
        }

    @classmethod
    def from_json(cls, value: Json) -> "VariantIndex":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        rows = [row(item, 4) for item in items(data.get("shards"))]
        files = {name: row(item, 4) for name, item in mapping(data.get("luet")).items()}
        if not files.keys() >= {"tree", "meta"}:
            raise DecodeError("a variant lacks the files that clients read")
        return cls(
            flavor=text(data, "flavor"),
            arch=text(data, "arch"),
            platform=text(data, "platform"),
            packages=integer(data, "packages"),
            content=_content(text(data, "content")),
            shards=tuple(ObjectRef.checked(*rest) for _, *rest in rows),
            numbers=tuple(whole(number) for number, *_ in rows),
            luet={name: _luet_file(*file) for name, file in files.items()},
        )


def _content(text: str) -> int:
    if not _HEX.fullmatch(text):
        raise DecodeError(f"{text[:60]!r} is no checksum of packages")
    return int(text, 16)


def _luet_file(key: Json, digest: Json, size: Json, compression: Json) -> LuetFileRef:
    ref = ObjectRef.checked(f"{pool.CLIENT_ROOT}{key}", digest, size)
    return LuetFileRef(
        key=ref.key.removeprefix(pool.CLIENT_ROOT),
        digest=ref.digest,
        size=ref.size,
        compression=str(compression),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All variants of a repository at one moment. Equal content has equal bytes, on any machine."""

    variants: Mapping[str, VariantIndex] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the canonical JSON whose digest is the snapshot's id."""
        variants = {key: index.to_json() for key, index in self.variants.items()}
        return canonical({"schema": SCHEMA, "variants": variants})

    @classmethod
    def decode(cls, data: bytes) -> "Snapshot":
        """Read the canonical JSON; raises `DecodeError`."""
        variants = mapping(decode(data).get("variants"))
        return cls({key: VariantIndex.from_json(variants[key]) for key in sorted(variants)})

    def object_keys(self) -> Iterator[str]:
        """Yield the keys of what the root itself names: shards and luet files."""
        for index in self.variants.values():
            yield from (shard.key for shard in index.shards)
            yield from (pool.CLIENT_ROOT + file.key for file in index.luet.values())


def shard_count(packages: int) -> int:
    """Return how many shards a variant of so many packages has."""
    return next((count for limit, count in _SHARD_STEPS if packages <= limit), _MOST_SHARDS)


def shared_shards(one: VariantIndex | None, other: VariantIndex | None) -> frozenset[str]:
    """Return the keys of the shards that both variants have; no package in them differs."""
    if one is None or other is None or one.shard_count() != other.shard_count():
        return frozenset()
    return frozenset(shard.key for shard in one.shards) & frozenset(shard.key for shard in other.shards)


def shard_number(record: PackageRecord, count: int) -> int:
    """Return the shard of a package: all versions of a `category/name` are in one."""
    return name_number(record.category, record.name, count)


def name_number(category: str, name: str, count: int) -> int:
    """Return the shard of all packages of that name."""
    name = f"{category}/{name}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % count


def split_records(records: Iterable[PackageRecord], count: int) -> dict[int, list[PackageRecord]]:
    """Spread records over `count` shards, each sorted by fingerprint; empty shards are left out."""
    buckets: dict[int, list[PackageRecord]] = {}
    for record in records:
        buckets.setdefault(shard_number(record, count), []).append(record)
    for bucket in buckets.values():
        bucket.sort(key=lambda record: record.fingerprint)
    return buckets


def encode_shard(records: Iterable[PackageRecord]) -> bytes:
    """Return a shard: one line of canonical JSON per record, compressed."""
    lines = b"".join(canonical(record.to_json()) for record in records)
    return zstd_compressor(_LEVEL)(lines)


def decode_shard(data: bytes) -> Iterator[PackageRecord]:
    """Yield the records of a shard; raises `DecodeError`."""
    for line in unpack(data, _MOST_BYTES).splitlines():
        yield PackageRecord.from_json(decode(line))


def load_object(store: Store, ref: ObjectRef) -> bytes:
    """Read an immutable object and check its bytes; bytes that came back wrong are asked for again.

    Raises:
        VerificationError: It is gone, or its bytes are wrong every time.
    """
    why = ""
    for _ in range(_READS):
        blob = store.get(ref.key)
        if blob is None:
            why = "it is not there"
            continue
        if digest_of(blob.data) == ref.digest:
            return blob.data
        why = f"its bytes are not those of {ref.digest[:19]}…"
    raise VerificationError(_wrong(f"{store.url}: {ref.key}", why))


def load_snapshot(store: Store, ref: ObjectRef) -> Snapshot:
    """Read the root of a snapshot; raises `VerificationError`."""
    return Snapshot.decode(load_object(store, ref))


def load_records(
    store: Store, index: VariantIndex, wanted: Callable[[int], bool] = lambda _: True
) -> Iterator[PackageRecord]:
    """Yield the records of a variant, shard by shard; only of the shards whose number is `wanted`."""
    for number, shard in zip(index.numbers, index.shards, strict=True):
        if wanted(number):
            yield from decode_shard(load_object(store, shard))


def _wrong(what: str, why: str) -> Problem:
    return Problem(
        what=f"{what} is damaged: {why}",
        fix="run `cosgen repo fsck --deep` to see how much is, and publish the packages again",
        id="CG512",
    )
