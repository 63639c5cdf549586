"""From a channel to its upgrade images: which package, from which snapshot, under which tags."""

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path

import zstandard

from cosgen.build.reference import ImageName
from cosgen.errors import Problem, PublishError, Severity, VerificationError
from cosgen.manifest.version import compare_versions
from cosgen.repository.client_address import image_repository
from cosgen.repository.log import ChannelState
from cosgen.repository.reader import Repository
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.snapshot import VariantIndex, load_object
from cosgen.storage.port import Store
from cosgen.upgrade.image import (
    PROVENANCE,
    SBOM,
    Archive,
    Attachment,
    ImageRegistry,
    PlatformImage,
    compose,
    find_platforms,
    move_tag,
    push,
)
from cosgen.upgrade.oci import ImageFacts

_SPAN = 16 << 20  # bytes read from a store at once
_TAG_TEXT = re.compile(r"[^A-Za-z0-9_.-]")
_KINDS = {".cdx.json": SBOM, ".intoto.json": PROVENANCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRequest:
    """What to deliver: the package of a channel, to a repository of images."""

    channel: str
    package: str  # category/name
    images: ImageName  # flavors get a repository each, see `flavor_name`
    created: int = 0  # seconds since 1970; the same for the same image, so that its digest stays
    layered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One image of a channel, as it is in the registry now."""

    flavor: str
    name: ImageName
    digest: str
    platforms: Mapping[str, str]  # platform -> digest of its manifest
    tags: tuple[str, ...]  # what points at it
    notes: tuple[Problem, ...] = ()  # warnings


def flavor_name(images: ImageName, flavor: str) -> ImageName:
    """Return the repository of one flavor's images: `ghcr.io/acme/os-green`, or as it is without flavors."""
    return ImageName(images.host, image_repository(images.path, flavor))


def pin_tag(state: ChannelState) -> str:
    """Return the tag of a snapshot's image; the same in every channel it is promoted to."""
    return f"s{state.origin}"


def version_tag(version: str) -> str:
    """Return a version as a tag; what a tag cannot hold becomes `-`.

    >>> version_tag("1.0+2")
    '1.0-2'
    """
    return _TAG_TEXT.sub("-", version).lstrip("-.")[:128] or "0"


def deliver(
    repository: Repository,
    registry: ImageRegistry,
    request: DeliveryRequest,
    folder: Path,
    *,
    known: Mapping[str, str],
) -> tuple[Delivered, ...]:
    """Bring a channel's images into the registry and point the channel's tags at them.

    What is there already is not made again, so after a promotion this only moves tags.

    Args:
        repository: The published repository.
        registry: Where images go.
        request: What to deliver.
        folder: Scratch space for archives and layers.
        known: Flavor → digest that the channel's tag is recorded to point at; absent: no tag yet.

    Raises:
        PublishError: The snapshot lacks the package (CG658), or a tag was moved by somebody else (CG655).
    """
    state = repository.channel(request.channel)
    variants = repository.snapshot(state).variants
    flavors = sorted({index.flavor for index in variants.values()})
    missing = [
        key for key in variants if not repository.versions(repository.snapshot(state), key, request.package)
    ]
    if missing:
        raise PublishError(_no_package(request, missing))
    return tuple(
        _deliver_flavor(
            repository,
            registry,
            request,
            folder,
            {key: index for key, index in variants.items() if index.flavor == flavor},
            known.get(flavor),
        )
        for flavor in flavors
    )


def _deliver_flavor(
    repository: Repository,
    registry: ImageRegistry,
    request: DeliveryRequest,
    folder: Path,
    variants: Mapping[str, VariantIndex],
    known: str | None,
) -> Delivered:
    state = repository.channel(request.channel)
    flavor = next(iter(variants.values())).flavor
    name = flavor_name(request.images, flavor)
    pin = pin_tag(state)
    records = {key: _newest(repository, state, key, request.package) for key in variants}
    digest = registry.find_digest(name, pin)
    if digest is None:
        made = [
            _platform_image(repository.session.store, records[key], index, folder, request)
            for key, index in sorted(variants.items())
        ]
        digest = push(registry, name, made, annotations=_facts(request, records), tags=[pin]).digest
    tags, notes = [pin], []
    version = version_tag(next(iter(records.values())).version)
    there = registry.find_digest(name, version)
    if there in (None, digest):
        move_tag(registry, name, version, expected=there, digest=digest)
        tags.append(version)
    else:
        notes.append(_other_version(name, version, digest))
    move_tag(registry, name, request.channel, expected=known, digest=digest)
    return Delivered(
        flavor=flavor,
        name=name,
        digest=digest,
        platforms=find_platforms(registry, name, digest),
        tags=(*tags, request.channel),
        notes=tuple(notes),
    )


def _newest(repository: Repository, state: ChannelState, variant: str, package: str) -> PackageRecord:
    versions = repository.versions(repository.snapshot(state), variant, package)
    by_version = cmp_to_key(compare_versions)
    return max(versions, key=lambda record: by_version(record.version))


def _platform_image(
    store: Store, record: PackageRecord, index: VariantIndex, folder: Path, request: DeliveryRequest
) -> PlatformImage:
    place = folder / (index.flavor or "-") / index.arch
    place.mkdir(parents=True)
    archive = place / "archive"
    fetch_object(store, record.archive, archive)
    facts = ImageFacts(
        platform=index.platform,
        created=request.created,
        labels=_facts(request, {"": record}),
    )
    return compose(
        [Archive(path=archive, title=record.human)],
        place,
        facts,
        layered=request.layered,
        attachments=_attachments(store, record),
    )


def _facts(request: DeliveryRequest, records: Mapping[str, PackageRecord]) -> dict[str, str]:
    record = next(iter(records.values()))
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
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(load_object(store, record.attestation))
    found = []
    with tarfile.open(fileobj=io.BytesIO(plain)) as bundle:
        for info in bundle:
            kind = next((kind for suffix, kind in _KINDS.items() if info.name.endswith(suffix)), None)
            file = bundle.extractfile(info)
            if kind and file:
                found.append(Attachment(media_type=kind, title=info.name, data=file.read()))
    return found


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


def _no_package(request: DeliveryRequest, variants: Sequence[str]) -> Problem:
    return Problem(
        what=f"channel {request.channel} has no package {request.package} for {', '.join(variants)}",
        fix="name the package of the operating system as `upgrade.package` in cosgen.yaml, and publish it",
        id="CG658",
    )


def _other_version(name: ImageName, tag: str, digest: str) -> Problem:
    return Problem(
        what=f"{name}:{tag} stays with another image; {digest[:19]}… is found by its other tags",
        fix="bump the version of the package: a version, once out, never changes",
        id="CG654",
        severity=Severity.WARNING,
    )
