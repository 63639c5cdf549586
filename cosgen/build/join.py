"""Joins: artifacts laid over each other, in order, as one stream that becomes an image's only layer."""

import hashlib
import os
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from cosgen.build.archive import open_archive
from cosgen.build.artifact import ArtifactRecord
from cosgen.build.rules import problem
from cosgen.errors import VerificationError

_BLOCK = 1 << 20


def stream_join(folder: Path, records: Sequence[ArtifactRecord]) -> Iterator[bytes]:
    """Yield a tar of all members of the artifacts; where names meet, the later one is unpacked last.

    Raises:
        VerificationError: An artifact's bytes are not those of its record.
    """
    reading, writing = os.pipe()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb", _BLOCK) as target:
                _write(folder, records, target)
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


def _write(folder: Path, records: Sequence[ArtifactRecord], target: IO[bytes]) -> None:
    with tarfile.open(
        fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        tar.copybufsize = _BLOCK  # type: ignore[attr-defined]  # not in typeshed
        for record in records:
            with (folder / record.archive.name).open("rb") as file:
                hashing = _Hashing(file)
                with open_archive(cast("IO[bytes]", hashing), record.compression) as archive:
                    for info in archive:
                        tar.addfile(info, archive.extractfile(info) if info.isreg() else None)
                hashing.drain()
                if hashing.digest != record.archive.digest:
                    what = f"{record.archive.name} has other bytes than its record says"
                    raise VerificationError(problem("CG490", what))


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
