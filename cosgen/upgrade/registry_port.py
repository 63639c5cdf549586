"""The part of a registry client that images need; `build.registry.Registry` has it."""

from pathlib import Path
from typing import Protocol

from cosgen.build.reference import ImageName
from cosgen.build.registry import Manifest


class ImageRegistry(Protocol):
    """Reads and writes manifests and blobs by exact bytes."""

    def find_manifest(self, name: ImageName, reference: str) -> Manifest | None:
        """Return a manifest by tag or digest, or None."""

    def find_digest(self, name: ImageName, reference: str) -> str | None:
        """Return the digest a tag points at, or None."""

    def has_blob(self, name: ImageName, digest: str) -> bool:
        """Tell whether a blob is there."""

    def get_blob(self, name: ImageName, digest: str) -> bytes:
        """Return a small blob whole, its digest checked."""

    def put_blob(self, name: ImageName, content: bytes | Path, digest: str | None = None) -> str:
        """Upload a blob unless it is there."""

    def put_manifest(self, name: ImageName, reference: str, manifest: Manifest) -> str:
        """Write a manifest under a tag or its digest."""
