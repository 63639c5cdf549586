"""Resolve requirements: which package, at which version, a reference means for one target.

For each category/name one version is chosen: the newest that satisfies all selectors and conflicts in the
target's closure. Luet asks a SAT solver about the whole tree, so that one unsatisfiable selector breaks every
target; here the closure alone counts. `provides` redirects every lookup, as in luet.

Source: luet 3f2397b6, pkg/solver/solver.go, pkg/database/database_mem.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cosgen.graph.model import Fingerprint
from cosgen.manifest.definition import Definition
from cosgen.manifest.selector import is_selector, matches
from cosgen.manifest.version import Compat, sort_key

Name = tuple[str, str]  # category, name
STEP_LIMIT = 50_000  # choices tried for one target before giving up


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A package as the resolver sees it."""

    fingerprint: Fingerprint
    name: Name
    version: str
    requires: tuple[Definition, ...] = ()
    conflicts: tuple[Definition, ...] = ()
    provides: tuple[Definition, ...] = ()


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a target has no solution: a name for which no version will do, and who asks for what."""

    name: Name
    demands: tuple[tuple[Fingerprint, str], ...]  # who, and the version text
    exhausted: bool = False  # the search was given up, not completed


class Catalog:
    """All packages of a tree under their names, with lookups as luet makes them. Immutable once made."""

    def __init__(self, entries: Iterable[Entry], compat: Compat = "head") -> None:
        """Index entries.

        Args:
            entries: In the order in which they were read; of two providers the later counts.
            compat: Luet generation whose selectors are used.
        """
        self._compat = compat
        self.entries: dict[Fingerprint, Entry] = {entry.fingerprint: entry for entry in entries}
        self._versions: dict[Name, list[Entry]] = {}
        self._provided: dict[Name, dict[str, Fingerprint]] = {}
        self._found: dict[tuple[Name, str], tuple[Fingerprint, ...]] = {}
        for entry in self.entries.values():
            self._versions.setdefault(entry.name, []).append(entry)
            for item in entry.provides:
                self._provided.setdefault(name_of(item), {})[item.version] = entry.fingerprint
        for versions in self._versions.values():
            versions.sort(key=lambda entry: (sort_key(entry.version), entry.version), reverse=True)
        self.is_simple = all(len(versions) == 1 for versions in self._versions.values()) and not any(
            entry.conflicts for entry in self.entries.values()
        )

    def knows(self, reference: Definition) -> bool:
        """Tell whether some package bears the name, or provides it."""
        name = name_of(reference)
        return name in self._versions or name in self._provided

    def versions(self, name: Name) -> tuple[str, ...]:
        """Return the versions there are of a name, newest first."""
        return tuple(entry.version for entry in self._versions.get(name, ()))

    def candidates(self, reference: Definition) -> tuple[Fingerprint, ...]:
        """Return the packages that a reference accepts, newest first; () when there is none."""
        key = (name_of(reference), reference.version)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(*key)
        return found

    def redirect(self, entry: Entry) -> Fingerprint | None:
        """Return the package that is found in place of `entry`, whose name it provides, or None."""
        provider = self._provider(entry.name, entry.version)
        return None if provider in {None, entry.fingerprint} else provider

    def _look_up(self, name: Name, wanted: str) -> tuple[Fingerprint, ...]:
        provider = self._provider(name, wanted)
        if provider is not None:
            return (provider,)
        versions = self._versions.get(name, ())
        if not is_selector(wanted):
            return tuple(entry.fingerprint for entry in versions if entry.version == wanted)
        return tuple(entry.fingerprint for entry in versions if matches(entry.version, wanted, self._compat))

    def _provider(self, name: Name, wanted: str) -> Fingerprint | None:
        offers = self._provided.get(name)
        if not offers:
            return None
        if wanted in offers:
            return offers[wanted]
        for offered in sorted(offers):
            if is_selector(offered) and matches(wanted, offered, self._compat):
                return offers[offered]
        return None


class Solution:
    """What every reference in one target's closure means."""

    def __init__(self, catalog: Catalog, chosen: Mapping[Name, Fingerprint] | None = None) -> None:
        """Make a solution; without `chosen` every reference means its newest candidate."""
        self._catalog = catalog
        self._chosen = chosen

    @property
    def is_newest(self) -> bool:
        """Every reference means its newest candidate, so the solution is shared by many targets."""
        return self._chosen is None

    def pick(self, reference: Definition) -> Fingerprint | None:
        """Return the package a reference means, or None when there is none."""
        candidates = self._catalog.candidates(reference)
        if self._chosen is None:
            return candidates[0] if candidates else None
        entries = self._catalog.entries
        for candidate in candidates:
            if self._chosen.get(entries[candidate].name) == candidate:
                return candidate
        return None


def name_of(reference: Definition) -> Name:
    """Return the category and name of a reference."""
    return (reference.category, reference.name)


def solve(
    catalog: Catalog, target: Entry, skip: frozenset[Fingerprint] = frozenset()
) -> Solution | Unresolved:
    """Choose versions for everything that a target needs.

    The newest candidates are tried first, in the order of the requirements (depth-first search with
    chronological backtracking, bounded by `STEP_LIMIT`). Names that nobody bears are passed over: they
    are told of where they are needed.

    Args:
        catalog: All packages.
        target: What to solve for; it may differ from the catalog's entry of its fingerprint.
        skip: Packages whose own requirements do not count (those joined from final images).
    """
    if catalog.is_simple and catalog.entries.get(target.fingerprint) is target:
        return Solution(catalog)
    if _newest_will_do(catalog, target, skip):
        return Solution(catalog)
    return _Search(catalog, target, skip).run()


