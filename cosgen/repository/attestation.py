"""What proves where a package comes from: metadata, SBOM and provenance as one small bundle per package."""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from cosgen.build.artifact import ArtifactRecord
from cosgen.errors import Problem, VerificationError
from cosgen.repository.codec import DecodeError, unpack
from cosgen.storage.port import digest_of

_LEVEL = 3  # of zstd
_MOST_BYTES = 1 << 30  # of one bundle


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
    # Not the artifact's record: thousands of these live until they are sent.
    names = (artifact.metadata.name, artifact.sbom.name, artifact.provenance.name)

    def make() -> bytes:
        return _bundle([(name, (folder / name).read_bytes()) for name in names])

    data = make()
    return MadePayload(make, len(data), digest_of(data))


def read_attestation(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a bundle: name and content, sorted by name.

    Raises:
        VerificationError: It is no bundle (CG512).
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(unpack(data, _MOST_BYTES))) as bundle:
            for info in bundle:
                file = bundle.extractfile(info)
                if file is not None:
                    yield info.name, file.read()
    except (DecodeError, tarfile.TarError) as error:
        raise VerificationError(
            Problem(
                what=f"a bundle of metadata, SBOM and provenance is damaged: {error}",
                fix="run `cosgen repo fsck --deep`, and publish the package again",
                id="CG512",
            )
        ) from error


def _bundle(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(members):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=_LEVEL).compress(stream.getvalue())
