"""Layers as sorted streams of members: read from a tar, or straight from overlay2's directories."""

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol, Self, cast

from cosgen.build.member import (
    KEPT_XATTR,
    OPAQUE_MARKER,
    WHITEOUT_PREFIX,
    Kind,
    Member,
    clean_name,
    kind_of_mode,
    kind_of_tar,
    order,
)
from cosgen.build.rules import problem
from cosgen.errors import BuildError, VerificationError

_MOST_AT_ONCE = 16 << 20  # bytes; names and attributes of files are never as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one layer may hold; past them it is taken for a bomb."""

    entries: int = 4_000_000
    size: int = 64 << 30  # bytes, unpacked


class Layer(Protocol):
    """One layer of an image."""

    @property
    def diff_id(self) -> str:
        """`sha256:` of the uncompressed layer, as the image's configuration names it."""

    def members(self) -> tuple[Member, ...]:
        """Return all entries sorted by `order`, whiteouts and opaque markers as members of their own."""

    def open(self, member: Member) -> IO[bytes]:
        """Open the content of a file of this layer."""

    def close(self) -> None:
        """Give back what the layer holds open."""


class _Meter:
    """Counts what a layer holds."""

    def __init__(self, diff_id: str, limits: Limits) -> None:
        self._diff_id = diff_id
        self._limits = limits
        self._entries = 0
        self._size = 0

    def count(self, size: int) -> None:
        """Add an entry of so many bytes; raises BuildError past the limits."""
        self._entries += 1
        self._size += size
        most = self._limits
        if self._entries > most.entries or self._size > most.size:
            what = f"layer {self._diff_id} holds more than {most.entries} entries or {most.size >> 20} MiB"
            raise BuildError(problem("CG465", what))


class OverlayLayer:
    """A layer as the overlay2 driver keeps it: a directory, readable by root on the engine's host."""

    def __init__(self, root: Path, diff_id: str, limits: Limits = Limits()) -> None:
        self._root = os.fsencode(root)
        self._limits = limits
        self._members: tuple[Member, ...] | None = None
        self.diff_id = diff_id

    def members(self) -> tuple[Member, ...]:
        """Walk the directory once and remember; raises BuildError past the limits."""
        if self._members is None:
            inodes: dict[tuple[int, int], str] = {}
            meter = _Meter(self.diff_id, self._limits)
            found = []
            for member in self._walk(inodes):
                meter.count(member.size)
                found.append(member)
            self._members = tuple(found)
        return self._members

    def open(self, member: Member) -> IO[bytes]:
        """Open a file below the layer's directory; links in its path were members, and refused."""
        return open(self._at(member.content), "rb")  # noqa: PTH123 - bytes path

    def close(self) -> None:
        """Nothing is held open."""

    def _at(self, path: str) -> bytes:
        return os.path.join(self._root, path.encode("utf-8", "surrogateescape"))  # noqa: PTH118 - bytes path

    def _walk(self, inodes: dict[tuple[int, int], str]) -> Iterator[Member]:
        """Go through the directory in the order of names, however deep it is."""
        left = self._below(b"")
        while left:
            relative = left.pop()
            member, is_directory = self._member(relative, inodes)
            yield member
            if is_directory:
                if self._is_opaque(relative):
                    yield Member(path=member.path, kind=Kind.OPAQUE)
                left += self._below(relative)

    def _below(self, folder: bytes) -> list[bytes]:
        """Return what a directory holds, the last name first."""
        with os.scandir(os.path.join(self._root, folder) if folder else self._root) as entries:  # noqa: PTH118
            names = sorted((entry.name for entry in entries), reverse=True)
        return [folder + b"/" + name if folder else name for name in names]

    def _member(self, relative: bytes, inodes: dict[tuple[int, int], str]) -> tuple[Member, bool]:
        full = os.path.join(self._root, relative)  # noqa: PTH118 - bytes path
        status = os.lstat(full)
        path = relative.decode("utf-8", "surrogateescape")
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            return Member(path=path, kind=Kind.WHITEOUT), False
        kind = kind_of_mode(status.st_mode)
        content = ""
        if kind is Kind.FILE:
            content = path
            if status.st_nlink > 1:
                content = inodes.setdefault((status.st_dev, status.st_ino), path)
        member = Member(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime=int(status.st_mtime),
            size=status.st_size if kind is Kind.FILE else 0,
            link=os.fsdecode(os.readlink(full))  # noqa: PTH115 - bytes path
            if kind is Kind.SYMLINK
            else "",
            xattrs=_read_xattrs(full),
            content=content,
        )
        return member, kind is Kind.DIRECTORY

    def _is_opaque(self, relative: bytes) -> bool:
        full = os.path.join(self._root, relative)  # noqa: PTH118 - bytes path
        return any(_xattr(full, f"{space}.overlay.opaque") in (b"y", b"x") for space in ("trusted", "user"))


def _read_xattrs(full: bytes) -> tuple[tuple[str, bytes], ...]:
    value = _xattr(full, KEPT_XATTR)
    return ((KEPT_XATTR, value),) if value else ()


