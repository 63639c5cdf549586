"""Package records of all channels and variants, put together by package."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

from cosgen.manifest.platform import Variant
from cosgen.manifest.version import compare_versions
from cosgen.repository.record import PackageRecord
from cosgen.repository.snapshot import Snapshot, VariantIndex
from cosgen.site.model import Build, BuildGraph, Foundation, GraphNode, Package, Requirement

Load = Callable[[VariantIndex], Iterable[PackageRecord]]

_FOUNDATIONS = {  # what carries each, but for packages of that name
    "systemd": frozenset({"usr/lib/systemd/systemd", "lib/systemd/systemd"}),
    "dracut": frozenset({"usr/bin/dracut", "usr/sbin/dracut"}),
    "grub": frozenset({"usr/sbin/grub-install", "usr/sbin/grub2-install", "usr/bin/grub-mkimage"}),
}
_newest_first = functools.cmp_to_key(lambda a, b: compare_versions(str(b), str(a)))


def collect_packages(current: Mapping[str, Snapshot], load: Load, *, hidden: bool) -> tuple[Package, ...]:
    """Return every package that some channel offers, by category and name.

    Args:
        current: The snapshot of each channel, in the site's order of channels.
        load: Reads the records of a variant.
        hidden: Also return packages whose definition says `hidden`.
    """
    found: dict[tuple[str, str], dict[tuple[Variant, str, str], tuple[PackageRecord, list[str]]]] = {}
    for channel, snapshot in current.items():
        for _, index in sorted(snapshot.variants.items()):
            variant = Variant(index.flavor, index.arch)
            for record in load(index):
                if hidden or not record.definition.get("hidden"):
                    builds = found.setdefault((record.category, record.name), {})
                    key = (variant, record.version, record.archive.digest + record.input_digest)
                    builds.setdefault(key, (record, []))[1].append(channel)
    packages = [_package(key, builds) for key, builds in sorted(found.items())]
    return _with_dependents(packages)


def _package(
    key: tuple[str, str], builds: Mapping[tuple[Variant, str, str], tuple[PackageRecord, list[str]]]
) -> Package:
    made = [_build(place[0], record, channels) for place, (record, channels) in builds.items()]
    made.sort(key=lambda build: (_newest_first(build.version), build.variant, build.channels))
    newest = next(record for place, (record, _) in builds.items() if place[1] == made[0].version)
    definition = newest.definition
    requires = sorted({edge.human for build in made for edge in build.requires})
    return Package(
        category=key[0],
        name=key[1],
        description=str(definition.get("description") or ""),
        license=str(definition.get("license") or ""),
        uris=tuple(map(str, _items(definition.get("uri")))),
        labels=tuple(sorted((str(k), str(v)) for k, v in _mapping(definition.get("labels")).items())),
        readme=newest.readme or "",
        builds=tuple(made),
        requires=tuple(requires),
        bundle=bool(requires) and not any(build.files for build in made),
    )


def _build(variant: Variant, record: PackageRecord, channels: Sequence[str]) -> Build:
    definition = record.definition
    return Build(
        version=record.version,
        variant=variant,
        channels=tuple(channels),
        digest=record.archive.digest,
        size=record.archive.size,
        installed_size=record.installed_size,
        input_digest=record.input_digest,
        key=record.archive.key,
        attestation=record.attestation.key if record.attestation else "",
        sbom_digest=record.sbom.digest if record.sbom else "",
        provenance_digest=record.provenance.digest if record.provenance else "",
        requires=_edges(definition.get("requires")),
        conflicts=_edges(definition.get("conflicts")),
        provides=_edges(definition.get("provides")),
        files=record.files,
        seconds=record.seconds or 0.0,
        log_url=record.log,
        revision=record.revision,
    )


def _edges(value: object) -> tuple[Requirement, ...]:
    edges = [
        Requirement(
            human=f"{edge.get('category', '')}/{edge.get('name', '')}",
            selector=str(edge.get("version") or ""),
        )
        for edge in map(_mapping, _items(value))
    ]
    return tuple(sorted(edges, key=lambda edge: (edge.human, edge.selector)))


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _mapping(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _with_dependents(packages: Sequence[Package]) -> tuple[Package, ...]:
    users: dict[str, set[str]] = {}
    for package in packages:
        for need in package.requires:
            users.setdefault(need, set()).add(package.human)
    return tuple(_replace(package, tuple(sorted(users.get(package.human, ())))) for package in packages)


def _replace(package: Package, dependents: tuple[str, ...]) -> Package:
    return dataclasses.replace(package, dependents=dependents) if dependents else package


def collect_graphs(channel: str, snapshot: Snapshot, load: Load, *, hidden: bool) -> tuple[BuildGraph, ...]:
    """Return what was built on what in one channel, a graph for each variant.

    Records of before builds noted what they needed have run-time requirements for edges.
    """
    return tuple(
        _graph(channel, index, tuple(load(index)), hidden=hidden)
        for _, index in sorted(snapshot.variants.items())
    )


def _graph(
    channel: str, index: VariantIndex, records: Sequence[PackageRecord], *, hidden: bool
) -> BuildGraph:
    noted = any(record.needs for record in records)
    names = {record.fingerprint: _human(record) for record in records}
    newest: dict[str, PackageRecord] = {}
    for record in records:
        old = newest.get(_human(record))
        if old is None or compare_versions(record.version, old.version) > 0:
            newest[_human(record)] = record

    def needs(record: PackageRecord) -> Iterable[str]:
        if noted:
            return (names[need] for need in record.needs if need in names)
        return (edge.human for edge in _edges(record.definition.get("requires")))

    shown = {human: r for human, r in sorted(newest.items()) if hidden or not r.definition.get("hidden")}
    nodes = tuple(
        GraphNode(
            human=human,
            version=record.version,
            seconds=record.seconds or 0.0,
            needs=tuple(sorted({*needs(record)} & shown.keys())),
        )
        for human, record in shown.items()
    )
    variant = Variant(index.flavor, index.arch)
    return BuildGraph(variant=variant, channel=channel, nodes=nodes, edges="build" if noted else "runtime")


def _human(record: PackageRecord) -> str:
    return f"{record.category}/{record.name}"


def find_foundations(packages: Sequence[Package]) -> tuple[Foundation, ...]:
    """Return which packages carry the foundation stack, by their names and by what is in them."""
    found = {
        base: tuple(package.human for package in packages if _carries(package, base, paths))
        for base, paths in _FOUNDATIONS.items()
    }
    return tuple(Foundation(name=base, packages=humans) for base, humans in found.items() if humans)


def _carries(package: Package, base: str, paths: frozenset[str]) -> bool:
    named = package.name.split("-")[0].rstrip("0123456789") == base
    return named or not paths.isdisjoint(package.builds[0].files)
