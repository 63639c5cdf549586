"""The address of a channel's variant, from what the repository records of itself: one value for all files."""

from collections.abc import Mapping
from dataclasses import dataclass

from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.repository.client_address import (
    Beside,
    ChannelAddress,
    client_url,
    docker_repository,
    image_repository,
)
from cosgen.repository.codec import Json, integer, items, mapping, text
from cosgen.repository.images import recorded_images
from cosgen.repository.reader import Repository
from cosgen.repository.snapshot import VariantIndex

FOUNDATIONS = "foundations"  # key among the settings of the log
_NO_IMAGE = ("", "")


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What the log does not say and the project's settings may."""

    images: str = ""  # `registry.images`
    package: str = ""  # `upgrade.package`
    recovery: str = ""  # `upgrade.recovery`
    packages: str = ""  # `registry.packages`, when the docker-type repository is published

    @classmethod
    def of(cls, config: ProjectConfig | None) -> "ProjectFacts":
        """Return the facts of a project; without one there are none."""
        if config is None:
            return cls()
        return cls(
            images=config.registry.images,
            package=config.upgrade.package,
            recovery=config.upgrade.recovery,
            packages=config.registry.packages if config.upgrade.docker_type else "",
        )


def channel_address(
    repository: Repository, channel: str, index: VariantIndex, facts: ProjectFacts
) -> ChannelAddress:
    """Return where one variant of a channel is."""
    settings = repository.settings
    state = repository.channel(channel)
    name, digest = recorded_images(repository.commit.state, channel).get(index.flavor, _NO_IMAGE)
    return ChannelAddress(
        project=str(settings.get("name") or "cosgen"),
        channel=channel,
        variant=Variant(index.flavor, index.arch),
        url=client_url(str(settings.get("url") or "")),
        registry=docker_repository(facts.packages, index.flavor, index.arch),
        image=name or image_repository(facts.images, index.flavor),
        image_digest=digest,
        package=facts.package or "system/os",
        recovery=facts.recovery,
        seq=state.origin,
        beside=_beside(settings, Variant(index.flavor, index.arch)),
    )


def _beside(settings: Mapping[str, Json], variant: Variant) -> tuple[Beside, ...]:
    """Return the repositories that the log tells of for a variant."""
    told = [mapping(item) for item in items(settings.get(FOUNDATIONS) or [])]
    return tuple(
        Beside(
            name=text(item, "name"),
            url=text(item, "url"),
            reference=text(mapping(item.get("references")), variant.key),
            priority=integer(item, "priority"),
        )
        for item in told
        if variant.key in mapping(item.get("references"))
    )
