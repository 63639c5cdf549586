"""OCI documents (config, manifest, index, referrer) as exact bytes. Pure.

Source: OCI image spec 1.1 (image-manifest, image-index, config), OCI distribution spec 1.1 (referrers).
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosgen.errors import Problem, VerificationError
from cosgen.upgrade.rootfs import Layer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_BYTES = b"{}"
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON document as it is stored: these bytes, this digest."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """`sha256:` + 64 hex of the bytes."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, object]:
        """The OCI descriptor that names the document."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image says of itself."""

    platform: str  # os/arch[/variant]
    created: int  # seconds since 1970, UTC; SOURCE_DATE_EPOCH or the commit's time
    labels: Mapping[str, str]  # also written as annotations of the manifest
    command: tuple[str, ...] = ()  # what `docker run` starts; () for none
    entrypoint: tuple[str, ...] = ()  # what it starts it with
    environment: tuple[str, ...] = ()  # NAME=value


def image_config(layers: Sequence[Layer], facts: ImageFacts) -> Document:
    """Return the config of an image made of `layers`, lowest first."""
    os_name, arch, *variant = facts.platform.split("/")
    created = _timestamp(facts.created)
    config: dict[str, object] = {
        "created": created,
        "os": os_name,
        "architecture": arch,
        "config": {"Labels": dict(sorted(facts.labels.items())), "Env": _environment(facts)},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": created, "created_by": f"cosgen: {layer.title}"} for layer in layers],
    }
    if variant:
        config["variant"] = variant[0]
    starts = {"Cmd": list(facts.command), "Entrypoint": list(facts.entrypoint)}
    config["config"] = {
        **_mapping(config["config"]),
        **{key: value for key, value in starts.items() if value},
    }
    return _document(CONFIG, config)


def image_manifest(config: Document, layers: Sequence[Layer], facts: ImageFacts) -> Document:
    """Return the manifest of an image."""
    return _document(
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor,
            "layers": [layer_entry(layer) for layer in layers],
            "annotations": dict(sorted(facts.labels.items())),
        },
    )


def image_index(manifests: Mapping[str, Mapping[str, object]], annotations: Mapping[str, str]) -> Document:
    """Return the index of a multi-arch image.

    Args:
        manifests: Platform (`os/arch[/variant]`) → descriptor of its manifest.
        annotations: Facts of the index as a whole.
    """
    entries = []
    for platform, descriptor in sorted(manifests.items()):
        os_name, arch, *variant = platform.split("/")
        spoken = {"os": os_name, "architecture": arch} | ({"variant": variant[0]} if variant else {})
        entries.append({**descriptor, "platform": spoken})
    return _document(
        INDEX,
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": entries,
            "annotations": dict(sorted(annotations.items())),
        },
    )


def referrer(subject: Document, artifact_type: str, blob: Mapping[str, object]) -> Document:
    """Return the manifest that attaches one blob (an SBOM, a provenance statement) to `subject`."""
    return _document(
        MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": Document(media_type=EMPTY, data=EMPTY_BYTES).descriptor,
            "layers": [dict(blob)],
            "subject": subject.descriptor,
        },
    )


def referrers_tag(subject_digest: str) -> str:
    """Return the tag under which registries without the referrers API keep the list of referrers."""
    return subject_digest.replace(":", "-")


def referrers_index(known: Sequence[Mapping[str, object]], added: Document, artifact_type: str) -> Document:
    """Return the list of referrers with `added` in it, each once, sorted by digest."""
    entry = {**added.descriptor, "artifactType": artifact_type}
    entries = {str(item["digest"]): dict(item) for item in (*known, entry)}
    return _document(
        INDEX,
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entries[key] for key in sorted(entries)]},
    )


def extended_config(config: Mapping[str, object], layer: Layer, labels: Mapping[str, str]) -> bytes:
    """Return a config with one more layer on top, and labels added."""
    rootfs, settings = _mapping(config.get("rootfs")), _mapping(config.get("config"))
    history = config.get("history")
    step = {"created": config.get("created", _timestamp(0)), "created_by": f"cosgen: {layer.title}"}
    changed = {
        **config,
        "config": {**settings, "Labels": {**_mapping(settings.get("Labels")), **labels}},
        "rootfs": {**rootfs, "diff_ids": [*_list(rootfs.get("diff_ids")), layer.diff_id]},
        "history": [*_list(history), step],
    }
    return _document(CONFIG, changed).data


def extended_manifest(
    manifest: Mapping[str, object], config: Mapping[str, object], layer: Layer, labels: Mapping[str, str]
) -> bytes:
    """Return a manifest with another config, one more layer on top, and annotations added."""
    changed = {
        **manifest,
        "config": config,
        "layers": [*_list(manifest.get("layers")), layer_entry(layer)],
        "annotations": {**_mapping(manifest.get("annotations")), **labels},
    }
    return _document(MANIFEST, changed).data


def layer_entry(layer: Layer) -> dict[str, object]:
    """Return the descriptor of a layer in a manifest."""
    notes = {TITLE: layer.title}
    return {"mediaType": LAYER, "digest": layer.digest, "size": layer.size, "annotations": notes}


def read_json(data: bytes, where: str) -> Mapping[str, object]:
    """Return a JSON object that a registry sent; raises `VerificationError` (CG672) when it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationError(strange(where, "it is not JSON")) from error
    if not isinstance(found, dict):
        raise VerificationError(strange(where, "it is not a JSON object"))
    return found


def mappings_of(document: Mapping[str, object], key: str, where: str) -> tuple[Mapping[str, object], ...]:
    """Return a list of mappings; raises `VerificationError` (CG672) when it is none."""
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise VerificationError(strange(where, f"`{key}` is not a list of objects"))
    return tuple(found)


def text_of(document: Mapping[str, object], key: str, where: str) -> str:
    """Return a text; raises `VerificationError` (CG672) when it is none."""
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise VerificationError(strange(where, f"`{key}` is not a text"))
    return found


def platform_of(value: object, where: str) -> str:
    """Return `os/arch[/variant]` of an index entry's platform, or of a config."""
    spoken = _mapping(value)
    parts = (text_of(spoken, "os", where), text_of(spoken, "architecture", where), spoken.get("variant"))
    return "/".join(str(part) for part in parts if part)


def strange(where: str, why: str) -> Problem:
    """Return the problem of something in a registry that is not what it should be."""
    return Problem(
        what=f"{where}: {why}",
        fix="find out who else writes to the repository; push the image again: cosgen image push",
        id="CG672",
    )


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _environment(facts: ImageFacts) -> list[str]:
    has_path = any(entry.startswith("PATH=") for entry in facts.environment)
    return [*facts.environment] if has_path else [_PATH, *facts.environment]


def _document(media_type: str, value: object) -> Document:
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return Document(media_type=media_type, data=data)


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


def _timestamp(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
