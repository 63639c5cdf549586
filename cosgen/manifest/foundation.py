"""Foundations: published packages that a project builds on, and never builds itself."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cosgen.errors import Origin
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import FoundationPart, Package

Name = tuple[str, str]  # category, name


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationPackage:
    """One published package of a foundation."""

    definition: Definition  # what it is at run time
    finalize: str | None
    input_digest: str  # "sha256:" + 64 hex: what it was built from
    image: str  # reference of its package image; "" when nobody knows where that is
    needs: tuple[str, ...] = ()  # fingerprints of the packages it was built from directly


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """A published repository as the lock pins it, for the variants of a project."""

    name: str
    url: str
    origin: Origin  # where cosgen.yaml names it
    packages: Mapping[str, tuple[FoundationPackage, ...]]  # key of our variant -> what it offers there

    def offers(self, variant: str) -> Iterator[Package]:
        """Yield the packages of a variant, as packages of a tree."""
        beneath = _beneath(self.packages.get(variant, ()))
        for item in self.packages.get(variant, ()):
            yield Package(
                definition=item.definition,
                spec=BuildSpec(image=item.image),
                rendered="",
                values="",
                directory="",
                tree=self.url,
                files=(),
                finalize=item.finalize,
                origin=self.origin,
                foundation=FoundationPart(
                    name=self.name,
                    input_digest=item.input_digest,
                    image=item.image,
                    holds=beneath[item.definition.fingerprint],
                ),
            )


def decode_package(data: Mapping[str, object]) -> Definition:
    """Return the definition that a published index holds, in luet's JSON names."""
    return Definition(
        name=str(data.get("name", "")),
        category=str(data.get("category", "")),
        version=str(data.get("version", "")),
        requires=_references(data.get("requires")),
        conflicts=_references(data.get("conflicts")),
        provides=_references(data.get("provides")),
        hidden=data.get("hidden") is True,
        labels=_texts(data.get("labels")),
        annotations=_texts(data.get("annotations")),
        description=str(data.get("description", "")),
        license=str(data.get("license", "")),
    )


def choose_parts(
    packages: Sequence[FoundationPackage], patterns: Sequence[str]
) -> tuple[FoundationPackage, ...]:
    """Return the packages that patterns (category/name) name, with what those require at run time.

    Args:
        packages: All that a foundation offers.
        patterns: What is wanted; `*` and `?` match. Everything when empty.
    """
    if not patterns:
        return tuple(packages)
    wanted = [
        name_of(item.definition)
        for item in packages
        if any(fnmatchcase(item.definition.human, pattern) for pattern in patterns)
    ]
    reached = _closure(wanted, ((item.definition, item.definition.requires) for item in packages))
    return tuple(item for item in packages if name_of(item.definition) in reached)


def lay_beneath(
    own: Sequence[Package],
    foundations: Iterable[Foundation],
    variant: str,
    overriding: Collection[Name],
) -> tuple[tuple[Package, ...], list[tuple[str, str]]]:
    """Return what of some foundations lies beneath the packages of a variant, and what of it is overridden.

    Args:
        own: The project's packages.
        foundations: In order; of two that offer the same version of a package the first counts.
        variant: Key of the variant.
        overriding: Names of own packages that take the place of a foundation's.

    Returns:
        The packages that ours can reach, sorted by fingerprint; and each overridden one, as
        category/name@version and the foundation it is of.
    """
    mine = {package.fingerprint for package in own}
    offered: dict[str, Package] = {}
    shadowed: list[tuple[str, str]] = []
    for foundation in foundations:
        for package in foundation.offers(variant):
            if name_of(package.definition) in overriding or package.fingerprint in mine:
                human = f"{package.human}@{package.definition.version}"
                shadowed.append((human, f"foundation {foundation.name}"))
            else:
                offered.setdefault(package.fingerprint, package)
    asked = [name_of(item) for package in own for item in _asked_by(package)]
    reached = _closure(asked, ((item.definition, item.definition.requires) for item in offered.values()))
    names = {name for name, item in offered.items() if not reached.isdisjoint(_names(item.definition))}
    return tuple(offered[name] for name in sorted(names, key=str.encode)), shadowed


def name_of(item: Definition) -> Name:
    """Return category and name."""
    return item.category, item.name


def _asked_by(package: Package) -> Iterator[Definition]:
    yield from package.spec.requires
    yield from package.definition.requires
    for item in package.spec.subpackages:
        yield from item.definition.requires
    yield from (item.package for item in package.spec.copy if item.package is not None)


def _names(item: Definition) -> tuple[Name, ...]:
    return (name_of(item), *map(name_of, item.provides))


def _closure(start: Iterable[Name], offers: Iterable[tuple[Definition, Iterable[Definition]]]) -> set[Name]:
    """Return the names that some lead to over requirements, provided names included."""
    leads: dict[Name, list[Name]] = {}
    for item, requires in offers:
        for name in _names(item):
            leads.setdefault(name, []).extend((name_of(item), *map(name_of, requires)))
    reached: set[Name] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += leads.get(name, ())
    return reached


def _beneath(packages: Iterable[FoundationPackage]) -> dict[str, frozenset[str]]:
    """Return for each package the fingerprints of all that its image was built on."""
    needs = {item.definition.fingerprint: item.needs for item in packages}
    found: dict[str, frozenset[str]] = {}
    for name, direct in needs.items():
        seen: set[str] = set()
        waiting = list(direct)
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting += needs.get(other, ())
        found[name] = frozenset(seen)
    return found


def _references(value: object) -> tuple[Definition, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(
        Definition(
            name=str(item.get("name", "")),
            category=str(item.get("category", "")),
            version=str(item.get("version", "")),
        )
        for item in items
        if isinstance(item, Mapping)
    )


def _texts(value: object) -> Mapping[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
