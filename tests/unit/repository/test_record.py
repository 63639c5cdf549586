"""Records of published packages: what they take from a build, and that they come back as they were."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cosgen.build.artifact import ArtifactRecord
from cosgen.repository.codec import DecodeError
from cosgen.repository.record import ObjectRef, PackageRecord, record_of
from tests.fakes.artifacts import make_artifact

DIGEST = "sha256:" + "0" * 64
BUNDLE = ObjectRef(key="a/0.att.tar.zst", digest=DIGEST, size=1)


def artifact(folder: Path) -> ArtifactRecord:
    made = make_artifact(folder, "edit", revision="abc")
    facts = {"seconds": 1.5, "revision": "abc", "run": "https://forge.example/runs/7", "log": "logs/edit.log"}
    inputs = {"spec": "0123456789abcdef", "seed": "debian:12"}
    return replace(made, needs=("base-c-1.0", "libc-c-2.0"), inputs=inputs, build=facts)


def test_a_record_tells_what_proves_the_build_what_it_was_built_from_and_where_its_log_is(
    tmp_path: Path,
) -> None:
    made = artifact(tmp_path)
    record = record_of(made, BUNDLE)
    assert (record.sbom, record.provenance) == (made.sbom, made.provenance)
    assert record.needs == ("base-c-1.0", "libc-c-2.0")
    assert (record.log, record.revision, record.seconds) == ("https://forge.example/runs/7", "abc", 1.5)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    made = artifact(tmp_path)
    bare = replace(made, needs=(), inputs={}, build={})
    for record in (record_of(made, BUNDLE), record_of(bare, None)):
        assert PackageRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_record_without_a_bundle_names_nothing_in_it(tmp_path: Path) -> None:
    data = record_of(replace(artifact(tmp_path), needs=(), build={}), None).to_json()
    assert not data.keys() & {"attestation", "sbom", "provenance", "log", "needs", "seconds", "revision"}


@pytest.mark.parametrize(
    "wrong", [{"sbom": "x"}, {"sbom": {"name": "x"}}, {"needs": [1]}, {"inputs": "x"}, {"log": 1}]
)
def test_a_record_of_another_form_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    data = record_of(artifact(tmp_path), BUNDLE).to_json() | wrong
    with pytest.raises(DecodeError):
        PackageRecord.from_json(data)


def test_what_only_tells_of_the_run_makes_no_other_package(tmp_path: Path) -> None:
    one = artifact(tmp_path)
    other = replace(one, build=dict(one.build) | {"run": "https://forge.example/runs/8", "seconds": 9.0})
    assert record_of(one, BUNDLE).same_package(record_of(other, BUNDLE))
