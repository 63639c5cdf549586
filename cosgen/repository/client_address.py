"""One value that says where a machine's upgrades come from, and which ways of following it a client knows."""

from dataclasses import dataclass
from enum import StrEnum

from cosgen.manifest.channel_names import (
    client_url,
    docker_repository,
    file_stem,
    image_repository,
    pin_name,
    reference_name,
    repository_name,
)
from cosgen.manifest.platform import Variant, find_arch

__all__ = [
    "ALL_WAYS",
    "Beside",
    "ChannelAddress",
    "Generation",
    "Mode",
    "Place",
    "Transport",
    "Way",
    "client_url",
    "docker_repository",
    "find_refusal",
    "image_repository",
]


class Generation(StrEnum):
    """Client generations; what each reads differs (docs: client generations)."""

    A = "A"  # shell: cos-upgrade, February 2021 to January 2022
    B = "B"  # elemental v0.0.1 to v0.0.15
    C = "C"  # elemental v0.0.16 to v0.2.5
    D = "D"  # elemental v0.3 and later: images only


class Transport(StrEnum):
    """How the client gets bytes; luet's repository types."""

    HTTP = "http"
    DOCKER = "docker"
    DISK = "disk"


class Mode(StrEnum):
    """What is followed."""

    ROLLING = "rolling"
    PINNED = "pinned"
    IMAGE_TAG = "image-tag"
    IMAGE_DIGEST = "image-digest"

    @property
    def is_image(self) -> bool:
        """True when a container image is followed, not a repository."""
        return self in {Mode.IMAGE_TAG, Mode.IMAGE_DIGEST}


class Place(StrEnum):
    """Where the configuration is put."""

    DOCKERFILE = "dockerfile"
    OEM = "oem"
    NODE = "node"
    REPOS_CONF = "repos-conf"
    ELEMENTAL = "elemental"
    SUC = "suc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A foundation's repository, which clients read beside ours: our packages require some of its."""

    name: str
    url: str  # http(s) URL of the folder that holds its repository files
    reference: str
    priority: int = 50  # lower wins


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAddress:
    """Where one channel of one variant is. Names, references and file names are derived from it alone."""

    project: str
    channel: str
    variant: Variant
    url: str = ""  # http(s) URL of the folder that holds repository.yaml
    registry: str = ""  # registry repository of the docker-type repository, no tag
    disk: str = ""  # absolute path of a verified mirror on the machine
    image: str = ""  # repository of the upgrade images, no tag
    image_tag: str = ""  # tag that follows the channel; the channel's name when empty
    image_digest: str = ""  # "sha256:" + 64 hex
    package: str = "system/os"
    recovery: str = ""  # the system package when empty
    seq: int | None = None  # commit to pin, when there is one
    priority: int = 10  # lower wins
    beside: tuple[Beside, ...] = ()

    @property
    def name(self) -> str:
        """Name of the repository on the client, one for each channel: it names files and luet's cache too."""
        return repository_name(self.project, self.channel, self.variant.key)

    @property
    def stem(self) -> str:
        """The project's name as a part of file names; what is not fit for one becomes `-`."""
        return file_stem(self.project)

    @property
    def arch(self) -> str:
        """The architecture as Go and luet spell it."""
        arch = find_arch(self.variant.arch)
        return arch.go if arch else self.variant.arch

    @property
    def recovery_package(self) -> str:
        """The package of the recovery system."""
        return self.recovery or self.package

    def location(self, transport: Transport) -> str:
        """Return the URL or path for a transport; "" when it is not offered."""
        return {
            Transport.HTTP: self.url.rstrip("/"),
            Transport.DOCKER: self.registry,
            Transport.DISK: self.disk,
        }[transport]

    def reference(self, mode: Mode) -> str:
        """Return the file name or tag of the index that is followed."""
        if mode is Mode.PINNED and self.seq is not None:
            return pin_name(self.seq, self.variant.key)
        return reference_name(self.channel, self.variant.key)

    def image_reference(self, mode: Mode) -> str:
        """Return the full reference of the upgrade image."""
        if mode is Mode.IMAGE_DIGEST:
            return f"{self.image}@{self.image_digest}"
        return f"{self.image}:{self.image_tag or self.channel}"


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """One way of following: who, how, what and where it is configured."""

    generation: Generation
    transport: Transport
    mode: Mode
    place: Place

    def __str__(self) -> str:
        return f"generation {self.generation}, {self.transport}, {self.mode}, {self.place}"


ALL_WAYS = tuple(
    Way(generation, transport, mode, place)
    for generation in Generation
    for transport in Transport
    for mode in Mode
    for place in Place
)


def find_refusal(address: ChannelAddress, way: Way) -> str | None:
    """Return why a way of following cannot work, in one sentence, or None when it does.

    Source: cOS toolkit and elemental-cli, revisions of 2021 to 2023; luet 0.19.1 (`reference`).
    """
    return _image_refusal(address, way) if way.mode.is_image else _channel_refusal(address, way)


def _image_refusal(address: ChannelAddress, way: Way) -> str | None:
    refusals = (
        (way.transport is not Transport.DOCKER, "an image comes from a registry, so only `docker` fits"),
        (not address.image, "the project pushes no upgrade images (`registry.images`)"),
        (
            way.mode is Mode.IMAGE_DIGEST and not address.image_digest,
            "no image was pushed for this channel yet, so there is no digest",
        ),
        (way.place is Place.REPOS_CONF, "repos.conf.d names repositories, not images"),
        (
            way.generation is Generation.B and way.place is not Place.NODE,
            "generation B ignores an image named in its files; only the option --docker-image works",
        ),
        (way.place is Place.ELEMENTAL and not _reads_elemental(way), "only generations C and D read it"),
        (
            way.place is Place.SUC and way.mode is Mode.IMAGE_DIGEST,
            "a Plan joins image and version with a colon, which makes no digest",
        ),
    )
    return next((why for refused, why in refusals if refused), None)


def _channel_refusal(address: ChannelAddress, way: Way) -> str | None:
    refusals = (
        (way.generation is Generation.D, "generation D has no release channels, it follows images only"),
        (not address.location(way.transport), f"the repository is not offered by `{way.transport}`"),
        (way.mode is Mode.PINNED and address.seq is None, "nothing is published yet that could be pinned"),
        (way.place is Place.SUC, "a Plan of the system upgrade controller names an image"),
        (way.place is Place.ELEMENTAL and not _reads_elemental(way), "only generations C and D read it"),
    )
    return next((why for refused, why in refusals if refused), None)


def _reads_elemental(way: Way) -> bool:
    return way.generation in {Generation.C, Generation.D}
