"""Emitted pipelines run, under act and gitlab-ci-local, with builds recorded instead of done.

act knows no `concurrency.queue`, so that line is left out of what it runs; both know no forge, so the
artifact actions, the logins and the installation of cosgen are stood in for.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosgen.graph.plan import package_key
from cosgen.manifest.platform import Variant
from cosgen.pipeline.actions import shipped_pins
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipelines import config, nodes

FAKES = Path(__file__).parents[1] / "fakes"
BIN = Path(sys.executable).parent
NodeTool = Callable[[str], tuple[str, ...]]
X86 = Variant("", "x86_64")
KEYS = {node.key: [f"{need}@1.0" for need in node.needs] for node in nodes()}
GRAPH = {f"{key}@1.0": needs for key, needs in KEYS.items()}
ORDER = [(key, need) for key, needs in GRAPH.items() for need in needs]

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


class Place:
    """A project in a folder, its stand-in for cosgen, and what that recorded."""

    def __init__(self, root: Path, provider: Provider, shape: str) -> None:
        self.root, self.state = root / "project", root / "state"
        (self.state / "built").mkdir(parents=True)
        (self.state / "graph.json").write_text(json.dumps(GRAPH))
        (self.state / "log").touch()
        self.root.mkdir()
        settings = config(install="cosgen-installed", runners={}, python="3.12")
        for file in emit_nodes(settings, (X86,), nodes(), provider, version="1", shape=shape):
            path = self.root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [line for line in file.text.splitlines() if line.strip() != "queue: max"]
            path.write_text("".join(f"{line}\n" for line in lines))
        (self.root / "cosgen.yaml").write_text(
            "version: 1\nname: acme-os\narches: [x86_64]\nregistry: {cache: ghcr.io/acme/cache}\n"
        )
        (self.root / "packages").mkdir()
        (self.root / "packages" / ".keep").touch()
        self.bin = root / "bin"
        self.bin.mkdir()
        self._tool("cosgen", f'exec {sys.executable} {FAKES / "cosgen_recorder.py"} "$@"')
        for name in ("cosgen-installed", "docker", "pip"):
            self._tool(name, "cat > /dev/null < /dev/null; exit 0")
        git = ["git", "-C", str(self.root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "x"], check=True)
        subprocess.run([*git, "remote", "add", "origin", "https://example.org/owner/repo.git"], check=True)
        subprocess.run([*git, "update-ref", "refs/remotes/origin/main", "HEAD"], check=True)

    def _tool(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "COSGEN_TEST": str(self.state),
            "COSGEN_TEST_ARTIFACTS": str(self.state / "artifacts"),
            "PYTHONPATH": str(FAKES.parents[1]),
        }

    def events(self, kind: str) -> list[str]:
        lines = (self.state / "log").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{kind} ")]

    def clear(self) -> None:
        (self.state / "log").write_text("")
        shutil.rmtree(self.state / "artifacts", ignore_errors=True)
        (self.state / "artifacts").mkdir()


def act(place: Place, event: str, workflow: str) -> subprocess.CompletedProcess[str]:
    pins = shipped_pins()
    stands = dict.fromkeys(pins, FAKES / "no_action")
    stands["actions/upload-artifact"] = FAKES / "upload_artifact"
    stands["actions/upload-pages-artifact"] = FAKES / "upload_artifact"
    stands["actions/download-artifact"] = FAKES / "download_artifact"
    del stands["actions/checkout"]
    command = [str(BIN / "act"), event, "-W", f".github/workflows/{workflow}.yml", "--no-cache-server"]
    command += ["-P", "ubuntu-24.04=-self-hosted", "--action-cache-path", str(place.state / "cache")]
    for name, folder in stands.items():
        command += ["--local-repository", f"{pins[name].uses}={folder}"]
    for name in ("COSGEN_TEST", "COSGEN_TEST_ARTIFACTS", "PYTHONPATH", "PATH"):
        command += ["--env", f"{name}={place.environment[name]}"]
    return subprocess.run(
        ["timeout", "-s", "KILL", "120", *command],
        cwd=place.root,
        env=place.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_github_pipelines_build_in_order_and_only_what_is_missing(tmp_path: Path, shape: str) -> None:
    if not (BIN / "act").exists():
        pytest.skip("act is not installed")
    place = Place(tmp_path, Provider.GITHUB, shape)

    place.clear()
    (place.state / "fail").write_text("x86_64:base/left@1.0")
    red = act(place, "push", "cosgen-testing")
    assert red.returncode != 0, red.stdout
    assert place.events("fail") == ["x86_64:base/left@1.0"], red.stdout
    assert sorted(place.events("build")) == [
        "x86_64:base/right@1.0",
        "x86_64:base/root@1.0",
        "x86_64:live/boot@1.0",
    ], red.stdout
    assert not [call for call in place.events("call") if call.startswith("publish")]

    place.clear()
    (place.state / "fail").unlink()
    green = act(place, "push", "cosgen-testing")
    assert green.returncode == 0, green.stdout
    built = place.events("build")
    assert built == ["x86_64:base/left@1.0", "x86_64:system/os@1.0"], green.stdout
    assert [call for call in place.events("call") if call.startswith("publish")]

    place.clear()
    again = act(place, "push", "cosgen-testing")
    assert again.returncode == 0, again.stdout
    assert place.events("build") == []


def test_a_github_request_builds_and_writes_nothing(tmp_path: Path) -> None:
    if not (BIN / "act").exists():
        pytest.skip("act is not installed")
    place = Place(tmp_path, Provider.GITHUB, "workers")
    place.clear()
    run = act(place, "pull_request", "cosgen-request")
    assert run.returncode == 0, run.stdout
    built = place.events("build")
    assert sorted(built) == sorted(GRAPH)
    assert all(built.index(need) < built.index(key) for key, need in ORDER)
    assert not list((place.state / "built").iterdir())
    assert not [call for call in place.events("call") if "--push" in call or call.startswith("publish")]


def gitlab(
    place: Place, tool: tuple[str, ...], *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [*tool, "--force-shell-executor", "--no-color", *options]
    for name, value in variables.items():
        command += ["--variable", f"{name}={value}"]
    return subprocess.run(
        ["timeout", "-s", "KILL", "180", *command],
        cwd=place.root,
        env=place.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_gitlab_pipelines_build_in_order_and_only_what_is_missing(
    tmp_path: Path, node_tool: NodeTool, shape: str
) -> None:
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, shape)
    place.clear()
    (place.state / "fail").write_text("x86_64:base/left@1.0")
    red = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert red.returncode != 0, red.stdout
    assert "x86_64:system/os@1.0" not in place.events("build"), red.stdout
    assert "x86_64:live/boot@1.0" in place.events("build"), red.stdout
    assert not [call for call in place.events("call") if call.startswith("publish")]

    place.clear()
    (place.state / "fail").unlink()
    green = gitlab(place, tool, CI_PIPELINE_SOURCE="push")
    assert green.returncode == 0, green.stdout
    assert place.events("build") == ["x86_64:base/left@1.0", "x86_64:system/os@1.0"], green.stdout
    assert [call for call in place.events("call") if call.startswith("publish")]


def test_keys_of_the_graph_are_keys_of_plans() -> None:
    assert package_key("x86_64", "base/root", "1.0") in GRAPH


def test_a_gitlab_child_pipeline_builds_in_order_and_its_gate_judges(
    tmp_path: Path, node_tool: NodeTool
) -> None:
    """The child is run by its file: gitlab-ci-local passes over triggers of jobs with `:` in their names."""
    tool = node_tool("gitlab-ci-local")
    place = Place(tmp_path, Provider.GITLAB, "child")
    place.clear()
    (place.state / "fail").write_text("x86_64:base/left@1.0")
    gitlab(place, tool, "testing:plan", "testing:child", CI_PIPELINE_SOURCE="push")
    red = gitlab(place, tool, "--file", "child.yml")
    assert red.returncode != 0, red.stdout
    assert "x86_64:system/os@1.0" not in place.events("build"), red.stdout
    assert "x86_64:live/boot@1.0" in place.events("build"), red.stdout

    place.clear()
    (place.state / "fail").unlink()
    shutil.rmtree(place.root / "results", ignore_errors=True)
    gitlab(place, tool, "testing:plan", "testing:child", CI_PIPELINE_SOURCE="push")
    green = gitlab(place, tool, "--file", "child.yml")
    assert green.returncode == 0, green.stdout
    assert place.events("build") == ["x86_64:base/left@1.0", "x86_64:system/os@1.0"], green.stdout
