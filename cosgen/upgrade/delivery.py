"""From a channel to its upgrade images: which package, from which snapshot, under which tags."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.reference import ImageName
from cosgen.errors import Problem, PublishError, Severity, VerificationError
from cosgen.repository.attestation import read_attestation
from cosgen.repository.images import ImageNote
from cosgen.repository.log import ChannelState
from cosgen.repository.reader import Repository
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.snapshot import load_object
from cosgen.storage.port import Store
from cosgen.upgrade.channel_layer import CHANNEL_LABEL, channel_layer, extend_image, replaced_paths
from cosgen.upgrade.image import (
    PlatformImage,
    find_platforms,
    from_layers,
    move_tag,
    moved_problem,
    push,
    read_image,
)
from cosgen.upgrade.oci import ImageFacts
from cosgen.upgrade.referrers import PROVENANCE, SBOM, Attachment
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.rootfs import split_layers
from cosgen.upgrade.systems import DeliveryRequest, System, find_systems, flavor_name

ARCHIVE_LABEL = "dev.cosgen.archive"  # digest of the package that the image is made of
_SPAN = 16 << 20  # bytes read from a store at once
_TAG_TEXT = re.compile(r"[^A-Za-z0-9_.-]")
_KINDS = {".cdx.json": SBOM, ".intoto.json": PROVENANCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One image of a channel, as it is in the registry."""

    flavor: str
    name: ImageName
    digest: str
    platforms: Mapping[str, str]  # platform -> digest of its manifest
    tags: tuple[str, ...]  # its channel, last, and what points at the image of its snapshot
    notes: tuple[Problem, ...] = ()  # warnings
    container: bool = False  # made of a container, not of a snapshot


_NOTHING = ImageNote(name="", digest="")


def pin_tag(state: ChannelState) -> str:
    """Return the tag of a snapshot's image; the same in every channel it is promoted to."""
    return f"s{state.origin}"


def version_tag(version: str) -> str:
    """Return a version as a tag; what a tag cannot hold becomes `-`.

    >>> version_tag("1.0+2")
    '1.0-2'
    """
    return _TAG_TEXT.sub("-", version).lstrip("-.")[:128] or "0"


def prepare(
    repository: Repository, registry: ImageRegistry, request: DeliveryRequest, folder: Path
) -> tuple[Delivered, ...]:
    """Bring a channel's images into the registry, under every tag but the channel's own.

    What is there already is not made again: after a promotion only the layer with the channel's files is new.

    Args:
        repository: The published repository.
        registry: Where images go.
        request: What to deliver.
        folder: Scratch space for archives and layers.

    Returns:
        One image a flavor; machines see none of them before `move_channel_tags`.

    Raises:
        PublishError: The snapshot lacks the package (CG658), or its clients cannot follow as asked (CG570).
    """
    systems = find_systems(repository, request)
    pin = pin_tag(repository.channel(request.channel))
    flavors = sorted({system.index.flavor for system in systems})
    return tuple(
        _prepare_flavor(
            repository.session.store,
            registry,
            request,
            pin,
            folder,
            [system for system in systems if system.index.flavor == flavor],
        )
        for flavor in flavors
    )


def find_tags(
    registry: ImageRegistry, channel: str, images: Sequence[Delivered], known: Mapping[str, ImageNote]
) -> Mapping[str, str | None]:
    """Return flavor → digest that the channel's tag points at now, None for nothing. Nothing is written.

    Args:
        registry: Where the images are.
        channel: Name of the channel, and of the tag.
        images: What shall be delivered.
        known: Flavor → image that the log knows; absent: the tag should not be there yet.

    Raises:
        PublishError: Somebody else moved a tag (CG655); with all that were.
    """
    now = {image.flavor: registry.find_digest(image.name, channel) for image in images}
    foreign = [
        moved_problem(image.name, channel, found, note.digest if note else None)
        for image in images
        if (found := now[image.flavor]) is not None
        and found != image.digest
        and found not in ((note := known.get(image.flavor)) or _NOTHING).expected
    ]
    if foreign:
        raise PublishError(*foreign)
    return now


def notes_of(images: Sequence[Delivered], now: Mapping[str, str | None]) -> Mapping[str, ImageNote]:
    """Return what the log shall say of images whose tags point at `now`."""
    return {
        image.flavor: ImageNote(
            name=str(image.name),
            digest=image.digest,
            before=(now[image.flavor] or "",),
            container=image.container,
        )
        for image in images
    }


def move_channel_tags(
    registry: ImageRegistry, channel: str, images: Sequence[Delivered], now: Mapping[str, str | None]
) -> None:
    """Point the channel's tags at the images; the log says so already.

    Args:
        registry: Where the images are.
        channel: Name of the channel, and of the tag.
        images: What to deliver.
        now: What the tags pointed at a moment ago, from `find_tags`.

    Raises:
        PublishError: Somebody moved a tag meanwhile (CG655).
    """
    for image in images:
        move_tag(registry, image.name, channel, expected=now[image.flavor], digest=image.digest)


def _prepare_flavor(
    store: Store,
    registry: ImageRegistry,
    request: DeliveryRequest,
    pin: str,
    folder: Path,
    systems: Sequence[System],
) -> Delivered:
    flavor = systems[0].index.flavor
    name = flavor_name(request.images, flavor)
    base = registry.find_digest(name, pin)
    if base is None:
        made = [_platform_image(store, system, folder, request) for system in systems]
        base = push(registry, name, made, annotations=_facts(request, systems), tags=[pin]).digest
    else:
        _check_base(registry, name, pin, base, systems)
    tags, notes = [pin], [_replaced(system) for system in systems if _replaced_in(system)]
    version = version_tag(systems[0].record.version)
    there = registry.find_digest(name, version)
    if there in (None, base):
        move_tag(registry, name, version, expected=there, digest=base)
        tags.append(version)
    else:
        notes.append(_other_version(name, version, base))
    digest, platforms = _with_files(registry, name, base, request, folder, systems)
    return Delivered(
        flavor=flavor,
        name=name,
        digest=digest,
        platforms=platforms,
        tags=(*tags, request.channel),
        notes=tuple(notes),
    )


