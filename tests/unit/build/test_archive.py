"""Unit tests of cosgen.build.archive: bytes that depend on the content alone."""

import hashlib
import io
import tarfile

import pytest

from cosgen.build.archive import DEFAULT_EPOCH, ArchiveSummary, Compression, open_archive, write_archive
from cosgen.build.selection import Content, select
from tests.unit.build.layer_data import Entry, file, folder, layer, link, view

ENTRIES = (
    folder("a", mode=0o700),
    file(
        "a/x",
        b"content",
        mode=0o4755,
        mtime=DEFAULT_EPOCH + 99,
        xattrs={"security.capability": "\udc81\x00\x02", "security.selinux": "host"},
    ),
    link("a/y", "a/x", hard=True),
    link("a/z", "x"),
    file("ünï\ncode", b"u", mtime=5),
    file("raw-\udcff", b"r"),
)


def pack(*entries: Entry, form: str = "zstd", epoch: int | None = None) -> tuple[bytes, ArchiveSummary]:
    target = io.BytesIO()
    chosen = select([layer(*entries)], view(), Content())
    summary = write_archive(chosen.picked, target, compression=Compression(format=form), epoch=epoch)
    return target.getvalue(), summary


def unpack(data: bytes, form: str = "zstd") -> dict[str, tarfile.TarInfo]:
    with open_archive(io.BytesIO(data), form) as tar:
        return {info.name: info for info in tar}


@pytest.mark.parametrize("form", ["zstd", "gzip", "none"])
def test_the_order_of_the_layer_does_not_change_a_byte(form: str) -> None:
    shuffled = (*ENTRIES[3:], *ENTRIES[:3])
    one, other = pack(*ENTRIES, form=form), pack(*shuffled, form=form)
    assert one == other
    assert one[1].digest == f"sha256:{hashlib.sha256(one[0]).hexdigest()}"
    assert one[1].size == len(one[0])


def test_the_content_digest_is_the_same_for_every_compression() -> None:
    assert len({pack(*ENTRIES, form=form)[1].content_digest for form in ("zstd", "gzip", "none")}) == 1


def test_modes_links_names_and_capabilities_are_kept() -> None:
    found = unpack(pack(*ENTRIES)[0])
    assert list(found) == ["a", "a/x", "a/y", "a/z", "raw-\udcff", "ünï\ncode"]
    assert found["a"].mode == 0o700
    assert found["a/x"].mode == 0o4755
    assert found["a/y"].linkname == "a/x"
    assert found["a/z"].linkname == "x"
    assert found["a/x"].pax_headers["SCHILY.xattr.security.capability"] == "\udc81\x00\x02"
    assert "SCHILY.xattr.security.selinux" not in found["a/x"].pax_headers


def test_times_of_directories_and_those_after_the_epoch_become_it_and_earlier_ones_stay() -> None:
    assert {name: info.mtime for name, info in unpack(pack(*ENTRIES)[0]).items() if info.mtime} == {
        "a": DEFAULT_EPOCH,
        "a/x": DEFAULT_EPOCH,
        "a/y": DEFAULT_EPOCH,
        "ünï\ncode": 5,
    }
    assert unpack(pack(*ENTRIES, epoch=7)[0])["a/x"].mtime == 7


def test_the_first_chosen_name_of_a_hard_link_holds_the_bytes() -> None:
    chosen = select([layer(*ENTRIES)], view(layer(folder("a"), file("a/x"))), Content())
    target = io.BytesIO()
    write_archive(chosen.picked, target)
    found = unpack(target.getvalue())
    assert found["a/y"].isreg()
    assert found["a/y"].size == 7


def test_the_summary_lists_files_with_digests_and_setuid() -> None:
    summary = pack(*ENTRIES)[1]
    assert [entry.name for entry in summary.files] == ["a/x", "a/y", "a/z", "raw-\udcff", "ünï\ncode"]
    assert summary.files[0].digest == hashlib.sha256(b"content").hexdigest()
    assert summary.files[0].setuid
    assert summary.installed_size == 9


def test_an_empty_artifact_is_an_empty_tar() -> None:
    data, summary = pack(form="none")
    assert data == bytes(len(data))
    assert summary.files == ()
