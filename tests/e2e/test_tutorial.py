"""The tutorial of the documentation, command by command, as a newcomer types it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import ROOT, DockerEngine

TUTORIAL = ROOT / "site" / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SEED = "debian:bookworm-slim"  # what the starter names when nobody says otherwise


def commands() -> list[str]:
    """Return the commands of the tutorial, in order."""
    lines = (line for block in BLOCK.findall(TUTORIAL.read_text()) for line in block.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


class Newcomer:
    """A shell with a home of its own, and an engine that answers."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.environment = {
            **os.environ,
            **environment,
            "HOME": str(home),
            "GIT_AUTHOR_NAME": "n",
            "GIT_AUTHOR_EMAIL": "n@example.org",
            "GIT_COMMITTER_NAME": "n",
            "GIT_COMMITTER_EMAIL": "n@example.org",
            "PYTHONUNBUFFERED": "1",
        }
        self.folder = ROOT

    def type(self, line: str) -> str:
        """Run one line in bash; remember the folder and the variables it leaves."""
        state = 'printf \'\\0%s\\0%s\' "$PWD" "$PATH"'
        done = subprocess.run(
            ["bash", "-euc", f"{line}\n{state}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        said, folder, path = done.stdout.rsplit("\0", 2)
        self.folder, self.environment["PATH"] = Path(folder), path
        return said + done.stderr

    def serve(self, line: str) -> str:
        """Start a line that does not end by itself, read the first line it says, and end it."""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert server.stdout is not None
        try:
            return server.stdout.readline()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


@pytest.fixture
def newcomer(tmp_path: Path, docker_engine: DockerEngine, debian_image: str) -> Iterator[Newcomer]:
    had_seed = bool(docker_engine.client().images.list(SEED))
    if not had_seed:
        docker_engine.run("tag", debian_image, SEED)
    environment = docker_engine.environment()
    if docker_engine.pid:  # one of ours has no bridge
        environment["COSGEN_BUILD_NETWORK"] = "host"
    (tmp_path / "home").mkdir()
    yield Newcomer(tmp_path / "home", environment)
    if not had_seed:
        docker_engine.run("rmi", SEED)


@pytest.mark.docker
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_tutorial_works_as_it_is_written(newcomer: Newcomer, tmp_path: Path) -> None:
    said: dict[str, list[str]] = {}
    for line in commands():
        if line.startswith("cosgen init acme-os"):
            newcomer.folder = tmp_path
        run = newcomer.serve if line.startswith("cosgen serve") else newcomer.type
        said.setdefault(line, []).append(run(line))
    project = tmp_path / "acme-os"
    assert (tmp_path / "home" / "cosgen" / "bin" / "cosgen").exists()
    first, second = said["cosgen build --all"]
    assert "images built" in first
    assert "9 unchanged" in second
    assert "stable" in said["cosgen channel ls"][0]
    assert "apps/status" in said["cosgen repo diff stable testing"][0]
    assert "http://127.0.0.1" in said["cosgen serve build/site"][0]
    assert (project / ".github" / "workflows").is_dir()
    assert "2 to build" in said["cosgen plan"][1], said["cosgen plan"][1]
    assert sys.version_info >= (3, 11)
