"""What a publish tells of the project that made it, so that pages can explain it from the repository alone.

It is part of the log's settings: small, plain, the same for the same project. Values of templates are told
as far as they are short; they are in the published build specifications anyway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cosgen.manifest.assemble import variant_values
from cosgen.manifest.config import ChannelConfig, TriggerConfig
from cosgen.manifest.os_manifest import package_of
from cosgen.manifest.project import Project
from cosgen.manifest.scalars import Scalar
from cosgen.repository.codec import Json, mapping, texts

SETTING = "project"  # key among the settings of the log
_VALUE = 120  # characters of a value that are told
_VALUES = 60  # values of a variant that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedChannel:
    """What a channel is for, in the project's words."""

    description: str = ""
    source: str = ""  # channel it is promoted from; "" when it is built
    triggers: tuple[str, ...] = ()  # "branch main", "tag v*", "schedule 0 2 * * *", "by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A project as its last publisher described it; everything may be empty."""

    trees: tuple[str, ...] = ()
    media: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # section of the manifest -> packages
    channels: Mapping[str, DescribedChannel] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # key of a variant -> name -> value
    cache: str = ""  # registry repository that holds the package images
    package: str = ""  # what machines upgrade to
    client: str = ""  # generation of the client that the project configures machines for

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "trees": list(self.trees),
            "media": {name: list(packages) for name, packages in self.media.items()},
            "channels": {
                name: {
                    "description": channel.description,
                    "source": channel.source,
                    "triggers": list(channel.triggers),
                }
                for name, channel in self.channels.items()
            },
            "values": {key: dict(values) for key, values in self.values.items()},
            "cache": self.cache,
            "package": self.package,
            "client": self.client,
        }


def describe(project: Project) -> Description:
    """Describe a project."""
    config = project.config
    sections = {
        name: tuple(human for source in sources if (human := package_of(source)))
        for name, sources in sorted(project.manifest.sections.items())
    }
    return Description(
        trees=config.trees,
        media={name: packages for name, packages in sections.items() if packages},
        channels={name: _channel(channel) for name, channel in sorted(config.channels.items())},
        values={
            variant.key: dict(_values(variant_values(project, variant)[0])) for variant in project.variants
        },
        cache=config.registry.cache,
        package=config.upgrade.package,
        client=config.upgrade.client,
    )


def read_description(settings: Mapping[str, Json]) -> Description:
    """Read what the log's settings tell of the project; empty when they tell nothing."""
    data = mapping(settings.get(SETTING) or {})
    channels = {name: mapping(one) for name, one in mapping(data.get("channels") or {}).items()}
    return Description(
        trees=texts(data, "trees"),
        media={
            name: texts(mapping(data.get("media")), name) for name in sorted(mapping(data.get("media") or {}))
        },
        channels={
            name: DescribedChannel(
                description=str(one.get("description") or ""),
                source=str(one.get("source") or ""),
                triggers=texts(one, "triggers"),
            )
            for name, one in channels.items()
        },
        values={
            key: {str(name): str(value) for name, value in mapping(values).items()}
            for key, values in sorted(mapping(data.get("values") or {}).items())
        },
        cache=str(data.get("cache") or ""),
        package=str(data.get("package") or ""),
        client=str(data.get("client") or ""),
    )


def _channel(channel: ChannelConfig) -> DescribedChannel:
    return DescribedChannel(
        description=channel.description, source=channel.from_, triggers=tuple(_triggers(channel.on))
    )


def _triggers(on: TriggerConfig) -> Iterable[str]:
    yield from (f"{kind} {value}" for kind, value in (("branch", on.branch), ("tag", on.tag)) if value)
    if on.schedule:
        yield f"schedule {on.schedule}"


def _values(values: Mapping[Scalar, object]) -> Iterable[tuple[str, str]]:
    told = sorted(
        (str(name), value) for name, value in values.items() if isinstance(value, str | int | float | bool)
    )
    for name, value in told[:_VALUES]:
        text = str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())
        yield name, text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
