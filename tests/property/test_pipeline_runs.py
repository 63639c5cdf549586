"""Laws of running pipelines, in every shape, for random graphs of which some is built already and some fails."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cosgen.graph.plan import Plan
from cosgen.manifest.config import BudgetConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.child import child_pipeline
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.emit import pipelines_for
from cosgen.pipeline.limits import GITLAB_NEEDS, check_limits
from cosgen.pipeline.model import Pipeline
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.units import BuildNode
from tests.fakes.pipeline_run import Run, plan_of
from tests.fakes.pipelines import X86, config, nodes

ARM = Variant("", "arm64")
SHAPES = [Shape.STATIC, Shape.CHUNKS, Shape.WORKERS]


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> tuple[BuildNode, ...]:
    """Draw packages of one or two architectures, needs first."""
    names = [f"c/p{index}" for index in range(draw(st.integers(0, most)))]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=4))) if index else ()
        for index, name in enumerate(names)
    }
    both = draw(st.booleans())
    return (*nodes(needs), *(nodes(needs, ARM) if both else ()))


def _pipeline(
    graph: tuple[BuildNode, ...], shape: Shape, provider: Provider, name: str = "testing", workers: int = 0
) -> Pipeline:
    variants = (ARM, X86) if any(node.variant == ARM for node in graph) else (X86,)
    scene = Scene(config=config(chunks=6, workers=workers), variants=variants, provider=provider, version="1")
    return next(item for item in pipelines_for(scene, shape, graph) if item.name == f"cosgen-{name}")


def _stuck(plan: Plan, fails: frozenset[str]) -> set[str]:
    """Return what fails, and all that needs it."""
    found = set(fails)
    for node in sorted(plan.to_build, key=lambda node: node.level):
        if found & set(node.needs):
            found.add(node.key)
    return found


def _some(data: st.DataObject, keys: list[str], most: int) -> list[str]:
    return data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=most)) if keys else []


@settings(max_examples=120, deadline=None)
@given(st.data(), graphs(), st.sampled_from(SHAPES), st.sampled_from(list(Provider)))
def test_a_run_builds_what_is_missing_once_in_order_and_publishes_only_what_is_whole(
    data: st.DataObject, graph: tuple[BuildNode, ...], shape: Shape, provider: Provider
) -> None:
    kept = _some(data, [node.key for node in graph], 20)
    plan = plan_of(graph, kept)
    fails = frozenset(_some(data, [node.key for node in plan.to_build], 2))
    run = Run(plan, fails).go(_pipeline(graph, shape, provider))
    wanted = {node.key for node in plan.to_build}
    assert set(run.built) | set(run.failed) <= wanted, "what is there is not built"
    place = {key: at for at, key in enumerate(run.built)}
    for node in plan.to_build:
        if node.key in place:
            assert all(place[need] < place[node.key] for need in node.needs)
    assert not set(run.built) & _stuck(plan, fails)
    if shape is not Shape.CHUNKS:  # a chunk ends at what fails in it
        assert set(run.built) == wanted - _stuck(plan, fails), "a failure blocks its dependents alone"
    assert run.outputs["collect"]["verdict"] == ("red" if fails else "green")
    if provider is Provider.GITHUB:  # GitLab's gate reads the outcome
        assert run.ran["gate"] == (not fails)
        assert run.ran.get("publish", False) == (not fails)


@settings(max_examples=80, deadline=None)
@given(st.data(), graphs(), st.sampled_from(SHAPES))
def test_the_next_run_builds_what_is_left_and_then_nothing(
    data: st.DataObject, graph: tuple[BuildNode, ...], shape: Shape
) -> None:
    pipeline = _pipeline(graph, shape, Provider.GITHUB)
    plan = plan_of(graph)
    fails = frozenset(_some(data, [node.key for node in plan.to_build], 2))
    first = Run(plan, fails).go(pipeline)
    there = [key.removesuffix("@1") for key in first.built]
    second = Run(plan_of(graph, there)).go(pipeline)
    assert sorted((*first.built, *second.built)) == sorted(f"{node.key}@1" for node in graph)
    assert second.ran["publish"]
    third = Run(plan_of(graph, [node.key for node in graph])).go(pipeline)
    assert not third.built
    quiet = {"plan", "collect", "gate", "publish", "site", "pages"}
    assert set(third.ran) <= quiet, "no machine is asked for where nothing is to be built"


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_a_later_wave_takes_what_an_earlier_had_no_time_for(graph: tuple[BuildNode, ...], room: int) -> None:
    plan = plan_of(graph)
    run = Run(plan, room=room).go(_pipeline(graph, Shape.WORKERS, Provider.GITHUB, workers=2))
    assert len(set(run.built)) == len(run.built)
    waves = [name for name in run.ran if name.startswith("build")]
    if len(run.built) < len(plan.to_build):
        assert "left-3" in run.ran, "all waves are used before something is given up"
        assert not run.ran["gate"]
    else:
        assert run.ran["gate"]
    if not plan.to_build:
        assert not waves
    one = Run(plan).go(_pipeline(graph, Shape.WORKERS, Provider.GITHUB))
    assert not any(name.endswith(("-2", "-3")) and name.startswith("build") for name in one.ran)


@settings(max_examples=60, deadline=None)
@given(st.data(), graphs())
def test_workers_of_a_request_share_nothing(data: st.DataObject, graph: tuple[BuildNode, ...]) -> None:
    kept = _some(data, [node.key for node in graph], 12)
    plan = plan_of(graph, kept)
    run = Run(plan).go(_pipeline(graph, Shape.STATIC, Provider.GITHUB, "request"))
    assert sorted(run.built) == sorted(node.key for node in plan.to_build)
    assert run.ran["gate"]


@settings(max_examples=80, deadline=None)
@given(st.data(), graphs(), st.integers(8, 40), st.booleans())
def test_a_child_pipeline_has_each_package_once_after_what_it_needs(
    data: st.DataObject, graph: tuple[BuildNode, ...], jobs: int, components: bool
) -> None:
    kept = _some(data, [node.key for node in graph], 12)
    plan = plan_of(graph, kept)
    variants = sorted({node.variant for node in graph} | {X86})
    budget = config(budget=BudgetConfig(gitlab_tier="self-managed"))
    channel = "" if components else "testing"
    text = child_pipeline(
        budget, variants, plan, version="1", channel=channel, jobs=jobs, components=components
    )
    document = yaml.safe_load(text)
    assert check_limits([GeneratedFile("child.yml", text)], Provider.GITLAB, budget) == ()
    assert document["workflow"] == {"rules": [{"when": "always"}]}, "else it is empty in merge requests"
    made = {name: job for name, job in document.items() if name[0] != "." and isinstance(job, dict)}
    made.pop("default", None)  # what all jobs share, not a job
    if not plan.to_build:
        assert set(made) == {"workflow", "nothing"}
        return
    builds = {name: job for name, job in made.items() if "extends" in job}
    above: dict[str, set[str]] = {}
    for name, job in made.items():
        if job.get("stage", "build") == "build" and name != "plan" and name != "workflow":
            assert len(job["needs"]) <= GITLAB_NEEDS
            assert set(job["needs"]) <= set(above), "jobs stand after those they need"
            above[name] = set(job["needs"]).union(*(above[need] for need in job["needs"]))
    home: dict[str, tuple[str, int]] = {}
    for name, job in builds.items():
        arch = job["extends"].rpartition("-")[2]
        for at, word in enumerate(job["variables"]["PACKAGES"].split()):
            key = f"{arch}:{word}"
            assert key not in home, "each package once"
            home[key] = (name, at)
    assert set(home) == {node.key for node in plan.to_build}
    for node in plan.to_build:
        job_name, at = home[node.key]
        for need in node.needs:
            other, before = home[need]
            assert other in above[job_name] or (other == job_name and before < at)
    if components:
        assert not any(job["needs"] for job in builds.values()), "nothing is handed on in a request"
        assert len(builds) <= max(jobs - 5, len(variants))
    assert made["gate"]["needs"] == ["collect"]
