"""What a machine, and who answers for it, would check of a channel's images in the registry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cosgen.build.reference import ImageName, parse_name
from cosgen.errors import Problem, VerificationError
from cosgen.repository.images import ImageNote
from cosgen.repository.reader import Repository
from cosgen.repository.record import PackageRecord
from cosgen.storage.port import digest_of
from cosgen.upgrade.channel_layer import read_channel_files
from cosgen.upgrade.delivery import ARCHIVE_LABEL, pin_tag
from cosgen.upgrade.image import find_platforms, read_image, verify_tag
from cosgen.upgrade.referrers import find_referrers
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.systems import DeliveryRequest, System, find_systems, flavor_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the image of one flavor of a channel should be."""

    name: ImageName
    tag: str
    digest: str
    systems: Sequence[System]  # the variants of the channel's snapshot; () for an image made of a container
    base: str | None = None  # digest of the image of the snapshot, None when the registry has none


def expected_image(
    repository: Repository, registry: ImageRegistry, request: DeliveryRequest, flavor: str, note: ImageNote
) -> Expected:
    """Return what one image of a channel should be, by the log, the snapshot and the settings."""
    if note.container:
        return Expected(name=parse_name(note.name)[0], tag=request.channel, digest=note.digest, systems=())
    name = flavor_name(request.images, flavor)
    return Expected(
        name=name,
        tag=request.channel,
        digest=note.digest,
        systems=[system for system in find_systems(repository, request) if system.index.flavor == flavor],
        base=registry.find_digest(name, pin_tag(repository.channel(request.channel))),
    )


def find_wrongs(registry: ImageRegistry, expected: Expected) -> tuple[Problem, ...]:
    """Return everything that is wrong with one image of a channel.

    Looked at: the tag, the platforms, that each platform is the snapshot's root filesystem with the files of
    this channel on top, and that SBOM and provenance are attached as they were published.

    Raises:
        BuildError: The registry does not answer.
    """
    try:
        verify_tag(registry, expected.name, expected.tag, expected.digest)
        platforms = find_platforms(registry, expected.name, expected.digest)
        below = find_platforms(registry, expected.name, expected.base) if expected.base else {}
    except VerificationError as error:
        return error.problems
    return tuple(
        problem
        for system in expected.systems
        for problem in _system_wrongs(registry, expected, system, platforms, below)
    )


def _system_wrongs(
    registry: ImageRegistry,
    expected: Expected,
    system: System,
    platforms: Mapping[str, str],
    below: Mapping[str, str],
) -> Iterator[Problem]:
    platform = system.index.platform
    where = f"{expected.name}@{expected.digest} ({platform})"
    digest = platforms.get(platform)
    if digest is None:
        yield _wrong("CG657", f"{expected.name}@{expected.digest} has no image for {platform}", expected)
        return
    try:
        image = read_image(registry, expected.name, digest)
        root = read_image(registry, expected.name, below[platform]).layers if platform in below else None
        if image.labels.get(ARCHIVE_LABEL) != system.record.archive.digest:
            yield _wrong("CG673", f"{where} is not made of {system.record.human}", expected)
        yield from _layer_wrongs(registry, expected, system, image.layers, root, where)
        yield from _attachment_wrongs(registry, expected, system.record, digest, where)
    except VerificationError as error:
        yield from error.problems


def _layer_wrongs(
    registry: ImageRegistry,
    expected: Expected,
    system: System,
    layers: tuple[str, ...],
    root: tuple[str, ...] | None,
    where: str,
) -> Iterator[Problem]:
    if root is None:  # the snapshot's own image was cleaned up: nothing to compare the lower layers with
        root = layers[:-1] if system.files else layers
    top = layers[len(root) :]
    if layers[: len(root)] != root:
        yield _wrong("CG673", f"{where} has another root filesystem than its snapshot's image", expected)
    elif len(top) > 1:
        yield _wrong("CG673", f"{where} has layers that nobody published", expected)
    else:
        yield from _file_wrongs(registry, expected, system, top, where)


def _file_wrongs(
    registry: ImageRegistry, expected: Expected, system: System, top: Sequence[str], where: str
) -> Iterator[Problem]:
    wanted = {file.path: file.text for file in system.files}
    found = read_channel_files(registry.get_blob(expected.name, top[0])) if top else {}
    for path in sorted({*wanted, *found}):
        if wanted.get(path) != found.get(path):
            yield _wrong(
                "CG671", f"{where}: {path} is not what the settings of the channel make it", expected
            )


def _attachment_wrongs(
    registry: ImageRegistry, expected: Expected, record: PackageRecord, digest: str, where: str
) -> Iterator[Problem]:
    published = [file for file in (record.sbom, record.provenance) if file is not None]
    attached = {digest_of(item.attachment.data) for item in find_referrers(registry, expected.name, digest)}
    for file in published:
        if file.digest not in attached:
            yield _wrong("CG674", f"{where} does not carry {file.name} as it was published", expected)


def _wrong(id_: str, what: str, expected: Expected) -> Problem:
    return Problem(what=what, fix=f"push it again: cosgen image push --channel {expected.tag}", id=id_)
