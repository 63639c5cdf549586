"""Unit tests of cosgen.build.layers: odd and hostile tars and directories, read as an engine would."""

import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from cosgen.build.index import index_layer
from cosgen.build.layers import Limits, OverlayLayer, TarLayer
from cosgen.errors import VerificationError
from tests.unit.build.layer_data import Entry, file, layer, link


def told(name: str, data: bytes, header: dict[str, str]) -> Entry:
    """Return a file of which a pax header tells something else."""
    info = tarfile.TarInfo(name)
    info.size, info.pax_headers = len(data), header
    return info, data


def test_sizes_and_times_that_no_file_has_are_refused() -> None:
    for header in ({"size": "-5"}, {"mtime": "inf"}):
        with pytest.raises(VerificationError):
            layer(told("odd", b"x", header)).members()


def test_a_hard_link_keeps_the_content_of_a_file_that_the_same_layer_replaces() -> None:
    tar = layer(file("a", b"the first content"), link("b", "a", hard=True), file("a", b"other"))
    content = {}
    for member in tar.members():
        with tar.open(member) as stream:
            content[member.path] = stream.read()
    assert content == {"a": b"other", "b": b"the first content"}
    assert len({member.content for member in tar.members()}) == 2


def test_a_hard_link_to_a_symlink_is_that_symlink() -> None:
    members = {item.path: item for item in layer(link("a", "x"), link("b", "a", hard=True)).members()}
    assert members["b"] == replace(members["a"], path="b")


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_sparse_files_have_their_holes_and_not_what_follows_them_in_the_tar(
    tmp_path: Path, form: str
) -> None:
    with (tmp_path / "sparse").open("wb") as holes:
        holes.seek(1 << 20)
        holes.write(b"END")
    (tmp_path / "next").write_bytes(b"NEXT" * 99)
    command = ["tar", "--sparse", f"--format={form}", "-cf", "layer.tar", "sparse", "next"]
    subprocess.run(command, cwd=tmp_path, check=True)
    tar = TarLayer((tmp_path / "layer.tar").open("rb"), "sha256:" + "0" * 64)
    content = {}
    for member in tar.members():
        with tar.open(member) as stream:
            content[member.path] = stream.read()
    tar.close()
    assert content == {name: (tmp_path / name).read_bytes() for name in ("sparse", "next")}


def test_parts_of_sparse_files_that_are_out_of_order_are_refused() -> None:
    header = {"GNU.sparse.size": "900", "GNU.sparse.map": "600,10,0,10"}
    with pytest.raises(VerificationError):
        layer(told("s", b"x" * 512, header)).members()


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 7 << 30
    path = tmp_path / "layer.tar"
    path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT))
    os.truncate(path, 8 << 30)
    tar = TarLayer(path.open("rb"), "sha256:" + "0" * 64)
    with pytest.raises(VerificationError, match="a header has"):
        tar.members()
    tar.close()


def test_directories_may_be_deeper_than_the_stack_of_this_program(tmp_path: Path) -> None:
    depth = 1500
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=place)  # a path as long as this one has no other way
        place, above = os.open("d", os.O_RDONLY, dir_fd=place), place
        os.close(above)
    os.close(place)
    try:
        members = OverlayLayer(tmp_path, "sha256:" + "0" * 64).members()
    finally:  # deeper than the stack of the library that would clean up, too
        subprocess.run(["rm", "-r", "d"], cwd=tmp_path, check=True)
    assert [item.path.count("/") for item in members] == list(range(depth))


def test_a_package_database_that_would_fill_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "var" / "lib" / "dpkg" / "status"
    database.parent.mkdir(parents=True)
    with database.open("wb") as holes:
        holes.truncate(100 << 30)
    monkeypatch.setattr(OverlayLayer, "open", None)
    index = index_layer(OverlayLayer(tmp_path, "sha256:" + "0" * 64, Limits(size=1 << 40)))
    assert index.unread == ("var/lib/dpkg/status",)
