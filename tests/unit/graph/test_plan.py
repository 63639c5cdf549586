"""Plans keep what is published, build what changed, say why, and hold together."""

import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from cosgen.errors import ManifestError
from cosgen.graph.affected import affected, explain_affected
from cosgen.graph.graph import think
from cosgen.graph.model import Graph
from cosgen.graph.plan import (
    Action,
    Plan,
    PlanNode,
    PublishedPackage,
    index_published,
    plan_builds,
    plan_from_json,
    plan_to_json,
    summary_markdown,
)
from cosgen.manifest.platform import Variant
from cosgen.manifest.tree import Package
from tests.unit.graph.trees import package, seed, tree

A, B, C = seed("t/a@1"), package("t/b@1", requires=["t/a"]), package("t/c@1", requires=["t/b"])


def published(graph: Graph, **changes: dict[str, object]) -> dict[str, PublishedPackage]:
    rows = []
    for node in graph.nodes.values():
        item = PublishedPackage(
            input_digest=node.input_digest,
            version=node.package.definition.version,
            parts=node.input_parts,
        )
        change = changes.get(node.package.definition.name, {})
        if change is not None:
            rows.append((graph.tree.variant.key, node.package.human, replace(item, **change)))  # type: ignore[arg-type]
    return index_published(rows)


def named(plan: Plan) -> dict[str, PlanNode]:
    return {node.human.partition("/")[2]: node for node in plan.nodes}


def graph_of(*packages: Package) -> Graph:
    return think(tree(packages))


def test_everything_is_built_when_there_is_nothing_to_compare_with() -> None:
    plan = plan_builds([graph_of(A, B, C)])
    assert [node.action for node in plan.nodes] == [Action.BUILD] * 3
    assert plan.critical_path == tuple(f"green-x86_64:t/{name}@1" for name in "abc")
    assert named(plan)["c"].level == 2
    assert plan.wall_seconds == plan.critical_seconds == plan.work_seconds


def test_nothing_is_built_when_all_is_published() -> None:
    graph = graph_of(A, B, C)
    plan = plan_builds([graph], published=published(graph))
    assert not plan.to_build
    assert plan.queues == ()
    assert named(plan)["a"].reason == "published, nothing changed"


def test_a_missing_artifact_is_built_and_edges_are_joined_through_kept_nodes() -> None:
    graph = graph_of(A, B, C)
    plan = plan_builds([graph], published=published(graph, a={"present": False}, c={"present": False}))
    nodes = named(plan)
    assert [nodes[name].action for name in "abc"] == [Action.BUILD, Action.KEEP, Action.BUILD]
    assert nodes["c"].needs == ("green-x86_64:t/a@1",)
    assert nodes["b"].needs == ()
    assert "artifact is missing" in nodes["a"].reason


def test_a_change_builds_what_is_built_on_it_and_says_why() -> None:
    before = graph_of(A, B, C)
    changed = package("t/b@1", requires=["t/a"], files={"build.yaml": "other"})
    plan = plan_builds([graph_of(A, changed, C)], published=published(before))
    nodes = named(plan)
    assert nodes["a"].action is Action.KEEP
    assert nodes["b"].reason == "changed: files of its directory"
    assert nodes["c"].reason == "changed: what it is built on (t/b)"
    assert [item.id for item in plan.problems] == ["CG421"]
    assert "t/b" in plan.problems[0].what


def test_without_recorded_parts_the_reason_is_what_can_be_known() -> None:
    before = graph_of(A, B, C)
    index = {key: replace(item, parts={}) for key, item in published(before).items()}
    changed = package("t/b@1", requires=["t/a"], files={"build.yaml": "other"})
    nodes = named(plan_builds([graph_of(A, changed, C)], published=index))
    assert nodes["b"].reason == "its own inputs changed"
    assert nodes["c"].reason == "built on t/b"


def test_a_raised_version_is_told_and_is_no_warning() -> None:
    before = graph_of(A, B)
    raised = package("t/b@2", requires=["t/a"])
    plan = plan_builds([graph_of(A, raised)], published=published(before))
    assert named(plan)["b"].reason == "version 1 -> 2"
    assert plan.problems == ()


