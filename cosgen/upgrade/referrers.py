"""What travels with an image: SBOM and provenance as OCI referrers.

They are listed under the fallback tag of the specification, which works on every registry; one that keeps the
list itself finds them by their `subject`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cosgen.build.reference import ImageName
from cosgen.build.registry import Manifest
from cosgen.errors import VerificationError
from cosgen.upgrade.oci import (
    EMPTY_BYTES,
    TITLE,
    Document,
    mappings_of,
    read_json,
    referrer,
    referrers_index,
    referrers_tag,
    strange,
    text_of,
)
from cosgen.upgrade.registry_port import ImageRegistry

SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A document that travels with an image as a referrer."""

    media_type: str
    title: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Referrer:
    """One attachment as the registry has it."""

    digest: str  # of its manifest
    attachment: Attachment


def attach(registry: ImageRegistry, name: ImageName, subject: Document, attachment: Attachment) -> None:
    """Push a referrer of `subject`, and list it under the fallback tag; what is there stays as it is."""
    blob = Document(media_type=attachment.media_type, data=attachment.data)
    registry.put_blob(name, EMPTY_BYTES)
    registry.put_blob(name, attachment.data)
    entry = {**blob.descriptor, "annotations": {TITLE: attachment.title}}
    document = referrer(subject, attachment.media_type, entry)
    tag = referrers_tag(subject.digest)
    known = registry.find_manifest(name, tag)
    listed = mappings_of(read_json(known.data, tag), "manifests", tag) if known else ()
    if any(item.get("digest") == document.digest for item in listed):
        return
    registry.put_manifest(name, document.digest, Manifest(document.data, document.media_type))
    index = referrers_index(listed, document, attachment.media_type)
    registry.put_manifest(name, tag, Manifest(index.data, index.media_type))


def find_referrers(registry: ImageRegistry, name: ImageName, subject: str) -> tuple[Referrer, ...]:
    """Return what is attached to the image `subject`, in the order of the list.

    Raises:
        VerificationError: What is listed is not there, is of another image, or is no attachment (CG672).
        BuildError: A blob of it is gone.
    """
    tag = referrers_tag(subject)
    listed = registry.find_manifest(name, tag)
    if listed is None:
        return ()
    entries = mappings_of(read_json(listed.data, tag), "manifests", tag)
    return tuple(_read(registry, name, subject, text_of(entry, "digest", tag)) for entry in entries)


def _read(registry: ImageRegistry, name: ImageName, subject: str, digest: str) -> Referrer:
    where = f"{name}@{digest}"
    found = registry.find_manifest(name, digest)
    if found is None:
        raise VerificationError(strange(where, f"it is listed as attached to {subject}, and is not there"))
    document = read_json(found.data, where)
    named = document.get("subject")
    if not isinstance(named, Mapping) or named.get("digest") != subject:
        raise VerificationError(
            strange(where, f"it is listed as attached to {subject}, and names another image")
        )
    layers = mappings_of(document, "layers", where)
    if len(layers) != 1:
        raise VerificationError(strange(where, f"an attachment has one blob, this has {len(layers)}"))
    notes = layers[0].get("annotations")
    title = notes.get(TITLE, "") if isinstance(notes, Mapping) else ""
    data = registry.get_blob(name, text_of(layers[0], "digest", where))
    return Referrer(
        digest, Attachment(media_type=text_of(layers[0], "mediaType", where), title=str(title), data=data)
    )
