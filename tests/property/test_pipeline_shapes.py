"""Laws of shapes, for random package graphs, and of the YAML printer."""

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cosgen.pipeline.emit import pipelines_for
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.units import BuildNode, chunk_units, static_units
from cosgen.pipeline.yaml_text import Flow, FlowMap, print_yaml
from tests.fakes.pipelines import X86, config, nodes


@st.composite
def graphs(draw: st.DrawFn) -> tuple[BuildNode, ...]:
    size = draw(st.integers(0, 40))
    names = [f"c/p{index}" for index in range(size)]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=5))) if index else ()
        for index, name in enumerate(names)
    }
    return nodes(needs)


@settings(max_examples=60, deadline=None)
@given(
    graphs(),
    st.sampled_from([Shape.STATIC, Shape.CHUNKS]),
    st.sampled_from(list(Provider)),
    st.integers(1, 12),
)
def test_every_package_is_built_once_after_all_it_needs(
    graph: tuple[BuildNode, ...], shape: Shape, provider: Provider, chunks: int
) -> None:
    scene = Scene(config=config(chunks=chunks), variants=(X86,), provider=provider, version="1")
    pipeline = next(item for item in pipelines_for(scene, shape, graph) if item.name == "cosgen-testing")
    ended: set[str] = set()
    built: list[str] = []
    before: dict[str, set[str]] = {}
    for job in pipeline.jobs:
        assert set(job.needs) <= ended, "jobs stand after those they need"
        ended.add(job.id)
        before[job.id] = set(job.needs).union(*(before[need] for need in job.needs))
        built += job.builds
    assert sorted(built) == sorted(node.key for node in graph)
    home = {key: job.id for job in pipeline.jobs for key in job.builds}
    for node in graph:
        for need in node.needs:
            assert home[need] in before[home[node.key]]
    assert set(home.values()) <= before.get("collect", set())
    assert "gate" in before["publish"]


@given(graphs())
def test_reduction_keeps_what_is_reachable(graph: tuple[BuildNode, ...]) -> None:
    reduced = {unit.key: unit.needs for unit in static_units(graph)}

    def closure(needs: dict[str, tuple[str, ...]]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for node in graph:
            own = needs[node.key]
            found[node.key] = set(own).union(*(found[need] for need in own))
        return found

    assert closure(reduced) == closure({node.key: node.needs for node in graph})


@given(graphs(), st.integers(1, 60))
def test_chunks_are_no_more_than_asked_unless_there_are_more_levels(
    graph: tuple[BuildNode, ...], limit: int
) -> None:
    level: dict[str, int] = {}
    for node in graph:
        level[node.key] = 1 + max((level[need] for need in node.needs), default=-1)
    units = chunk_units(graph, limit)
    assert len(units) <= max(limit, 2 + max(level.values(), default=-1))
    assert len(units) <= len(graph)
    ended: set[str] = set()
    for unit in units:
        assert set(unit.needs) <= ended, "chunks stand after those they need"
        ended.add(unit.key)


TRICKY = st.text(st.sampled_from(" :#'\"\\{}[],&*!|>%@`-?=~$()\n\tabnoyN01._/"), max_size=20)
VALUES = st.recursive(
    st.text(max_size=30) | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@example({"0": ".0", ".5": "._", "12": "1 day"})
@given(st.dictionaries(st.text(min_size=1, max_size=12) | TRICKY.filter(bool), VALUES, max_size=5))
def test_what_is_printed_reads_back(value: dict[str, object]) -> None:
    text = print_yaml(value)
    assert (yaml.safe_load(text) or {}) == value, "as YAML 1.1 reads it"
    assert (YAML(typ="safe", pure=True).load(text) or {}) == value, "as YAML 1.2 reads it"


@given(TRICKY, st.lists(TRICKY, max_size=6))
def test_lists_and_maps_on_one_line_read_back(text: str, items: list[str]) -> None:
    value = {"list": Flow(items), "map": FlowMap({text: items, "x": text})}
    assert yaml.safe_load(print_yaml(value)) == value
