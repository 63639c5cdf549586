"""Upgrade images by the command line: a real registry, a real engine, a repository in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from cosgen.upgrade.oci import referrers_tag
from tests.base_images import busybox_tar
from tests.e2e.image_project import Project, export_image
from tests.engines import DockerEngine
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact, make_tar

pytestmark = pytest.mark.e2e


@pytest.fixture
def project(
    tmp_path: Path, registry: Server, docker_engine: DockerEngine, request: pytest.FixtureRequest
) -> Project:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return Project(tmp_path, f"{registry.address}/e2e/{stem}", docker_engine.environment())


def layers(project: Project, tag: str, platform: str = "amd64") -> list[str]:
    """Return the layers of a tag's image, lowest first."""
    index = project.registry.find_manifest(project.name, tag)
    assert index is not None
    digest = next(
        entry["digest"]
        for entry in json.loads(index.data)["manifests"]
        if entry["platform"]["architecture"] == platform
    )
    manifest = project.registry.find_manifest(project.name, digest)
    assert manifest is not None
    return [layer["digest"] for layer in json.loads(manifest.data)["layers"]]


def test_channel_tags_follow_promotion_and_rollback(project: Project) -> None:
    project.publish("1.0")
    testing = project.push("testing")
    assert project.digest("1.0") == project.digest("s0") not in {None, testing}
    project.run("channel", "promote", "testing", "stable")
    one = project.push("stable")
    assert one != testing
    assert layers(project, "stable")[:-1] == layers(project, "testing")[:-1] == layers(project, "1.0")
    assert layers(project, "stable")[-1] != layers(project, "testing")[-1]

    project.publish("2.0")
    assert project.push("testing") != testing
    project.run("channel", "promote", "testing", "stable")
    assert project.push("stable") != one

    project.run("channel", "rollback", "stable")
    assert project.push("stable") == one
    assert one in project.run("image", "verify", "--channel", "stable")


def test_pushing_again_writes_nothing_new(project: Project) -> None:
    project.publish("1.0")
    first = project.run("image", "push", "--channel", "testing")
    log = project.commits()
    assert project.run("image", "push", "--channel", "testing") == first
    assert project.commits() == log


def test_a_layered_image_sends_only_the_packages_that_changed(project: Project) -> None:
    contents = {"a": b"a" * 999, "b": b"b" * 999}
    for version in ("1.0", "2.0"):
        folder = project.folder / f"layered-{version}"
        make_artifact(folder, "a", tar=make_tar({"usr/a": contents["a"]}))
        make_artifact(folder, "b", version, tar=make_tar({"usr/b": contents["b"] + version.encode()}))
        system = {
            "usr/a": contents["a"],
            "usr/b": contents["b"] + version.encode(),
            "etc/v": version.encode(),
        }
        needs = ("a-apps-1.0", f"b-apps-{version}")
        make_artifact(folder, "os", version, category="system", tar=make_tar(system), needs=needs)
        project.run("publish", str(folder), "--channel", "testing")
        project.run("image", "push", "--channel", "testing", "--layered")
    one, two = layers(project, "1.0"), layers(project, "2.0")
    assert len(one) == len(two) == 3
    assert [a == b for a, b in zip(one, two, strict=True)] == [True, False, False]
    project.run("image", "verify", "--channel", "testing")


