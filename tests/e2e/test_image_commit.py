"""The `docker run` … `docker commit` way with real containers: what ships was looked through, and nothing else."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.image_project import Project
from tests.engines import DockerEngine
from tests.engines import Registry as Server

pytestmark = pytest.mark.e2e

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\\nAAAA\\n"
Run = Callable[..., Any]


@pytest.fixture
def project(
    tmp_path: Path, registry: Server, docker_engine: DockerEngine, request: pytest.FixtureRequest
) -> Project:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return Project(tmp_path, f"{registry.address}/commit/{stem}", docker_engine.environment())


@pytest.fixture
def run(docker_engine: DockerEngine, busybox_image: str) -> Iterator[Run]:
    """Start a container of a script; waits for its end unless it is to go on running."""
    client = docker_engine.client()
    made = []

    def start(script: str, *, running: bool = False, **settings: Any) -> Any:
        script = f"{script}; touch /tmp/ready; sleep 600" if running else script
        container = client.containers.create(
            busybox_image, ["sh", "-c", script], network_mode="none", **settings
        )
        made.append(container)
        container.start()
        if running:
            while container.exec_run(["test", "-e", "/tmp/ready"]).exit_code:
                pass
            container.exec_run(["rm", "/tmp/ready"])
        else:
            container.wait()
        return container

    yield start
    for container in made:
        container.remove(force=True)
    client.close()


def files_of(engine: DockerEngine, reference: str) -> dict[str, bytes]:
    client = engine.client()
    client.images.pull(reference)
    container = client.containers.create(reference, ["none"])
    try:
        exported = io.BytesIO(b"".join(container.export()))
    finally:
        container.remove()
        client.close()
    with tarfile.open(fileobj=exported) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


def config_of(project: Project, tag: str) -> dict[str, Any]:
    index = project.registry.find_manifest(project.name, tag)
    assert index is not None
    (entry,) = json.loads(index.data)["manifests"]
    manifest = project.registry.find_manifest(project.name, entry["digest"])
    assert manifest is not None
    blob = project.registry.get_blob(project.name, json.loads(manifest.data)["config"]["digest"])
    return dict(json.loads(blob)["config"])


def test_a_container_becomes_an_image_once_its_secrets_are_gone(
    project: Project, run: Run, docker_engine: DockerEngine
) -> None:
    container = run(f"echo hello > /etc/motd; rm /etc/group; printf -- '{KEY}' > /etc/planted").id
    told = project.run("image", "commit", container, "--channel", "edge", code=6)
    assert "/etc/planted: a private key" in told
    assert "added: /etc/motd" in told
    assert "deleted: /etc/group" in told
    assert project.registry.list_tags(project.name) == ()

    project.run("image", "commit", container, "--channel", "edge", "--allow", "/etc/planted")
    digest = project.digest("edge")
    assert digest is not None
    files = files_of(docker_engine, f"{project.name}@{digest}")
    assert files["etc/motd"] == b"hello\n"
    assert "etc/group" not in files
    assert ".dockerenv" not in {name for name in files if files[name]}
    project.run("image", "commit", container, "--channel", "edge", "--allow", "/etc/planted")
    assert project.digest("edge") == digest
    project.run("image", "verify", "--channel", "edge")


def test_a_dry_run_shows_what_changed_and_pushes_nothing(project: Project, run: Run) -> None:
    container = run("echo x > /etc/passwd; echo y > /etc/new")
    told = project.run("image", "commit", container.id, "--channel", "edge", "--dry-run")
    assert "changed: /etc/passwd" in told
    assert "added: /etc/new" in told
    assert project.registry.list_tags(project.name) == ()


def test_a_running_container_is_taken_standing_still_and_goes_on(
    project: Project, run: Run, docker_engine: DockerEngine
) -> None:
    container = run("echo hello > /etc/motd", running=True)
    project.run("image", "commit", container.id, "--channel", "edge")
    container.reload()
    assert container.status == "running"
    assert files_of(docker_engine, f"{project.name}:edge")["etc/motd"] == b"hello\n"


@pytest.mark.parametrize(
    ("script", "path", "id_"),
    [
        ("mkdir -p /etc/ssh; echo k > /etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key", "CG660"),
        ("mkdir -p /root/.aws; echo k > /root/.aws/credentials", "/root/.aws/credentials", "CG661"),
        ("echo 0123 > /etc/machine-id", "/etc/machine-id", "CG662"),
        ("echo ls > /root/.ash_history", "/root/.ash_history", "CG663"),
        ("mkdir -p /root/.cache/x; echo c > /root/.cache/x/y", "/root/.cache/x/y", "CG664"),
        ("echo t > /var/tmp/t", "/var/tmp/t", "CG665"),
        # Names that the engine tells in another spelling than the tar, and a second name of the same file.
        (f"printf -- '{KEY}' > /etc/$(printf 'k\\377')", "/etc/k", "CG668"),
        (f"printf -- '{KEY}' > /etc/$(printf 'k\\033[2J')", "/etc/k", "CG668"),
        (f"printf -- '{KEY}' > '/etc/a b\n'", "/etc/a b", "CG668"),
    ],
)
def test_what_must_not_ship_is_refused(project: Project, run: Run, script: str, path: str, id_: str) -> None:
    told = project.run("image", "commit", run(script).id, "--channel", "edge", code=6)
    assert f"[{id_}]" in told
    assert path in told
    assert "\033[2J" not in told
    assert project.registry.list_tags(project.name) == ()


def test_a_second_name_of_a_secret_is_looked_through_too(project: Project, run: Run) -> None:
    container = run(f"printf -- '{KEY}' > /etc/a-key; ln /etc/a-key /etc/b-key")
    told = project.run("image", "commit", container.id, "--channel", "edge", "--allow", "/etc/a-key", code=6)
    assert "/etc/b-key: a private key" in told


def test_secrets_in_the_environment_are_refused_and_the_rest_ships(project: Project, run: Run) -> None:
    container = run(
        "true", environment={"EDITOR": "vi", "DEPLOY_TOKEN": "hunter2", "AWS": "AKIA" + "A" * 16}
    ).id
    told = project.run("image", "commit", container, "--channel", "edge", code=6)
    assert "env:DEPLOY_TOKEN" in told
    assert "env:AWS: an access token" in told
    assert "hunter2" not in told
    allowed = ("--allow", "env:DEPLOY_TOKEN", "--allow", "env:AWS")
    project.run("image", "commit", container, "--channel", "edge", *allowed)
    config = config_of(project, "edge")
    assert "EDITOR=vi" in config["Env"]
    assert config["Cmd"] == ["/bin/sh"]  # the image's, not the script that made the change


@pytest.mark.parametrize("name", ["../images/x", "a/b", "a?x=1", "x\n", "-x", ""])
def test_a_name_that_is_none_is_refused(project: Project, name: str) -> None:
    told = project.run("image", "commit", "--channel", "edge", "--", name, code=4)
    assert "CG496" in told


def test_a_committed_image_follows_its_channel_and_is_recorded(
    project: Project, run: Run, docker_engine: DockerEngine
) -> None:
    project.publish("1.0", arches=("x86_64",))
    theirs = project.push("testing")
    container = run("echo patched > /etc/motd").id
    project.run("image", "commit", container, "--channel", "testing")
    digest = project.digest("testing")
    assert digest not in {None, theirs}
    files = files_of(docker_engine, f"{project.name}:testing")
    assert files["etc/motd"] == b"patched\n"
    conf = yaml.safe_load(files["etc/luet/repos.conf.d/acme-testing-x86_64.yaml"])
    assert conf["reference"] == "testing-x86_64-repository.yaml"
    assert digest in project.run("image", "verify", "--channel", "testing")
    log = [json.loads(line) for line in project.run("repo", "log").splitlines() if line.startswith("{")]
    assert log[0]["op"] == "image"
    assert log[0]["changes"]["images"][""]["container"] is True
    assert project.push("testing") == theirs


def test_a_tag_that_nobody_recorded_is_not_taken_over(project: Project, run: Run) -> None:
    container = run("echo 1 > /etc/motd").id
    project.run("image", "commit", container, "--channel", "edge")
    ours = str(project.digest("edge"))
    project.run("image", "tag", "theirs", ours)
    other = run("echo 2 > /etc/motd").id
    assert "CG655" in project.run("image", "commit", other, "--channel", "theirs", code=5)
    assert project.digest("theirs") == ours
    project.run("image", "commit", other, "--channel", "theirs", "--expect", ours)
    assert project.digest("theirs") != ours
