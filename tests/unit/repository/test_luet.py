"""What we write for luet, read by a reader that knows nothing of the writer."""

import io
import tarfile
from collections.abc import Iterable
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cosgen.errors import PublishError
from cosgen.repository import luet_yaml
from cosgen.repository.index import FrameCache, IndexShard, build_index, shard_packages
from cosgen.repository.luet import LuetFiles, RepositoryView, luet_files, repository_yaml
from cosgen.repository.luet_tar import Compression, decompress, tar_header
from cosgen.repository.record import PackageRecord
from tests.fakes.repository_records import archive_of, record
from tests.fakes.strict_luet_reader import LuetBreaksError, StrictRepository, fetch_package, read

COMPRESSIONS = [Compression("zstd"), Compression("gzip"), Compression("none")]
AWKWARD = [
    "y",
    "n",
    "on",
    "1.0",
    "1e3",
    "09",
    "0o17",
    "0x10",
    "1_000",
    ".5",
    "null",
    "2020-01-01",
    "12e03",
    "~1",
]


def view_of(files: LuetFiles) -> RepositoryView:
    return RepositoryView(
        name="acme",
        description='say "yes": no\n#',
        urls=("https://example.org/r",),
        revision=3,
        last_update=1700000000,
        tree=files.tree.ref,
        meta=files.meta.ref,
        compilertree=files.compilertree.ref if files.compilertree else None,
    )


def sync(files: LuetFiles, records: Iterable[PackageRecord] = ()) -> StrictRepository:
    served = {file.key: file.data for file in files.all()} | {
        "repository.yaml": repository_yaml(view_of(files))
    }
    served |= {item.archive_name: archive_of(item.name, item.version) for item in records}
    repository = read(served.__getitem__)
    for package in repository.packages.values() if records else ():
        fetch_package(served.__getitem__, package)
    return repository


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda item: item.format)
def test_a_strict_client_accepts_everything_we_write(compression: Compression) -> None:
    records = [
        record(
            "hello",
            "1.0+2",
            requires=[{"category": "libs", "name": "a", "version": ">=0.1"}],
            finalize="install:\n- true\n",
        ),
        record("a", "0.1", category="libs", annotations={"config_protect": "/etc/a"}, labels={"on": "1"}),
        record("gtk+", "1:2.0~rc1-3", category="x11", uri=["https://example.org"], hidden=False),
        *(record(text, text) for text in AWKWARD),
    ]
    files = luet_files(records, compression=compression, sources=[("tree/a/build.yaml", b"steps: []\n")])
    found = sync(files, records)
    assert found.packages.keys() == {item.fingerprint for item in records}
    hello = found.packages["hello-apps-1.0+2"]
    assert hello.finalize == "install:\n- true\n"
    assert hello.definition["requires"] == [{"category": "libs", "name": "a", "version": ">=0.1"}]
    protected = found.packages["a-libs-0.1"]
    assert protected.entry["compilationspec"]["package"]["annotations"] == {"config_protect": "/etc/a"}


def test_an_empty_repository_is_one_too() -> None:
    assert not sync(luet_files([])).packages
    assert not sync(build_index([]).files).packages


def test_hidden_packages_list_no_files() -> None:
    found = sync(luet_files([record("secret", hidden=True)]))
    assert found.packages["secret-apps-1.0"].entry["files"] == []


def test_host_paths_do_not_reach_clients() -> None:
    found = sync(luet_files([record("a", path="/build/host", id=0, treedir="/x")]))
    assert found.packages["a-apps-1.0"].definition.keys() == {"name", "category", "version"}


def test_order_of_records_does_not_matter() -> None:
    records = [record(name) for name in "abcde"]
    assert luet_files(records) == luet_files(reversed(records))


@pytest.mark.parametrize("name", ["../etc", "a/b", "", ".", "a b", "a\n"])
def test_names_that_make_no_folder_are_told(name: str) -> None:
    with pytest.raises(PublishError, match="cannot have a folder of that name"):
        luet_files([record(name)])


