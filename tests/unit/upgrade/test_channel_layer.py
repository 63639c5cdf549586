"""Unit tests for cosgen.upgrade.channel_layer."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from cosgen.errors import PublishError, VerificationError
from cosgen.repository.client_config import MachineFile
from cosgen.upgrade.channel_layer import channel_layer, read_channel_files, replaced_paths

FILES = (MachineFile("/etc/luet/a.yaml", "a: 1\n"), MachineFile("/system/oem/b.yaml", "b: 2\n"))


def test_the_layer_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    layer = channel_layer(FILES, tmp_path / "layer")
    assert read_channel_files(layer.path.read_bytes()) == {file.path: file.text for file in FILES}


def test_the_same_files_are_the_same_layer(tmp_path: Path) -> None:
    assert channel_layer(FILES, tmp_path / "1").digest == channel_layer(FILES, tmp_path / "2").digest


def test_folders_that_the_system_has_stay_as_they_are(tmp_path: Path) -> None:
    layer = channel_layer(FILES, tmp_path / "layer", present=["etc/passwd", "etc/luet/luet.yaml"])
    with tarfile.open(layer.path) as tar:
        assert [(info.name, info.mode) for info in tar if info.isdir()] == [
            ("system", 0o755),
            ("system/oem", 0o755),
        ]


def test_a_folder_that_is_a_link_in_the_system_is_told(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"CG670.*/system") as raised:
        channel_layer(FILES, tmp_path / "layer", present=["etc/luet", "system"])
    assert len(raised.value.problems) == 2


def test_files_of_the_system_that_are_replaced_are_known() -> None:
    assert replaced_paths(FILES, ["etc/luet/a.yaml", "bin/sh"]) == ("/etc/luet/a.yaml",)


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", b"\x1f\x8b\x08\x00", gzip.compress(b"no tar" * 200, mtime=0)]
)
def test_what_is_no_layer_of_files_is_told(data: bytes) -> None:
    with pytest.raises(VerificationError, match="CG671"):
        read_channel_files(data)


def test_a_layer_that_grows_without_end_is_read_so_far_and_no_further() -> None:
    member = tarfile.TarInfo("etc/x")
    member.size = 1 << 30
    bomb = gzip.compress(member.tobuf() + bytes(64 << 20))
    with pytest.raises(VerificationError, match="CG671"):
        read_channel_files(bomb)


@pytest.mark.parametrize("kind", ["sparse", "loop"])
def test_files_that_are_not_plain_are_refused(kind: str) -> None:
    """A sparse file of a few bytes would fill the memory, and a link to itself is followed for ever."""
    info = tarfile.TarInfo("x")
    if kind == "sparse":
        info.size, info.pax_headers = 512, {"GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,512"}
    else:
        info.type, info.linkname = tarfile.SYMTYPE, "x"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(bytes(512)))
    with pytest.raises(VerificationError, match="no plain file"):
        read_channel_files(gzip.compress(data.getvalue()))
