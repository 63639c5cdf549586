"""Small projects and package graphs for tests of the pipelines."""

import random
from collections.abc import Mapping
from typing import Any

from cosgen.manifest.config import (
    ChannelConfig,
    CiConfig,
    ProjectConfig,
    RegistryConfig,
    RepositoryConfig,
    TriggerConfig,
)
from cosgen.manifest.platform import Variant
from cosgen.pipeline.units import BuildNode

X86 = Variant("", "x86_64")
DIAMOND: Mapping[str, tuple[str, ...]] = {
    "base/root": (),
    "base/left": ("base/root",),
    "base/right": ("base/root",),
    "system/os": ("base/left", "base/right"),
    "live/boot": (),
}


def nodes(graph: Mapping[str, tuple[str, ...]] = DIAMOND, variant: Variant = X86) -> tuple[BuildNode, ...]:
    """Turn name -> needs (needs first) into nodes."""
    return tuple(
        BuildNode(
            key=f"{variant.key}:{word}",
            word=word,
            variant=variant,
            needs=tuple(f"{variant.key}:{need}" for need in needs),
        )
        for word, needs in graph.items()
    )


def random_graph(size: int, seed: int, most: int = 6) -> dict[str, tuple[str, ...]]:
    """Make a graph of `size` packages, needs first."""
    rng = random.Random(seed)
    names = [f"c{index % 7}/p{index}" for index in range(size)]
    return {
        name: tuple(rng.sample(names[:index], min(index, rng.randint(0, most))))
        for index, name in enumerate(names)
    }


def config(*, cache: str = "ghcr.io/acme/cache", storage: str = "s3://acme/repo", **ci: Any) -> ProjectConfig:
    """Return settings with two built channels and one promoted."""
    return ProjectConfig(
        name="acme-os",
        registry=RegistryConfig(cache=cache),
        repository=RepositoryConfig(storage=storage, url="https://repo.acme.example", region="eu-west-1"),
        channels={
            "nightly": ChannelConfig(on=TriggerConfig(schedule="0 20 * * *")),
            "testing": ChannelConfig(on=TriggerConfig(branch="main")),
            "stable": ChannelConfig(on=TriggerConfig(tag="v*"), from_="testing", approve=True),
        },
        ci=CiConfig(**ci),
        arches=("x86_64",),
    )