def test_packages_that_luet_cannot_tell_apart_are_told() -> None:
    with pytest.raises(PublishError, match="have the same fingerprint a-b-c-1"):
        luet_files([record("a-b", "1", category="c"), record("a", "1", category="b-c")])


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda item: item.format)
def test_an_incremental_index_has_the_bytes_of_a_cold_one(compression: Compression) -> None:
    records = [record(f"p{number}", requires=[]) for number in range(300)]
    first = build_index(shard_packages(records, count=64), compression=compression)
    base = FrameCache.of(first.files.tree.data, first.files.meta.data, compression)
    changed = [*records[:-1], record("p299", "2.0")]
    second = build_index(shard_packages(changed, count=64), base=base, compression=compression)
    assert second.files == build_index(shard_packages(changed, count=64), compression=compression).files
    assert second.rendered == (1 if compression.format == "zstd" else second.shards)
    assert len(sync(second.files, changed).packages) == 300


def test_unchanged_shards_are_not_even_loaded() -> None:
    first = build_index([IndexShard("one", lambda: [record("a")])])
    base = FrameCache.of(first.files.tree.data, first.files.meta.data, Compression())

    def load() -> list[PackageRecord]:
        raise AssertionError("loaded")

    assert build_index([IndexShard("one", load)], base=base).files == first.files


def test_frames_of_another_recipe_are_not_reused() -> None:
    first = build_index([IndexShard("one", lambda: [record("a")])], compression=Compression(level=3))
    assert not FrameCache.of(first.files.tree.data, first.files.meta.data, Compression(level=9)).tree


def test_files_luet_wrote_give_no_frames() -> None:
    assert not FrameCache.of(b"", b"some tar", Compression()).tree


@given(st.text(max_size=40))
def test_any_text_survives_yaml(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode() if any("\ud800" <= c <= "\udfff" for c in text) else text
    document = luet_yaml.block({"key": text, "list": [text], "map": {text: text}})
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        assert yaml.load(document, Loader=loader) == {"key": clean, "list": [clean], "map": {clean: clean}}


@pytest.mark.parametrize("name", ["a", "x" * 99, "x" * 100, "x" * 101, "ü/b", "dir/" * 60 + "f"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**11])
def test_headers_are_those_of_the_tarfile_module(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert tarfile.TarInfo.frombuf(tar_header(name, size)[-512:], "utf-8", "strict").chksum
    expected = info.tobuf(tarfile.PAX_FORMAT)
    with (
        tarfile.open(fileobj=io.BytesIO(tar_header(name, size))) as ours,
        tarfile.open(fileobj=io.BytesIO(expected)) as theirs,
    ):
        mine, other = ours.next(), theirs.next()
    assert mine is not None
    assert other is not None
    assert (mine.name, mine.size, mine.mode, mine.uid, mine.mtime) == (other.name, size, 0o644, 0, 0)


def test_damaged_archives_are_told() -> None:
    data = luet_files([record("a")]).tree.data
    with pytest.raises(PublishError, match="the tree cannot be decompressed"):
        decompress(b"\x1f\x8bnothing", "the tree")
    with pytest.raises(PublishError, match="grows beyond 10 bytes"):
        decompress(data, "the tree", limit=10)


def test_the_strict_reader_is_strict() -> None:
    files = luet_files([record("a")])
    served = {file.key: file.data for file in files.all()}
    for wrong in (b'revision: "3"', b"revision: 0", b"last_update: 17"):
        key = wrong.partition(b":")[0]
        text = b"\n".join(
            wrong if line.startswith(key) else line for line in repository_yaml(view_of(files)).split(b"\n")
        )
        with pytest.raises(LuetBreaksError):
            read((served | {"repository.yaml": text}).__getitem__)
    missing = replace(view_of(files), meta=luet_files([]).meta.ref)
    served |= {luet_files([]).meta.key: luet_files([]).meta.data, "repository.yaml": repository_yaml(missing)}
    with pytest.raises(LuetBreaksError, match="tree and index differ"):
        read(served.__getitem__)
