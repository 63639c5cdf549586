"""Emitted pipelines, run with the real cosgen: from checkout to a published channel and its site.

What is real and what is stood in for: `emitted.py`.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.emitted import NAMES, Bell, Derivative, Machines, Run, kill_worker
from tests.engines import DockerEngine, Registry, start_registry
from tests.s3_engines import S3Server

NodeTool = Callable[[str], tuple[str, ...]]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]  # on a busy machine


@pytest.fixture(scope="module")
def machines(
    docker_engine: DockerEngine, registry: Registry, seaweedfs: S3Server, busybox_image: str
) -> Iterator[Machines]:
    seed = f"{registry.address}/seed/busybox:1"
    docker_engine.run("tag", busybox_image, seed)
    docker_engine.run("push", "--quiet", seed)
    bell = Bell()
    with start_registry(locked=True) as locked:
        yield Machines(docker_engine, locked, seaweedfs, bell, seed)
    bell.close()


def contents(place: Derivative, **versions: str) -> dict[str, str]:
    """Return what the packages' files say."""
    return {name: f"{place.name} {name} {versions.get(name, '1.0')}\n" for name in NAMES}


def test_a_static_pipeline_on_github(tmp_path: Path, machines: Machines) -> None:
    place = Derivative(tmp_path, machines, name="github-static", shape="static")

    first = place.act("push", "cosgen-testing").check()
    assert set(first.built) == NAMES
    assert first.rung == Counter(NAMES)
    assert place.installed("testing") == contents(place)
    place.mirror("testing")
    pages = place.state / "artifacts" / "github-pages"
    assert {page.stem for page in (pages / "packages" / "system").glob("*.html")} > NAMES
    assert "testing" in (pages / "index.html").read_text()

    state = place.state_of()
    second = place.act("push", "cosgen-testing").check()
    assert (second.built, second.rung) == ((), Counter())
    assert place.state_of() == state

    place.write_package("packages/library", ["toolchain"], "package_dir: /output\n", "1.1")
    base = place.git("rev-parse", "HEAD").strip()
    place.commit("Renew the library")
    there = place.tags()
    payload = {"pull_request": {"number": 1, "base": {"sha": base, "ref": "main"}, "head": {"ref": "topic"}}}
    request = place.act("pull_request", "cosgen-request", payload=payload).check()
    assert set(request.built) == {"library", "app", "os"}
    assert request.rung == Counter(["library", "app", "os"])  # what they need is in the engine's own cache
    assert (place.tags(), place.state_of()) == (there, state)

    third = place.act("push", "cosgen-testing").check()
    assert set(third.built) == {"library", "app", "os"}
    assert place.installed("testing") == contents(place, library="1.1")

    place.act("workflow_dispatch", "cosgen-stable").check()
    channels = place.state_of()[1]
    assert channels["stable"] == channels["testing"] != state[1]["testing"]
    assert place.installed("stable") == contents(place, library="1.1")
    place.cosgen("repo", "fsck")


@contextmanager
def held(machines: Machines, name: str, start: Callable[[], Run]) -> Iterator[Future[Run]]:
    """Start a pipeline; the body runs while a package is being built, which goes on after it."""
    machines.bell.hold(name)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(start)
        try:
            while not machines.bell.reached.wait(1):
                assert not pending.done(), pending.result().text
            yield pending
        finally:
            machines.bell.go.set()


def test_workers_on_github_of_which_one_dies(tmp_path: Path, machines: Machines) -> None:
    place = Derivative(tmp_path, machines, name="github-workers", shape="workers", site="storage")
    with held(machines, "kernel", lambda: place.act("push", "cosgen-testing", inline=True)) as pending:
        home = kill_worker(1)
        shutil.rmtree(
            home / "results", ignore_errors=True
        )  # the machine is gone, and what it would have told
    run = pending.result()
    assert run.code != 0  # a job died, and that is to be seen
    lost = NAMES - set(run.built)
    assert ("── my-os: testing/build, wave 2" in run.text) == bool(lost), run.text[-20_000:]
    assert f"green: built={len(run.built)}, failed=0, missing=0" in run.text, run.text[-20_000:]
    assert place.installed("testing") == contents(place)
    assert "testing" in place.stored_page("index.html")
    assert "library" in place.stored_page("packages/system/library.html")

    again = place.act("push", "cosgen-testing", inline=True).check()
    assert (again.built, again.rung) == ((), Counter())


def test_a_static_pipeline_on_gitlab(tmp_path: Path, machines: Machines, node_tool: NodeTool) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Derivative(tmp_path, machines, name="gitlab-static", shape="static")

    first = place.gitlab(tool, CI_PIPELINE_SOURCE="push").check()
    assert set(first.built) == NAMES
    assert first.rung == Counter(NAMES)
    assert place.installed("testing") == contents(place)
    place.mirror("testing")

    place.write_package("packages/library", ["toolchain"], "package_dir: /output\n", "1.1")
    place.commit("Renew the library")
    second = place.gitlab(tool, CI_PIPELINE_SOURCE="push").check()
    assert set(second.built) == {"library", "app", "os"}
    assert second.rung == Counter(["library", "app", "os"])
    assert place.installed("testing") == contents(place, library="1.1")

    state = place.state_of()
    third = place.gitlab(tool, CI_PIPELINE_SOURCE="push").check()
    assert (third.built, third.rung) == ((), Counter())
    assert place.state_of() == state

    by_hand = {"CI_PIPELINE_SOURCE": "web", "COSGEN_CHANNEL": "stable"}
    place.gitlab(tool, "--manual", "stable:promote", **by_hand).check()
    channels = place.state_of()[1]
    assert channels["stable"] == channels["testing"] == state[1]["testing"]
    assert place.installed("stable") == contents(place, library="1.1")
    place.cosgen("repo", "fsck")


def test_workers_on_gitlab_of_which_one_dies(
    tmp_path: Path, machines: Machines, moto_s3: S3Server, node_tool: NodeTool
) -> None:
    tool = node_tool("gitlab-ci-local")
    machines = replace(machines, s3=moto_s3)
    place = Derivative(
        tmp_path, machines, name="gitlab-workers", shape="workers", site="storage", by_role=True
    )

    with held(machines, "kernel", lambda: place.gitlab(tool, CI_PIPELINE_SOURCE="push")) as pending:
        kill_worker(1)
    run = pending.result()
    assert run.code != 0
    assert set(run.built) == NAMES
    assert "green: built=7, failed=0, missing=0" in run.text

    again = place.gitlab(tool, CI_PIPELINE_SOURCE="push").check()
    assert (again.built, again.rung) == ((), Counter())
    assert place.installed("testing") == contents(place)
    assert "testing" in place.stored_page("index.html")
