"""Small projects and package graphs for tests of the pipelines."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cosgen.manifest.config import (
    ChannelConfig,
    CiConfig,
    HooksConfig,
    JobConfig,
    ProjectConfig,
    RegistryConfig,
    RepositoryConfig,
    TriggerConfig,
    UpgradeConfig,
)
from cosgen.manifest.platform import Variant
from cosgen.pipeline.units import BuildNode

X86 = Variant("", "x86_64")
ARM = Variant("", "arm64")
STAGES = ("plan", "build", "publish", "site")
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


def whole_config(**ci: Any) -> ProjectConfig:
    """Return settings that use all that pipelines offer: hooks, own jobs, gates, two architectures, images."""
    hooks = {f"{side}_{stage}": (f"own {side}-{stage}",) for stage in STAGES for side in ("before", "after")}
    jobs = {
        "iso": JobConfig(run=("own iso",), artifacts=("iso",)),
        "vm-test": JobConfig(run=("own vm-test",), needs=("iso",), after="gate", channels=("testing",)),
        "smoke": JobConfig(run=("own smoke",), after="plan", pull_requests=True, per_variant=False),
        "canary": JobConfig(run=("own canary",), channels=("stable",), per_variant=False),
        "tell": JobConfig(
            run=("own tell",), after="publish", per_variant=False, required=False, channels=("testing",)
        ),
    }
    base = config(hooks=HooksConfig(**hooks), jobs=jobs, **ci)
    return replace(
        base,
        arches=("x86_64", "arm64"),
        upgrade=UpgradeConfig(package="system/os"),
        registry=replace(base.registry, images="ghcr.io/acme/os"),
        channels={
            "testing": ChannelConfig(on=TriggerConfig(branch="main"), gates=("vm-test",)),
            "stable": ChannelConfig(
                on=TriggerConfig(tag="v*"), from_="testing", approve=True, gates=("canary",)
            ),
        },
    )
