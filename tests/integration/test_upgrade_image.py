"""cosgen.upgrade.image against a real registry and a real engine."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Registry
from cosgen.errors import PublishError, VerificationError
from cosgen.upgrade.image import (
    Archive,
    PlatformImage,
    compose,
    find_platforms,
    move_tag,
    push,
)
from cosgen.upgrade.oci import ImageFacts, referrers_tag
from cosgen.upgrade.referrers import PROVENANCE, Attachment
from tests.engines import DockerEngine
from tests.engines import Registry as Server

LABELS = {"org.opencontainers.image.title": "os"}


def archive(path: Path, files: dict[str, bytes]) -> Archive:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Archive(path=path, title=path.name)


def image(
    folder: Path, *archives: Archive, platform: str = "linux/amd64", layered: bool = False
) -> PlatformImage:
    folder.mkdir()
    note = Attachment(media_type=PROVENANCE, title="provenance", data=b'{"who":"us"}')
    facts = ImageFacts(platform=platform, created=0, labels=LABELS)
    return compose(archives, folder, facts, layered=layered, attachments=[note])


@pytest.fixture
def name(registry: Server, request: pytest.FixtureRequest) -> ImageName:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return parse_name(f"{registry.address}/os/{stem}")[0]


def test_an_engine_gets_the_union_of_the_packages(
    name: ImageName, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    one = archive(tmp_path / "one", {"etc/a": b"1", "etc/b": b"1"})
    two = archive(tmp_path / "two", {"etc/a": b"2"})
    for layered in (False, True):
        pushed = push(
            Registry(),
            name,
            [image(tmp_path / f"image{layered}", one, two, layered=layered)],
            annotations=LABELS,
            tags=[f"v-{layered}"],
        )
        client = docker_engine.client()
        client.images.pull(f"{name}@{pushed.platforms['linux/amd64']}")
        container = client.containers.create(f"{name}@{pushed.platforms['linux/amd64']}", command=["x"])
        try:
            exported = io.BytesIO(b"".join(container.export()))
        finally:
            container.remove()
        with tarfile.open(fileobj=exported) as tar:
            content = {n: tar.extractfile(n).read() for n in ("etc/a", "etc/b")}  # type: ignore[union-attr]
        assert content == {"etc/a": b"2", "etc/b": b"1"}


def test_the_root_filesystem_is_the_union_of_the_packages_by_digest(name: ImageName, tmp_path: Path) -> None:
    contents = [
        {"etc/a": b"1", "etc/b": b"1", "usr/lib/x": b"x" * 5000},
        {"etc/a": b"2"},
        {"etc/c": b"3", "etc/b": b"3"},
    ]
    packages = [archive(tmp_path / str(number), files) for number, files in enumerate(contents)]
    union = {path: hashlib.sha256(data).hexdigest() for files in contents for path, data in files.items()}
    for layered in (False, True):
        pushed = push(
            Registry(),
            name,
            [image(tmp_path / f"i{layered}", *packages, layered=layered)],
            annotations=LABELS,
        )
        found: dict[str, str] = {}
        manifest = Registry().find_manifest(name, pushed.platforms["linux/amd64"])
        assert manifest is not None
        layers = json.loads(manifest.data)["layers"]
        assert len(layers) == (3 if layered else 1)
        for layer in layers:
            data = gzip.decompress(Registry().get_blob(name, layer["digest"]))
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                found |= {i.name: hashlib.sha256(tar.extractfile(i).read()).hexdigest() for i in tar}  # type: ignore[union-attr]
        assert found == union


def test_two_pushes_of_the_same_packages_are_the_same_image(name: ImageName, tmp_path: Path) -> None:
    packages = [archive(tmp_path / "one", {"a": b"1"})]
    first = push(Registry(), name, [image(tmp_path / "1", *packages)], annotations=LABELS, tags=["v1"])
    again = push(Registry(), name, [image(tmp_path / "2", *packages)], annotations=LABELS, tags=["v1"])
    assert first == again


def test_a_multi_arch_image_lists_its_platforms_and_carries_its_provenance(
    name: ImageName, tmp_path: Path
) -> None:
    packages = [archive(tmp_path / "one", {"a": b"1"})]
    images = [image(tmp_path / p[-5:], *packages, platform=p) for p in ("linux/amd64", "linux/arm64")]
    pushed = push(Registry(), name, images, annotations=LABELS)
    assert find_platforms(Registry(), name, pushed.digest) == dict(pushed.platforms)
    for digest in pushed.platforms.values():
        listed = Registry().find_manifest(name, referrers_tag(digest))
        assert listed is not None
        (entry,) = json.loads(listed.data)["manifests"]
        assert entry["artifactType"] == PROVENANCE
        attached = Registry().find_manifest(name, entry["digest"])
        assert attached is not None
        assert json.loads(attached.data)["subject"]["digest"] == digest


def test_a_version_tag_never_names_another_image(name: ImageName, tmp_path: Path) -> None:
    one, two = (archive(tmp_path / c, {"a": c.encode()}) for c in "12")
    push(Registry(), name, [image(tmp_path / "i1", one)], annotations=LABELS, tags=["1.0"])
    with pytest.raises(PublishError, match="CG654"):
        push(Registry(), name, [image(tmp_path / "i2", two)], annotations=LABELS, tags=["1.0"])


def test_a_channel_tag_moves_there_and_back(name: ImageName, tmp_path: Path) -> None:
    registry = Registry()
    old, new = (
        push(
            registry,
            name,
            [image(tmp_path / f"i{c}", archive(tmp_path / c, {"a": c.encode()}))],
            annotations=LABELS,
        )
        for c in "12"
    )
    move_tag(registry, name, "stable", expected=None, digest=old.digest)
    move_tag(registry, name, "stable", expected=old.digest, digest=new.digest)
    assert registry.find_digest(name, "stable") == new.digest
    move_tag(registry, name, "stable", expected=new.digest, digest=old.digest)
    assert registry.find_digest(name, "stable") == old.digest
    move_tag(registry, name, "stable", expected="sha256:of another age", digest=old.digest)  # already there


def test_a_tag_that_somebody_else_moved_is_left_alone(name: ImageName, tmp_path: Path) -> None:
    registry = Registry()
    ours, theirs = (
        push(
            registry,
            name,
            [image(tmp_path / f"i{c}", archive(tmp_path / c, {"a": c.encode()}))],
            annotations=LABELS,
        )
        for c in "12"
    )
    move_tag(registry, name, "stable", expected=None, digest=theirs.digest)
    with pytest.raises(PublishError, match="CG655"):
        move_tag(registry, name, "stable", expected=None, digest=ours.digest)
    assert registry.find_digest(name, "stable") == theirs.digest


def test_a_tag_needs_an_image(name: ImageName) -> None:
    with pytest.raises(PublishError, match="CG656"):
        move_tag(Registry(), name, "stable", expected=None, digest="sha256:" + "0" * 64)


class _Forgetful(Registry):
    """A registry that says yes to a tag and keeps the old one."""

    def put_manifest(self, name: ImageName, reference: str, manifest: object) -> str:
        return ""


def test_a_registry_that_forgets_a_tag_is_caught(name: ImageName, tmp_path: Path) -> None:
    pushed = push(
        Registry(), name, [image(tmp_path / "i", archive(tmp_path / "1", {"a": b"1"}))], annotations=LABELS
    )
    with pytest.raises(VerificationError, match="CG657"):
        move_tag(_Forgetful(), name, "stable", expected=None, digest=pushed.digest)
