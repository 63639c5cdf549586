"""Emitted pipelines run in order, under act and gitlab-ci-local, with builds recorded instead of done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cosgen.graph.plan import package_key
from cosgen.pipeline.scene import Provider
from tests.e2e.recorded import Place, act, gitlab, require_act

NodeTool = Callable[[str], tuple[str, ...]]
LEFT, OS, BOOT = "x86_64:base/left@1.0", "x86_64:system/os@1.0", "x86_64:live/boot@1.0"

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _is_in_order(place: Place) -> bool:
    built = place.events("build")
    ends = {key: at for at, key in enumerate(built)}
    return all(ends[need] < ends[key] for key, needs in place.graph.items() for need in needs)


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_github_pipelines_build_in_order_and_only_what_is_missing(tmp_path: Path, shape: str) -> None:
    require_act()
    place = Place(tmp_path, Provider.GITHUB, shape)
    place.clear()
    place.fail(LEFT)
    red = act(place, "push", "cosgen-testing")
    assert red.returncode != 0, red.stdout
    assert place.events("fail") == [LEFT], red.stdout
    assert sorted(place.events("build")) == sorted(set(place.graph) - {LEFT, OS}), red.stdout
    assert not place.calls("publish")

    place.clear()
    place.fail()
    green = act(place, "push", "cosgen-testing")
    assert green.returncode == 0, green.stdout
    assert place.events("build") == [LEFT, OS], green.stdout
    assert place.calls("publish")

    place.clear()
    again = act(place, "push", "cosgen-testing")
    assert again.returncode == 0, again.stdout
    assert place.events("build") == []


def test_a_github_request_builds_and_writes_nothing(tmp_path: Path) -> None:
    require_act()
    place = Place(tmp_path, Provider.GITHUB, "workers")
    place.clear()
    run = act(place, "pull_request", "cosgen-request")
    assert run.returncode == 0, run.stdout
    _assert_nothing_is_written(place)


def _assert_nothing_is_written(place: Place) -> None:
    assert sorted(place.events("build")) == sorted(place.graph)
    assert _is_in_order(place)
    assert not list((place.state / "built").iterdir())
    assert not [call for call in place.events("call") if "--push" in call]
    assert not place.calls("publish")


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_gitlab_pipelines_build_in_order_and_only_what_is_missing(
    tmp_path: Path, node_tool: NodeTool, shape: str
) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, shape)
    place.clear()
    place.fail(LEFT)
    red = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert red.returncode != 0, red.stdout
    assert OS not in place.events("build"), red.stdout
    assert BOOT in place.events("build"), red.stdout
    assert not place.calls("publish")

    place.clear()
    place.fail()
    green = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert green.returncode == 0, green.stdout
    assert place.events("build") == [LEFT, OS], green.stdout
    assert place.calls("publish")


def test_a_gitlab_child_pipeline_is_written_run_and_judged_by_its_parent(
    tmp_path: Path, node_tool: NodeTool
) -> None:
    """A red child is run by its file: gitlab-ci-local goes on in the parent whatever came of the child."""
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "child")
    place.clear()
    place.fail(LEFT)
    gitlab(place, tool, "testing:plan", "testing:child", CI_PIPELINE_SOURCE="push")
    red = gitlab(place, tool, "--file", "child.yml")
    assert red.returncode != 0, red.stdout
    assert sorted(place.events("build")) == sorted(set(place.graph) - {LEFT, OS}), red.stdout

    place.clear()
    place.fail()
    green = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert green.returncode == 0, green.stdout
    assert place.events("build") == [LEFT, OS], green.stdout
    log = place.log
    last = log.index(f"build {OS}")
    assert log.index(place_of(log, "call ci gate")) > last
    assert log.index(place_of(log, "call publish")) > log.index(place_of(log, "call ci gate"))

    place.clear()
    again = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert again.returncode == 0, again.stdout
    assert "nothing to build" in again.stdout
    assert place.events("build") == []


def place_of(log: list[str], start: str) -> str:
    """Return the only line that starts so."""
    (line,) = [line for line in log if line.startswith(start)]
    return line


def test_a_gitlab_merge_request_builds_by_a_child_and_writes_nothing(
    tmp_path: Path, node_tool: NodeTool
) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "child")
    place.clear()
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="merge_request_event", CI_MERGE_REQUEST_DIFF_BASE_SHA="HEAD")
    assert run.returncode == 0, run.stdout
    _assert_nothing_is_written(place)
    assert place.calls("check")
    assert place.calls("ci --check")
    assert [call for call in place.calls("plan") if "--since HEAD" in call]


def test_keys_of_the_graph_are_keys_of_plans(tmp_path: Path) -> None:
    assert package_key("x86_64", "base/root", "1.0") in Place(tmp_path, Provider.GITHUB, "static").graph
