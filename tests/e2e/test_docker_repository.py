"""A channel as luet's docker repository type: accepted by a strict client and by a real engine, through a registry."""

from pathlib import Path

import pytest
import yaml

from cosgen.build.reference import parse_name
from tests.e2e.image_project import Project, export_image
from tests.engines import DockerEngine
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact
from tests.fakes.strict_docker_reader import DockerClient, unpacked
from tests.fakes.strict_luet_reader import LuetBreaksError

pytestmark = pytest.mark.e2e

FLAVOR = "green"
PACKAGES = (("tool", "1.0+2"), ("lib", "2.0"))


@pytest.fixture
def project(tmp_path: Path, registry: Server, request: pytest.FixtureRequest) -> Project:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    project = Project(tmp_path, f"{registry.address}/luet/{stem}", {}, flavor=FLAVOR)
    project.configure("client: C, docker_type: true")
    return project


def client(project: Project, arch: str = "x86_64") -> DockerClient:
    architecture = {"x86_64": "amd64", "arm64": "arm64"}[arch]
    return DockerClient(f"{project.images}-packages-{FLAVOR}-{arch}", architecture)


def publish(project: Project, name: str, *versions: tuple[str, str], content: str = "") -> None:
    for package, version in versions:
        for arch in ("x86_64", "arm64"):
            make_artifact(
                project.folder / name / arch,
                package,
                version,
                arch=arch,
                flavor=FLAVOR,
                content=content and f"{content}\n",
            )
    folders = sorted(str(path) for path in (project.folder / name).iterdir())
    project.run("publish", *folders, "--channel", "testing")


def test_a_client_installs_every_package_of_each_variant(project: Project) -> None:
    publish(project, "one", *PACKAGES)
    project.run("repo", "push", "--channel", "testing")
    for arch in ("x86_64", "arm64"):
        machine = client(project, arch)
        for reference in (
            f"testing-{FLAVOR}-{arch}-repository.yaml",
            f"s0-{FLAVOR}-{arch}-repository.yaml",
        ):
            synced = machine.repository(reference)
            assert set(synced.packages) == {"tool-apps-1.0+2", "lib-apps-2.0"}
            for fingerprint, package in synced.packages.items():
                archive = project.folder / "one" / arch / f"{fingerprint}.package.tar.zst"
                assert machine.package(package).tar == unpacked(archive.read_bytes())
        metadata = machine.fetch("tool-apps-1.0+2.metadata.yaml")
        assert metadata == (project.folder / "one" / arch / "tool-apps-1.0+2.metadata.yaml").read_bytes()
        view = yaml.safe_load(machine.fetch(f"testing-{FLAVOR}-{arch}-repository.yaml"))
        assert view["type"] == "docker"
        assert view["urls"] == [machine.url]


def test_the_client_files_name_the_repository_that_was_pushed(project: Project) -> None:
    publish(project, "one", *PACKAGES)
    project.run("repo", "push", "--channel", "testing")
    project.run("repo", "client", "testing", "--output", "client")
    file = project.folder / "client" / f"acme-testing-{FLAVOR}-arm64-c-docker-rolling-repos-conf.yaml"
    configured = yaml.safe_load(file.read_text())
    (url,) = configured["urls"]
    synced = DockerClient(url, configured["arch"]).repository(configured["reference"])
    assert len(synced.packages) == 2


def test_a_real_engine_pulls_and_unpacks_a_package(project: Project, docker_engine: DockerEngine) -> None:
    publish(project, "one", ("tool", "1.0+2"))
    project.run("repo", "push", "--channel", "testing")
    reference = f"{client(project).url}:tool-apps-1.0-2"
    files = export_image(docker_engine, reference, "linux/amd64")
    assert files["usr/share/tool/data"] == b"tool 1.0+2\n"