def test_the_same_system_is_the_same_image_whoever_pushes_it(
    project: Project, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    project.publish("1.0")
    folder = tmp_path / "other"
    folder.mkdir()
    other = Project(folder, f"{project.images}-other", docker_engine.environment())
    other.publish("1.0")
    other.run("image", "push", "--channel", "testing")
    project.push("testing")
    assert project.digest("s0") == other.digest("s0")


def test_a_tag_moved_by_somebody_else_is_told_and_kept(project: Project) -> None:
    project.publish("1.0")
    theirs = project.push("testing")
    index = project.registry.find_manifest(project.name, theirs)
    assert index is not None
    other = json.loads(index.data)["manifests"][0]["digest"]
    found = project.registry.find_manifest(project.name, other)
    assert found is not None
    project.registry.put_manifest(project.name, "testing", found)
    project.publish("2.0")
    log = project.commits()
    assert "CG655" in project.run("image", "push", "--channel", "testing", code=5)
    assert project.digest("testing") == found.digest
    assert project.commits() == log
    assert "CG657" in project.run("image", "verify", "--channel", "testing", code=6)
    project.run("image", "tag", "testing", theirs)
    project.push("testing")
    project.run("image", "verify", "--channel", "testing")


def test_both_platforms_of_a_snapshot_are_under_one_tag(
    project: Project, docker_engine: DockerEngine
) -> None:
    project.publish("1.0")
    project.push("testing")
    for arch, platform in (("arm64", "linux/arm64"), ("x86_64", "linux/amd64")):
        files = export_image(docker_engine, f"{project.name}:testing", platform)
        assert files["usr/lib/arch"] == f"{arch}\n".encode()
        repository = yaml.safe_load(files[f"etc/luet/repos.conf.d/acme-testing-{arch}.yaml"])
        assert repository["reference"] == f"testing-{arch}-repository.yaml"
        assert repository["arch"] == platform.partition("/")[2]


def client_files(project: Project, channel: str) -> dict[str, str]:
    folder = project.folder / f"client-{channel}"
    project.run("repo", "client", channel, "--output", str(folder))
    return {path.name: path.read_text() for path in folder.iterdir()}


def in_container(engine: DockerEngine, reference: str, *paths: str) -> Mapping[str, str]:
    """Run a container of an image, and return what it reads in its own files."""
    script = 'for f; do echo; echo "== $f"; cat $f; done'
    engine.run("pull", "--quiet", reference)
    arguments = (reference, "sh", "-c", script, "sh", *paths)
    said = engine.run("run", "--rm", "--network=none", *arguments)
    parts = [part.partition("\n") for part in f"\n{said}".split("\n\n== ")[1:]]
    return {path: text.removesuffix("\n") for path, _, text in parts}


def test_a_machine_of_each_channel_finds_its_own_files(
    tmp_path: Path, registry: Server, docker_engine: DockerEngine
) -> None:
    images = f"{registry.address}/e2e/own-files"
    project = Project(tmp_path, images, docker_engine.environment(), flavor="green")
    project.publish("1.0", arches=("x86_64",), tar=busybox_tar())
    project.run("channel", "promote", "testing", "stable")
    for channel in ("testing", "stable"):
        project.push(channel)
        name = f"acme-{channel}-green-x86_64"
        told = client_files(project, channel)
        conf, follow = f"/etc/luet/repos.conf.d/{name}.yaml", "/etc/elemental/config.d/upgrade_channel.yaml"
        oem, keep = f"/system/oem/03_{name}.yaml", f"/system/oem/03_{name}_keep.yaml"
        found = in_container(docker_engine, f"{project.name}:{channel}", conf, follow, oem, keep)

        assert found[conf] == told[f"{name}-c-http-rolling-repos-conf.yaml"].rstrip("\n")
        assert yaml.safe_load(found[conf])["reference"] == f"{channel}-green-x86_64-repository.yaml"
        assert yaml.safe_load(found[conf])["urls"] == ["https://repo.acme.example/r"]
        assert yaml.safe_load(found[follow])["upgrade"]["system"]["uri"] == "channel:system/os"
        assert found[oem] == told[f"{name}-c-http-rolling-oem.yaml"].rstrip("\n")
        (kept,) = yaml.safe_load(found[keep])["stages"]["initramfs.before"][0]["files"]
        assert kept["path"] == "/oem/03_acme_channel.yaml"
        assert kept["content"].rstrip("\n") == found[oem]
        project.run("image", "verify", "--channel", channel)


def test_a_machine_that_follows_images_follows_the_tag_of_its_channel(
    project: Project, docker_engine: DockerEngine
) -> None:
    project.configure("client: D")
    project.publish("1.0", arches=("x86_64",))
    project.push("testing")
    files = export_image(docker_engine, f"{project.name}:testing", "linux/amd64")
    config = yaml.safe_load(files["etc/elemental/config.yaml"])
    assert config["upgrade"]["system"]["uri"] == f"oci:{project.name}:testing"
    assert (
        files["system/oem/03_acme-testing-x86_64.yaml"].decode()
        == client_files(project, "testing")["acme-testing-x86_64-d-docker-image-tag-oem.yaml"]
    )
    assert not any("keep" in path for path in files)


@pytest.mark.parametrize(
    ("upgrade", "why"),
    [
        ("client: D, follow: channel", "generation D has no release channels"),
        ("client: B, follow: image", "generation B ignores an image named in its files"),
    ],
)
def test_what_a_generation_cannot_follow_is_refused(project: Project, upgrade: str, why: str) -> None:
    project.publish("1.0", arches=("x86_64",))
    project.configure(upgrade)
    told = project.run("image", "push", "--channel", "testing", code=3)
    assert "cosgen.yaml" in told
    assert why in told
    assert project.registry.list_tags(project.name) == ()


def test_an_image_without_its_sbom_does_not_verify(project: Project) -> None:
    project.publish("1.0", arches=("x86_64",))
    project.push("testing")
    index = project.registry.find_manifest(project.name, "testing")
    assert index is not None
    tag = referrers_tag(json.loads(index.data)["manifests"][0]["digest"])
    listed = project.registry.find_manifest(project.name, tag)
    assert listed is not None
    assert len(json.loads(listed.data)["manifests"]) == 2
    project.registry.delete_manifest(project.name, listed.digest)
    told = project.run("image", "verify", "--channel", "testing", code=6)
    assert told.count("CG674") == 2
    project.push("testing")
    project.run("image", "verify", "--channel", "testing")


def test_other_settings_are_told_by_verify_and_mended_by_push(project: Project) -> None:
    project.publish("1.0", arches=("x86_64",))
    before = project.push("testing")
    project.configure("client: A")
    assert "CG671" in project.run("image", "verify", "--channel", "testing", code=6)
    assert project.push("testing") != before
    project.run("image", "verify", "--channel", "testing")


def test_files_of_the_system_that_the_channels_replace_are_told(project: Project) -> None:
    project.configure("client: D")

    project.publish("1.0", arches=("x86_64",), tar=make_tar({"etc/elemental/config.yaml": b"{}\n"}))
    told = project.run("image", "push", "--channel", "testing")
    assert "CG675" in told
    assert "/etc/elemental/config.yaml" in told


def test_a_repository_does_not_take_the_image_of_another_for_its_own(
    project: Project, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    project.publish("1.0", arches=("x86_64",))
    project.push("testing")
    folder = tmp_path / "other"
    folder.mkdir()
    other = Project(folder, project.images, docker_engine.environment())
    other.publish("3.0", arches=("x86_64",))
    assert "CG654" in other.run("image", "push", "--channel", "testing", code=5)
