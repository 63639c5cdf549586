"""How far schedules are from the best there can be, and how fast thinking is. Run with -s to see the figures.

The bound is max(critical path, work / runners). Graphs are shaped like real ones: shallow, leafy (60 % of the
packages have no dependents), narrow, with log-normal durations (median 2.5 minutes).
"""

import math
import random
import time

import pytest

from cosgen.graph.chunk import group_into
from cosgen.graph.dag import Dag, make_dag
from cosgen.graph.graph import think
from cosgen.graph.plan import plan_builds
from cosgen.graph.schedule import assign_workers, simulate, simulate_queues, time_nodes, worker_count
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.tree import Tree
from tests.benchmarks.measure import row
from tests.unit.graph.trees import package, refs, seed, tree

pytestmark = pytest.mark.slow


def needs_of(size: int, depth: int, chance: random.Random) -> dict[str, set[str]]:
    inner: list[list[str]] = [[] for _ in range(depth)]
    needs: dict[str, set[str]] = {}
    for number in range(size):
        name = f"p{number:05}"
        level = min(depth - 1, int(chance.expovariate(1) * depth / 4))
        while level and not inner[level - 1]:
            level -= 1
        needs[name] = set()
        if level:
            pool = [item for items in inner[:level] for item in items]
            more = min(len(pool), int(chance.paretovariate(1.3)))
            needs[name] = {chance.choice(inner[level - 1]), *chance.sample(pool, more)}
        if chance.random() > 0.6 or not inner[level]:
            inner[level].append(name)
    return needs


def dag_of(size: int, depth: int) -> Dag:
    chance = random.Random(size)
    needs = needs_of(size, depth, chance)
    return make_dag(needs, {name: 150 * math.exp(chance.gauss(0, 1.1)) for name in needs})


@pytest.mark.parametrize(
    ("size", "depth", "runners", "jobs"),
    [(98, 6, 20, 60), (349, 10, 20, 150), (980, 13, 20, 500), (3246, 28, 60, 1000), (10_000, 30, 250, 2000)],
)
def test_schedules_are_close_to_the_best(size: int, depth: int, runners: int, jobs: int) -> None:
    dag = dag_of(size, depth)
    timing = time_nodes(dag)
    count = worker_count(dag, runners)
    bound = max(timing.critical_seconds, timing.work_seconds / count)
    workers = simulate_queues(dag, assign_workers(dag, count)) / bound
    static = simulate(dag, count) / bound
    start = time.perf_counter()
    chunks = group_into(dag, jobs)
    seconds = time.perf_counter() - start
    quotient = make_dag({c.name: c.needs for c in chunks}, {c.name: c.weight for c in chunks})
    chunked = simulate(quotient, count) / bound
    print()
    row(f"makespan over bound, {size} packages, {count} runners: workers", workers, "x", target=1.1)
    row(f"makespan over bound, {size} packages, {count} runners: static", static, "x", target=1.1)
    row(f"makespan over bound, {size} packages, {len(chunks)} chunks", chunked, "x", target=1.3)
    row(f"grouping {size} packages into {len(chunks)} chunks", seconds, "s")
    assert workers <= 1.1
    assert static <= 1.1
    assert chunked <= 1.3
    assert len(chunks) <= jobs


def tree_of(size: int, depth: int) -> Tree:
    chance = random.Random(size)
    needs = needs_of(size, depth, chance)
    packages = [seed("t/base@1")]
    for name, below in needs.items():
        steps = tuple("make " + "y" * chance.randint(20, 400) for _ in range(4))
        spec = BuildSpec(requires=refs(*sorted(f"t/{item}" for item in below or {"base"})), steps=steps)
        packages.append(package(f"t/{name}@1.0", spec, files={"build.yaml": name, "definition.yaml": name}))
    return tree(packages)


@pytest.mark.parametrize(("size", "depth"), [(73, 6), (980, 13), (3246, 28)])
def test_thinking_is_fast(size: int, depth: int) -> None:
    the_tree = tree_of(size, depth)
    start = time.process_time()
    graph = think(the_tree)
    thought = time.process_time() - start
    start = time.process_time()
    plan_builds([graph])
    planned = time.process_time() - start
    elements = sum(len(node.chain) for node in graph.nodes.values())
    print()
    row(f"thinking {size} packages, {elements} chain elements", thought, "s", target=1.0)
    row(f"planning {size} packages, {len(graph.images)} images", planned, "s")
    assert thought <= 10, (
        "ten times the target, for slow and busy machines; what grows with the square takes more"
    )
