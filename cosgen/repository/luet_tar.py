"""Deterministic tar members and compressed frames that can be joined in any number.

A luet tarball is written as a run of *frames*: each frame is compressed by itself, and zstd and gzip both
define the concatenation of frames as the concatenation of their contents. So an unchanged part of a tarball
is reused as the bytes it already is, and only the changed part is rendered and compressed again.

Source: POSIX.1-2017 pax, "ustar Interchange Format"; RFC 8878 sections 3 and 3.1.2 (skippable frames);
RFC 1952 section 2.2 (gzip members).
"""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypedDict

import zstandard

from cosgen.errors import Problem, PublishError

BLOCK = 512
END_OF_ARCHIVE = bytes(2 * BLOCK)
SUFFIXES: Mapping[str, str] = {"zstd": ".zst", "gzip": ".gz", "none": ""}

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC = b"\x1f\x8b"
_TABLE_MAGIC = 0x184D2A5C  # one of the sixteen numbers that every zstd decoder skips
_TABLE_HEAD = struct.Struct("<II")
_GZIP_LEVEL = 6
_READ = 1 << 20  # bytes
# A ustar header after its checksum: regular file, no link, magic, no owner names, no device, no prefix.
_HEADER_REST = b"0" + bytes(100) + b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2 + bytes(167)
_HEADER_REST_SUM = sum(_HEADER_REST) + 8 * ord(" ")  # the checksum field itself counts as blanks


class _Table(TypedDict):
    recipe: str
    frames: list[tuple[str, int, int]]  # key, compressed and uncompressed bytes


@dataclass(frozen=True, slots=True)
class Compression:
    """How luet's tarballs are compressed: format and level (the level counts for zstd only)."""

    format: str = "zstd"  # "zstd", "gzip" or "none"
    level: int = 3

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise ValueError(f"unknown compression {self.format!r}")

    @property
    def suffix(self) -> str:
        """What a file name ends with: ".zst", ".gz" or ""."""
        return SUFFIXES[self.format]

    @property
    def recipe(self) -> str:
        """Names everything that decides the compressed bytes; frames of another recipe are not reused."""
        if self.format == "zstd":
            version = ".".join(str(part) for part in zstandard.ZSTD_VERSION)
            return f"zstd-{version}-{self.level}"
        return self.format

    def compressor(self) -> Callable[[bytes], bytes]:
        """Return a function that makes one frame of some bytes; same bytes in, same bytes out."""
        match self.format:
            case "zstd":
                return zstd_compressor(self.level)
            case "gzip":
                return lambda data: gzip.compress(data, compresslevel=_GZIP_LEVEL, mtime=0)
            case _:
                return bytes


def zstd_compressor(level: int) -> Callable[[bytes], bytes]:
    """Return a function that makes one zstd frame, in a string of no more than its own length.

    What the library returns keeps the room that it had set aside for the worst case, the length of the input.
    """
    compress = zstandard.ZstdCompressor(level=level).compress
    return lambda data: bytes(memoryview(compress(data)))


@dataclass(frozen=True, slots=True)
class Frame:
    """One compressed part of a tarball."""

    key: str  # what it was made from; equal keys, equal bytes. "" for parts that are cheap to make
    data: bytes
    raw_size: int  # bytes, uncompressed


def tar_header(name: str, size: int, mode: int = 0o644) -> bytes:
    """Return the header of a regular file: owner 0, time 0. Names that ustar cannot hold get a pax header.

    Args:
        name: Relative path of the member, "/" separators, no leading "./".
        size: Length of the content in bytes.
        mode: Permission bits.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > 100 or not name.isascii() or size >= 8**11:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, mode
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (encoded.ljust(100, b"\0"), mode, 0, 0, size, 0)
    return head + b"%06o\0 " % (sum(head) + _HEADER_REST_SUM) + _HEADER_REST


def tar_member(name: str, data: bytes, mode: int = 0o644) -> bytes:
    """Return header, content and padding of one regular file."""
    return tar_header(name, len(data), mode) + data + padding(len(data))


def padding(size: int) -> bytes:
    """Return the zero bytes that fill the last block of a member of `size` bytes."""
    return bytes(-size % BLOCK)


def join_frames(frames: list[Frame], compression: Compression) -> bytes:
    """Join frames into one file; a zstd file ends with a table of its frames, which decoders skip.

    The table makes a published tarball its own cache: `split_frames` gets the frames back.
    """
    body = b"".join(frame.data for frame in frames)
    return body + _table(frames, compression) if compression.format == "zstd" else body


def split_frames(data: bytes, compression: Compression) -> Iterator[Frame]:
    """Yield the keyed frames of a file that `join_frames` made by the same recipe; of any other file none."""
    table = _find_table(data)
    if table is None or table["recipe"] != compression.recipe:
        return
    offset = 0
    for key, length, raw_size in table["frames"]:
        if key:
            yield Frame(key, data[offset : offset + length], raw_size)
        offset += length


def decompress(data: bytes, name: str, *, limit: int = 4 << 30) -> bytes:
    """Undo gzip, zstd or nothing, by the magic bytes, as luet does.

    Args:
        data: The stored bytes.
        name: What they are, for the error.
        limit: Refuse to make more than this many bytes.

    Raises:
        PublishError: The bytes are damaged, or grow beyond `limit`.
    """
    try:
        content = bytearray()
        with _reader(data) as reader:
            # Not all at once: room for all that may come would be set aside before anything did.
            while len(content) <= limit and (block := reader.read(_READ)):
                content += block
    except (zstandard.ZstdError, OSError, EOFError) as error:
        raise PublishError(_damaged(name, str(error))) from error
    if len(content) > limit:
        raise PublishError(_damaged(name, f"it grows beyond {limit} bytes"))
    return bytes(content)


def _reader(data: bytes) -> io.BufferedIOBase | io.RawIOBase:
    if data.startswith(_ZSTD_MAGIC):
        source = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        return io.BufferedReader(source)  # type: ignore[arg-type,type-var,unused-ignore]  # a raw stream in all but its type
    if data.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    return io.BytesIO(data)


def _damaged(name: str, why: str) -> Problem:
    return Problem(
        what=f"{name} cannot be decompressed: {why}",
        fix="fetch it again; when that does not help run `cosgen repo fsck --deep`",
        id="CG551",
    )


def _table(frames: list[Frame], compression: Compression) -> bytes:
    rows = [[frame.key, len(frame.data), frame.raw_size] for frame in frames]
    content = json.dumps({"frames": rows, "recipe": compression.recipe}, separators=(",", ":")).encode()
    # The length stands at the end too, so that a reader finds the table from behind.
    payload = content + struct.pack("<I", len(content))
    return _TABLE_HEAD.pack(_TABLE_MAGIC, len(payload)) + payload


def _find_table(data: bytes) -> _Table | None:
    if len(data) < _TABLE_HEAD.size + 4:
        return None
    (length,) = struct.unpack("<I", data[-4:])
    start = len(data) - 4 - length - _TABLE_HEAD.size
    if start < 0 or _TABLE_HEAD.unpack_from(data, start) != (_TABLE_MAGIC, length + 4):
        return None
    table: _Table = json.loads(data[start + _TABLE_HEAD.size : -4])
    return table
