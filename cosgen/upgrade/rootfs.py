"""The root filesystem of an image: the union of package archives, as one deterministic layer."""

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

import zstandard

from cosgen.errors import BuildError, Problem

_COPY_BUFFER = 1 << 20  # bytes; the one setting that matters for tarfile's speed
_MAGIC_GZIP = b"\x1f\x8b"
_MAGIC_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_LEVEL = 6  # fixed: another level gives other bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One image layer in a file: its compressed bytes, and the digest of what they unpack to."""

    path: Path
    digest: str  # "sha256:" + 64 hex of the compressed bytes
    diff_id: str  # "sha256:" + 64 hex of the uncompressed tar
    size: int  # bytes, compressed
    title: str  # what it holds: a package, or "root filesystem"


@dataclass(frozen=True, slots=True)
class _Member:
    """The winning entry of one path: which archive it is in, and its header."""

    archive: int
    info: tarfile.TarInfo


def union_layer(
    archives: Sequence[Path],
    target: Path,
    *,
    title: str = "root filesystem",
    exclude: Callable[[str], bool] = lambda name: False,  # noqa: ARG005  # keeps everything
) -> Layer:
    """Write the union of `archives` as one gzip layer; a later archive replaces paths of an earlier one.

    Args:
        archives: Package archives (tar, plain, gzip or zstd), in the order they are laid down.
        target: File to write.
        title: What the layer is called in the image's annotations.
        exclude: Tells of a member's name (relative, no trailing slash) whether to leave it out.

    Returns:
        The layer. Members are sorted by path, hard links last, so the same archives give the same bytes.

    Raises:
        BuildError: An archive holds a name that must not be in an image (absolute, `..`, a whiteout).
    """
    with ExitStack() as stack:
        tars = [stack.enter_context(_open_plain(path)) for path in archives]
        members = _winners(tars, archives, exclude)
        with _GzipFile(target) as file, _tar_in(file) as out:
            for member in _in_order(members):
                _write_member(out, tars[member.archive], member, members)
        return file.layer(title)


def split_layers(
    system: Path, parts: Sequence[tuple[str, Path]], folder: Path, *, title: str = "root filesystem"
) -> tuple[Layer, ...]:
    """Write a system as a layer for each package that it was made of, and one with the rest on top.

    A package's layer has those of its paths that are the same in the system, to the byte and mode. So the
    layers together are the system, whatever was done to it after the packages were joined, and the layer of a
    package that did not change is the same in the next version.

    Args:
        system: The archive of the whole system.
        parts: Title and archive of each package, in the order they are laid down.
        folder: Where the layers are written; must exist.
        title: What the topmost layer is called.

    Raises:
        BuildError: As `union_layer`.
    """
    whole = _facts(system) if parts else {}
    taken: set[str] = set()
    layers = []
    for number, (part, archive) in enumerate(parts):
        same = {name for name, fact in _facts(archive).items() if fact and whole.get(name) == fact} - taken
        if same:
            target = folder / f"{number:04}.layer"
            layers.append(union_layer([archive], target, title=part, exclude=lambda n, s=same: n not in s))  # type: ignore[misc]  # a default binds it
            taken |= same
    rest = union_layer([system], folder / "rootfs.layer", title=title, exclude=lambda name: name in taken)
    return (*layers, rest)


def _facts(archive: Path) -> dict[str, tuple[object, ...]]:
    """Return name → all that is known of a member; () for what must not be parted: hard links and targets."""
    with _open_plain(archive) as tar:
        facts: dict[str, tuple[object, ...]] = {}
        bound: set[str] = set()
        for info in tar:
            name = _clean_name(info.name, archive)
            if info.islnk():
                bound |= {name, str(PurePosixPath(info.linkname))}
            content = tar.extractfile(info) if info.isreg() else None
            digest = hashlib.file_digest(content, "sha256").hexdigest() if content else ""  # type: ignore[arg-type]  # any reader will do
            shape = (info.type, info.mode, info.uid, info.gid, info.mtime, info.linkname, info.size)
            extra = tuple(sorted(item for item in info.pax_headers.items() if ".xattr." in item[0]))
            facts[name] = () if info.isdir() else (*shape, digest, info.devmajor, info.devminor, extra)
        return {name: () if name in bound else fact for name, fact in facts.items()}


def file_layer(name: str, data: bytes, target: Path) -> Layer:
    """Write a layer that holds one file at the root: root's, mode 0644, no time."""
    with _GzipFile(target) as file, _tar_in(file) as out:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        out.addfile(info, io.BytesIO(data))
    return file.layer(name)


def archive_layer(archive: Path, target: Path, *, title: str, plain: str) -> Layer:
    """Write one archive as a gzip layer, its tar as it is; the same archive gives the same bytes.

    Args:
        archive: A tar, plain, gzip or zstd.
        target: File to write.
        title: What the layer is called.
        plain: Digest that the uncompressed tar must have.

    Raises:
        BuildError: It has another (CG652).
    """
    with _GzipFile(target) as file, _unpacked(archive) as source:
        _copy(source, cast("IO[bytes]", file.plain))
    layer = file.layer(title)
    if layer.diff_id != plain:
        raise BuildError(
            Problem(
                what=f"{title}: the archive unpacks to {layer.diff_id[:19]}…, it should be {plain[:19]}…",
                fix="run `cosgen repo fsck --deep`, and publish the package again",
                id="CG659",
            )
        )
    return layer


