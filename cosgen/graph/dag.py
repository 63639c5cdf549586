"""Directed acyclic graphs of named, weighted nodes, and the few things every schedule asks of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from cosgen.graph.order import topological_order


@dataclass(frozen=True, slots=True)
class Dag:
    """A graph without cycles. `needs` and `weights` have the same keys; every need is one of them."""

    needs: Mapping[str, frozenset[str]]  # node -> what must be done before it
    weights: Mapping[str, float]  # seconds, not negative

    def dependents(self) -> dict[str, list[str]]:
        """Return node -> those that need it, sorted."""
        result: dict[str, list[str]] = {node: [] for node in sorted(self.needs)}
        for node in sorted(self.needs):
            for need in self.needs[node]:
                result[need].append(node)
        return result


def make_dag(needs: Mapping[str, Iterable[str]], weights: Mapping[str, float]) -> Dag:
    """Make a graph; needs that are no nodes themselves are left out, they are done already.

    Raises:
        ValueError: There is a cycle.
    """
    kept = {node: frozenset(need for need in needs[node] if need in needs) for node in needs}
    try:
        TopologicalSorter(kept).prepare()
    except CycleError as error:
        raise ValueError(f"not acyclic: {' -> '.join(map(str, error.args[1]))}") from error
    return Dag(kept, {node: max(0.0, weights.get(node, 0.0)) for node in kept})


def levels(dag: Dag) -> dict[str, int]:
    """Return node -> length in edges of the longest path that leads to it (Mirsky 1971: antichains)."""
    result: dict[str, int] = {}
    for node in topological_order(dag.needs):
        result[node] = 1 + max((result[need] for need in dag.needs[node]), default=-1)
    return result


def transitive_reduction(dag: Dag) -> dict[str, frozenset[str]]:
    """Return the fewest needs that force the same order (Aho, Garey and Ullman 1972).

    Ancestors are kept as bit sets of Python's long integers: 10,000 nodes take about a second.
    """
    order = topological_order(dag.needs)
    place = {node: index for index, node in enumerate(order)}
    above: dict[str, int] = {}
    reduced: dict[str, frozenset[str]] = {}
    for node in order:
        reached = 0
        kept = []
        for need in sorted(dag.needs[node], key=place.__getitem__, reverse=True):
            if not reached >> place[need] & 1:
                kept.append(need)
                reached |= above[need] | 1 << place[need]
        above[node] = reached
        reduced[node] = frozenset(kept)
    return reduced


def components(dag: Dag) -> list[tuple[str, ...]]:
    """Return the connected components, edges taken both ways: each sorted, all sorted by first node."""
    dependents = dag.dependents()
    seen: set[str] = set()
    result = []
    for start in sorted(dag.needs):
        if start in seen:
            continue
        seen.add(start)
        members, rest = [], [start]
        while rest:
            node = rest.pop()
            members.append(node)
            for neighbor in (*dag.needs[node], *dependents[node]):
                if neighbor not in seen:
                    seen.add(neighbor)
                    rest.append(neighbor)
        result.append(tuple(sorted(members)))
    return result
