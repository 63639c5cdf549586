"""A project: its settings, the variants it builds, and what was read of its trees."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from fnmatch import fnmatchcase

from cosgen.errors import Origin, Problem
from cosgen.manifest.config import (
    WORD,
    BudgetConfig,
    ChannelConfig,
    CiConfig,
    CompressionConfig,
    FoundationConfig,
    HooksConfig,
    JobConfig,
    KeepConfig,
    OidcConfig,
    OverlayConfig,
    ProjectConfig,
    PullRequestConfig,
    RegistryConfig,
    RepositoryConfig,
    RoleConfig,
    RunnerConfig,
    SigningConfig,
    SiteConfig,
    SkipConfig,
    TemplatesConfig,
    TriggerConfig,
    UpgradeConfig,
)
from cosgen.manifest.decoder import nearest
from cosgen.manifest.foundation import Foundation
from cosgen.manifest.os_manifest import OsManifest
from cosgen.manifest.platform import ARCHES, Variant, find_arch
from cosgen.manifest.source import Sources

__all__ = [
    "BudgetConfig",
    "ChannelConfig",
    "CiConfig",
    "CompressionConfig",
    "FoundationConfig",
    "HooksConfig",
    "JobConfig",
    "KeepConfig",
    "OidcConfig",
    "OverlayConfig",
    "Project",
    "ProjectConfig",
    "PullRequestConfig",
    "RegistryConfig",
    "RepositoryConfig",
    "RoleConfig",
    "RunnerConfig",
    "SigningConfig",
    "SiteConfig",
    "SkipConfig",
    "TemplatesConfig",
    "TriggerConfig",
    "UpgradeConfig",
    "check_config",
    "config_digest",
    "guess_variants",
    "select_packages",
]

CONFIG = "cosgen.yaml"
_DEFAULT_ARCH = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as it was read. `config` holds effective values: guesses of zero configuration included."""

    config: ProjectConfig
    root: str  # as the user gave it; never written into any output
    variants: tuple[Variant, ...]  # sorted; at least one
    problems: tuple[Problem, ...]  # of cosgen.yaml and the manifest; the trees' come with `load_tree`
    config_digest: str  # "sha256:" + 64 hex over the settings, comments and order left out
    manifest: OsManifest
    sources: Sources
    configured: bool  # there is a cosgen.yaml
    foundations: tuple[Foundation, ...] = ()  # as the lock pins them, in the order of cosgen.yaml

    def values_files(self, variant: Variant) -> tuple[str, ...]:
        """Name the values files of a variant, the strongest last."""
        return tuple(
            name.replace("{flavor}", variant.flavor).replace("{arch}", variant.arch)
            for name in self.config.values
        )

    @property
    def selected(self) -> tuple[str, ...] | None:
        """Packages to build, as category/name; None for the whole tree."""
        return select_packages(self.config, self.manifest)

    def skipped(self, variant: Variant, human: str) -> SkipConfig | None:
        """Return the rule that leaves a package (category/name) out of a variant, or None."""
        for rule in self.config.skip:
            if _applies(rule.flavors, rule.arches, variant) and any(
                fnmatchcase(human, pattern) for pattern in rule.packages
            ):
                return rule
        return None

    def overlays(self, variant: Variant, human: str) -> tuple[OverlayConfig, ...]:
        """Return the overlays of a package (category/name) in a variant, the strongest last."""
        return tuple(
            overlay
            for overlay in self.config.overlays
            if _applies(overlay.flavors, overlay.arches, variant)
            and any(fnmatchcase(human, pattern) for pattern in overlay.packages)
        )


def _applies(flavors: Sequence[str], arches: Sequence[str], variant: Variant) -> bool:
    return (not flavors or variant.flavor in flavors) and (
        not arches or any(find_arch(arch) == find_arch(variant.arch) for arch in arches)
    )


def select_packages(config: ProjectConfig, manifest: OsManifest) -> tuple[str, ...] | None:
    """Return what `select` asks for: None for the whole tree, else sorted category/name."""
    if config.select == "tree":
        return None
    if config.select == "manifest":
        return manifest.packages
    if isinstance(config.select, tuple):
        return tuple(sorted(set(config.select)))
    return (config.select,)