def _newest_will_do(catalog: Catalog, target: Entry, skip: frozenset[Fingerprint]) -> bool:
    """Tell whether taking the newest candidate everywhere gives one version a name and no conflict."""
    chosen: dict[Name, Fingerprint] = {target.name: target.fingerprint}
    closure = [target]
    for entry in closure:  # grows while it is walked
        for reference in () if entry.fingerprint in skip else entry.requires:
            found = catalog.candidates(reference)
            if not found:
                if catalog.knows(reference) and is_selector(reference.version):
                    return False
                continue
            other = catalog.entries[found[0]]
            known = chosen.get(other.name)
            if known is None:
                chosen[other.name] = other.fingerprint
                closure.append(other)
            elif known != other.fingerprint:
                return False
    return not any(_in_conflict(catalog, entry, chosen) for entry in closure)


def _in_conflict(catalog: Catalog, entry: Entry, chosen: Mapping[Name, Fingerprint]) -> bool:
    return any(
        other != entry.fingerprint and chosen.get(catalog.entries[other].name) == other
        for reference in entry.conflicts
        for other in catalog.candidates(reference)
    )


@dataclass(slots=True)
class _Choice:
    """A place in the search to come back to: which demand, and the candidates not yet tried."""

    demand: int
    untried: list[Fingerprint]
    agenda: int  # length of the agenda before the choice
    name: Name | None = None  # what was chosen here


class _Search:
    """Depth-first search with chronological backtracking over the demands of a growing closure."""

    def __init__(self, catalog: Catalog, target: Entry, skip: frozenset[Fingerprint]) -> None:
        self.catalog = catalog
        self.target = target
        self.skip = skip
        self.chosen: dict[Name, Fingerprint] = {target.name: target.fingerprint}
        self.forbidden: dict[Fingerprint, int] = {}  # how many chosen packages conflict with it
        self.agenda: list[tuple[Fingerprint, Definition]] = []
        self.deepest = -1
        self.fault = Unresolved(target.name, ())

    def run(self) -> Solution | Unresolved:
        """Search; the first solution found is the answer."""
        self._enter(self.target)
        choices: list[_Choice] = []
        demand = 0
        for _ in range(STEP_LIMIT):
            if demand == len(self.agenda):
                return Solution(self.catalog, dict(self.chosen))
            if self._is_met(demand):
                demand += 1
                continue
            choices.append(_Choice(demand, self._open_candidates(demand), len(self.agenda)))
            while choices and not self._advance(choices[-1]):
                choices.pop()
            if not choices:
                return self.fault
            demand = choices[-1].demand + 1
        return Unresolved(self.fault.name, self.fault.demands, exhausted=True)

    def _is_met(self, demand: int) -> bool:
        reference = self.agenda[demand][1]
        found = self.catalog.candidates(reference)
        if not found:  # a name nobody bears, or an exact version that is not there: told where it is needed
            return not (self.catalog.knows(reference) and is_selector(reference.version))
        return any(self.chosen.get(self._entry(one).name) == one for one in found)

    def _open_candidates(self, demand: int) -> list[Fingerprint]:
        """Return the candidates that can still be chosen, newest last."""
        found = [
            one
            for one in self.catalog.candidates(self.agenda[demand][1])
            if self._entry(one).name not in self.chosen and self._is_free(one)
        ]
        if not found and demand > self.deepest:
            self.deepest = demand
            self.fault = self._explain(demand)
        return found[::-1]

    def _is_free(self, one: Fingerprint) -> bool:
        return not self.forbidden.get(one) and not _in_conflict(self.catalog, self._entry(one), self.chosen)

    def _advance(self, choice: _Choice) -> bool:
        """Undo what was chosen at a place and choose the next candidate; False when there is none."""
        if choice.name is not None:
            self._leave(choice)
        if not choice.untried:
            return False
        entry = self._entry(choice.untried.pop())
        choice.name = entry.name
        self.chosen[entry.name] = entry.fingerprint
        self._enter(entry)
        return True

    def _enter(self, entry: Entry) -> None:
        for other in self._conflicting(entry):
            self.forbidden[other] = self.forbidden.get(other, 0) + 1
        if entry.fingerprint not in self.skip:
            self.agenda.extend((entry.fingerprint, reference) for reference in entry.requires)

    def _leave(self, choice: _Choice) -> None:
        if choice.name is None:
            return
        entry = self._entry(self.chosen.pop(choice.name))
        for other in self._conflicting(entry):
            self.forbidden[other] -= 1
        del self.agenda[choice.agenda :]
        choice.name = None

    def _conflicting(self, entry: Entry) -> list[Fingerprint]:
        found = (other for ref in entry.conflicts for other in self.catalog.candidates(ref))
        return [other for other in found if other != entry.fingerprint]

    def _entry(self, fingerprint: Fingerprint) -> Entry:
        return self.target if fingerprint == self.target.fingerprint else self.catalog.entries[fingerprint]

    def _explain(self, demand: int) -> Unresolved:
        name = name_of(self.agenda[demand][1])
        demands = {
            (owner, reference.version)
            for owner, reference in self.agenda[: demand + 1]
            if name_of(reference) == name
        }
        return Unresolved(name, tuple(sorted(demands)))
