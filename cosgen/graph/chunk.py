"""Grouping a graph into at most N jobs, so that order is kept and the critical path grows little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from cosgen.graph.dag import Dag, levels, make_dag, transitive_reduction
from cosgen.graph.schedule import Timing, simulate, time_nodes

_ROUNDS = 12  # of the search for the deadline: to about a hundredth
_LEAF_SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # of the deadline, for one chunk of leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Nodes that one job builds, in this order; no two of them need each other."""

    name: str  # "c0001", in the order of chunks
    members: tuple[str, ...]
    needs: tuple[str, ...]  # names of chunks, transitively reduced, sorted
    weight: float  # seconds of work, overheads not counted


def group_into(dag: Dag, limit: int, *, overhead: float = 0.0) -> tuple[Chunk, ...]:
    """Group the nodes into at most `limit` chunks by slack-bounded level chunking.

    Levels (antichains, Mirsky 1971) are packed from the top. A chunk grows while it ends early enough for
    each of its members: a member's slack towards a deadline for the whole is shared out over the levels still
    below it, so that what one level spends is not spent again by the next. Nodes without slack stay alone.
    Leaves, which nothing needs, come last, over all levels, longest first (LPT, Graham 1969) among those
    that are ready. The earliest deadline that gives few enough chunks is found by halving. Chunks are
    antichains of one level, or of leaves, so their graph has no cycle: a simple case of acyclic partitioning
    (Herrmann et al. 2019).

    Args:
        dag: What is to be built.
        limit: Most chunks, at least the number of levels for the order to be kept.
        overhead: Seconds that every job takes on top of its packages.

    Returns:
        The chunks, needs before dependents.

    Raises:
        ValueError: `limit` is below the number of levels.
    """
    if len(dag.needs) <= limit:
        return _finish(dag, [[node] for node in sorted(dag.needs)])
    packer = _Packer(dag, overhead)
    if limit < len(packer.inner) + 1:
        raise ValueError(f"{len(packer.inner) + 1} levels do not fit into {limit} chunks")
    return _finish(dag, packer.fewest_seconds(limit))


class _Packer:
    """Packs one graph into chunks, for any deadline."""

    def __init__(self, dag: Dag, overhead: float) -> None:
        self.dag = dag
        self.overhead = overhead
        self.timing: Timing = time_nodes(dag)
        heights = levels(dag)
        dependents = dag.dependents()
        self.depth: dict[str, int] = {}  # levels below a node
        for node in sorted(heights, key=heights.__getitem__, reverse=True):
            self.depth[node] = max((self.depth[other] + 1 for other in dependents[node]), default=0)
        self.leaves = [node for node in dag.needs if not dependents[node]]
        self.inner: list[list[str]] = []
        for node in sorted(heights, key=lambda name: (heights[name], name)):
            if dependents[node]:
                while len(self.inner) <= heights[node]:
                    self.inner.append([])
                self.inner[heights[node]].append(node)

    def fewest_seconds(self, limit: int) -> list[list[str]]:
        """Return the chunks of the schedule that ends first, of a few ways to bound chunks of leaves."""
        critical, work = self.timing.critical_seconds, self.timing.work_seconds
        runners = max(1, ceil(work / critical)) if critical else 1
        best: tuple[float, list[list[str]]] | None = None
        for share in _LEAF_SHARES:
            found = self._search(limit, share)
            if found is not None:
                seconds = self._simulate(found, runners)
                if best is None or seconds < best[0]:
                    best = (seconds, found)
        return best[1] if best else self._even(limit)

    def _search(self, limit: int, share: float) -> list[list[str]] | None:
        low = self.timing.critical_seconds
        high = (self.timing.work_seconds + self.overhead * len(self.dag.needs)) * 2 + 1.0
        best = self._pack(high, share)
        if len(best) > limit:
            return None
        for _ in range(_ROUNDS):
            middle = sqrt(low * high) if low else high / 2
            tried = self._pack(middle, share)
            if len(tried) <= limit:
                best, high = tried, middle
            else:
                low = middle
        return best

    def _pack(self, deadline: float, share: float) -> list[list[str]]:
        """Fill chunks so that all should end by `deadline`; `share` of it bounds a chunk of leaves."""
        ends: dict[str, float] = {}
        chunks: list[list[str]] = []
        for nodes in self.inner:
            chunks += self._level(nodes, deadline, ends)
        return chunks + self._fill_leaves(deadline, deadline * share, ends)

    def _level(self, nodes: Sequence[str], deadline: float, ends: dict[str, float]) -> list[list[str]]:
        weights, bottom = self.dag.weights, self.timing.bottom
        ready = {node: max((ends[need] for need in self.dag.needs[node]), default=0.0) for node in nodes}
        latest = {
            node: ready[node]
            + weights[node]
            + max(0.0, deadline - ready[node] - bottom[node]) / (self.depth[node] + 1)
            for node in nodes
        }
        chunks: list[list[str]] = []
        start = bound = total = 0.0
        for node in sorted(nodes, key=lambda name: (latest[name], name)):
            after = max(start, ready[node])
            weight = weights[node] + self.overhead
            if chunks and after + total + weight <= min(bound, latest[node]):
                chunks[-1].append(node)
                start, total = after, total + weight
            else:
                chunks.append([node])
                start, total, bound = ready[node], weight, latest[node]
            bound = min(bound, latest[node])
        for chunk in chunks:
            end = max(ready[node] for node in chunk) + sum(weights[node] + self.overhead for node in chunk)
            ends.update(dict.fromkeys(chunk, end))
        return chunks

    def _fill_leaves(self, deadline: float, cap: float, ends: Mapping[str, float]) -> list[list[str]]:
        ready = {
            node: max((ends[need] for need in self.dag.needs[node]), default=0.0) for node in self.leaves
        }
        chunks: list[list[str]] = []
        start = total = 0.0
        for node in sorted(self.leaves, key=lambda name: (ready[name], -self.dag.weights[name], name)):
            after = max(start, ready[node])
            weight = self.dag.weights[node] + self.overhead
            if chunks and total + weight <= cap and after + total + weight <= deadline:
                chunks[-1].append(node)
                start, total = after, total + weight
            else:
                chunks.append([node])
                start, total = ready[node], weight
        return chunks

    def _even(self, limit: int) -> list[list[str]]:
        """Deal each level, and the leaves, to chunks of even number: what always fits."""
        groups = [*self.inner, sorted(self.leaves)]
        size = ceil(len(self.dag.needs) / limit)
        while sum(ceil(len(group) / size) for group in groups) > limit:
            size += 1
        chunks: list[list[str]] = []
        for group in groups:
            parts = ceil(len(group) / size)
            chunks += [list(group[at::parts]) for at in range(parts)]
        return chunks

    def _simulate(self, groups: Sequence[Sequence[str]], runners: int) -> float:
        chunks = _finish(self.dag, groups)
        return simulate(
            make_dag(
                {chunk.name: chunk.needs for chunk in chunks},
                {chunk.name: chunk.weight + self.overhead * len(chunk.members) for chunk in chunks},
            ),
            runners,
        )


