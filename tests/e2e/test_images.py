"""Upgrade images by the command line: a real registry, a real engine, a repository in a folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Registry
from tests.engines import DockerEngine
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact

pytestmark = pytest.mark.e2e

CONFIG = """\
version: 1
name: acme
registry: {{images: {images}}}
repository: {{storage: {storage}}}
channels: {{testing: {{}}, stable: {{from: testing}}}}
upgrade: {{package: system/os}}
"""


class Project:
    """A folder with a cosgen.yaml, in which commands run."""

    def __init__(self, folder: Path, images: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self.name: ImageName = parse_name(images)[0]
        self.registry = Registry()
        self._environment = {**os.environ, **environment}
        (folder / "packages").mkdir()
        (folder / "cosgen.yaml").write_text(CONFIG.format(images=images, storage=folder / "repo"))

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "cosgen"), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def publish(self, version: str) -> None:
        folder = self.folder / f"artifacts-{version}"
        for arch in ("x86_64", "arm64"):
            make_artifact(folder / arch, "os", version, category="system", arch=arch)
        self.run("publish", *map(str, sorted(folder.iterdir())), "--channel", "testing")

    def digest(self, tag: str) -> str | None:
        return self.registry.find_digest(self.name, tag)


@pytest.fixture
def project(
    tmp_path: Path, registry: Server, docker_engine: DockerEngine, request: pytest.FixtureRequest
) -> Project:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return Project(tmp_path, f"{registry.address}/e2e/{stem}", docker_engine.environment())


def test_channel_tags_follow_promotion_and_rollback(project: Project) -> None:
    project.publish("1.0")
    project.run("image", "push", "--channel", "testing")
    one = project.digest("testing")
    assert one is not None
    assert one == project.digest("1.0")
    project.run("channel", "promote", "testing", "stable")
    project.run("image", "push", "--channel", "stable")
    assert project.digest("stable") == one

    project.publish("2.0")
    assert "CG655" not in project.run("image", "push", "--channel", "testing")
    two = project.digest("testing")
    assert two not in (None, one)
    project.run("channel", "promote", "testing", "stable")
    project.run("image", "push", "--channel", "stable")
    assert project.digest("stable") == two

    project.run("channel", "rollback", "stable")
    project.run("image", "push", "--channel", "stable")
    assert project.digest("stable") == one
    assert one in project.run("image", "verify", "--channel", "stable")


def test_pushing_again_writes_nothing_new(project: Project) -> None:
    project.publish("1.0")
    first = project.run("image", "push", "--channel", "testing")
    log = len(list((project.folder / "repo" / "_log").iterdir()))
    assert project.run("image", "push", "--channel", "testing") == first
    assert len(list((project.folder / "repo" / "_log").iterdir())) == log


def test_a_tag_moved_by_somebody_else_is_told_and_kept(project: Project) -> None:
    project.publish("1.0")
    project.run("image", "push", "--channel", "testing")
    theirs = project.registry.find_manifest(
        project.name, str(project.registry.find_digest(project.name, "1.0"))
    )
    assert theirs is not None
    other = next(d for d in _platform_digests(project) if d != theirs.digest)
    found = project.registry.find_manifest(project.name, other)
    assert found is not None
    project.registry.put_manifest(project.name, "testing", found)
    project.publish("2.0")
    assert "CG655" in project.run("image", "push", "--channel", "testing", code=5)
    assert project.digest("testing") == found.digest
    assert "CG657" in project.run("image", "verify", "--channel", "testing", code=6)


def _platform_digests(project: Project) -> list[str]:
    words = project.run("image", "push", "--channel", "testing").split()
    return [word for word in words if word.startswith("sha256:")]


@pytest.fixture
def container(docker_engine: DockerEngine, busybox_image: str) -> Iterator[str]:
    client = docker_engine.client()
    script = (
        "echo hello > /etc/motd; rm /etc/group; mkdir -p /root/.ssh; "
        "printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\\nAAAA\\n' > /etc/planted"
    )
    made = client.containers.create(
        busybox_image, ["sh", "-c", f"touch /etc/group; {script}"], network_mode="none"
    )
    made.start()
    made.wait()
    yield str(made.id)
    made.remove(force=True)


def test_a_container_becomes_an_image_once_its_secrets_are_gone(
    project: Project, container: str, docker_engine: DockerEngine
) -> None:
    told = project.run("image", "commit", container, "--channel", "edge", code=6)
    assert "/etc/planted: a private key" in told
    assert "added: /etc/motd" in told
    assert project.digest("edge") is None

    project.run("image", "commit", container, "--channel", "edge", "--allow", "/etc/planted")
    digest = project.digest("edge")
    assert digest is not None
    client = docker_engine.client()
    client.images.pull(f"{project.name}@{digest}")
    said = client.containers.run(
        f"{project.name}@{digest}", ["cat", "/etc/motd"], network_mode="none", remove=True
    )
    assert said == b"hello\n"
    project.run("image", "commit", container, "--channel", "again", "--allow", "/etc/planted")
    assert project.digest("again") == digest
