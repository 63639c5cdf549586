"""Small artifact sets, laid out as a build leaves them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard

from cosgen.build.artifact import RECORD_SUFFIX, ArtifactRecord, FileRef
from cosgen.manifest.platform import find_arch


def make_artifact(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    category: str = "apps",
    content: str = "",
    requires: Sequence[tuple[str, str, str]] = (),
    flavor: str = "",
    arch: str = "x86_64",
    revision: str = "",
    tar: bytes = b"",
    needs: Sequence[str] = (),
) -> ArtifactRecord:
    """Write one finished artifact to a folder; the same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = f"{name}-{category}-{version}"
    plain = tar or make_tar({f"usr/share/{name}/data": (content or f"{name} {version}\n").encode()})
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = [info for info in archive if not info.isdir()]
    compressed = zstandard.ZstdCompressor(level=3).compress(plain)
    found = find_arch(arch)
    assert found is not None
    record = ArtifactRecord(
        fingerprint=fingerprint,
        definition={
            "name": name,
            "category": category,
            "version": version,
            **(
                {"requires": [{"category": c, "name": n, "version": v} for c, n, v in requires]}
                if requires
                else {}
            ),
        },
        finalize=None,
        readme=None,
        flavor=flavor,
        arch=arch,
        platform=found.oci,
        input_digest=digest(f"{fingerprint} {content} {flavor} {arch}".encode()),
        compression="zstd",
        archive=write(folder, f"{fingerprint}.package.tar.zst", compressed),
        content_digest=digest(plain),
        metadata=write(folder, f"{fingerprint}.metadata.yaml", f'name: "{name}"\n'.encode()),
        sbom=write(
            folder, f"{fingerprint}.cdx.json", json.dumps({"bomFormat": "CycloneDX", "of": name}).encode()
        ),
        provenance=write(folder, f"{fingerprint}.intoto.json", b"{}"),
        files=tuple(info.name for info in members),
        installed_size=sum(info.size for info in members),
        needs=tuple(sorted(needs)),
        build={"seconds": 1.5, **({"revision": revision} if revision else {})},
    )
    (folder / f"{fingerprint}{RECORD_SUFFIX}").write_text(record.to_json(), encoding="utf-8")
    return record


def make_tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of regular files; the same files give the same bytes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tar.getvalue()


def write(folder: Path, name: str, data: bytes) -> FileRef:
    """Write a file and return its reference."""
    (folder / name).write_bytes(data)
    return FileRef(name=name, digest=digest(data), size=len(data))


def digest(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
