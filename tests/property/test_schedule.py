"""Laws of scheduling and grouping, on random graphs."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosgen.graph.chunk import group_into, limit_needs
from cosgen.graph.dag import Dag, components, levels, make_dag, transitive_reduction
from cosgen.graph.order import topological_order
from cosgen.graph.schedule import (
    assign_components,
    assign_workers,
    simulate,
    simulate_queues,
    time_nodes,
    worker_count,
)


@st.composite
def dags(draw: st.DrawFn, most: int = 24) -> Dag:
    size = draw(st.integers(1, most))
    names = draw(st.permutations([f"p{index:02}" for index in range(size)]))
    needs = {
        name: draw(st.sets(st.sampled_from(names[:index]), max_size=5)) if index else set()
        for index, name in enumerate(names)
    }
    return make_dag(needs, {name: draw(st.integers(0, 100)) for name in names})


def reachable(needs: dict[str, frozenset[str]], node: str) -> set[str]:
    seen: set[str] = set()
    rest = [node]
    while rest:
        for need in needs[rest.pop()]:
            if need not in seen:
                seen.add(need)
                rest.append(need)
    return seen


@given(dags())
def test_needs_come_first_in_the_order(dag: Dag) -> None:
    order = topological_order(dag.needs)
    assert sorted(order) == sorted(dag.needs)
    place = {node: index for index, node in enumerate(order)}
    assert all(place[need] < place[node] for node in order for need in dag.needs[node])
    heights = levels(dag)
    assert all(heights[need] < heights[node] for node in order for need in dag.needs[node])


@given(dags())
def test_the_reduction_reaches_the_same_and_has_nothing_to_spare(dag: Dag) -> None:
    reduced = transitive_reduction(dag)
    for node in dag.needs:
        assert reachable(reduced, node) == reachable(dict(dag.needs), node)
        for need in reduced[node]:
            others = reduced[node] - {need}
            assert all(need not in reachable(reduced, other) for other in others)


@given(dags())
def test_the_critical_path_is_a_path_and_the_longest(dag: Dag) -> None:
    timing = time_nodes(dag)
    path = timing.critical_path
    assert all(before in dag.needs[after] for before, after in itertools.pairwise(path))
    assert sum(dag.weights[node] for node in path) == pytest.approx(timing.critical_seconds)
    assert all(timing.slack[node] == pytest.approx(0) for node in path)
    assert simulate(dag, len(dag.needs)) == pytest.approx(timing.critical_seconds)


@given(dags(), st.integers(1, 6))
def test_a_list_schedule_keeps_grahams_bound(dag: Dag, runners: int) -> None:
    timing = time_nodes(dag)
    bound = max(timing.critical_seconds, timing.work_seconds / runners)
    assert bound - 1e-6 <= simulate(dag, runners) <= (2 - 1 / runners) * bound + 1e-6


@given(dags(), st.integers(1, 6))
def test_queues_hold_every_node_once_and_never_wait_for_themselves(dag: Dag, count: int) -> None:
    for queues in (assign_workers(dag, count), assign_components(dag, count)):
        assert len(queues) == count
        assert sorted(node for queue in queues for node in queue) == sorted(dag.needs)
        simulate_queues(dag, queues)  # raises when it gets stuck


@given(dags(), st.integers(1, 6))
def test_workers_that_get_components_share_nothing(dag: Dag, count: int) -> None:
    for queue in assign_components(dag, count):
        assert all(dag.needs[node] <= set(queue) for node in queue)


@given(dags())
def test_components_share_no_need(dag: Dag) -> None:
    parts = components(dag)
    assert sorted(node for part in parts for node in part) == sorted(dag.needs)
    assert all(dag.needs[node] <= set(part) for part in parts for node in part)


@settings(deadline=None)
@given(dags(), st.integers(1, 24))
def test_chunks_cover_each_node_once_in_at_most_so_many_jobs(dag: Dag, limit: int) -> None:
    deepest = max(levels(dag).values()) + 1
    if limit < deepest and limit < len(dag.needs):
        with pytest.raises(ValueError, match="levels do not fit"):
            group_into(dag, limit)
        return
    chunks = group_into(dag, limit, overhead=5)
    assert len(chunks) <= limit
    assert sorted(node for chunk in chunks for node in chunk.members) == sorted(dag.needs)
    home = {node: chunk.name for chunk in chunks for node in chunk.members}
    above = {chunk.name: frozenset(chunk.needs) for chunk in chunks}
    for node in dag.needs:
        for need in dag.needs[node]:
            assert home[need] in reachable(above, home[node])
    place = {chunk.name: index for index, chunk in enumerate(chunks)}
    assert all(place[need] < place[chunk.name] for chunk in chunks for need in chunk.needs)


@given(st.integers(0, 300), st.integers(2, 50))
def test_joins_bound_the_needs_and_lose_none(size: int, limit: int) -> None:
    wanted = [f"n{index:03}" for index in range(size)]
    bounded, joins = limit_needs({"job": wanted, "twin": wanted}, limit)
    assert bounded["job"] == bounded["twin"]
    graph = {join.name: join.needs for join in joins} | dict.fromkeys(wanted, ())
    assert all(len(needs) <= limit for needs in (*bounded.values(), *graph.values()))
    reached: set[str] = set()
    rest = list(bounded["job"])
    while rest:
        node = rest.pop()
        reached.add(node)
        rest.extend(graph[node])
    assert reached & set(wanted) == set(wanted)


@given(dags())
def test_never_more_workers_than_pay(dag: Dag) -> None:
    assert 1 <= worker_count(dag, 250) <= len(dag.needs)


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="not acyclic"):
        make_dag({"a": ["b"], "b": ["a"]}, {})
