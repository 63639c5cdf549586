"""Upgrade images: package archives become an OCI image, the image gets its tags, and tags move.

Nothing a client could follow is written before everything below it is there: blobs, then manifests by digest,
then what is attached to them, then the index by digest, and the tags last. So a push that stops half-way
leaves only unnamed bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cosgen.build.reference import ImageName, tag_problem
from cosgen.build.registry import Manifest
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.upgrade.oci import (
    EMPTY_BYTES,
    INDEX,
    TITLE,
    Document,
    ImageFacts,
    image_config,
    image_index,
    image_manifest,
    referrer,
    referrers_index,
    referrers_tag,
)
from cosgen.upgrade.rootfs import Layer, union_layer

SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"


class ImageRegistry(Protocol):
    """The part of a registry client that images need."""

    def find_manifest(self, name: ImageName, reference: str) -> Manifest | None:
        """Return a manifest by tag or digest, or None."""

    def find_digest(self, name: ImageName, reference: str) -> str | None:
        """Return the digest a tag points at, or None."""

    def has_blob(self, name: ImageName, digest: str) -> bool:
        """Tell whether a blob is there."""

    def put_blob(self, name: ImageName, content: bytes | Path, digest: str | None = None) -> str:
        """Upload a blob unless it is there."""

    def put_manifest(self, name: ImageName, reference: str, manifest: Manifest) -> str:
        """Write a manifest under a tag or its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One package archive that goes into an image."""

    path: Path
    title: str  # category/name@version


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A document that travels with an image as a referrer."""

    media_type: str
    title: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformImage:
    """The image of one platform, ready to push."""

    platform: str  # os/arch[/variant]
    layers: tuple[Layer, ...]
    config: Document
    manifest: Document
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedImage:
    """What a push left in the registry."""

    name: ImageName
    digest: str  # of the index
    platforms: Mapping[str, str]  # platform -> digest of its manifest
    tags: tuple[str, ...]


def compose(
    archives: Sequence[Archive],
    folder: Path,
    facts: ImageFacts,
    *,
    layered: bool = False,
    attachments: Sequence[Attachment] = (),
) -> PlatformImage:
    """Make an image whose root filesystem is the union of `archives`.

    Args:
        archives: In the order they are laid down; a later one replaces files of an earlier one.
        folder: Where the layers are written; must exist.
        facts: What the image says of itself.
        layered: A layer a package, so that unchanged ones are not sent again; else one layer for all.
        attachments: What travels with it.
    """
    if layered:
        layers = tuple(
            union_layer([archive.path], folder / f"{index:04}.layer", title=archive.title)
            for index, archive in enumerate(archives)
        )
    else:
        layers = (union_layer([archive.path for archive in archives], folder / "rootfs.layer"),)
    return from_layers(layers, facts, attachments=attachments)


def from_layers(
    layers: Sequence[Layer], facts: ImageFacts, *, attachments: Sequence[Attachment] = ()
) -> PlatformImage:
    """Make an image of finished layers, lowest first."""
    config = image_config(layers, facts)
    return PlatformImage(
        platform=facts.platform,
        layers=tuple(layers),
        config=config,
        manifest=image_manifest(config, layers, facts),
        attachments=tuple(attachments),
    )


def push(
    registry: ImageRegistry,
    name: ImageName,
    images: Sequence[PlatformImage],
    *,
    annotations: Mapping[str, str],
    tags: Sequence[str] = (),
) -> PushedImage:
    """Push images as one multi-arch image, and tag it last.

    Args:
        registry: Where to.
        name: The repository.
        images: One a platform.
        annotations: Facts of the image as a whole.
        tags: New ones, absent or pointing here already; channel tags move with `move_tag`.

    Raises:
        PublishError: Two images of one platform (CG653), no tag (CG473), a tag of another image (CG654).
    """
    _check_platforms(images)
    _check_tags(tags)
    for image in images:
        _push_platform(registry, name, image)
    index = image_index({image.platform: image.manifest.descriptor for image in images}, annotations)
    registry.put_manifest(name, index.digest, _stored(index))
    for tag in tags:
        _create_tag(registry, name, tag, index)
    return PushedImage(
        name=name,
        digest=index.digest,
        platforms={image.platform: image.manifest.digest for image in images},
        tags=tuple(tags),
    )


