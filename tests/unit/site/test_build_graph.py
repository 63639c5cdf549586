"""Unit tests for cosgen.site.build_graph."""

from cosgen.manifest.platform import Variant
from cosgen.site.build_graph import LIMIT, view_graph
from cosgen.site.model import BuildGraph, GraphNode


def graph(*nodes: GraphNode) -> BuildGraph:
    return BuildGraph(variant=Variant("", "x86_64"), channel="stable", nodes=nodes, edges="build")


def node(name: str, seconds: float, *needs: str) -> GraphNode:
    return GraphNode(
        human=f"a/{name}", version="1", seconds=seconds, needs=tuple(f"a/{need}" for need in needs)
    )


def test_the_critical_path_is_the_longest_by_time_not_by_steps() -> None:
    view = view_graph(
        graph(
            node("a", 1), node("b", 1, "a"), node("c", 1, "b"), node("slow", 9), node("end", 1, "c", "slow")
        ),
        ".",
    )
    assert [one.human for one in view.path] == ["a/slow", "a/end"]
    assert view.path_seconds == 10


def test_a_cycle_is_drawn_and_ends() -> None:
    view = view_graph(graph(node("a", 1, "b"), node("b", 1, "a")), ".")
    assert view.svg.count("<rect") == 2


def test_a_large_graph_keeps_its_critical_path() -> None:
    chain = [node(f"c{i}", 5, *([f"c{i - 1}"] if i else [])) for i in range(20)]
    view = view_graph(graph(*chain, *(node(f"n{i}", 1) for i in range(1000))), ".")
    assert view.shown == LIMIT
    assert len(view.path) == 20


def test_hostile_names_are_escaped() -> None:
    assert "<script>" not in view_graph(graph(node("<script>", 1)), ".").svg


def test_no_node_gives_no_picture() -> None:
    assert view_graph(graph(), ".").svg == ""
