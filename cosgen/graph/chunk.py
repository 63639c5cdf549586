"""Grouping a graph into at most N jobs, so that order is kept and the critical path grows little."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cosgen.graph.dag import Dag, levels, make_dag, transitive_reduction
from cosgen.graph.schedule import Timing, time_nodes

_ROUNDS = 40  # of the binary search on the cap: far below a millisecond of difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Nodes that one job builds, in this order; no two of them need each other."""

    name: str  # "c0001", in the order of chunks
    members: tuple[str, ...]
    needs: tuple[str, ...]  # names of chunks, transitively reduced, sorted
    weight: float  # seconds of work, overheads not counted


def group_into(dag: Dag, limit: int, *, overhead: float = 0.0) -> tuple[Chunk, ...]:
    """Group the nodes into at most `limit` chunks by slack-bounded level chunking.

    Inside each level (an antichain, Mirsky 1971) nodes are taken by ready time, then bottom level, and fill
    chunks up to a cap that no member's slack is smaller than, so nodes of the critical path stay alone while
    the cap allows. Leaves, which nothing needs, are packed last over all levels by ready time. The smallest
    cap that gives few enough chunks is found by halving. Chunks are antichains of one level, or of leaves, so
    their graph has no cycle.

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
    heights = levels(dag)
    deepest = max(heights.values()) + 1
    if limit < deepest:
        raise ValueError(f"{deepest} levels do not fit into {limit} chunks")
    timing = time_nodes(dag)
    low, high = 0.0, timing.work_seconds + overhead * len(dag.needs) + 1.0
    best = _pack(dag, heights, timing, cap=high, ignore_slack=True, overhead=overhead)
    for ignore_slack in (False, True):
        fits = _pack(dag, heights, timing, cap=high, ignore_slack=ignore_slack, overhead=overhead)
        if len(fits) > limit:
            continue
        low_cap, high_cap = low, high
        best = fits
        for _ in range(_ROUNDS):
            middle = (low_cap + high_cap) / 2
            tried = _pack(dag, heights, timing, cap=middle, ignore_slack=ignore_slack, overhead=overhead)
            if len(tried) <= limit:
                best, high_cap = tried, middle
            else:
                low_cap = middle
        break
    return _finish(dag, best)


def _pack(
    dag: Dag,
    heights: Mapping[str, int],
    timing: Timing,
    *,
    cap: float,
    ignore_slack: bool,
    overhead: float,
) -> list[list[str]]:
    """Fill chunks up to `cap` seconds; with `ignore_slack` also those of the critical path."""
    needed = {need for needs in dag.needs.values() for need in needs}
    inner: dict[int, list[str]] = {}
    leaves: list[str] = []
    for node in dag.needs:
        if node in needed:
            inner.setdefault(heights[node], []).append(node)
        else:
            leaves.append(node)
    chunks: list[list[str]] = []
    for height in sorted(inner):
        chunks += _fill(inner[height], dag, timing, cap=cap, ignore_slack=ignore_slack, overhead=overhead)
    chunks += _fill(leaves, dag, timing, cap=cap, ignore_slack=ignore_slack, overhead=overhead)
    return chunks


def _fill(
    nodes: Iterable[str],
    dag: Dag,
    timing: Timing,
    *,
    cap: float,
    ignore_slack: bool,
    overhead: float,
) -> list[list[str]]:
    ordered = sorted(nodes, key=lambda node: (timing.ready[node], -timing.bottom[node], node))
    chunks: list[list[str]] = []
    room = -1.0
    for node in ordered:
        weight = dag.weights[node] + overhead
        bound = cap if ignore_slack else min(cap, timing.slack[node])
        if chunks and weight <= room and weight <= bound:
            chunks[-1].append(node)
            room = min(room, bound) - weight
        else:
            chunks.append([node])
            room = bound - weight
    return chunks


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
