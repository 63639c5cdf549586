"""Joins: artifacts laid over each other, in order, as one stream that becomes an image's only layer."""

import hashlib
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from cosgen.build.archive import open_archive
from cosgen.build.artifact import ArtifactRecord
from cosgen.build.member import ancestors
from cosgen.build.rules import problem
from cosgen.errors import VerificationError

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class JoinPart:
    """One archive that goes into a join."""

    path: Path
    digest: str  # "sha256:" + 64 hex of the archive as stored
    compression: str  # "zstd", "gzip" or "none"


def part_of(folder: Path, record: ArtifactRecord) -> JoinPart:
    """Return the archive of an artifact that lies in a folder."""
    return JoinPart(folder / record.archive.name, record.archive.digest, record.compression)


def stream_join(parts: Sequence[JoinPart]) -> Iterator[bytes]:
    """Yield a tar of what is seen when archives are laid over each other, each name once.

    Raises:
        VerificationError: An archive's bytes are not those of its digest.
    """
    reading, writing = os.pipe()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb", _BLOCK) as target:
                _write(parts, target)
        except BaseException as error:  # noqa: BLE001 - it is raised in the reading thread
            errors.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", _BLOCK) as source:
            yield from iter(lambda: source.read(_BLOCK), b"")
    finally:
        thread.join()
    if errors:
        raise errors[0]


def _write(parts: Sequence[JoinPart], target: IO[bytes]) -> None:
    plans = _plan([_names(part) for part in parts])
    with tarfile.open(
        fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        tar.copybufsize = _BLOCK  # type: ignore[attr-defined]  # not in typeshed
        for part, plan in zip(parts, plans, strict=True):
            with part.path.open("rb") as file:
                hashing = _Hashing(file)
                with open_archive(cast("IO[bytes]", hashing), part.compression) as archive:
                    _copy(archive, tar, plan)
                hashing.drain()
                if hashing.digest != part.digest:
                    what = f"{part.path.name} has other bytes than its record says"
                    raise VerificationError(problem("CG490", what))


def _copy(archive: tarfile.TarFile, tar: tarfile.TarFile, plan: "_Plan") -> None:
    for info in archive:
        name = plan.moved.get(info.name, info.name)
        if name not in plan.kept or (info.islnk() and name in plan.moved.values()):
            continue
        info.name = name
        if info.islnk():
            info.linkname = plan.moved.get(info.linkname, info.linkname)
        tar.addfile(info, archive.extractfile(info) if info.isreg() else None)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which members of one archive are seen, and where a hidden file's bytes go for links that are."""

    kept: frozenset[str]
    moved: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Name:
    name: str
    is_directory: bool
    link: str  # of a hard link


def _names(part: JoinPart) -> list[_Name]:
    with part.path.open("rb") as file, open_archive(file, part.compression) as archive:
        return [_Name(info.name, info.isdir(), info.linkname if info.islnk() else "") for info in archive]


def _plan(archives: Sequence[Sequence[_Name]]) -> list[_Plan]:
    """Decide what is seen: a later member hides an earlier one, and a file all that lay below its name."""
    plans: list[_Plan] = []
    seen: set[str] = set()
    solid: set[str] = set()  # files of later archives: nothing of earlier ones shows below them
    for names in reversed(archives):
        kept = {
            item.name
            for item in names
            if item.name not in seen and not any(above in solid for above in ancestors(item.name))
        }
        plans.append(_Plan(frozenset(kept), _moves(names, kept)))
        seen |= {item.name for item in names}
        solid |= {item.name for item in names if not item.is_directory}
    return plans[::-1]


def _moves(names: Sequence[_Name], kept: set[str]) -> dict[str, str]:
    moved: dict[str, str] = {}
    for item in names:
        if item.link and item.link not in kept and item.name in kept:
            moved.setdefault(item.link, item.name)
    return moved


class _Hashing:
    """Hashes a file while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def drain(self) -> None:
        while self.read(_BLOCK):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"