def config_digest(config: ProjectConfig, manifest: OsManifest) -> str:
    """Return the digest of all settings; comments, order of keys and places do not count."""
    text = json.dumps([_plain(config), _plain(manifest)], sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: _plain(getattr(value, item.name))
            for item in fields(value)
            if item.name not in {"places", "origins"}
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


_ARCH_WORDS = sorted(
    {word for arch in ARCHES for word in (arch.kernel, *arch.aliases)}, key=len, reverse=True
)
_VALUES_NAME = re.compile(rf"(?:(?P<flavor>.+)-)?(?P<arch>{'|'.join(map(re.escape, _ARCH_WORDS))})\.yaml")


def guess_variants(config: ProjectConfig, values_names: Iterable[str]) -> ProjectConfig:
    """Fill in flavors, arches and values of a project that does not say them, from `values/`.

    Args:
        config: The settings as written.
        values_names: Names of the files in `values/`.
    """
    if config.values and not config.flavors and not config.arches:
        return _named_by_values(config)
    if config.flavors or config.arches:
        return replace(config, arches=config.arches or (_DEFAULT_ARCH,))
    found = [match for name in sorted(values_names) if (match := _VALUES_NAME.fullmatch(name))]
    flavors = tuple(sorted({match["flavor"] for match in found if match["flavor"]}))
    plain = [match for match in found if not match["flavor"]]
    if flavors and not plain:
        arches = tuple(sorted({match["arch"] for match in found}))
        pairs = {(match["flavor"], match["arch"]) for match in found}
        if len(pairs) == len(flavors) * len(arches):
            return replace(config, flavors=flavors, arches=arches, values=("values/{flavor}-{arch}.yaml",))
    if plain:
        arches = tuple(sorted({match["arch"] for match in plain}))
        return replace(config, arches=arches, values=("values/{arch}.yaml",))
    return replace(config, arches=(_DEFAULT_ARCH,))


def _named_by_values(config: ProjectConfig) -> ProjectConfig:
    """Name the one variant of a project after its last values file: green-x86_64.yaml says both."""
    match = _VALUES_NAME.fullmatch(config.values[-1].rpartition("/")[2])
    if match is None or "{" in config.values[-1]:
        return replace(config, arches=(_DEFAULT_ARCH,))
    flavor = match["flavor"] or ""
    flavors = (flavor,) if re.fullmatch(WORD, flavor) else ()
    return replace(config, flavors=flavors, arches=(match["arch"],))


def variants_of(config: ProjectConfig) -> tuple[Variant, ...]:
    """Return the variants: flavors times architectures, sorted."""
    return tuple(
        sorted(Variant(flavor, arch) for flavor in config.flavors or ("",) for arch in config.arches)
    )


def check_config(config: ProjectConfig) -> list[Problem]:
    """Return what is wrong between settings: names that nothing bears, channels that go in circles."""
    check = _Check(config)
    check.arches()
    check.names()
    check.channels()
    check.jobs()
    check.upgrade()
    return check.problems


class _Check:
    def __init__(self, config: ProjectConfig) -> None:
        self.config = config
        self.problems: list[Problem] = []

    def report(self, place: str, what: str, fix: str) -> None:
        origin = self.config.places.get(place)
        while origin is None and "." in place:
            place = place.rpartition(".")[0]
            origin = self.config.places.get(place)
        self.problems.append(Problem(what=what, fix=fix, id="CG026", origin=origin or Origin(CONFIG)))

    def unknown(self, place: str, kind: str, names: Iterable[str], known: Iterable[str]) -> None:
        have = list(known)
        for name in names:
            if name not in have:
                near = nearest(name, have)
                fix = f"write `{near}`" if near else f"choose one of: {', '.join(have) or 'none is defined'}"
                self.report(place, f"`{place}` names the {kind} {name!r}, which does not exist", fix)

    def arches(self) -> None:
        known = [arch.kernel for arch in ARCHES]
        seen: dict[str, str] = {}
        for name in self.config.arches:
            arch = find_arch(name)
            if arch is None:
                near = nearest(name, known) or ", ".join(known)
                self.report("arches", f"unknown architecture {name!r}", f"write {near}")
            elif arch.kernel in seen:
                self.report("arches", f"{name!r} and {seen[arch.kernel]!r} are one architecture", "keep one")
            else:
                seen[arch.kernel] = name

    def names(self) -> None:
        config = self.config
        scopes = [(f"skip[{i}]", rule.flavors, rule.arches) for i, rule in enumerate(config.skip)]
        scopes += [(f"overlays[{i}]", rule.flavors, rule.arches) for i, rule in enumerate(config.overlays)]
        scopes += [(f"channels.{name}", rule.flavors, rule.arches) for name, rule in config.channels.items()]
        kernels = {arch.kernel for name in config.arches if (arch := find_arch(name))}
        for place, flavors, arches in scopes:
            self.unknown(f"{place}.flavors", "flavor", flavors, config.flavors)
            unknown = [
                name for name in arches if (arch := find_arch(name)) is None or arch.kernel not in kernels
            ]
            self.unknown(f"{place}.arches", "architecture", unknown, ())
        keys = [variant.key for variant in variants_of(config)]
        self.unknown("ci.optional_variants", "variant", config.ci.optional_variants, keys)
        self.unknown("ci.pull_requests.variants", "variant", config.ci.pull_requests.variants, keys)
        self.unknown("ci.oidc.roles", "channel", config.ci.oidc.roles, config.channels)

    def channels(self) -> None:
        channels = self.config.channels
        for name, channel in channels.items():
            self.unknown(f"channels.{name}.gates", "job", channel.gates, self.config.ci.jobs)
            self.gates(name, channel.gates)
            if channel.from_:
                self.unknown(f"channels.{name}.from", "channel", [channel.from_], channels)
            seen = [name]
            while (source := channels[seen[-1]].from_) in channels:
                if source in seen:
                    way = " from ".join([*seen, source])
                    self.report(
                        f"channels.{name}.from", f"channels go in a circle: {way}", "let one be built"
                    )
                    break
                seen.append(source)

    def gates(self, channel: str, names: Iterable[str]) -> None:
        jobs = self.config.ci.jobs
        for name in names:
            if name in jobs and jobs[name].after in ("publish", "site"):
                what = f"{name!r} is a gate of {channel} and runs after it moved"
                self.report(f"channels.{channel}.gates", what, f"write `after: gate` in ci.jobs.{name}")

    def upgrade(self) -> None:
        upgrade, registry = self.config.upgrade, self.config.registry
        follows = (upgrade.client, upgrade.follow)
        if follows == ("D", "channel"):
            what = "generation D has no release channels, it follows images only"
            self.report("upgrade.follow", what, "write `image`, or another `upgrade.client`")
        if follows == ("B", "image"):
            what = "generation B ignores an image named in its files; only the option --docker-image works"
            self.report("upgrade.follow", what, "write `channel`, or another `upgrade.client`")
        if upgrade.follow == "image" and not registry.images:
            what = "machines shall follow images, and the project has none"
            self.report("upgrade.follow", what, "set `registry.images`")
        if upgrade.docker_type and not registry.packages:
            what = "luet's docker type is to be published, and nothing says where"
            self.report("upgrade.docker_type", what, "set `registry.packages`")

    def jobs(self) -> None:
        jobs = self.config.ci.jobs
        for name, job in jobs.items():
            place = f"ci.jobs.{name}"
            self.unknown(f"{place}.needs", "job", job.needs, jobs)
            self.unknown(f"{place}.channels", "channel", job.channels, self.config.channels)
            if job.runner:
                self.unknown(f"{place}.runner", "runner", [job.runner], self.config.ci.runners)
            if not job.run:
                self.report(place, f"the job {name!r} runs nothing", "give it `run:`")
        self.circles(jobs)

    def circles(self, jobs: Mapping[str, JobConfig]) -> None:
        """Report each circle of jobs that wait for each other once, at its first job."""
        known: set[str] = set()
        for name in jobs:
            way = _way_back(jobs, name)
            if way and known.isdisjoint(way):
                known.update(way)
                what = f"jobs wait for each other in a circle: {' -> '.join([*way, name])}"
                self.report(f"ci.jobs.{name}.needs", what, "take one of the needs out")


def _way_back(jobs: Mapping[str, JobConfig], name: str) -> list[str]:
    """Return the jobs from `name` over needs to one that needs `name`; none when it is in no circle."""
    ways = [[name]]
    seen = {name}
    for way in ways:
        for need in jobs[way[-1]].needs:
            if need == name:
                return way
            if need in jobs and need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []
