"""The operating systems of a channel: the package of each variant, and the files by which it follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cmp_to_key

from cosgen.build.reference import ImageName
from cosgen.errors import Problem, PublishError
from cosgen.manifest.platform import ARCHES, Variant
from cosgen.manifest.version import compare_versions
from cosgen.repository.client_address import ChannelAddress, Generation, image_repository
from cosgen.repository.client_config import MachineFile
from cosgen.repository.client_source import ProjectFacts, channel_address
from cosgen.repository.client_system import Follow, system_files
from cosgen.repository.reader import Repository
from cosgen.repository.record import PackageRecord
from cosgen.repository.snapshot import VariantIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRequest:
    """What to deliver: the package of a channel, to a repository of images."""

    channel: str
    package: str  # category/name
    images: ImageName  # flavors get a repository each, see `flavor_name`
    created: int = 0  # seconds since 1970; the same for the same image, so that its digest stays
    layered: bool = False
    project: str = "cosgen"  # its name, where the repository does not say one
    facts: ProjectFacts = field(default_factory=ProjectFacts)
    client: Generation = Generation.C
    follow: Follow = Follow.AUTO


@dataclass(frozen=True, slots=True)
class System:
    """One variant's operating system, and by which files it follows its channel."""

    index: VariantIndex
    record: PackageRecord
    files: tuple[MachineFile, ...]
    parts: tuple[PackageRecord, ...] = ()  # what the system was made of, when its image is to have layers


def flavor_name(images: ImageName, flavor: str) -> ImageName:
    """Return the repository of one flavor's images: `ghcr.io/acme/os-green`, or as it is without flavors."""
    return ImageName(images.host, image_repository(images.path, flavor))


def find_systems(repository: Repository, request: DeliveryRequest) -> tuple[System, ...]:
    """Return the operating systems of a channel's snapshot, sorted by variant. Raises as `prepare`."""
    snapshot = repository.snapshot(request.channel)
    records = {key: repository.versions(snapshot, key, request.package) for key in snapshot.variants}
    missing = [key for key, found in records.items() if not found]
    if missing:
        raise PublishError(_no_package(request, missing))
    return tuple(
        _system(repository, request, key, _newest(records[key])) for key in sorted(snapshot.variants)
    )


def _system(repository: Repository, request: DeliveryRequest, key: str, record: PackageRecord) -> System:
    snapshot = repository.snapshot(request.channel)
    index = snapshot.variants[key]
    needs = frozenset(record.needs if request.layered else ())
    records = repository.packages(snapshot, key) if needs else ()
    parts = [item for item in records if item.fingerprint in needs]
    parts.sort(key=lambda item: item.fingerprint.encode())  # as they are joined
    return System(index, record, _files(repository, request, index), tuple(parts))


def container_files(
    repository: Repository | None, request: DeliveryRequest, flavor: str, platform: str
) -> tuple[MachineFile, ...]:
    """Return the channel's files for an image that is made of a container, which need not be of a snapshot.

    Args:
        repository: The published repository, None when nothing was published.
        request: What is delivered.
        flavor: Flavor that the container is of.
        platform: os/arch[/variant] of the container.

    Raises:
        PublishError: The clients cannot follow as asked (CG570).
    """
    has_channel = repository is not None and request.channel in repository.channels()
    if repository is not None and has_channel:
        for index in repository.snapshot(request.channel).variants.values():
            if (index.flavor, index.platform) == (flavor, platform):
                return _files(repository, request, index)
    arch = next((known.kernel for known in ARCHES if known.oci == platform), platform.rpartition("/")[2])
    address = ChannelAddress(
        project=str((repository.settings if repository else {}).get("name") or request.project),
        channel=request.channel,
        variant=Variant(flavor, arch),
        image=str(flavor_name(request.images, flavor)),
    )
    return system_files(address, request.client, request.follow)


def _files(repository: Repository, request: DeliveryRequest, index: VariantIndex) -> tuple[MachineFile, ...]:
    address = channel_address(repository, request.channel, index, request.facts)
    # Where the images go now, whatever was recorded before.
    image = str(flavor_name(request.images, index.flavor))
    return system_files(replace(address, image=image), request.client, request.follow)


def _newest(versions: Sequence[PackageRecord]) -> PackageRecord:
    by_version = cmp_to_key(compare_versions)
    return max(versions, key=lambda record: by_version(record.version))


def _no_package(request: DeliveryRequest, variants: Sequence[str]) -> Problem:
    return Problem(
        what=f"channel {request.channel} has no package {request.package} for {', '.join(variants)}",
        fix="name the package of the operating system as `upgrade.package` in cosgen.yaml, and publish it",
        id="CG658",
    )
