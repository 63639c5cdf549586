"""Finished artifacts in the cache registry: one OCI artifact per input digest, found by other jobs.

The tag is `art-<64 hex of the input digest>`. Its layers are the files of the output folder, the records
last; every descriptor carries its digest, so what is fetched is what was pushed.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from cosgen.build.artifact import (
    RECORD_SUFFIX,
    ArtifactRecord,
    file_ref,
    partial_path,
    record_name,
    store_bytes,
)
from cosgen.build.document import (
    EMPTY_TYPE,
    MANIFEST_TYPE,
    TITLE,
    Descriptor,
    read_document,
    read_layers,
)
from cosgen.build.reference import ImageName
from cosgen.build.registry import Manifest, Registry
from cosgen.build.rules import problem
from cosgen.errors import VerificationError

ARTIFACT_TYPE = "application/vnd.cosgen.artifact.v1"
_ANEW = "delete the tag, or build the package again with --rebuild --push"
_MEDIA_TYPES = (
    (RECORD_SUFFIX, "application/vnd.cosgen.record.v1+json"),
    (".metadata.yaml", "application/vnd.luet.metadata.v1+yaml"),
    (".cdx.json", "application/vnd.cyclonedx+json"),
    (".intoto.json", "application/vnd.in-toto+json"),
    (".tar.zst", "application/vnd.oci.image.layer.v1.tar+zstd"),
    (".tar.gz", "application/vnd.oci.image.layer.v1.tar+gzip"),
    (".tar", "application/vnd.oci.image.layer.v1.tar"),
)


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
                "annotations": {TITLE: file_name},
            }
        )
    first = records[0]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": EMPTY_TYPE, "digest": config, "size": 2},
        "layers": layers,
        "annotations": {
            "org.cosgen.package": first.fingerprint,
            "org.cosgen.input-digest": first.input_digest,
        },
    }
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8")
    return registry.put_manifest(name, artifact_tag(first.input_digest), Manifest(data, MANIFEST_TYPE))


def pull_artifact(
    registry: Registry,
    name: ImageName,
    input_digest: str,
    folder: Path,
    *,
    fingerprints: Collection[str] = (),
    platform: str = "",
) -> tuple[ArtifactRecord, ...] | None:
    """Fetch a finished artifact into a folder; None when the registry has none of that input digest.

    Nothing is written before all records were read and fit, and no record before all its files are there.

    Args:
        registry: The client.
        name: The cache repository.
        input_digest: What it was built from.
        folder: Where its files go.
        fingerprints: Of the package and its subpackages, where they are known: no others are taken.
        platform: What it must be for, where that is known.

    Returns:
        The package's own record first, then its subpackages'.

    Raises:
        VerificationError: It is not what its tag, its records and its digests say.
        BuildError: The registry cannot be read.
    """
    tag = artifact_tag(input_digest)
    manifest = registry.find_manifest(name, tag)
    if manifest is None:
        return None
    document = read_document(manifest.data, tag)
    if document.get("artifactType") != ARTIFACT_TYPE:
        raise VerificationError(problem("CG482", f"{tag} is not an artifact of ours"))
    files = {layer.title: layer for layer in read_layers(document, tag)}
    found = [
        _read_record(registry, name, layer)
        for title, layer in sorted(files.items())
        if title.endswith(RECORD_SUFFIX)
    ]
    records = sorted((record for record, _ in found), key=lambda record: "subpackage_of" in record.build)
    _check_records(records, files, tag, input_digest)
    _check_wanted(records, tag, fingerprints, platform)
    folder.mkdir(parents=True, exist_ok=True)
    for ref in {ref.name: ref for record in records for ref in record.references}.values():
        _fetch(registry, name, files[ref.name], folder / ref.name)
    data = {record.fingerprint: text for record, text in found}
    for record in reversed(records):  # the package's own last: it says that all are there
        store_bytes(folder / record_name(record.fingerprint), data[record.fingerprint])
    return tuple(records)


def _read_record(registry: Registry, name: ImageName, layer: Descriptor) -> tuple[ArtifactRecord, bytes]:
    data = registry.get_blob(name, layer.digest, layer.size)
    try:
        record = ArtifactRecord.from_json(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise VerificationError(problem("CG490", f"{layer.title}: {error}")) from error
    if layer.title != record_name(record.fingerprint):
        raise VerificationError(problem("CG490", f"{layer.title} is the record of {record.fingerprint}"))
    return record, data


def _check_records(
    records: Sequence[ArtifactRecord], files: Mapping[str, Descriptor], tag: str, input_digest: str
) -> None:
    """Refuse records that are not of this input, or of other files than the manifest names."""
    if not records:
        raise VerificationError(problem("CG482", f"{tag} is not an artifact of ours"))
    for record in records:
        named = ((files.get(ref.name), ref) for ref in record.references)
        same = all(found and (found.digest, found.size) == (ref.digest, ref.size) for found, ref in named)
        if not same or record.input_digest != input_digest:
            raise VerificationError(problem("CG490", f"{tag} holds a record of other files"))


def _check_wanted(
    records: Iterable[ArtifactRecord], tag: str, fingerprints: Collection[str], platform: str
) -> None:
    """Refuse what would lie in the folder as another package, or run on another machine."""
    for record in records:
        if fingerprints and record.fingerprint not in fingerprints:
            raise VerificationError(problem("CG490", f"{tag} holds a record of {record.fingerprint}"))
        if platform and record.platform != platform:
            what = f"{tag} is to be {platform}, but it is {record.platform}"
            raise VerificationError(problem("CG454", what, fix=_ANEW))


def _fetch(registry: Registry, name: ImageName, layer: Descriptor, path: Path) -> None:
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            file.writelines(registry.iter_blob(name, layer.digest, layer.size))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _media_type(file_name: str) -> str:
    found = (kind for suffix, kind in _MEDIA_TYPES if file_name.endswith(suffix))
    return next(found, "application/octet-stream")
