"""What proves where a package comes from: metadata, SBOM and provenance as one small bundle per package."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from cosgen.build.artifact import ArtifactRecord
from cosgen.storage.port import digest_of

_LEVEL = 3  # of zstd


@dataclass(frozen=True, slots=True)
class MadePayload:
    """Bytes that are made again each time they are read, so that thousands need no memory."""

    make: Callable[[], bytes] = field(repr=False)
    size: int
    digest: str

    def open(self) -> BinaryIO:
        """Make the bytes."""
        return io.BytesIO(self.make())


def attestation(artifact: ArtifactRecord, folder: Path) -> MadePayload:
    """Bundle the files that go with an artifact.

    Args:
        artifact: The finished build.
        folder: Where its files are.

    Raises:
        OSError: One of them cannot be read.
    """

    def make() -> bytes:
        return _bundle(
            [
                (ref.name, (folder / ref.name).read_bytes())
                for ref in (artifact.metadata, artifact.sbom, artifact.provenance)
            ]
        )

    data = make()
    return MadePayload(make, len(data), digest_of(data))


def _bundle(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(members):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=_LEVEL).compress(stream.getvalue())
