"""When to build what: bottom levels, critical path, slack, worker queues, and how long it all takes.

Priorities are those of Hu (1961): the node with the longest path still below it goes first. A list schedule
of that kind is never worse than 2 - 1/m of the best (Graham 1966); finding the best is NP-hard (Ullman 1975).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil

from cosgen.graph.dag import Dag, components
from cosgen.graph.order import topological_order

PATIENCE = 2.0  # a worker waits this many estimates for another one before it builds the package itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of every node, in seconds, when there is a runner for everyone."""

    ready: Mapping[str, float]  # earliest start: end of the longest path that leads to it
    bottom: Mapping[str, float]  # from its start to the end of the longest path below, itself included
    slack: Mapping[str, float]  # how much later it may start without the whole taking longer
    critical_path: tuple[str, ...]  # first to start first; () for no nodes
    critical_seconds: float
    work_seconds: float


def time_nodes(dag: Dag) -> Timing:
    """Compute ready times, bottom levels, slack and the critical path (Kelley and Walker 1959)."""
    order = topological_order(dag.needs)
    dependents = dag.dependents()
    ready: dict[str, float] = {}
    for node in order:
        ready[node] = max((ready[need] + dag.weights[need] for need in dag.needs[node]), default=0.0)
    bottom: dict[str, float] = {}
    for node in reversed(order):
        bottom[node] = dag.weights[node] + max((bottom[below] for below in dependents[node]), default=0.0)
    critical = max(bottom.values(), default=0.0)
    return Timing(
        ready=ready,
        bottom=bottom,
        slack={node: max(0.0, critical - ready[node] - bottom[node]) for node in order},
        critical_path=_critical_path(dag, bottom, dependents),
        critical_seconds=critical,
        work_seconds=sum(dag.weights[node] for node in order),
    )


def _critical_path(
    dag: Dag, bottom: Mapping[str, float], dependents: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    following = sorted(node for node in dag.needs if not dag.needs[node])
    path: list[str] = []
    while following:
        node = min(following, key=lambda name: (-bottom[name], name))
        path.append(node)
        following = list(dependents[node])
    return tuple(path)


def worker_count(dag: Dag, limit: int) -> int:
    """Return how many workers pay off: work over critical path, at least 1, at most `limit` and the nodes."""
    if not dag.needs:
        return 0
    timing = time_nodes(dag)
    wanted = ceil(timing.work_seconds / timing.critical_seconds) if timing.critical_seconds else 1
    return max(1, min(limit, wanted, len(dag.needs)))


def assign_workers(dag: Dag, count: int, *, overhead: float = 0.0) -> tuple[tuple[str, ...], ...]:
    """Deal the nodes to `count` queues by list scheduling, highest bottom level first (Hu 1961).

    Args:
        dag: What is to be built.
        count: Number of queues, at least 1.
        overhead: Seconds that every node takes on top of its weight.

    Returns:
        The queues: each in the order in which its worker should try; together every node once. In this
        order, and with every worker doing its own queue only, nothing waits for itself.
    """
    if count < 1:
        raise ValueError("a schedule needs a worker")
    bottom = time_nodes(dag).bottom
    waiting = {node: len(needs) for node, needs in dag.needs.items()}
    dependents = dag.dependents()
    ready = [(-bottom[node], node) for node, number in sorted(waiting.items()) if not number]
    ready.sort()
    idle = [(0.0, worker) for worker in range(count)]
    running: list[tuple[float, str, int]] = []
    queues: list[list[str]] = [[] for _ in range(count)]
    now = 0.0
    while ready or running:
        while ready and idle and idle[0][0] <= now:
            _, worker = heappop(idle)
            _, node = heappop(ready)
            queues[worker].append(node)
            heappush(running, (now + dag.weights[node] + overhead, node, worker))
        now, node, worker = heappop(running)
        heappush(idle, (now, worker))
        for dependent in dependents[node]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heappush(ready, (-bottom[dependent], dependent))
    return tuple(map(tuple, queues))


def assign_components(dag: Dag, count: int) -> tuple[tuple[str, ...], ...]:
    """Deal whole connected components to `count` queues, longest first to the emptiest (Graham 1969, LPT).

    So that workers that share nothing (pull requests) need nothing of each other.
    """
    if count < 1:
        raise ValueError("a schedule needs a worker")
    place = {node: index for index, node in enumerate(topological_order(dag.needs))}
    weighted = [(sum(dag.weights[node] for node in sorted(part)), part) for part in components(dag)]
    queues: list[tuple[float, int, list[str]]] = [(0.0, worker, []) for worker in range(count)]
    for weight, part in sorted(weighted, key=lambda item: (-item[0], item[1])):
        load, worker, queue = heappop(queues)
        queue.extend(part)
        heappush(queues, (load + weight, worker, queue))
    return tuple(
        tuple(sorted(queue, key=place.__getitem__))
        for _, _, queue in sorted(queues, key=lambda item: item[1])
    )


def simulate(
    dag: Dag, runners: int, *, overhead: float = 0.0, priority: Mapping[str, float] | None = None
) -> float:
    """Return the seconds until everything is built by `runners` machines that take ready nodes.

    Args:
        dag: What is to be built.
        runners: Machines, at least 1; each does one node at a time.
        overhead: Seconds that every node takes on top of its weight.
        priority: Higher goes first; bottom levels when None, all equal (by name) when {}.
    """
    if runners < 1:
        raise ValueError("a schedule needs a runner")
    first = time_nodes(dag).bottom if priority is None else priority
    waiting = {node: len(needs) for node, needs in dag.needs.items()}
    dependents = dag.dependents()
    ready: list[tuple[float, str]] = []
    for node in sorted(waiting):
        if not waiting[node]:
            heappush(ready, (-first.get(node, 0.0), node))
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < runners:
            _, node = heappop(ready)
            heappush(running, (now + dag.weights[node] + overhead, node))
        now, node = heappop(running)
        for dependent in dependents[node]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heappush(ready, (-first.get(dependent, 0.0), dependent))
    return now


def simulate_queues(dag: Dag, queues: Sequence[Sequence[str]], *, overhead: float = 0.0) -> float:
    """Return the seconds until everything is built by workers as `cosgen worker` is one.

    A worker takes the first ready node of its own queue; when none is ready it waits for the others,
    and when its queue is empty it takes the most urgent ready node of anybody (stealing).
    """
    bottom = time_nodes(dag).bottom
    own = [list(queue) for queue in queues]
    left = set(dag.needs)
    done: set[str] = set()
    running: list[tuple[float, int, str]] = []
    idle = list(range(len(own)))
    now = 0.0
    while left or running:
        still_idle = []
        for worker in idle:
            node = _next_node(dag, own[worker], left, done, bottom)
            if node is None:
                still_idle.append(worker)
                continue
            left.discard(node)
            heappush(running, (now + dag.weights[node] + overhead, worker, node))
        idle = still_idle
        if not running:
            raise ValueError("the queues do not hold every node")
        now, worker, node = heappop(running)
        done.add(node)
        idle.append(worker)
        idle.sort()
    return now


def _next_node(
    dag: Dag, queue: list[str], left: set[str], done: set[str], bottom: Mapping[str, float]
) -> str | None:
    queue[:] = [node for node in queue if node in left]
    for node in queue:
        if dag.needs[node] <= done:
            return node
    if queue:
        return None
    ready = [node for node in left if dag.needs[node] <= done]
    return min(ready, key=lambda node: (-bottom[node], node), default=None)
