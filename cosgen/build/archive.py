"""Deterministic archives: the same members make the same bytes, on every machine and at every time."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, Protocol, cast

import zstandard

from cosgen.build.member import Kind, Member
from cosgen.build.selection import Picked

# The clamp of modification times when SOURCE_DATE_EPOCH is not given: a constant, so that two builds agree.
DEFAULT_EPOCH = 1_704_067_200  # 2024-01-01T00:00:00Z
# zstd writes other bytes with worker threads than without, but the same for any number of them.
_ZSTD_THREADS = 2
_ZSTD_JOB = 2 << 20  # bytes a thread takes at once; zstd's own choice needs 100 MiB for 0.2 % less output
_BLOCK = 1 << 20
SUFFIXES = {"zstd": ".zst", "gzip": ".gz", "none": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How archives are compressed."""

    format: str = "zstd"  # "zstd", "gzip" or "none"
    level: int = 3


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One member that is not a directory, as the bill of materials lists it."""

    name: str
    digest: str  # sha256 of the content, 64 hex; "" for links and pipes
    size: int
    setuid: bool = False  # setuid or setgid


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSummary:
    """What was written."""

    digest: str  # "sha256:" + 64 hex of the compressed bytes
    size: int  # compressed bytes
    content_digest: str  # "sha256:" + 64 hex of the tar
    installed_size: int  # bytes, sum of the members' contents
    files: tuple[FileEntry, ...]  # members that are not directories, archive order


class _Writer(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Tee:
    """Counts and hashes what passes."""

    def __init__(self, target: _Writer) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._target.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def write_archive(
    picked: Iterable[Picked],
    target: IO[bytes],
    *,
    compression: Compression = Compression(),
    epoch: int | None = None,
) -> ArchiveSummary:
    """Write members to `target` in the order given, never holding more than one block of them.

    Args:
        picked: Members sorted by `member.order`, names unique.
        target: Where the compressed archive goes.
        compression: Format and level.
        epoch: Modification times after it become it, those of directories always; seconds since 1970.
            None for `DEFAULT_EPOCH`.

    Returns:
        Digests, sizes and the list of files.
    """
    outer = _Tee(target)
    files: list[FileEntry] = []
    with _compressor(outer, compression) as stream:
        inner = _Tee(stream)
        tar = tarfile.open(  # noqa: SIM115 - closed below, before the compressor
            fileobj=cast("BinaryIO", inner),
            mode="w|",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
            bufsize=_BLOCK,
        )
        tar.copybufsize = _BLOCK  # type: ignore[attr-defined]  # not in typeshed
        # That is three times as fast as the default of 16 KiB
        clamp = DEFAULT_EPOCH if epoch is None else epoch
        files.extend(_write_members(tar, picked, clamp))
        tar.close()
    return ArchiveSummary(
        digest=outer.digest,
        size=outer.size,
        content_digest=inner.digest,
        installed_size=sum(entry.size for entry in files),
        files=tuple(files),
    )


def _write_members(tar: tarfile.TarFile, picked: Iterable[Picked], epoch: int) -> Iterator[FileEntry]:
    first_names: dict[tuple[int, str], FileEntry] = {}
    for item in picked:
        info = _tar_info(item, epoch)
        member = item.member
        setuid = member.kind is Kind.FILE and bool(member.mode & 0o6000)
        if member.kind is not Kind.FILE:
            tar.addfile(info)
            if member.kind is not Kind.DIRECTORY:
                yield FileEntry(item.name, "", 0)
            continue
        content = (id(item.layer), member.content)
        first = first_names.get(content)
        if first is not None:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first.name, 0
            tar.addfile(info)
            yield FileEntry(item.name, first.digest, 0, setuid)
            continue
        with item.layer.open(member) as source:
            reader = _Hashing(source)
            tar.addfile(info, cast("BinaryIO", reader))
        first_names[content] = entry = FileEntry(item.name, reader.hexdigest, member.size, setuid)
        yield entry


class _Hashing:
    """Hashes what is read through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    @property
    def hexdigest(self) -> str:
        return self._hash.hexdigest()


_TYPES = {Kind.DIRECTORY: tarfile.DIRTYPE, Kind.SYMLINK: tarfile.SYMTYPE, Kind.FIFO: tarfile.FIFOTYPE}


def _tar_info(item: Picked, epoch: int) -> tarfile.TarInfo:
    member: Member = item.member
    info = tarfile.TarInfo(item.name)
    info.type = _TYPES.get(member.kind, tarfile.REGTYPE)
    info.mode, info.uid, info.gid = member.mode, member.uid, member.gid
    # Engines touch directories when they mount files into them, some earlier in a build, some later.
    info.mtime = epoch if member.kind is Kind.DIRECTORY else min(member.mtime, epoch)
    info.size, info.linkname = member.size, member.link
    info.pax_headers = {
        f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape") for name, value in member.xattrs
    }
    return info


@contextmanager
def _compressor(target: _Writer, compression: Compression) -> Iterator[_Writer]:
    if compression.format == "none":
        yield target
        return
    with ExitStack() as stack:
        if compression.format == "gzip":
            file = gzip.GzipFile(
                filename="",
                mode="wb",
                compresslevel=compression.level,
                fileobj=cast("BinaryIO", target),
                mtime=0,
            )
            buffered = io.BufferedWriter(cast("io.RawIOBase", stack.enter_context(file)), _BLOCK)
            stack.callback(buffered.flush)
            yield buffered
            return
        parameters = zstandard.ZstdCompressionParameters.from_level(
            compression.level, threads=_ZSTD_THREADS, job_size=_ZSTD_JOB, write_content_size=0
        )
        zstd = zstandard.ZstdCompressor(compression_params=parameters)
        yield stack.enter_context(zstd.stream_writer(cast("BinaryIO", target), closefd=False))


def open_archive(file: IO[bytes], compression: str) -> tarfile.TarFile:
    """Open an artifact for reading once from front to back, a block of it in memory at a time."""
    stream: IO[bytes] = file
    if compression == "zstd":
        stream = cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    elif compression == "gzip":
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    return tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape", bufsize=_BLOCK)
