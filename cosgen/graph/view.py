"""Views: what the packages of a tree mean by their references, at build time and at run time.

The build view has the requirements of `build.yaml`; the runtime view those of the definitions, and the
subpackages. A package made from final images has its own build requirements joined: their closure is
followed over the runtime view.

Source: luet 3f2397b6, compiler.go; luet-specs 1.3, 5.1, 5.6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cosgen.errors import Problem
from cosgen.graph.chain import CycleFound, order_chain
from cosgen.graph.model import Fingerprint
from cosgen.graph.resolve import Catalog, Entry, Solution, Unresolved, name_of, solve
from cosgen.graph.rules import problem, warning
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import Package
from cosgen.manifest.version import Compat


class View:
    """All references of a tree, resolved for each package as the target."""

    def __init__(
        self, packages: Sequence[Package], compat: Compat = "head", trees: Sequence[str] = ()
    ) -> None:
        """Index packages; of the `trees`, as luet reads them in order, the later one's `provides` count."""
        self.packages = {Fingerprint(package.fingerprint): package for package in packages}
        rank = {tree: number for number, tree in enumerate(trees)}  # foundations have none, and come first
        read_order = sorted(
            packages,
            key=lambda item: (rank.get(item.tree, -1), item.tree, item.origin.path.split("/"), item.origin),
        )
        self.build = Catalog((_build_entry(item, compat) for item in read_order), compat)
        self.subpackages: dict[Fingerprint, Fingerprint] = {}
        self.run = Catalog(self._runtime_entries(read_order), compat)
        self.final_fixed = frozenset(
            name for name, package in self.packages.items() if package.spec.requires_final_images
        )
        self.redirects: dict[Fingerprint, Fingerprint] = {}
        for name, entry in self.build.entries.items():
            provider = self.build.redirect(entry)
            if provider is not None:
                self.redirects[name] = provider
        self._problems: dict[Fingerprint, list[Problem]] = {name: [] for name in self.packages}
        self._solutions: dict[Fingerprint, Solution] = {}
        self._unresolved: set[Fingerprint] = set()
        self._final: dict[Fingerprint, tuple[Fingerprint, ...]] = {}
        for name in self.packages:
            self._solve(name)
        for name in sorted(self.final_fixed):
            self._final[name] = self._join(name)
        self._copies = {name: self._copied(name) for name in self.packages}
        self._runtime = {name: self._run_requires(name) for name in self.packages}

    def solution(self, name: Fingerprint) -> Solution:
        """Return the versions chosen for a target."""
        return self._solutions[name]

    def is_unresolved(self, name: Fingerprint) -> bool:
        """Tell whether a package's own build requirements have no answer."""
        return name in self._unresolved

    def chained(self, name: Fingerprint, solution: Solution) -> Iterable[Fingerprint]:
        """Return what lies beneath a package in a chain, given a target's solution."""
        if name in self.final_fixed:
            return ()
        return _picks(self.packages[name].spec.requires, solution)

    def requires(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return the direct build requirements, sorted; () for packages made from final images."""
        return tuple(sorted(set(self.chained(name, self._solutions[name]))))

    def final(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return what is joined for a package, in order."""
        return self._final.get(name, ())

    def copies(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return what a package copies from, sorted."""
        return tuple(sorted({item for item in self._copies[name] if item is not None}))

    def copy_sources(self, name: Fingerprint) -> tuple[Fingerprint | None, ...]:
        """Return the package of each copy entry, None for entries without one."""
        return self._copies[name]

    def runtime(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return the direct runtime requirements, sorted."""
        return self._runtime[name]

    def needs(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return everything that must be built before, sorted."""
        return tuple(sorted({*self.requires(name), *self.final(name), *self.copies(name)}))

    def problems(self, name: Fingerprint) -> list[Problem]:
        """Return what is wrong with a package's references."""
        return self._problems[name]

    def join_members(self, name: Fingerprint) -> tuple[Fingerprint, ...] | None:
        """Return the chain of a joined package as luet's join tag counts it: final images required, too."""
        solution = self._solutions[name]
        try:
            return order_chain(name, lambda other: _picks(self.packages[other].spec.requires, solution))
        except CycleFound:
            return None

    def _runtime_entries(self, packages: Iterable[Package]) -> Iterable[Entry]:
        for package in packages:
            yield _entry(package.definition, package.definition.requires, package.definition.conflicts)
            for item in package.spec.subpackages:
                entry = _entry(item.definition, item.definition.requires, item.definition.conflicts)
                if entry.fingerprint not in self.packages:
                    self.subpackages[entry.fingerprint] = Fingerprint(package.fingerprint)
                    yield entry

    def _solve(self, name: Fingerprint) -> None:
        package = self.packages[name]
        found = solve(self.build, self.build.entries[name], self.final_fixed)
        if isinstance(found, Unresolved):
            self._solutions[name] = Solution(self.build)
            self._unresolved.add(name)
            self._problems[name].append(self._no_version(package, found, self.build))
            return
        self._solutions[name] = found
        for reference in package.spec.requires:
            if found.pick(reference) is None:
                self._unresolved.add(name)
                self._problems[name].append(
                    _missing(package, reference, self.build, "CG401", "build-requires")
                )

    def _no_version(self, package: Package, fault: Unresolved, catalog: Catalog) -> Problem:
        human = "/".join(fault.name)
        have = ", ".join(catalog.versions(fault.name)) or "none"
        if fault.exhausted:
            what = f"{package.human}: choosing versions takes too long, last for {human}"
            return problem("CG418", what, origin=package.origin)
        asked = "; ".join(f"{self._human(who)} asks for {text}" for who, text in fault.demands)
        what = f"{package.human} has no solution: no version of {human} will do ({asked}; there is {have})"
        return problem("CG402", what, origin=package.origin)

    def _human(self, name: Fingerprint) -> str:
        package = self.packages.get(name)
        return f"{package.human}@{package.definition.version}" if package else name

    def _join(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return the packages whose artifacts are laid over each other for a package, in order."""
        package = self.packages[name]
        entry = replace(self.run.entries[name], requires=package.spec.requires)
        found = solve(self.run, entry)
        if isinstance(found, Unresolved):
            self._problems[name].append(self._no_version(package, found, self.run))
            return ()
        try:
            chain = order_chain(name, lambda other: self._joined(entry, other, found))
        except CycleFound as error:
            way = " -> ".join(map(self._human, error.path))
            what = f"what {package.human} joins goes in a circle at run time: {way}"
            self._problems[name].append(problem("CG403", what, origin=package.origin))
            return ()
        return tuple(item for item in chain[:-1] if self._can_be_joined(package, item))

    def _joined(self, target: Entry, name: Fingerprint, solution: Solution) -> list[Fingerprint]:
        entry = target if name == target.fingerprint else self.run.entries[name]
        found = []
        for reference in entry.requires:
            picked = solution.pick(reference)
            if picked is not None:
                found.append(picked)
                continue
            package = self.packages[target.fingerprint]
            known = [item.what for item in self._problems[target.fingerprint]]
            fault = _missing(
                package, reference, self.run, "CG401", f"joins what {'/'.join(entry.name)} requires,"
            )
            if fault.what not in known and entry is not target:
                self._problems[target.fingerprint].append(fault)
        return found

    def _can_be_joined(self, package: Package, item: Fingerprint) -> bool:
        if item in self.packages:
            return True
        owner = self._human(self.subpackages[item])
        what = f"{package.human} joins {item}, a subpackage of {owner}"
        self._problems[Fingerprint(package.fingerprint)].append(problem("CG415", what, origin=package.origin))
        return False

    def _copied(self, name: Fingerprint) -> tuple[Fingerprint | None, ...]:
        package = self.packages[name]
        found: list[Fingerprint | None] = []
        for item in package.spec.copy:
            picked = None
            if item.package is not None and item.package.name and not item.package.version:
                what = f"{package.human} copies from {item.package.human} without a version"
                self._problems[name].append(problem("CG413", what, origin=package.where(item.package)))
            elif item.package is not None and item.package.name:
                candidates = self.build.candidates(item.package)
                picked = candidates[0] if candidates else None
                if picked is None:
                    fault = _missing(package, item.package, self.build, "CG412", "copies from")
                    self._problems[name].append(fault)
            found.append(picked)
        return tuple(found)

    def _run_requires(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        package = self.packages[name]
        found: set[Fingerprint] = set()
        for reference in package.definition.requires:
            candidates = self.run.candidates(reference)
            if candidates:
                found.add(self.subpackages.get(candidates[0], candidates[0]))
            else:
                fault = _missing(package, reference, self.run, "CG414", "requires at run time")
                self._problems[name].append(fault)
        return tuple(sorted(found))


def _picks(references: Iterable[Definition], solution: Solution) -> list[Fingerprint]:
    return [picked for reference in references if (picked := solution.pick(reference)) is not None]


def _build_entry(package: Package, compat: Compat) -> Entry:
    """Return a package as builds see it; of luet's newest generation, also what its spec provides."""
    entry = _entry(package.definition, package.spec.requires, package.spec.conflicts)
    if package.spec.provides and compat == "head":
        return replace(entry, provides=package.spec.provides)
    return entry


def _entry(
    definition: Definition, requires: tuple[Definition, ...], conflicts: tuple[Definition, ...]
) -> Entry:
    return Entry(
        fingerprint=Fingerprint(definition.fingerprint),
        name=name_of(definition),
        version=definition.version,
        requires=requires,
        conflicts=conflicts,
        provides=definition.provides,
    )


def _missing(package: Package, reference: Definition, catalog: Catalog, id_: str, verb: str) -> Problem:
    asked = f"{reference.human} {reference.version}".rstrip()
    versions = catalog.versions(name_of(reference))
    if versions:
        what = f"{package.human} {verb} {asked}, and there is only {', '.join(versions)}"
    else:
        what = f"{package.human} {verb} {asked}, which is not in the trees"
    make = warning if id_ == "CG414" else problem
    return make(id_, what, origin=package.where(reference))
