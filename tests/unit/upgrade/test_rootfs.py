"""Unit tests for cosgen.upgrade.rootfs."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
import zstandard

from cosgen.errors import BuildError
from cosgen.upgrade.rootfs import Layer, split_layers, union_layer

File = tuple[str, bytes | None, str]  # name, content (None: a directory), hard link target


def archive(path: Path, *files: File, compress: str = "none") -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, link in files:
            info = tarfile.TarInfo(name)
            if link:
                info.type, info.linkname = tarfile.LNKTYPE, link
            elif content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if content and not link else None)
    data = buffer.getvalue()
    if compress == "zstd":
        data = zstandard.compress(data)
    elif compress == "gzip":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def content(layer: Path) -> dict[str, bytes | None]:
    with tarfile.open(layer) as tar:
        return {info.name: (f.read() if (f := tar.extractfile(info)) else None) for info in tar}


def test_a_later_archive_replaces_files_of_an_earlier_one(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", ("etc", None, ""), ("etc/a", b"1", ""), ("etc/b", b"1", ""))
    two = archive(tmp_path / "2", ("etc/a", b"2", ""), compress="zstd")
    layer = union_layer([one, two], tmp_path / "layer")
    assert content(layer.path) == {"etc": None, "etc/a": b"2", "etc/b": b"1"}


def test_the_same_archives_give_the_same_bytes_however_they_are_compressed(tmp_path: Path) -> None:
    files: tuple[File, ...] = (("b", b"x" * 5000, ""), ("a", b"y", ""))
    layers = [
        union_layer([archive(tmp_path / kind, *files, compress=kind)], tmp_path / f"{kind}.layer")
        for kind in ("none", "gzip", "zstd")
    ]
    assert len({layer.digest for layer in layers}) == 1
    assert layers[0].digest == "sha256:" + hashlib.sha256(layers[0].path.read_bytes()).hexdigest()
    assert (
        layers[0].diff_id
        == "sha256:" + hashlib.sha256(gzip.decompress(layers[0].path.read_bytes())).hexdigest()
    )


def test_a_hard_link_stays_a_link_and_follows_its_target(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", ("z", b"data", ""), ("a", None, "z"))
    with tarfile.open(union_layer([one], tmp_path / "layer").path) as tar:
        members = [(info.name, info.islnk()) for info in tar]
    assert members == [("z", False), ("a", True)]


def test_a_hard_link_whose_target_was_replaced_keeps_its_content(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", ("z", b"old", ""), ("a", None, "z"))
    two = archive(tmp_path / "2", ("z", b"new", ""))
    assert content(union_layer([one, two], tmp_path / "layer").path) == {"a": b"old", "z": b"new"}


def test_a_file_hides_what_was_below_its_path(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", ("lib", None, ""), ("lib/x", b"1", ""))
    two = archive(tmp_path / "2", ("lib", b"file", ""))
    assert content(union_layer([one, two], tmp_path / "layer").path) == {"lib": b"file"}


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    one = archive(tmp_path / "1", ("lib", b"file", ""))
    two = archive(tmp_path / "2", ("lib/x", b"1", ""))
    with pytest.raises(BuildError, match="CG651"):
        union_layer([one, two], tmp_path / "layer")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "etc/.wh.passwd"])
def test_a_name_that_escapes_or_deletes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="CG652"):
        union_layer([archive(tmp_path / "1", (name, b"1", ""))], tmp_path / "layer")


def unpacked(layers: Iterable[Layer]) -> dict[str, tuple[object, ...]]:
    """Lay layers over each other as an engine does; name → all that counts."""
    found: dict[str, tuple[object, ...]] = {}
    for layer in layers:
        with tarfile.open(layer.path) as tar:
            for info in tar:
                data = tar.extractfile(info)
                body = data.read() if data and info.isreg() else b""
                found[info.name] = (info.type, info.mode, info.linkname, body)
    return found


def test_layers_of_packages_are_together_the_system(tmp_path: Path) -> None:
    one = archive(
        tmp_path / "1",
        *(("usr", None, ""), ("usr/same", b"same", ""), ("usr/changed", b"old", ""), ("usr/gone", b"x", "")),
    )
    two = archive(tmp_path / "2", ("usr/same", b"same", ""), ("bin/a", b"a", ""), ("bin/b", None, "bin/a"))
    system = archive(
        tmp_path / "system",
        *(("usr", None, ""), ("usr/same", b"same", ""), ("usr/changed", b"new", ""), ("bin/a", b"a", "")),
        *(("bin/b", None, "bin/a"), ("etc/own", b"own", "")),
    )
    layers = split_layers(system, [("one", one), ("two", two)], tmp_path)
    assert [layer.title for layer in layers] == ["one", "root filesystem"]  # two has nothing of its own
    assert unpacked(layers) == unpacked([union_layer([system], tmp_path / "whole")])
    assert set(content(layers[0].path)) == {"usr/same"}


def test_the_layer_of_a_package_that_did_not_change_is_the_same(tmp_path: Path) -> None:
    part = archive(tmp_path / "part", ("usr/a", b"a", ""), ("usr/b", b"b", ""))
    layers = []
    for number in (1, 2):
        folder = tmp_path / f"version{number}"
        folder.mkdir()
        own = ("etc/v", str(number).encode(), "")
        system = archive(folder / "system", ("usr/a", b"a", ""), ("usr/b", b"b", ""), own)
        layers.append(split_layers(system, [("part", part)], folder))
    assert layers[0][0].digest == layers[1][0].digest
    assert layers[0][1].digest != layers[1][1].digest
