"""What a pipeline is emitted from: the settings, the provider, and the small questions jobs ask of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cosgen.manifest.config import ChannelConfig, ProjectConfig, RunnerConfig, TriggerConfig
from cosgen.manifest.platform import Variant, find_arch
from cosgen.pipeline.model import Access, Context, Login, Runner, Secret, Setting, Value, frozen


class Provider(StrEnum):
    """For whom pipelines are written."""

    GITHUB = "github"
    GITLAB = "gitlab"


class Shape(StrEnum):
    """How building is spread over jobs."""

    STATIC = "static"
    CHUNKS = "chunks"
    WORKERS = "workers"
    CHILD = "child"


# Hosted machines by kernel name of the arch; what is not here needs `ci.runners`.
HOSTED: Mapping[str, str] = {"x86_64": "ubuntu-24.04", "aarch64": "ubuntu-24.04-arm"}
CONTROL = "ubuntu-24.04"
MAX_WORKERS = {Provider.GITHUB: 250, Provider.GITLAB: 200}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The settings as one provider's pipelines see them."""

    config: ProjectConfig
    variants: tuple[Variant, ...]  # all of the project, sorted
    provider: Provider
    version: str  # of cosgen

    @property
    def name(self) -> str:
        """The project's name, for titles."""
        return self.config.name or "packages"

    @property
    def channels(self) -> tuple[ChannelConfig, ...]:
        """The channels in file order; a project without any gets one that follows its branch."""
        if self.config.channels:
            return tuple(replace(channel, name=name) for name, channel in self.config.channels.items())
        return (ChannelConfig(name="main", on=TriggerConfig(branch=self.config.ci.default_branch)),)

    @property
    def publishes(self) -> bool:
        """Whether there is a repository to write to."""
        return bool(self.config.repository.storage)

    @property
    def has_cache(self) -> bool:
        """Whether there is a registry by which jobs hand on their work."""
        return bool(self.config.registry.cache)

    @property
    def cache_host(self) -> str:
        """The cache registry's host."""
        return self.config.registry.cache.partition("/")[0]

    @property
    def on_s3(self) -> bool:
        """Whether the repository is on S3."""
        return self.config.repository.storage.startswith("s3://")

    def variants_of(self, channel: ChannelConfig) -> tuple[Variant, ...]:
        """Return the variants that go into a channel."""
        return tuple(
            variant
            for variant in self.variants
            if (not channel.flavors or variant.flavor in channel.flavors)
            and (
                not channel.arches or find_arch(variant.arch) in [find_arch(name) for name in channel.arches]
            )
        )

    @property
    def request_variants(self) -> tuple[Variant, ...]:
        """Return the variants that pull requests build."""
        wanted = self.config.ci.pull_requests.variants
        return tuple(variant for variant in self.variants if not wanted or variant.key in wanted)

    def worker_count(self) -> int:
        """Return how many workers an arch may have at most."""
        asked = self.config.ci.workers or self.config.ci.budget.concurrent_jobs
        return min(asked, MAX_WORKERS[self.provider])

    def runner(self, name: str) -> Runner:
        """Return the machines for an arch, or for a name of `ci.runners`; "control" for light jobs."""
        config = self._runner_config(name)
        arch = find_arch(name)
        default = HOSTED.get(arch.kernel, "") if arch else CONTROL
        if config and config.emulate:
            default = CONTROL
        if config is None:
            hosted = default or f"self-hosted-{slug(name)}"
            on_github = self.provider is Provider.GITHUB
            return Runner(labels=(hosted,) if on_github else (), self_hosted=not default)
        labels = config.tags if self.provider is Provider.GITLAB else config.labels or (default or CONTROL,)
        return Runner(
            labels=labels,
            self_hosted=config.self_hosted or "self-hosted" in labels,
            ephemeral=config.ephemeral,
            purge=config.purge_disk,
            emulates=arch.go if arch and config.emulate else "",
            group=config.group if self.provider is Provider.GITHUB else "",
            image=config.image if self.provider is Provider.GITLAB else "",
        )

    def _runner_config(self, name: str) -> RunnerConfig | None:
        runners = self.config.ci.runners
        if name in runners:
            return runners[name]
        arch = find_arch(name)
        same = (config for key, config in runners.items() if arch and find_arch(key) == arch)
        return next(same, None)

    def request_runner(self, name: str) -> Runner:
        """Return machines for pull requests: never our own ones that outlive the job."""
        runner = self.runner(name)
        if not runner.self_hosted or runner.ephemeral:
            return runner
        arch = find_arch(name)
        if self.provider is Provider.GITLAB:
            return Runner(labels=("cosgen-merge-request",), image=runner.image)
        return Runner(labels=(HOSTED.get(arch.kernel, CONTROL) if arch else CONTROL,))

    def secret(self, name: str) -> Value:
        """Return a secret under the name the forge has for it."""
        return Secret(self.config.ci.secrets.get(name, name))

    def login(self, host: str) -> Login:
        """Return the step that logs in to a registry: with the run's own token where that is enough."""
        if host == "ghcr.io" and self.provider is Provider.GITHUB:
            return Login(host=host, user=Context.ACTOR, password=Context.TOKEN)
        if self.provider is Provider.GITLAB and "gitlab" in host and not self._has_registry_secret:
            return Login(
                host=host, user=Setting("CI_REGISTRY_USER"), password=Setting("CI_REGISTRY_PASSWORD")
            )
        return Login(
            host=host,
            user=self.secret("COSGEN_REGISTRY_USER"),
            password=self.secret("COSGEN_REGISTRY_PASSWORD"),
        )

    @property
    def _has_registry_secret(self) -> bool:
        return "COSGEN_REGISTRY_PASSWORD" in self.config.ci.secrets

    @property
    def login_needs_environment(self) -> str:
        """Return the environment that holds the registry's secrets; "" when the run's token is enough."""
        if not self.has_cache:
            return ""
        return "cosgen-build" if isinstance(self.login(self.cache_host).password, Secret) else ""

    def registry_permissions(self, access: Access) -> Mapping[str, tuple[Access, str]]:
        """Return the permissions for the cache registry."""
        if not self.has_cache or self.cache_host != "ghcr.io":
            return frozen()
        why = "keep images in the cache registry" if access is Access.WRITE else "take images from the cache"
        return frozen({"packages": (access, why)})


def slug(text: str) -> str:
    """Return a text as part of a job id: letters, digits, `_` and `-`, not longer than 80.

    >>> slug("system/grub2@2.06+1")
    'system-grub2-2-06-1'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:80]
