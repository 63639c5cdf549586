"""The incremental index: render what changed, reuse the rest as the bytes it already is.

A snapshot keeps its package records in shards, each named by a digest of its content. A shard gives one frame
of the tree and one frame of the index (`luet_tar.py`). The frames of the snapshot before are taken out of its
published tarballs, so no cache has to be kept anywhere, and an unchanged shard is not even loaded.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cosgen.errors import Problem, PublishError
from cosgen.repository import luet
from cosgen.repository.luet import LuetFile, LuetFiles, LuetPackage
from cosgen.repository.luet_tar import Compression, Frame, split_frames

LAYOUT = 1  # raise it when the rendered bytes of a shard change, so that old frames are not reused
DEFAULT_SHARDS = 256


@dataclass(frozen=True, slots=True)
class IndexShard:
    """Some records of a variant: how they are named, and how to get them when they are needed."""

    key: str  # changes when any record of the shard does; a digest of the shard's bytes
    load: Callable[[], Iterable[LuetPackage]]


@dataclass(frozen=True, slots=True)
class FrameCache:
    """Frames that may be reused, of tree and index, by shard key."""

    tree: dict[str, Frame] = field(default_factory=dict)
    meta: dict[str, Frame] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: bytes, meta: bytes, compression: Compression) -> "FrameCache":
        """Take the frames out of two published tarballs; of tarballs made otherwise none."""
        return cls(
            {frame.key: frame for frame in split_frames(tree, compression)},
            {frame.key: frame for frame in split_frames(meta, compression)},
        )


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What making the index took."""

    files: LuetFiles
    shards: int
    rendered: int  # shards that had to be loaded and rendered


def build_index(
    shards: Sequence[IndexShard],
    *,
    base: FrameCache | None = None,
    compression: Compression = luet.DEFAULT_COMPRESSION,
    compilertree: LuetFile | None = None,
) -> IndexReport:
    """Make the luet files of one variant from its shards, loading only those that `base` does not know.

    The bytes depend on the shards and the compression alone, not on `base`: an index made anew is the same.

    Args:
        shards: All shards of the variant, in their one order; no package may be in two of them.
        base: Frames of the snapshot before (`FrameCache.of`).
        compression: How the tarballs are compressed.
        compilertree: The compiler tree, when there is one.

    Raises:
        PublishError: With all problems of the shards that were rendered.
    """
    base = base or FrameCache()
    compress = compression.compressor()
    tree: list[Frame] = []
    meta: list[Frame] = []
    problems: list[Problem] = []
    rendered = 0
    for shard in shards:
        key = _frame_key(shard.key)
        if key in base.tree and key in base.meta:
            tree.append(base.tree[key])
            meta.append(base.meta[key])
            continue
        rendered += 1
        packages = sorted(shard.load(), key=luet.fingerprint)
        problems.extend(luet.check_packages(packages))
        tree.append(_frame(key, luet.tree_part(packages), compress))
        meta.append(_frame(key, luet.index_part(packages), compress))
    if problems:
        raise PublishError(*problems)
    files = luet.assemble(tree, meta, compression=compression, compilertree=compilertree)
    return IndexReport(files, len(shards), rendered)


def shard_packages(packages: Iterable[LuetPackage], *, count: int = DEFAULT_SHARDS) -> tuple[IndexShard, ...]:
    """Put packages into `count` shards by a hash of `category/name`; empty shards are left out.

    For callers that have no sharded snapshot; the key of a shard is a digest over what the index says of it.
    """
    buckets: dict[int, list[LuetPackage]] = {}
    for package in packages:
        buckets.setdefault(shard_number(package, count), []).append(package)
    return tuple(_shard(sorted(buckets[number], key=luet.fingerprint)) for number in sorted(buckets))


def shard_number(package: LuetPackage, count: int) -> int:
    """Return the shard of a package: all versions of `category/name` are in one."""
    definition = package.definition
    name = f"{definition.get('category', '')}/{definition.get('name', '')}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % count


def _shard(packages: list[LuetPackage]) -> IndexShard:
    content = [[luet.index_entry(package), package.finalize] for package in packages]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=list).encode()).hexdigest()
    return IndexShard(digest, lambda: packages)


def _frame(key: str, raw: bytes, compress: Callable[[bytes], bytes]) -> Frame:
    return Frame(key, compress(raw), len(raw))


def _frame_key(shard_key: str) -> str:
    return hashlib.sha256(f"{LAYOUT}:{shard_key}".encode()).hexdigest()[:24]
