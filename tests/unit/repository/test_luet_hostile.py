"""What a repository that claims to be luet's may hold: deep, repeated, sparse or packed twice, it does no harm."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from cosgen.errors import PublishError
from cosgen.repository import luet_yaml
from cosgen.repository.luet_read import Fetch, read_luet_repository

NAMED = "name: b\ncategory: a\nversion: '1'\n"
DEFINITION = "a/b/1/definition.yaml"
META = {
    "repository.meta.yaml": f"index:\n- compilationspec: {{package: {{{', '.join(NAMED.split(chr(10))[:3])}}}}}\n"
}


def tar_of(members: Mapping[str, str], pax: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(text), dict(pax or {})
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def repository(tree: bytes) -> Fetch:
    files = {"tree.tar.gz": gzip.compress(tree), "meta.tar.gz": gzip.compress(tar_of(META))}
    listed = "".join(
        f"  {name.partition('.')[0]}: {{filename: {name}, checksums: {{sha256: {hashlib.sha256(data).hexdigest()}}}}}\n"
        for name, data in files.items()
    )
    return {**files, "repository.yaml": f"name: x\nrepo_files:\n{listed}".encode()}.get


def entries(definition: str) -> list[str]:
    return [
        entry.fingerprint
        for entry in read_luet_repository(repository(tar_of({DEFINITION: definition}))).entries
    ]


def test_what_luet_writes_is_read() -> None:
    assert entries(NAMED) == ["b-a-1"]


def test_an_alias_is_read_and_a_bomb_of_them_refused() -> None:
    assert luet_yaml.parse("a: &x [1, {b: c}]\nd: *x", "it") == {
        "a": ["1", {"b": "c"}],
        "d": ["1", {"b": "c"}],
    }
    bomb = "a0: &a0 [" + "x, " * 9 + "x]\n"
    for number in range(1, 9):
        bomb += f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n"
    with pytest.raises(PublishError, match="too large"):
        entries(bomb + NAMED.replace("name: b", "name: *a8"))
    with pytest.raises(PublishError, match="names nothing"):
        entries(NAMED + "labels: &l {a: *l}\n")


@pytest.mark.parametrize("opened", ["[", "{a: ", "- "])
def test_what_is_deeper_than_any_document_is_refused(opened: str) -> None:
    with pytest.raises(PublishError, match="CG550"):
        luet_yaml.parse(opened * 100_000, "it")


@pytest.mark.parametrize("text", ["{[a]: b}", "a: 1\n---\nb: 2", "*a", "a: b: c"])
def test_what_is_no_document_of_texts_is_refused(text: str) -> None:
    with pytest.raises(PublishError, match="CG550"):
        luet_yaml.parse(text, "it")


TREES = some.recursive(
    some.text(), lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20
)


@given(TREES, some.sampled_from([True, False, None]))
def test_any_document_is_read_as_the_library_reads_it(value: object, flow: bool | None) -> None:
    text = yaml.dump(value, default_flow_style=flow)
    assert luet_yaml.parse(text, "it") == yaml.load(text, Loader=yaml.BaseLoader)


def test_a_sparse_file_of_a_tree_fills_no_memory() -> None:
    header = {"GNU.sparse.size": str(1 << 50), "GNU.sparse.map": "0,1"}
    found = read_luet_repository(repository(tar_of({DEFINITION: "x" * 512}, header)))
    assert found.entries == ()


def test_a_tree_that_is_packed_twice_is_refused() -> None:
    with pytest.raises(PublishError, match="no tar archive"):
        read_luet_repository(repository(gzip.compress(tar_of({DEFINITION: NAMED}))))
