"""Chunks: grouped by the graph's own algorithm, and GitLab's fan-in of needs."""

import time
from dataclasses import replace

import pytest

from cosgen.graph.dag import make_dag
from cosgen.graph.schedule import simulate, time_nodes
from cosgen.manifest.platform import Variant
from cosgen.pipeline.emit import emit_nodes, pipelines_for
from cosgen.pipeline.gitlab import MAX_NEEDS, fan_in
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.units import BuildNode, chunk_units
from tests.fakes.pipelines import X86, config, nodes, random_graph

ARM = Variant("", "arm64")


def leafy_graph(size: int) -> dict[str, tuple[str, ...]]:
    """Make a graph like real ones: a few packages that many need, and leaves."""
    graph = random_graph(size // 4, seed=size, most=3)
    inner = list(graph)
    leaves = {
        f"leaf/p{at}": (inner[at % len(inner)], inner[at * 7 % len(inner)]) for at in range(size - len(inner))
    }
    return graph | {name: tuple(dict.fromkeys(needs)) for name, needs in leaves.items()}


@pytest.mark.parametrize("size", [98, 349, 980])
def test_chunks_end_within_three_tenths_of_the_best(size: int) -> None:
    weighed = [
        replace(node, seconds=60.0 + at * 37 % 400) for at, node in enumerate(nodes(leafy_graph(size)))
    ]
    units = chunk_units(weighed, size // 2)
    whole = make_dag({node.key: node.needs for node in weighed}, {node.key: node.seconds for node in weighed})
    quotient = make_dag({unit.key: unit.needs for unit in units}, {unit.key: unit.seconds for unit in units})
    timing = time_nodes(whole)
    bound = max(timing.critical_seconds, timing.work_seconds / 20)
    assert simulate(quotient, 20) / bound <= 1.3
    assert len(units) <= size // 2


def test_a_chunk_holds_packages_of_one_variant() -> None:
    both: tuple[BuildNode, ...] = (*nodes(), *nodes(variant=ARM))
    units = chunk_units(both, 6)
    for unit in units:
        assert unit.key.startswith(f"{unit.variant.key}:")
    assert sorted(package for unit in units for package in unit.packages) == sorted(
        node.word for node in both
    )


def test_three_thousand_packages_are_grouped_and_printed_in_seconds() -> None:
    graph = nodes(leafy_graph(3000))
    start = time.process_time()
    files = emit_nodes(config(), (X86,), graph, Provider.GITHUB, version="1", shape="chunks")
    assert time.process_time() - start < 20
    assert files


def test_no_job_of_gitlab_needs_more_than_it_takes_and_the_order_is_kept() -> None:
    wide = {f"c/p{at}": () for at in range(130)} | {"c/all": tuple(f"c/p{at}" for at in range(130))}
    scene = Scene(config=config(), variants=(X86,), provider=Provider.GITLAB, version="1")
    for pipeline in pipelines_for(scene, Shape.STATIC, nodes(wide)):
        jobs = fan_in(pipeline.jobs)
        before: dict[str, set[str]] = {}
        for job in jobs:
            assert set(job.needs) <= set(before), "joins stand before what needs them"
            before[job.id] = set(job.needs).union(*(before[need] for need in job.needs))
            assert len(job.needs) <= MAX_NEEDS or job.stage == "collect"
        old = {job.id: set(job.needs) for job in pipeline.jobs}
        assert len(before) == len(jobs)
        assert all(needs <= before[name] for name, needs in old.items())
