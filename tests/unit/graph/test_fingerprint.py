"""Hashes and tags agree with luet's, on published values and on a worked example."""

from hashlib import sha256

import pytest

from cosgen.graph.fingerprint import (
    builder_tag,
    copy_hash,
    definition_hash,
    hash_line,
    image_id,
    join_tag,
    package_hash,
    signature_hash,
    spec_hash,
)
from cosgen.graph.hashing import (
    fnv1,
    hash_bool,
    hash_finished,
    hash_integer,
    hash_mapping,
    hash_text,
    hash_texts,
)
from cosgen.manifest.build_spec import BuildSpec, CopyField
from cosgen.manifest.definition import Definition
from tests.unit.graph.trees import package

A = Definition(name="a", category="t", version=">=0")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (fnv1(b""), 14695981039346656037),
        (hash_text("Signature"), 15116844517548487953),
        (hash_integer(0), 12161962213042174405),
        (hash_finished(0), 12161962213042174405),
        (hash_bool(value=False), 12638153115695167455),
        (hash_bool(value=True), 12638153115695167454),
        (hash_texts(["a", "b"]), 2712570657419664240),
        (hash_texts([]), 0),
        (hash_mapping({"a": "b"}), 3629586248519120669),
        (definition_hash(Definition()), 5108052109936153907),
        (definition_hash(A), 16241394999548482565),
        (copy_hash(CopyField(package=A, source="/a", destination="/b")), 1234989349407293270),
        (signature_hash(BuildSpec()), 8909470972722601859),
        (signature_hash(BuildSpec(image="x")), 14638310524092639619),
    ],
)
def test_numbers_are_those_of_hashstructure(value: int, expected: int) -> None:
    assert value == expected


def test_a_reference_with_more_fields_hashes_differently() -> None:
    assert definition_hash(Definition(name="a", category="t", version=">=0", hidden=True)) != definition_hash(
        A
    )


def _files(name: str, version: str, build: str) -> dict[str, str]:
    return {
        "definition.yaml": f'name: {name}\ncategory: t\nversion: "{version}"\n',
        "build.yaml": build,
    }


def test_the_worked_example_of_two_packages_agrees() -> None:
    a = package(
        "t/a@1.0",
        BuildSpec(image="x", steps=("echo a",)),
        files=_files("a", "1.0", "image: x\nsteps:\n- echo a\n"),
    )
    b = package(
        "t/b@2.0+1",
        BuildSpec(requires=(A,), steps=("echo b",)),
        files=_files(
            "b", "2.0+1", 'requires:\n- name: a\n  category: t\n  version: ">=0"\nsteps:\n- echo b\n'
        ),
    )
    assert spec_hash(a) == "18204821549582647706h1:qSb6rX27Ny3lfRodunQ3j4UQc1/bJpr1cWVZsjV0fJk="
    assert spec_hash(b) == "6333655842277453422h1:mSZaP8ofV7cLe7mV3RfD5Ja9KsgBB7xLd7z5BwyykCc="
    line_a, line_b = hash_line(a, spec_hash(a)), hash_line(b, spec_hash(b))
    hash_a, hash_b = package_hash([line_a]), package_hash([line_a, line_b])
    assert hash_a == "de3c338c64680ba68ce6b9749b7af876743bde97cbb6bbd302955420e004ca6c"
    assert hash_b == "43ea1fb2e96459606fbddba492a0897bce83ddc60a09ba0252fd43bc917a0797"
    base = package_hash([hash_line(a, spec_hash(a), as_base=True)])
    assert base == "ba98197e4759a0bda5f2b06e4f50c0dff0cd2b86ea24d89d8270c77733532529"
    assert builder_tag("a-t-1.0", hash_a) == "builder-76f85d7373b95e6d5a77576b26260dbf"
    assert builder_tag("b-t-2.0+1", hash_b) == "builder-36997b5af617697504ca8aa83b66d4d8"


def test_the_join_tag_reads_hashes_and_fingerprints_in_order() -> None:
    one, two = sha256(b"1").hexdigest(), sha256(b"2").hexdigest()
    assert join_tag([(one, "a-t-1"), (two, "b-t-1")]) != join_tag([(two, "b-t-1"), (one, "a-t-1")])
    assert len(join_tag([])) == 32


def test_only_plus_is_replaced_in_an_image_id() -> None:
    assert image_id("b-t-2.0+1~x") == "b-t-2.0-1~x"