def _open_plain(path: Path) -> tarfile.TarFile:
    """Open an archive for random access; a compressed one is unpacked to an unnamed file first."""
    plain: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the tar
    with _unpacked(path) as source:
        _copy(source, plain)
    plain.seek(0)
    return tarfile.open(fileobj=plain, mode="r:")


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open an archive as the tar it is, whatever it is compressed by."""
    with path.open("rb") as source:
        magic = source.read(4)
        source.seek(0)
        if magic.startswith(_MAGIC_ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as unpacked:
                yield cast("IO[bytes]", unpacked)
        elif magic.startswith(_MAGIC_GZIP):
            with gzip.open(source) as plain:
                yield cast("IO[bytes]", plain)
        else:
            yield source


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(_COPY_BUFFER):
        target.write(chunk)


def _winners(
    tars: Sequence[tarfile.TarFile], archives: Sequence[Path], exclude: Callable[[str], bool]
) -> dict[str, _Member]:
    """Lay the archives over each other; a non-directory hides what was below its path."""
    members: dict[str, _Member] = {}
    for index, tar in enumerate(tars):
        for info in tar:
            name = _clean_name(info.name, archives[index])
            if not name or exclude(name):
                continue
            info.name = name
            before = members.get(name)
            if before is not None and before.info.isdir() and not info.isdir():
                _drop_below(members, name)
            _refuse_below_file(members, name, archives[index])
            members[name] = _Member(index, info)
    return members


def _drop_below(members: dict[str, _Member], name: str) -> None:
    prefix = f"{name}/"
    for below in [path for path in members if path.startswith(prefix)]:
        del members[below]


def _refuse_below_file(members: dict[str, _Member], name: str, archive: Path) -> None:
    for parent in PurePosixPath(name).parents:
        above = members.get(str(parent))
        if above is not None and not above.info.isdir():
            raise BuildError(
                Problem(
                    what=f"{archive.name} puts {name!r} below {parent!s}, elsewhere not a directory",
                    fix="let one of the packages own the path, or change the order of the packages",
                    id="CG651",
                )
            )


def _clean_name(name: str, archive: Path) -> str:
    path = PurePosixPath(name)
    bad = path.is_absolute() or ".." in path.parts or path.name.startswith(".wh.")
    if bad:
        raise BuildError(
            Problem(
                what=f"{archive.name} holds the name {name!r}, which must not be in an image",
                fix="build the package again with cosgen, which never writes such names",
                id="CG652",
            )
        )
    return "" if str(path) == "." else str(path)


def _in_order(members: dict[str, _Member]) -> Iterator[_Member]:
    """Yield plain members sorted by path, then hard links sorted by path: a link follows its target."""
    paths = sorted(members, key=lambda name: name.encode("utf-8", "surrogateescape"))
    yield from (members[path] for path in paths if not members[path].info.islnk())
    yield from (members[path] for path in paths if members[path].info.islnk())


def _write_member(
    out: tarfile.TarFile, source: tarfile.TarFile, member: _Member, members: dict[str, _Member]
) -> None:
    info = member.info
    info.uname = info.gname = ""
    if info.islnk():
        target = members.get(str(PurePosixPath(info.linkname)))
        if target is None or target.archive != member.archive or target.info.islnk():
            info = _as_copy(source, info)
        else:
            info.linkname = target.info.name
            out.addfile(info)
            return
    out.addfile(info, source.extractfile(info) if info.isreg() else None)


def _as_copy(source: tarfile.TarFile, link: tarfile.TarInfo) -> tarfile.TarInfo:
    """Turn a hard link whose target another package replaced into a file with the old content."""
    original, seen = link, {link.name}
    while original.islnk():
        try:
            original = source.getmember(original.linkname)
        except KeyError:
            raise BuildError(_dangling(link)) from None
        if original.name in seen:
            raise BuildError(_dangling(link))
        seen.add(original.name)
    copy = original.replace(name=link.name, deep=True)
    copy.offset_data = original.offset_data
    return copy


def _dangling(link: tarfile.TarInfo) -> Problem:
    return Problem(
        what=f"the hard link {link.name!r} has no file {link.linkname!r} in its archive",
        fix="build the package again with cosgen, which never writes such links",
        id="CG652",
    )


class _GzipFile:
    """A layer's file: what goes to `plain` → sha256 (diff id) → gzip without a clock → sha256 (digest)."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._file = target.open("wb")
        self._compressed = _Hashing(self._file)
        self._gzip = gzip.GzipFile(
            filename="",
            mode="wb",
            compresslevel=_GZIP_LEVEL,
            fileobj=cast("IO[bytes]", self._compressed),
            mtime=0,
        )
        self.plain = _Hashing(cast("IO[bytes]", self._gzip))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if exc[0] is None:
                self._gzip.close()
        finally:
            self._file.close()

    def layer(self, title: str) -> Layer:
        """Describe what was written; call after the `with` block."""
        return Layer(
            path=self._target,
            digest=f"sha256:{self._compressed.sha256.hexdigest()}",
            diff_id=f"sha256:{self.plain.sha256.hexdigest()}",
            size=self._compressed.size,
            title=title,
        )


@contextmanager
def _tar_in(file: _GzipFile) -> Iterator[tarfile.TarFile]:
    with tarfile.open(  # type: ignore[call-overload]  # copybufsize is real
        fileobj=cast("IO[bytes]", file.plain),
        mode="w|",
        format=tarfile.PAX_FORMAT,
        bufsize=_COPY_BUFFER,
        copybufsize=_COPY_BUFFER,
    ) as tar:
        yield tar


class _Hashing:
    """A write-only file that hashes and counts what passes through."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Pass `data` on."""
        self.sha256.update(data)
        self.size += len(data)
        return self._target.write(data)

    def flush(self) -> None:
        """Do nothing: the target is closed by its owner."""