def test_pushing_again_sends_nothing_and_a_new_version_only_itself(project: Project) -> None:
    publish(project, "one", *PACKAGES)
    first = project.run("repo", "push", "--channel", "testing")
    assert first.count("-packages-") == 2 * (2 * 2 + 2 + 3) + 2
    again = project.run("repo", "push", "--channel", "testing")
    assert again.count("pushed 0, 9 there already") == 2
    publish(project, "two", ("tool", "1.1"))
    told = project.run("repo", "push", "--channel", "testing")
    sent = [line.rpartition(":")[2] for line in told.splitlines() if "x86_64:" in line]
    assert sent[1:] == [
        "tool-apps-1.1",
        "tool-apps-1.1.metadata.yaml",
        "s1-repository.meta.yaml.tar.zst",
        "s1-tree.tar.zst",
        f"s1-{FLAVOR}-x86_64-repository.yaml",
        "repository.yaml",
        f"testing-{FLAVOR}-x86_64-repository.yaml",
    ]
    assert "tool-apps-1.1" in client(project).repository("repository.yaml").packages


def test_promotion_and_rollback_move_the_pointer_alone(project: Project) -> None:
    publish(project, "one", ("tool", "1.0"))
    project.run("channel", "promote", "testing", "stable")
    publish(project, "two", ("tool", "2.0"))
    stable = f"stable-{FLAVOR}-x86_64-repository.yaml"
    for channel in ("testing", "stable"):
        project.run("repo", "push", "--channel", channel)
    before = client(project).repository(stable)
    assert set(before.packages) == {"tool-apps-1.0"}
    project.run("channel", "promote", "testing", "stable")
    told = project.run("repo", "push", "--channel", "stable")
    assert told.count("pushed 1,") == 2
    moved = client(project).repository(stable)
    assert "tool-apps-2.0" in moved.packages
    project.run("channel", "rollback", "stable")
    project.run("repo", "push", "--channel", "stable")
    back = client(project).repository(stable)
    assert set(back.packages) == {"tool-apps-1.0"}
    assert before.revision < moved.revision < back.revision


def test_a_version_with_other_bytes_is_refused_before_anything_is_written(project: Project) -> None:
    publish(project, "one", *PACKAGES)
    project.run("repo", "push", "--channel", "testing")
    tags = client(project).tags()
    publish(project, "two", *PACKAGES, content="rebuilt without a new version")
    told = project.run("repo", "push", "--channel", "testing", code=5)
    assert told.count("error[CG677]") == 4
    assert client(project).tags() == tags
    project.run("repo", "push", "--channel", "testing", "--force")
    machine = client(project)
    (package, *_) = machine.repository(f"testing-{FLAVOR}-x86_64-repository.yaml").packages.values()
    assert b"rebuilt" in next(iter(machine.package(package).files.values()))


def test_a_repository_of_somebody_else_is_not_taken_over(project: Project) -> None:
    publish(project, "one", ("tool", "1.0"))
    project.run(
        "image",
        "push",
        "--channel",
        "testing",
        "--package",
        "apps/tool",
        "--images",
        f"{project.images}-packages",
    )
    # what another tool wrote under the tag that clients follow
    name = client(project).url
    place = parse_name(name)[0]
    own = parse_name(f"{project.images}-packages-{FLAVOR}")[0]
    index = project.registry.find_manifest(own, "testing")
    assert index is not None
    entry = yaml.safe_load(index.data)["manifests"][0]["digest"]
    manifest = project.registry.find_manifest(own, entry)
    assert manifest is not None
    document = yaml.safe_load(manifest.data)
    for blob in (document["config"], *document["layers"]):
        project.registry.put_blob(place, project.registry.get_blob(own, blob["digest"]))
    pointer = f"testing-{FLAVOR}-x86_64-repository.yaml"
    project.registry.put_manifest(place, pointer, manifest)
    assert "CG655" in project.run("repo", "push", "--channel", "testing", code=5)
    assert client(project).tags() == [pointer]
    with pytest.raises(LuetBreaksError):
        client(project).repository(pointer)
    project.run("repo", "push", "--channel", "testing", "--force")
    client(project).repository(pointer)
