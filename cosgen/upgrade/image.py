"""Upgrade images: package archives become an OCI image, the image gets its tags, and tags move.

Nothing a client could follow is written before everything below it is there: blobs, then manifests by digest,
then what is attached to them, then the index by digest, and the tags last. So a push that stops half-way
leaves only unnamed bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.reference import ImageName, tag_problem
from cosgen.build.registry import Manifest
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.upgrade.oci import (
    INDEX,
    Document,
    ImageFacts,
    image_config,
    image_index,
    image_manifest,
    mappings_of,
    platform_of,
    read_json,
    strange,
    text_of,
)
from cosgen.upgrade.referrers import Attachment, attach
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.rootfs import Layer, union_layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One package archive that goes into an image."""

    path: Path
    title: str  # category/name@version


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformImage:
    """The image of one platform, ready to push."""

    platform: str  # os/arch[/variant]
    layers: tuple[Layer, ...]
    config: Document
    manifest: Document
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """The image of one platform, as the registry has it."""

    platform: str  # os/arch[/variant]
    manifest: Mapping[str, object]
    config: Mapping[str, object]

    @property
    def labels(self) -> Mapping[str, str]:
        """Annotations of the manifest, which are the labels too."""
        found = self.manifest.get("annotations")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) else {}

    @property
    def layers(self) -> tuple[str, ...]:
        """Digests of the layers, lowest first."""
        return tuple(
            text_of(layer, "digest", "a layer")
            for layer in mappings_of(self.manifest, "layers", "a manifest")
        )


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
        PublishError: Two images of one platform (CG653), no tag (CG484), a tag of another image (CG654).
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
        raise PublishError(moved_problem(name, tag, now, expected))
    registry.put_manifest(name, tag, target)
    verify_tag(registry, name, tag, digest)


def moved_problem(name: ImageName, tag: str, now: str | None, expected: str | None) -> Problem:
    """Return the problem of a tag that somebody else moved."""
    return Problem(
        what=f"{name}:{tag} points at {now or 'nothing'}, expected {expected or 'nothing'}",
        fix="somebody else moved it: look at `cosgen repo log`, and ask them; when theirs shall go, put back "
        f"the image that was expected: cosgen image tag {tag} {expected or 'DIGEST'}",
        id="CG655",
    )


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
    """Return platform → digest of its manifest, for an index that cosgen pushed; {} when it is absent.

    Raises:
        VerificationError: What is there is not readable as an index (CG672).
    """
    found = registry.find_manifest(name, digest)
    if found is None or found.media_type != INDEX:
        return {}
    where = f"{name}@{digest}"
    entries = mappings_of(read_json(found.data, where), "manifests", where)
    return {platform_of(entry.get("platform"), where): text_of(entry, "digest", where) for entry in entries}


def read_image(registry: ImageRegistry, name: ImageName, digest: str) -> StoredImage:
    """Return the manifest and config of one platform's image.

    Raises:
        VerificationError: It is not there, or not readable (CG672).
    """
    where = f"{name}@{digest}"
    found = registry.find_manifest(name, digest)
    if found is None:
        raise VerificationError(strange(where, "it is not there"))
    manifest = read_json(found.data, where)
    described = manifest.get("config")
    if not isinstance(described, Mapping):
        raise VerificationError(strange(where, "it names no config"))
    config = read_json(registry.get_blob(name, text_of(described, "digest", where)), f"the config of {where}")
    return StoredImage(platform=platform_of(config, where), manifest=manifest, config=config)


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


def put_image(registry: ImageRegistry, name: ImageName, image: PlatformImage, *, tag: str) -> None:
    """Push the image of one platform under a tag of its own, without an index; the tag last.

    Raises:
        VerificationError: The registry says something else afterwards (CG657).
    """
    _check_tags([tag])
    _push_platform(registry, name, image)
    registry.put_manifest(name, tag, _stored(image.manifest))
    verify_tag(registry, name, tag, image.manifest.digest)


def _push_platform(registry: ImageRegistry, name: ImageName, image: PlatformImage) -> None:
    for layer in image.layers:
        registry.put_blob(name, layer.path, layer.digest)
    registry.put_blob(name, image.config.data)
    registry.put_manifest(name, image.manifest.digest, _stored(image.manifest))
    for attachment in image.attachments:
        attach(registry, name, image.manifest, attachment)


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