def _xattr(full: bytes, name: str) -> bytes:
    try:
        return os.getxattr(full, name, follow_symlinks=False)
    except OSError:
        return b""


class TarLayer:
    """A layer as an uncompressed tar in a seekable file; the file is closed with the layer."""

    def __init__(self, file: IO[bytes], diff_id: str, limits: Limits = Limits()) -> None:
        self._file = file
        self._limits = limits
        self._tar: tarfile.TarFile | None = None
        self._infos: dict[str, tarfile.TarInfo] = {}  # by the `content` of their members
        self._members: tuple[Member, ...] | None = None
        self.diff_id = diff_id

    def members(self) -> tuple[Member, ...]:
        """Read the headers once and remember.

        Raises:
            BuildError: A name is hostile, or the layer passes its limits.
            VerificationError: It is not a tar.
        """
        if self._members is None:
            try:
                self._members = self._read()
            except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
                what = f"layer {self.diff_id} is not a tar: {error}"
                raise VerificationError(problem("CG482", what)) from error
        return self._members

    def open(self, member: Member) -> IO[bytes]:
        """Return a reader over a file's bytes. Only one may be in use at a time."""
        info = self._infos[member.content]
        if info.issparse() and self._tar is not None:
            return cast("IO[bytes]", self._tar.extractfile(info))
        return _Window(self._file, info.offset_data, info.size)  # type: ignore[return-value]  # read() is all that is used

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> tuple[Member, ...]:
        found: dict[tuple[str, bool], Member] = {}
        named: dict[str, Member] = {}  # what a hard link may link to
        meter = _Meter(self.diff_id, self._limits)
        self._file.seek(0)
        # Not closed: sparse files are read through it.
        self._tar = tarfile.open(  # noqa: SIM115 - its file is the layer's
            fileobj=cast("IO[bytes]", _Measured(self._file)),
            mode="r:",
            encoding="utf-8",
            errors="surrogateescape",
        )
        for info in self._tar:
            path = clean_name(info.name)
            _check_sizes(info)
            meter.count(info.size)
            if not path:
                continue
            member = self._hard_link(path, info, named) if info.islnk() else self._member(path, info)
            found[member.path, member.kind is Kind.OPAQUE] = named[path] = member
        return tuple(sorted(found.values(), key=lambda item: (order(item.path), item.kind is Kind.OPAQUE)))

    def _member(self, path: str, info: tarfile.TarInfo) -> Member:
        folder, _, base = path.rpartition("/")
        if base == OPAQUE_MARKER:
            return Member(path=folder, kind=Kind.OPAQUE)
        if base.startswith(WHITEOUT_PREFIX):
            hidden = base.removeprefix(WHITEOUT_PREFIX)
            return Member(path=f"{folder}/{hidden}" if folder else hidden, kind=Kind.WHITEOUT)
        kind = kind_of_tar(info)
        return Member(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(info.mode),
            uid=info.uid,
            gid=info.gid,
            mtime=int(info.mtime),
            size=info.size if kind is Kind.FILE else 0,
            link=info.linkname if kind is Kind.SYMLINK else "",
            xattrs=_tar_xattrs(info),
            content=self._keep(path, info) if kind is Kind.FILE else "",
        )

    def _keep(self, path: str, info: tarfile.TarInfo) -> str:
        """Remember where a file's bytes are; an older file of that path may still have other links."""
        content = path if path not in self._infos else f"{path}\0{info.offset_data}"
        self._infos[content] = info
        return content

    def _hard_link(self, path: str, info: tarfile.TarInfo, named: Mapping[str, Member]) -> Member:
        target = clean_name(info.linkname)
        held = named.get(target)
        if held is None or held.missing or held.kind in (Kind.DIRECTORY, Kind.WHITEOUT, Kind.OPAQUE):
            return Member(path=path, kind=Kind.FILE, content=target, missing=True)
        return replace(held, path=path)


def _check_sizes(info: tarfile.TarInfo) -> None:
    """Refuse lengths that no file has; the library would read other bytes for them, or never end."""
    position = 0
    parts: list[tuple[int, int]] = getattr(info, "sparse", None) or []  # not in typeshed
    for offset, size in parts:
        if not size:  # tar fills its table with such
            continue
        if offset < position or size < 0:
            raise tarfile.ReadError("a sparse file's parts are out of order")
        position = offset + size
    if info.size < position:
        raise tarfile.ReadError("a member's size is not that of its content")


class _Measured:
    """A file of which nobody reads much at once: the library takes a long header whole into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header has {size} bytes")
        return self._file.read(size)


class _Window:
    """A part of a file, read forward."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file = file
        self._position = offset
        self._end = offset + size

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all that is left by default."""
        left = self._end - self._position
        wanted = left if size < 0 else min(size, left)
        self._file.seek(self._position)
        data = self._file.read(wanted)
        self._position += len(data)
        return data

    def close(self) -> None:
        """The file belongs to the layer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tar_xattrs(info: tarfile.TarInfo) -> tuple[tuple[str, bytes], ...]:
    value = info.pax_headers.get(f"SCHILY.xattr.{KEPT_XATTR}", "")
    return ((KEPT_XATTR, str(value).encode("utf-8", "surrogateescape")),) if value else ()
