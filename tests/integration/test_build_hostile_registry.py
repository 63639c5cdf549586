"""What a cache registry may send: wrong, cut, huge or foreign, it is refused by name and leaves nothing behind."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosgen.build.artifact import ArtifactRecord, record_name
from cosgen.build.exchange import ARTIFACT_TYPE, artifact_tag, pull_artifact
from cosgen.build.layers import Limits
from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry
from cosgen.build.sources import LayerReader
from cosgen.errors import CosgenError
from tests.fakes.artifacts import make_artifact
from tests.fakes.hostile_registry import HostileRegistry, start_hostile_registry

TITLE = "org.opencontainers.image.title"
Change = Callable[[HostileRegistry, dict[str, Any]], None]


@pytest.fixture
def server() -> Iterator[HostileRegistry]:
    with start_hostile_registry() as server:
        yield server


def serve(server: HostileRegistry, folder: Path, record: ArtifactRecord) -> dict[str, Any]:
    """Serve an artifact as it should be; return its manifest for a test to spoil."""
    names = [*(ref.name for ref in record.references), record_name(record.fingerprint)]
    layers = [
        server.put_blob((folder / name).read_bytes()) | {"annotations": {TITLE: name}} for name in names
    ]
    config = server.put_blob(b"{}")
    document = {"schemaVersion": 2, "artifactType": ARTIFACT_TYPE, "config": config, "layers": layers}
    server.put_manifest(artifact_tag(record.input_digest), document)
    return document


def pull(server: HostileRegistry, record: ArtifactRecord, folder: Path, **wanted: Any) -> tuple[Any, ...]:
    name = ImageName(server.address, "cache")
    return pull_artifact(Registry(retries=0), name, record.input_digest, folder, **wanted) or ()


def problem_of(server: HostileRegistry, record: ArtifactRecord, folder: Path, **wanted: Any) -> str:
    """Pull, and return the id of the one problem told."""
    with pytest.raises(CosgenError) as caught:
        pull(server, record, folder, **wanted)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0].id


def test_a_true_artifact_is_taken(server: HostileRegistry, tmp_path: Path) -> None:
    record = make_artifact(tmp_path / "a", "edit")
    serve(server, tmp_path / "a", record)
    assert pull(
        server, record, tmp_path / "b", fingerprints=(record.fingerprint,), platform="linux/amd64"
    ) == (record,)


def other_bytes(server: HostileRegistry, document: dict[str, Any]) -> None:
    server.blobs[document["layers"][0]["digest"]] = b"x" * document["layers"][0]["size"]


def more_bytes(server: HostileRegistry, document: dict[str, Any]) -> None:
    server.blobs[document["layers"][0]["digest"]] += b"x" * (8 << 20)


def cut_short(server: HostileRegistry, document: dict[str, Any]) -> None:
    server.cut.add(document["layers"][0]["digest"])


def gone(server: HostileRegistry, document: dict[str, Any]) -> None:
    del server.blobs[document["layers"][0]["digest"]]


def wrong_size(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["size"] += 1


def negative_size(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["size"] = -1


def no_digest(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["digest"] = "sha256:../../up"


def up(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["annotations"][TITLE] = "../up"


def zero_byte(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"][0]["annotations"][TITLE] = "a\0b"


def no_layers(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"] = {"digest": 1}


def no_record(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"].pop()


def many_layers(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["layers"] *= 2000


def another_type(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["artifactType"] = "application/x-other"


def a_loop(server: HostileRegistry, document: dict[str, Any]) -> None:
    del document["layers"]
    document["manifests"] = [server.put_blob(json.dumps(document).encode())]


def huge(_: HostileRegistry, document: dict[str, Any]) -> None:
    document["annotations"] = {"pad": "x" * (5 << 20)}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (other_bytes, "CG482"),
        (more_bytes, "CG482"),
        (cut_short, "CG480"),
        (gone, "CG483"),
        (wrong_size, "CG490"),
        (negative_size, "CG482"),
        (no_digest, "CG482"),
        (up, "CG482"),
        (zero_byte, "CG482"),
        (no_layers, "CG482"),
        (no_record, "CG482"),
        (many_layers, "CG482"),
        (another_type, "CG482"),
        (a_loop, "CG482"),
        (huge, "CG482"),
    ],
)
def test_a_spoilt_artifact_is_refused_and_leaves_nothing(
    server: HostileRegistry, tmp_path: Path, spoil: Change, told: str
) -> None:
    record = make_artifact(tmp_path / "a", "edit")
    document = serve(server, tmp_path / "a", record)
    spoil(server, document)
    server.put_manifest(artifact_tag(record.input_digest), document)
    assert problem_of(server, record, tmp_path / "b") == told
    assert not list(tmp_path.glob("b/*"))
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"[" * 100_000, b'"\xff"'])
def test_a_manifest_that_is_none_is_refused(server: HostileRegistry, tmp_path: Path, data: bytes) -> None:
    record = make_artifact(tmp_path / "a", "edit")
    server.manifests[artifact_tag(record.input_digest)] = data
    assert problem_of(server, record, tmp_path / "b") == "CG482"


def test_a_record_of_another_package_input_or_platform_is_refused(
    server: HostileRegistry, tmp_path: Path
) -> None:
    record = make_artifact(tmp_path / "a", "edit")
    serve(server, tmp_path / "a", record)
    assert problem_of(server, record, tmp_path / "b", fingerprints=("glibc-libs-1.0",)) == "CG490"
    assert problem_of(server, record, tmp_path / "b", platform="linux/arm64") == "CG454"
    other = replace(record, input_digest=f"sha256:{'0' * 64}")
    server.manifests[artifact_tag(other.input_digest)] = server.manifests[artifact_tag(record.input_digest)]
    assert problem_of(server, other, tmp_path / "b") == "CG490"
    assert not list(tmp_path.glob("b/*"))


# --- Layers of images


def tar_of(names: tuple[str, ...], size: int = 1) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    return data.getvalue()


def serve_image(server: HostileRegistry, tar: bytes, **change: Any) -> dict[str, Any]:
    """Serve a one-layer image as it should be but for what is changed of its configuration."""
    layer = server.put_blob(gzip.compress(tar)) | {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [diff_id]}} | change
    document = {"schemaVersion": 2, "config": server.put_blob(json.dumps(config).encode()), "layers": [layer]}
    server.put_manifest("in-0", document)
    return document


def read_layers(server: HostileRegistry, limits: Limits | None = None) -> list[str]:
    """Read the image's layers as an extraction does; return the names in them."""
    reader = LayerReader(lambda: pytest.fail("no engine"), lambda: Registry(retries=0), limits=limits)
    layout = reader.remote(ImageName(server.address, "cache"), "in-0")
    assert layout is not None
    with reader.open(layout, layout.diff_ids) as layers:
        return [member.path for layer in layers.values() for member in layer.members()]


