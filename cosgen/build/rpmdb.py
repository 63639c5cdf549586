"""RPM's package databases, read from their bytes: SQLite (Fedora, RHEL 9) and NDB (SUSE).

Source: rpm 4.18, lib/backend/{sqlite.c,ndb/rpmpkg.c} and docs/manual/format_v4.md for the header blobs.
The Berkeley DB of older systems is not read.
"""

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SQLITE = b"SQLite format 3\0"
_NDB = b"RpmP"
_NDB_SLOT = b"Slot"
_NDB_BLOB = b"BlbS"
_TAGS = {
    1000: "name",
    1001: "version",
    1002: "release",
    1003: "epoch",
    1014: "license",
    1022: "arch",
    1044: "source",
}
_INT32 = 4
_STRINGS = (6, 8, 9)  # string, string array, internationalized string
_MOST_TAGS = 0xFFFF


class RpmFormatError(ValueError):
    """The bytes are not a database that is read here."""


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """What is kept of one installed package."""

    name: str
    version: str
    release: str
    epoch: str  # "" when none
    arch: str
    source: str  # name of the source package's file
    license: str

    @property
    def full_version(self) -> str:
        """[epoch:]version-release."""
        text = f"{self.version}-{self.release}" if self.release else self.version
        return f"{self.epoch}:{text}" if self.epoch else text


def read_rpm_database(data: bytes) -> tuple[RpmHeader, ...]:
    """Return the headers of a database, in its order.

    Raises:
        RpmFormatError: It is neither SQLite nor NDB, or damaged.
    """
    if data.startswith(_SQLITE):
        blobs = _sqlite_blobs(data)
    elif data.startswith(_NDB):
        blobs = _ndb_blobs(data)
    else:
        raise RpmFormatError("not an SQLite or NDB database")
    try:
        return tuple(parse_header(blob) for blob in blobs)
    except (struct.error, sqlite3.Error, IndexError) as error:
        raise RpmFormatError(str(error)) from error


def _sqlite_blobs(data: bytes) -> Iterator[bytes]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(_without_wal(data))
        for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum"):
            yield blob
    finally:
        connection.close()


def _without_wal(data: bytes) -> bytes:
    """Return the file in rollback mode: a write-ahead log that was left behind is not in the image."""
    return data[:18] + b"\x01\x01" + data[20:]


def _ndb_blobs(data: bytes) -> Iterator[bytes]:
    (slot_pages,) = struct.unpack_from("<I", data, 12)
    slots = []
    for offset in range(32, slot_pages * 4096, 16):
        magic, index, block, count = struct.unpack_from("<4sIII", data, offset)
        if magic != _NDB_SLOT:
            raise RpmFormatError("damaged slot")
        if index and count:
            slots.append((index, block * 16))
    for index, offset in sorted(slots):
        magic, found, _, length = struct.unpack_from("<4sIII", data, offset)
        if magic != _NDB_BLOB or found != index:
            raise RpmFormatError("damaged blob")
        yield data[offset + 16 : offset + 16 + length]


def parse_header(blob: bytes) -> RpmHeader:
    """Return the kept tags of a header blob: count, length, index entries, then the data they point into."""
    count, size = struct.unpack_from(">II", blob)
    if count > _MOST_TAGS or 8 + 16 * count + size > len(blob):
        raise RpmFormatError("damaged header")
    store = memoryview(blob)[8 + 16 * count :]
    fields = dict.fromkeys(_TAGS.values(), "")
    for number in range(count):
        tag, kind, offset, _ = struct.unpack_from(">IIiI", blob, 8 + 16 * number)
        if tag in _TAGS and 0 <= offset < size:
            fields[_TAGS[tag]] = _value(store, kind, offset)
    return RpmHeader(**fields)


def _value(store: memoryview, kind: int, offset: int) -> str:
    if kind == _INT32:
        return str(struct.unpack_from(">I", store, offset)[0])
    if kind in _STRINGS:
        return bytes(store[offset:]).split(b"\0", 1)[0].decode("utf-8", "replace")
    return ""