def move_tag(
    registry: ImageRegistry, name: ImageName, tag: str, *, expected: str | None, digest: str
) -> None:
    """Point a tag at another image of the same repository, and see that it does.

    Args:
        registry: Where.
        name: The repository.
        tag: The tag to move; made when it is absent.
        expected: Digest it is known to point at; None when it should not exist. A registry cannot compare
            and swap, so this closes the window to one request, it does not remove it.
        digest: Digest it shall point at.

    Raises:
        PublishError: Somebody else moved the tag (CG655), or the image is not there (CG656).
        VerificationError: The registry says something else afterwards (CG657).
    """
    target = registry.find_manifest(name, digest)
    if target is None:
        raise PublishError(
            Problem(
                what=f"{name} has no image {digest}",
                fix="push the image first: cosgen image push",
                id="CG656",
            )
        )
    now = registry.find_digest(name, tag)
    if now == digest:
        return
    if now != expected:
        raise PublishError(
            Problem(
                what=f"{name}:{tag} points at {now or 'nothing'}, expected {expected or 'nothing'}",
                fix="somebody else moved it: look at `cosgen channel show`, then run the command again",
                id="CG655",
            )
        )
    registry.put_manifest(name, tag, target)
    verify_tag(registry, name, tag, digest)


def verify_tag(registry: ImageRegistry, name: ImageName, tag: str, digest: str) -> None:
    """See that a tag points at a digest.

    Raises:
        VerificationError: It does not (CG657).
    """
    now = registry.find_digest(name, tag)
    if now != digest:
        raise VerificationError(
            Problem(
                what=f"{name}:{tag} points at {now or 'nothing'}, it should be {digest}",
                fix="find out who else writes to this repository before you go on",
                id="CG657",
            )
        )


def find_platforms(registry: ImageRegistry, name: ImageName, digest: str) -> Mapping[str, str]:
    """Return platform → digest of its manifest, for an index that cosgen pushed; {} when it is absent."""
    found = registry.find_manifest(name, digest)
    if found is None or found.media_type != INDEX:
        return {}
    platforms = {}
    for entry in json.loads(found.data)["manifests"]:
        spoken = entry.get("platform", {})
        parts = [spoken.get("os", ""), spoken.get("architecture", ""), spoken.get("variant", "")]
        platforms["/".join(part for part in parts if part)] = str(entry["digest"])
    return platforms


def _check_platforms(images: Sequence[PlatformImage]) -> None:
    platforms = [image.platform for image in images]
    twice = sorted({platform for platform in platforms if platforms.count(platform) > 1})
    if twice or not images:
        what = f"two images for {', '.join(twice)}" if twice else "no image to push"
        raise PublishError(
            Problem(what=what, fix="push one image a platform, choose with --flavor", id="CG653")
        )


def _check_tags(tags: Sequence[str]) -> None:
    problems = [problem for tag in tags if (problem := tag_problem(tag))]
    if problems:
        raise PublishError(*problems)


def _push_platform(registry: ImageRegistry, name: ImageName, image: PlatformImage) -> None:
    for layer in image.layers:
        registry.put_blob(name, layer.path, layer.digest)
    registry.put_blob(name, image.config.data)
    registry.put_manifest(name, image.manifest.digest, _stored(image.manifest))
    for attachment in image.attachments:
        _attach(registry, name, image.manifest, attachment)


def _attach(registry: ImageRegistry, name: ImageName, subject: Document, attachment: Attachment) -> None:
    """Push a referrer, and list it under the fallback tag, which every registry understands."""
    blob = Document(media_type=attachment.media_type, data=attachment.data)
    registry.put_blob(name, EMPTY_BYTES)
    registry.put_blob(name, attachment.data)
    entry = {**blob.descriptor, "annotations": {TITLE: attachment.title}}
    document = referrer(subject, attachment.media_type, entry)
    registry.put_manifest(name, document.digest, _stored(document))
    tag = referrers_tag(subject.digest)
    known = registry.find_manifest(name, tag)
    listed = json.loads(known.data)["manifests"] if known else []
    index = referrers_index(listed, document, attachment.media_type)
    registry.put_manifest(name, tag, _stored(index))


def _create_tag(registry: ImageRegistry, name: ImageName, tag: str, index: Document) -> None:
    now = registry.find_digest(name, tag)
    if now not in (None, index.digest):
        raise PublishError(
            Problem(
                what=f"{name}:{tag} is already the tag of another image, {now}",
                fix="bump the version of the package: a version, once out, never changes",
                id="CG654",
            )
        )
    registry.put_manifest(name, tag, _stored(index))
    verify_tag(registry, name, tag, index.digest)


def _stored(document: Document) -> Manifest:
    return Manifest(document.data, document.media_type)
