"""Layers as sorted streams of members: read from a tar, or straight from overlay2's directories."""

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol, Self

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
            for member in self._walk(b"", inodes):
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

    def _walk(self, folder: bytes, inodes: dict[tuple[int, int], str]) -> Iterator[Member]:
        with os.scandir(os.path.join(self._root, folder) if folder else self._root) as entries:  # noqa: PTH118
            names = sorted(entry.name for entry in entries)
        for name in names:
            relative = folder + b"/" + name if folder else name
            member, is_directory = self._member(relative, inodes)
            yield member
            if is_directory:
                if self._is_opaque(relative):
                    yield Member(path=member.path, kind=Kind.OPAQUE)
                yield from self._walk(relative, inodes)

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
        self._infos: dict[str, tarfile.TarInfo] = {}
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
            except (tarfile.TarError, ValueError, EOFError) as error:
                what = f"layer {self.diff_id} is not a tar: {error}"
                raise VerificationError(problem("CG482", what)) from error
        return self._members

    def open(self, member: Member) -> IO[bytes]:
        """Return a reader over a file's bytes. Only one may be in use at a time."""
        info = self._infos[member.content]
        return _Window(self._file, info.offset_data, info.size)  # type: ignore[return-value]  # read() is all that is used

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> tuple[Member, ...]:
        found: dict[tuple[str, bool], Member] = {}
        meter = _Meter(self.diff_id, self._limits)
        self._file.seek(0)
        with tarfile.open(fileobj=self._file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            for info in tar:
                path = clean_name(info.name)
                meter.count(info.size)
                if not path:
                    continue
                member = self._member(path, info)
                found[member.path, member.kind is Kind.OPAQUE] = member
        return tuple(sorted(found.values(), key=lambda item: (order(item.path), item.kind is Kind.OPAQUE)))

    def _member(self, path: str, info: tarfile.TarInfo) -> Member:
        folder, _, base = path.rpartition("/")
        if base == OPAQUE_MARKER:
            return Member(path=folder, kind=Kind.OPAQUE)
        if base.startswith(WHITEOUT_PREFIX):
            hidden = base.removeprefix(WHITEOUT_PREFIX)
            return Member(path=f"{folder}/{hidden}" if folder else hidden, kind=Kind.WHITEOUT)
        if info.islnk():
            return self._hard_link(path, info)
        kind = kind_of_tar(info)
        if kind is Kind.FILE:
            self._infos[path] = info
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
            content=path if kind is Kind.FILE else "",
        )

    def _hard_link(self, path: str, info: tarfile.TarInfo) -> Member:
        target = clean_name(info.linkname)
        held = self._infos.get(target)
        if held is None:
            return Member(path=path, kind=Kind.FILE, content=target, missing=True)
        member = self._member(clean_name(held.name), held)
        self._infos[path] = held
        return replace(member, path=path)


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