def _finish(dag: Dag, groups: Sequence[Sequence[str]]) -> tuple[Chunk, ...]:
    """Name the groups in topological order and reduce what they need of each other."""
    heights = levels(dag)
    ordered = sorted(groups, key=lambda group: (max(heights[node] for node in group), group[0]))
    names = {index: f"c{index + 1:04}" for index in range(len(ordered))}
    home = {node: names[index] for index, group in enumerate(ordered) for node in group}
    needs = {
        names[index]: {home[need] for node in group for need in dag.needs[node]}
        for index, group in enumerate(ordered)
    }
    weights = {names[index]: sum(dag.weights[node] for node in group) for index, group in enumerate(ordered)}
    quotient = make_dag(needs, weights)
    reduced = transitive_reduction(quotient)
    return tuple(
        Chunk(
            name=names[index],
            members=tuple(group),
            needs=tuple(sorted(reduced[names[index]])),
            weight=weights[names[index]],
        )
        for index, group in enumerate(ordered)
    )


@dataclass(frozen=True, slots=True)
class Join:
    """A job that does nothing but wait, so that no job needs more than the provider allows."""

    name: str
    needs: tuple[str, ...]


def limit_needs(
    needs: Mapping[str, Sequence[str]], limit: int
) -> tuple[dict[str, tuple[str, ...]], tuple[Join, ...]]:
    """Bound the needs of every job by inserting joins: a fan-in tree of arity `limit`.

    Equal sets of needs share their joins.

    Args:
        needs: Job -> what it needs.
        limit: Most needs of one job, at least 2.

    Returns:
        The bounded needs, and the joins in the order in which they must stand.
    """
    joins: dict[tuple[str, ...], Join] = {}

    def bound(wanted: tuple[str, ...]) -> tuple[str, ...]:
        while len(wanted) > limit:
            parts = [wanted[start : start + limit] for start in range(0, len(wanted), limit)]
            wanted = tuple(join(part) if len(part) > 1 else part[0] for part in parts)
        return wanted

    def join(part: tuple[str, ...]) -> str:
        if part not in joins:
            joins[part] = Join(f"join-{len(joins) + 1:04}", part)
        return joins[part].name

    return {job: bound(tuple(sorted(needs[job]))) for job in needs}, tuple(joins.values())
