"""What a build leaves behind for one package, and how it lies in a folder.

A build writes, beside each other in the output folder (stem = the package's fingerprint):

- `<stem>.package.tar[.zst|.gz]`   the artifact, content of the package
- `<stem>.metadata.yaml`           luet's own metadata dialect, for stock tools
- `<stem>.cdx.json`                CycloneDX software bill of materials
- `<stem>.intoto.json`             in-toto statement with SLSA v1 provenance
- `<stem>.artifact.json`           `ArtifactRecord`, written last: it names the others by digest,
                                   so a folder without it holds no finished artifact.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

RECORD_SUFFIX = ".artifact.json"
RECORD_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """One file of the artifact set: where, how large, and which bytes."""

    name: str  # file name in the output folder
    digest: str  # "sha256:" + 64 hex of the exact bytes
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRecord:
    """One finished package build. Everything `publish` needs, without the tree."""

    schema: int = RECORD_SCHEMA
    fingerprint: str
    definition: Mapping[str, object]  # the runtime definition: non-empty fields, luet's JSON names
    finalize: str | None  # text of finalize.yaml
    readme: str | None  # text of README.md
    flavor: str
    arch: str  # as in cosgen.yaml
    platform: str  # OCI platform, os/arch[/variant]
    input_digest: str  # "sha256:" + 64 hex
    compression: str  # "zstd", "gzip" or "none"
    archive: FileRef
    content_digest: str  # "sha256:" + 64 hex of the uncompressed tar
    metadata: FileRef
    sbom: FileRef
    provenance: FileRef
    files: tuple[str, ...]  # members that are not directories, archive order, no leading "/"
    installed_size: int  # bytes, sum of the members' sizes
    build: Mapping[str, object] = field(default_factory=dict)  # seconds, cache hits, revision; never hashed

    def to_json(self) -> str:
        """Return the record as canonical JSON (sorted keys, one trailing newline)."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, indent=1) + "\n"