def _check_base(
    registry: ImageRegistry, name: ImageName, pin: str, base: str, systems: Sequence[System]
) -> None:
    """See that what a snapshot's tag names is of that snapshot: two repositories may share a registry."""
    platforms = find_platforms(registry, name, base)
    problems = []
    for system in systems:
        below = platforms.get(system.index.platform)
        labels = read_image(registry, name, below).labels if below else {}
        if labels.get(ARCHIVE_LABEL) != system.record.archive.digest:
            problems.append(_other_archive(name, pin, system))
    if problems:
        raise PublishError(*problems)


def _with_files(
    registry: ImageRegistry,
    name: ImageName,
    base: str,
    request: DeliveryRequest,
    folder: Path,
    systems: Sequence[System],
) -> tuple[str, Mapping[str, str]]:
    """Push the snapshot's image with the channel's files on top; without files it is the snapshot's own."""
    platforms = find_platforms(registry, name, base)
    if not any(system.files for system in systems):
        return base, platforms
    labels = {CHANNEL_LABEL: request.channel}
    images = []
    for system in systems:
        place = folder / (system.index.flavor or "-") / system.index.arch
        place.mkdir(parents=True, exist_ok=True)
        layer = channel_layer(system.files, place / "channel.layer", present=system.record.files)
        images.append(extend_image(registry, name, platforms[system.index.platform], layer, labels))
    pushed = push(registry, name, images, annotations={**_facts(request, systems), **labels})
    return pushed.digest, pushed.platforms


def _platform_image(store: Store, system: System, folder: Path, request: DeliveryRequest) -> PlatformImage:
    place = folder / (system.index.flavor or "-") / system.index.arch
    place.mkdir(parents=True)
    archive = place / "archive"
    fetch_object(store, system.record.archive, archive)
    parts = []
    for number, part in enumerate(system.parts):
        fetch_object(store, part.archive, place / f"part-{number}")
        parts.append((part.human, place / f"part-{number}"))
    return from_layers(
        split_layers(archive, parts, place),
        ImageFacts(
            platform=system.index.platform,
            created=request.created,
            labels={**_facts(request, [system]), ARCHIVE_LABEL: system.record.archive.digest},
        ),
        attachments=_attachments(store, system.record),
    )


def _facts(request: DeliveryRequest, systems: Sequence[System]) -> dict[str, str]:
    record = systems[0].record
    facts = {
        "org.opencontainers.image.title": request.package,
        "org.opencontainers.image.version": record.version,
        "org.opencontainers.image.revision": record.revision,
        "org.opencontainers.image.description": str(record.definition.get("description", "")),
        "org.opencontainers.image.licenses": str(record.definition.get("license", "")),
    }
    return {key: value for key, value in facts.items() if value}


def _attachments(store: Store, record: PackageRecord) -> Sequence[Attachment]:
    """Read SBOM and provenance out of the bundle that was published with the package."""
    if record.attestation is None:
        return ()
    return [
        Attachment(media_type=kind, title=name, data=data)
        for name, data in read_attestation(load_object(store, record.attestation))
        for suffix, kind in _KINDS.items()
        if name.endswith(suffix)
    ]


def fetch_object(store: Store, ref: ObjectRef, target: Path) -> None:
    """Read an immutable object into a file, span by span, and check its digest.

    Raises:
        VerificationError: It is gone, short, or has other bytes (CG659).
    """
    sha256 = hashlib.sha256()
    with target.open("wb") as file:
        for start in range(0, ref.size, _SPAN):
            blob = store.get(ref.key, start=start, length=min(_SPAN, ref.size - start))
            if blob is None:
                break
            sha256.update(blob.data)
            file.write(blob.data)
    if f"sha256:{sha256.hexdigest()}" != ref.digest:
        raise VerificationError(
            Problem(
                what=f"{store.url}: {ref.key} is gone or does not have the digest {ref.digest[:19]}…",
                fix="run `cosgen repo fsck --deep`, and publish the package again",
                id="CG659",
            )
        )


def _replaced_in(system: System) -> tuple[str, ...]:
    return replaced_paths(system.files, system.record.files)


def _replaced(system: System) -> Problem:
    paths = ", ".join(_replaced_in(system))
    return Problem(
        what=f"{system.record.human} ({system.index.platform}) has {paths}: the channel's files replace it",
        fix="leave it out of the package, or set `upgrade.follow: none` to keep it",
        id="CG675",
        severity=Severity.WARNING,
    )


def _other_archive(name: ImageName, pin: str, system: System) -> Problem:
    return Problem(
        what=f"{name}:{pin} is not made of {system.record.human} for {system.index.platform}",
        fix="another repository or package uses the same place: give this one its own `registry.images`, or "
        "delete the tag",
        id="CG654",
    )


def _other_version(name: ImageName, tag: str, digest: str) -> Problem:
    return Problem(
        what=f"{name}:{tag} stays with another image; {digest[:19]}… is found by its other tags",
        fix="bump the version of the package: a version, once out, never changes",
        id="CG654",
        severity=Severity.WARNING,
    )