def test_what_has_errors_and_what_needs_it_is_blocked_and_the_rest_is_built() -> None:
    plan = plan_builds(
        [graph_of(A, package("t/x@1", requires=["t/nope"]), package("t/y@1", requires=["t/x"]))]
    )
    nodes = named(plan)
    assert [nodes[name].action for name in "axy"] == [Action.BUILD, Action.BLOCKED, Action.BLOCKED]
    assert "t/nope" in nodes["x"].reason
    assert {item.id for item in plan.problems} == {"CG422"}


def test_a_change_concerns_its_package_and_what_is_built_on_it() -> None:
    graph = graph_of(A, B, C, seed("t/z@1"))
    assert affected(graph, ["packages/t/b-1/build.yaml"]) == {"b-t-1", "c-t-1"}
    assert affected(graph, ["README.md"]) == frozenset()
    assert affected(graph, ["packages/templates/x.yaml"]) == set(graph.nodes)
    assert affected(graph, ["values/g.yaml"], shared={"values/g.yaml"}) == set(graph.nodes)
    assert affected(graph, ["over/etc/x"], owners={"over": {"t/c"}}) == {"c-t-1"}
    reasons = explain_affected(graph, ["packages/t/b-1/gone"])
    assert reasons["c-t-1"] == "built on t/b, which is affected"  # type: ignore[index]


def test_since_a_revision_only_what_is_affected_is_built() -> None:
    graph = graph_of(A, B, C)
    since = {"green-x86_64": explain_affected(graph, ["packages/t/b-1/build.yaml"])}
    nodes = named(plan_builds([graph], affected=since, since="main"))
    assert [nodes[name].action for name in "abc"] == [Action.KEEP, Action.BUILD, Action.BUILD]
    assert nodes["a"].reason == "not affected since main"
    assert nodes["b"].reason == "packages/t/b-1/build.yaml changed"


def test_what_is_needed_and_not_published_is_built_though_not_affected() -> None:
    graph = graph_of(A, B, C, seed("t/z@1"))
    since = {"green-x86_64": explain_affected(graph, ["packages/t/b-1/build.yaml"])}
    nodes = named(plan_builds([graph], published={}, affected=since, since="main"))
    assert [nodes[name].action for name in "abcz"] == [Action.BUILD] * 3 + [Action.KEEP]
    assert nodes["a"].reason == "needed by t/b, and not published"


def test_variants_are_planned_side_by_side() -> None:
    other = think(tree([A, B], Variant("blue", "arm64")))
    plan = plan_builds([graph_of(A, B), other])
    assert [node.key for node in plan.nodes][:2] == ["blue-arm64:t/a@1", "blue-arm64:t/b@1"]
    assert {node.platform for node in plan.nodes} == {"linux/amd64", "linux/arm64"}


def test_estimates_are_taken_from_the_most_exact_name() -> None:
    estimates = {"t/a": 1.0, "green-x86_64:t/a": 2.0, "t/b": 7.0}
    nodes = named(plan_builds([graph_of(A, B)], estimates=estimates))
    assert (nodes["a"].estimate, nodes["b"].estimate) == (2.0, 7.0)


def test_a_plan_comes_back_from_its_json_and_matches_its_schema() -> None:
    graph = graph_of(A, B, package("t/x@1", requires=["t/nope"]))
    plan = plan_builds([graph], project="acme", channel="testing", since="main")
    text = plan_to_json(plan)
    assert plan_to_json(plan_from_json(text)) == text
    schema = json.loads(files("cosgen.graph").joinpath("plan.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(text), schema)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}', '{"schema": 1, "nodes": 3}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        plan_from_json(text)
    assert caught.value.problems[0].id == "CG420"


def test_the_summary_stays_below_its_limit_and_cannot_be_misled() -> None:
    many = [seed(f"t/p{i}@1") for i in range(300)]
    plan = plan_builds([graph_of(*many)])
    assert "p299" in summary_markdown(plan)
    short = summary_markdown(plan, limit=4000)
    assert len(short.encode()) <= 4000
    assert "more lines" in short
    hostile = replace(plan, nodes=(replace(plan.nodes[0], reason="<script>|x|`"),))
    assert "<script>" not in summary_markdown(hostile).replace("\\<", "")
    named = replace(plan, nodes=(replace(plan.nodes[0], version="1`|<b>x\n::warning::y"),))
    assert "\\`\\|\\<b\\>x ::warning::y |" in summary_markdown(named)
