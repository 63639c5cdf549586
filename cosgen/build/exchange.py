"""Finished artifacts in the cache registry: one OCI artifact per input digest, found by other jobs.

The tag is `art-<64 hex of the input digest>`. Its layers are the files of the output folder, the records
last; every descriptor carries its digest, so what is fetched is what was pushed.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cosgen.build.artifact import (
    RECORD_SUFFIX,
    ArtifactRecord,
    file_ref,
    partial_path,
    record_name,
    store_bytes,
)
from cosgen.build.reference import ImageName
from cosgen.build.registry import Manifest, Registry
from cosgen.build.rules import problem
from cosgen.errors import VerificationError

ARTIFACT_TYPE = "application/vnd.cosgen.artifact.v1"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_MEDIA_TYPES = (
    (RECORD_SUFFIX, "application/vnd.cosgen.record.v1+json"),
    (".metadata.yaml", "application/vnd.luet.metadata.v1+yaml"),
    (".cdx.json", "application/vnd.cyclonedx+json"),
    (".intoto.json", "application/vnd.in-toto+json"),
    (".tar.zst", "application/vnd.oci.image.layer.v1.tar+zstd"),
    (".tar.gz", "application/vnd.oci.image.layer.v1.tar+gzip"),
    (".tar", "application/vnd.oci.image.layer.v1.tar"),
)
_MAX_FILES = 4096


def artifact_tag(input_digest: str) -> str:
    """Return the tag of a finished artifact."""
    return f"art-{input_digest.removeprefix('sha256:')}"


def push_artifact(
    registry: Registry, name: ImageName, folder: Path, records: Sequence[ArtifactRecord]
) -> str:
    """Push a package's artifact with those of its subpackages; return the manifest's digest.

    Args:
        registry: The client.
        name: The cache repository.
        folder: Where the files lie.
        records: The package's own record first, then its subpackages'.
    """
    names = [ref.name for record in records for ref in record.references]
    names += [record_name(record.fingerprint) for record in records]
    config = registry.put_blob(name, b"{}")
    layers = []
    for file_name in dict.fromkeys(names):
        ref = file_ref(folder / file_name)
        registry.put_blob(name, folder / file_name, ref.digest)
        layers.append(
            {
                "mediaType": _media_type(file_name),
                "digest": ref.digest,
                "size": ref.size,
                "annotations": {_TITLE: file_name},
            }
        )
    first = records[0]
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": _EMPTY_TYPE, "digest": config, "size": 2},
        "layers": layers,
        "annotations": {
            "org.cosgen.package": first.fingerprint,
            "org.cosgen.input-digest": first.input_digest,
        },
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8")
    return registry.put_manifest(name, artifact_tag(first.input_digest), Manifest(data, _MANIFEST_TYPE))


def pull_artifact(
    registry: Registry, name: ImageName, input_digest: str, folder: Path
) -> tuple[ArtifactRecord, ...] | None:
    """Fetch a finished artifact into a folder; None when the registry has none of that input digest.

    Raises:
        VerificationError: It is not what its tag, its records and its digests say.
        BuildError: The registry cannot be read.
    """
    manifest = registry.find_manifest(name, artifact_tag(input_digest))
    if manifest is None:
        return None
    layers = _checked_layers(json.loads(manifest.data), input_digest)
    folder.mkdir(parents=True, exist_ok=True)
    records: list[ArtifactRecord] = []
    # Records last, whatever order the manifest has: they say that the others are there.
    for file_name, digest in sorted(layers, key=lambda item: item[0].endswith(RECORD_SUFFIX)):
        if file_name.endswith(RECORD_SUFFIX):
            data = registry.get_blob(name, digest)
            records.append(_checked_record(data, input_digest, dict(layers), file_name))
            store_bytes(folder / file_name, data)
        else:
            _fetch(registry, name, digest, folder / file_name)
    return tuple(records)


def _checked_layers(document: dict[str, object], input_digest: str) -> list[tuple[str, str]]:
    layers = document.get("layers")
    found: list[tuple[str, str]] = []
    if isinstance(layers, list) and document.get("artifactType") == ARTIFACT_TYPE:
        for layer in layers[:_MAX_FILES]:
            title = str((layer.get("annotations") or {}).get(_TITLE, ""))
            if not title or "/" in title or title.startswith("."):
                raise VerificationError(problem("CG482", f"{artifact_tag(input_digest)} names {title!r}"))
            found.append((title, str(layer["digest"])))
    if not any(name.endswith(RECORD_SUFFIX) for name, _ in found):
        raise VerificationError(problem("CG482", f"{artifact_tag(input_digest)} is not an artifact of ours"))
    return found


def _checked_record(
    data: bytes, input_digest: str, digests: dict[str, str], file_name: str
) -> ArtifactRecord:
    try:
        record = ArtifactRecord.from_json(data.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise VerificationError(problem("CG490", f"{artifact_tag(input_digest)}: {error}")) from error
    same = all(digests.get(ref.name) == ref.digest for ref in record.references)
    if not same or record.input_digest != input_digest or file_name != record_name(record.fingerprint):
        raise VerificationError(
            problem("CG490", f"{artifact_tag(input_digest)} holds a record of other files")
        )
    return record


def _fetch(registry: Registry, name: ImageName, digest: str, path: Path) -> None:
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            file.writelines(registry.iter_blob(name, digest))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _media_type(file_name: str) -> str:
    found = (kind for suffix, kind in _MEDIA_TYPES if file_name.endswith(suffix))
    return next(found, "application/octet-stream")
