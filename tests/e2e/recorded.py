"""Projects whose emitted pipelines run under act and gitlab-ci-local, with builds recorded instead of done.

act knows no `concurrency.queue`, so that line is left out of what it runs; both know no forge, so the artifact
actions, the logins and the installation of cosgen are stood in for. gitlab-ci-local looks for the file of a
child pipeline in the folder of a job's name, and keeps it in one whose name has no `:`; a link joins them.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from cosgen.manifest.config import HooksConfig, ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.actions import shipped_pins
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipelines import X86, config, nodes

FAKES = Path(__file__).parents[1] / "fakes"
BIN = Path(sys.executable).parent
# A job of the project's own, or a hook: tells that it ran, and fails when told to.
_OWN = 'echo "own $1 $COSGEN_ARCH" >> "$COSGEN_TEST/log"; ! grep -qsx "$1" "$COSGEN_TEST/fail"'


def _words(hooks: HooksConfig) -> dict[str, list[str]]:
    return {item.name: list(getattr(hooks, item.name)) for item in fields(hooks)}


class Place:
    """A project in a folder, its stand-in for cosgen, and what that recorded."""

    def __init__(
        self,
        root: Path,
        provider: Provider,
        shape: str,
        settings: ProjectConfig | None = None,
        variants: Sequence[Variant] = (X86,),
    ) -> None:
        self.root, self.state = root / "project", root / "state"
        packages = tuple(node for variant in variants for node in nodes(variant=variant))
        self.graph = {f"{node.key}@1.0": [f"{need}@1.0" for need in node.needs] for node in packages}
        (self.state / "built").mkdir(parents=True)
        (self.state / "graph.json").write_text(json.dumps(self.graph))
        (self.state / "log").touch()
        self.root.mkdir()
        settings = settings or config(install="cosgen-installed")
        for file in emit_nodes(settings, variants, packages, provider, version="1", shape=shape):
            path = self.root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [line for line in file.text.splitlines() if line.strip() != "queue: max"]
            path.write_text("".join(f"{line}\n" for line in lines))
        (self.root / "cosgen.yaml").write_text(
            yaml.safe_dump(
                {  # what the small calls of jobs read of the settings
                    "version": 1,
                    "name": settings.name,
                    "arches": [variant.arch for variant in variants],
                    "registry": {"cache": settings.registry.cache},
                    "ci": {"install": settings.ci.install, "hooks": _words(settings.ci.hooks)},
                }
            )
        )
        (self.root / "packages").mkdir()
        (self.root / "packages" / ".keep").touch()
        self.bin = root / "bin"
        self.bin.mkdir()
        self._tool("cosgen", f'exec {sys.executable} {FAKES / "cosgen_recorder.py"} "$@"')
        for name in ("cosgen-installed", "docker", "pip"):
            self._tool(name, "cat > /dev/null < /dev/null; exit 0")
        self._tool("own", _OWN)
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

    @property
    def log(self) -> list[str]:
        """Return all that happened, a kind and its words a line."""
        return (self.state / "log").read_text().splitlines()

    def events(self, kind: str) -> list[str]:
        """Return the words of what happened of a kind."""
        return [line.partition(" ")[2] for line in self.log if line.startswith(f"{kind} ")]

    def calls(self, words: str) -> list[str]:
        """Return the calls of a command of cosgen."""
        return [call for call in self.events("call") if call.startswith(words)]

    def fail(self, *names: str) -> None:
        """Let packages, by key, and own jobs, by name, fail from now on."""
        (self.state / "fail").write_text("".join(f"{name}\n" for name in names))

    def clear(self) -> None:
        """Forget what happened and what runs kept, not what was built."""
        (self.state / "log").write_text("")
        shutil.rmtree(self.root / "results", ignore_errors=True)
        shutil.rmtree(self.state / "artifacts", ignore_errors=True)
        (self.state / "artifacts").mkdir()


def require_act() -> None:
    """Pass over the test without act, or fail it where engines are required."""
    if (BIN / "act").exists():
        return
    if os.environ.get("COSGEN_REQUIRE_ENGINES") == "1":
        pytest.fail("an engine is required (COSGEN_REQUIRE_ENGINES=1): act", pytrace=False)
    pytest.skip("engine missing: act")


def act(
    place: Place, event: str, workflow: str, payload: object = None, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """Run a workflow for an event."""
    pins = shipped_pins()
    stands = dict.fromkeys(pins, FAKES / "no_action")
    stands["actions/upload-artifact"] = FAKES / "upload_artifact"
    stands["actions/upload-pages-artifact"] = FAKES / "upload_artifact"
    stands["actions/download-artifact"] = FAKES / "download_artifact"
    del stands["actions/checkout"]
    command = [str(BIN / "act"), event, "-W", f".github/workflows/{workflow}.yml", "--no-cache-server"]
    command += ["-P", "ubuntu-24.04=-self-hosted", "-P", "ubuntu-24.04-arm=-self-hosted"]
    command += ["--action-cache-path", str(place.state / "cache")]
    if payload is not None:
        (place.state / "event.json").write_text(json.dumps(payload))
        command += ["--eventpath", str(place.state / "event.json")]
    for name, value in inputs.items():
        command += ["--input", f"{name}={value}"]
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


def gitlab(
    place: Place, tool: tuple[str, ...], *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a pipeline, or the jobs that options name."""
    artifacts = place.root / ".gitlab-ci-local" / "artifacts"
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir(parents=True)
    for path in place.root.glob(".gitlab/cosgen/cosgen-*.yml"):
        name = path.stem.removeprefix("cosgen-")
        (artifacts / f"{name}:child").symlink_to(f"{name}Ogchild")  # `:` in the base64 of URLs
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
