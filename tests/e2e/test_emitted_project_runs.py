"""A project that uses all that `ci` offers runs under both providers: hooks, own jobs, gates, tags, schedules, hands."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from cosgen.pipeline.scene import Provider
from tests.e2e.recorded import Place, act, gitlab, require_act
from tests.fakes.pipelines import ARM, X86, whole_config

NodeTool = Callable[[str], tuple[str, ...]]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _own(place: Place, name: str) -> list[str]:
    """Return the architectures for which an own job or a hook ran."""
    found = [line.partition(" ") for line in place.events("own")]
    return [arch for word, _, arch in found if word == name]


def _first(log: Sequence[str], start: str) -> int:
    return next(at for at, line in enumerate(log) if line.startswith(start))


def _last(log: Sequence[str], start: str) -> int:
    return max(at for at, line in enumerate(log) if line.startswith(start))


def _assert_ordered(log: Sequence[str], *starts: str) -> None:
    """Each of these is there, and the last of one comes before the first of the next."""
    for earlier, later in pairwise(starts):
        assert _last(log, earlier) < _first(log, later), (earlier, later, log)


def _assert_testing_went_through(place: Place) -> None:
    log = place.log
    _assert_ordered(
        log,
        "own before-plan",
        "call plan",
        "own after-plan",
        "build ",
        "own iso",
        "own vm-test",
        "own before-publish",
    )
    _assert_ordered(
        log, "own before-publish", "call publish", "call image push", "own after-publish", "own before-site"
    )
    _assert_ordered(log, "own before-site", "call site build", "own after-site")
    _assert_ordered(log, "call publish", "own tell")
    assert sorted(place.events("build")) == sorted(place.graph), "of both architectures"
    builds = len(_own(place, "before-build"))
    assert builds == len(_own(place, "after-build")) == len(place.calls("build --packages"))
    assert builds >= 2
    for name in ("iso", "vm-test"):
        assert sorted(_own(place, name)) == sorted(["arm64", "x86_64"]), "one of each variant"
    assert not _own(place, "canary"), "a gate of another channel"


def test_on_github_all_of_a_project_runs_in_order_and_gates_hold(tmp_path: Path) -> None:
    require_act()
    place = Place(tmp_path, Provider.GITHUB, "static", whole_config(install="cosgen-installed"), (ARM, X86))
    place.clear()
    run = act(place, "push", "cosgen-testing")
    assert run.returncode == 0, run.stdout
    _assert_testing_went_through(place)

    place.clear()
    place.fail("vm-test")
    run = act(place, "push", "cosgen-testing")
    assert run.returncode != 0, run.stdout
    assert _own(place, "vm-test"), run.stdout
    assert not place.calls("publish"), "a gate that fails holds the channel back"
    assert not place.calls("site")

    tag = {"ref": "refs/tags/v1.0"}
    place.clear()
    place.fail("canary")
    run = act(place, "push", "cosgen-stable", tag)
    assert run.returncode != 0, run.stdout
    assert not place.calls("channel promote")
    place.clear()
    place.fail()
    run = act(place, "push", "cosgen-stable", tag)
    assert run.returncode == 0, run.stdout
    _assert_ordered(
        place.log, "own canary", "call channel promote testing stable", "call image push", "call site"
    )
    assert "--revision" in place.calls("channel promote")[0], "only what was built from the tagged commit"
    assert place.calls("release --tag v1.0 --channel stable")
    assert not place.events("build")

    place.clear()
    run = act(place, "workflow_dispatch", "cosgen-stable")
    assert run.returncode == 0, run.stdout
    assert place.calls("channel promote testing stable")
    assert not place.calls("release"), "nobody made a tag"


def test_on_github_time_and_queues_start_what_they_should(tmp_path: Path) -> None:
    require_act()
    place = Place(tmp_path, Provider.GITHUB, "static", whole_config(install="cosgen-installed"), (ARM, X86))
    place.clear()
    run = act(place, "schedule", "cosgen-maintenance", {"schedule": "23 3 * * *"})
    assert run.returncode == 0, run.stdout
    _assert_ordered(place.log, "call repo gc --apply", "call site build")
    assert not place.calls("lock")

    place.clear()
    run = act(place, "workflow_dispatch", "cosgen-maintenance", task="weekly")
    assert run.returncode == 0, run.stdout
    assert place.calls("lock --update --open-pr")
    assert not place.calls("repo gc")
    assert not place.calls("site")

    place.clear()
    run = act(place, "merge_group", "cosgen-request", {"merge_group": {"base_sha": "HEAD"}})
    assert run.returncode == 0, run.stdout
    assert sorted(place.events("build")) == sorted(place.graph)
    assert [call for call in place.calls("plan") if "--since HEAD" in call]
    assert _own(place, "smoke")
    assert not _own(place, "iso"), "not asked for in requests"
    assert not list((place.state / "built").iterdir())

    place.clear()
    place.fail("smoke")
    run = act(place, "pull_request", "cosgen-request")
    assert run.returncode != 0, "an own job of requests is required, too"


def test_on_gitlab_all_of_a_project_runs_in_order_and_gates_hold(tmp_path: Path, node_tool: NodeTool) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "child", whole_config(install="cosgen-installed"), (ARM, X86))
    place.clear()
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert run.returncode == 0, run.stdout
    _assert_testing_went_through(place)

    place.clear()
    place.fail("vm-test")
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert run.returncode != 0, run.stdout
    assert _own(place, "vm-test"), run.stdout
    assert not place.calls("publish"), "a gate that fails holds the channel back"

    place.clear()
    place.fail()
    tagged = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.0", "CI_COMMIT_BRANCH": ""}
    run = gitlab(place, tool, **tagged)
    assert "stable:promote is when:manual" in run.stdout, "a person starts it"
    assert not place.calls("channel promote")
    place.clear()
    run = gitlab(place, tool, "--manual", "stable:promote", **tagged)
    assert run.returncode == 0, run.stdout
    _assert_ordered(
        place.log, "own canary", "call channel promote testing stable", "call image push", "call site"
    )
    assert place.calls("release --tag v1.0 --channel stable")

    place.clear()
    run = gitlab(place, tool, "--manual", "stable:promote", CI_PIPELINE_SOURCE="web", COSGEN_CHANNEL="stable")
    assert run.returncode == 0, run.stdout
    assert place.calls("channel promote testing stable")
    assert not place.calls("release"), "nobody made a tag"


def test_on_gitlab_a_gate_that_follows_building_holds_the_channel_back(
    tmp_path: Path, node_tool: NodeTool
) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "workers", whole_config(install="cosgen-installed"), (X86,))
    place.clear()
    place.fail("iso")
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert run.returncode != 0, run.stdout
    assert _own(place, "iso"), run.stdout
    assert place.calls("ci collect")
    assert not place.calls("publish")

    place.clear()
    place.fail("x86_64:base/left@1.0")
    for built in (place.state / "built").iterdir():
        built.unlink()
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert run.returncode != 0, run.stdout
    assert not _own(place, "iso"), "there is nothing whole to make an image of"
    assert not place.calls("publish")


def test_on_gitlab_time_and_requests_start_what_they_should(tmp_path: Path, node_tool: NodeTool) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "child", whole_config(install="cosgen-installed"), (ARM, X86))
    place.clear()
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="schedule", COSGEN_TASK="nightly")
    assert run.returncode == 0, run.stdout
    _assert_ordered(place.log, "call repo gc --apply", "call site build")
    assert not place.calls("lock")
    place.clear()
    run = gitlab(place, tool, CI_PIPELINE_SOURCE="schedule", COSGEN_TASK="weekly")
    assert run.returncode == 0, run.stdout
    assert place.calls("lock --update --open-pr")
    assert not place.calls("repo gc")
    assert not place.calls("site")

    place.clear()
    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "HEAD"}
    run = gitlab(place, tool, **request)
    assert run.returncode == 0, run.stdout
    assert sorted(place.events("build")) == sorted(place.graph)
    assert _own(place, "smoke")
    assert not _own(place, "iso")
    assert not list((place.state / "built").iterdir())
    place.clear()
    place.fail("smoke")
    assert gitlab(place, tool, **request).returncode != 0, "an own job of requests is required, too"
