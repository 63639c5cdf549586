"""Order of graphs that may have cycles: topological order, components, and a shortest cycle to tell.

Graphs are mappings of a node to what it needs; every function is deterministic and does not recurse.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

K = TypeVar("K", bound=str)


def strong_components(needs: Mapping[K, Iterable[K]]) -> list[tuple[K, ...]]:
    """Return the strongly connected components, needs before dependents (Tarjan 1972, without recursion).

    Needs that are no keys are passed over. Members are sorted.
    """
    index: dict[K, int] = {}
    low: dict[K, int] = {}
    stack: list[K] = []
    on_stack: set[K] = set()
    found: list[tuple[K, ...]] = []
    for root in needs:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(needs[root]))]
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in needs:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(needs[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_pop_component(node, stack, on_stack))
    return found


def _pop_component(node: K, stack: list[K], on_stack: set[K]) -> tuple[K, ...]:
    at = stack.index(node) if stack[-1] != node else len(stack) - 1
    members = stack[at:]
    del stack[at:]
    on_stack.difference_update(members)
    return tuple(sorted(members))


def find_cycle(members: Sequence[K], needs: Mapping[K, Iterable[K]]) -> tuple[K, ...]:
    """Return a shortest way from the first member of a component back to itself; () when there is none.

    >>> find_cycle(["a", "b"], {"a": ["b"], "b": ["a"]})
    ('a', 'b', 'a')
    """
    inside = set(members)
    start = members[0]
    came: dict[K, K] = {}
    front = [start]
    while front:
        following: list[K] = []
        for node in front:
            for other in needs[node]:
                if other == start:
                    path = [start, node]
                    while path[-1] != start:
                        path.append(came[path[-1]])
                    return tuple(reversed(path)) if node != start else (start, start)
                if other in inside and other not in came:
                    came[other] = node
                    following.append(other)
        front = following
    return ()


def topological_order(needs: Mapping[K, Iterable[K]]) -> tuple[K, ...]:
    """Return the nodes so that needs come first; among those that are free, the smallest first (Kahn 1962).

    Needs that are no keys are passed over. Members of cycles come last, sorted.
    """
    missing: dict[K, int] = {}
    dependents: dict[K, list[K]] = {node: [] for node in needs}
    for node, below in needs.items():
        known = {other for other in below if other in needs}
        missing[node] = len(known)
        for other in known:
            dependents[other].append(node)
    free = [node for node, count in missing.items() if not count]
    heapify(free)
    order: list[K] = []
    while free:
        node = heappop(free)
        order.append(node)
        for other in dependents[node]:
            missing[other] -= 1
            if not missing[other]:
                heappush(free, other)
    done = set(order)
    return tuple(order) + tuple(sorted(node for node in needs if node not in done))