def refused(server: HostileRegistry, limits: Limits | None = None) -> str:
    with pytest.raises(CosgenError) as caught:
        read_layers(server, limits)
    return caught.value.problems[0].id


def test_layers_of_an_image_are_read_from_the_registry(server: HostileRegistry) -> None:
    serve_image(server, tar_of(("a", "b")))
    assert read_layers(server) == ["a", "b"]


def test_a_decompression_bomb_is_bounded(server: HostileRegistry) -> None:
    serve_image(server, tar_of(("zeros",), 64 << 20))
    assert refused(server, Limits(size=1 << 20)) == "CG465"


def test_a_layer_with_other_content_than_its_configuration_tells_is_refused(server: HostileRegistry) -> None:
    serve_image(server, tar_of(("a",)), rootfs={"diff_ids": [f"sha256:{'0' * 64}"]})
    assert refused(server) == "CG482"


@pytest.mark.parametrize("rootfs", [None, [], {"diff_ids": "x"}, {"diff_ids": []}])
def test_a_configuration_without_its_layers_is_refused(server: HostileRegistry, rootfs: object) -> None:
    serve_image(server, tar_of(("a",)), rootfs=rootfs)
    assert refused(server) == "CG482"


def test_a_layer_that_is_no_gzip_or_ends_early_is_refused(server: HostileRegistry) -> None:
    for data in (b"plain", gzip.compress(tar_of(("a",), 1 << 20))[:-9]):
        document = serve_image(server, tar_of(("a",)))
        document["layers"] = [document["layers"][0] | server.put_blob(data)]
        document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
        server.put_manifest("in-0", document)
        assert refused(server) == "CG482"


def test_a_layer_that_is_no_tar_is_refused(server: HostileRegistry) -> None:
    serve_image(server, b"no tar" * 1000)
    assert refused(server) == "CG482"
