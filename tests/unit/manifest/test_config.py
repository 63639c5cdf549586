"""Unit tests for cosgen.yaml: config, config_decode, config_schema and project."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from cosgen.errors import Problem
from cosgen.manifest import config_schema
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.config_decode import decode_config
from cosgen.manifest.lock import Lock, LockedFoundation, read_lock, write_lock
from cosgen.manifest.os_manifest import OsManifest, decode_manifest
from cosgen.manifest.project import check_config, config_digest
from cosgen.manifest.rules import RULES

FULL = """
version: 1
name: acme-os
manifest: manifest.yaml
trees: [foundation/packages, packages]
foundations:
  - {name: cos, url: https://repo.example.org/r, reference: stable-repository.yaml, trust: cos-root.json}
values: ["values/{flavor}-{arch}.yaml"]
flavors: [green, blue]
arches: [x86_64, arm64]
select: tree
skip: [{packages: [live/syslinux], arches: [arm64]}]
registry: {cache: ghcr.io/acme/cache, images: ghcr.io/acme/os, luet_tags: true}
repository: {storage: "s3://acme-os/repo", url: https://repo.acme.example, compression: {format: zstd, level: 3}}
channels:
  nightly: {on: {schedule: "0 20 * * *"}, keep: {days: 14}}
  testing: {on: {branch: main}, keep: {last: 10}}
  stable:  {on: {tag: "v*"}, from: testing, keep: {tags: all, last: 10}, approve: true}
upgrade: {package: system/os, recovery: recovery/os, client: C}
signing: {root: {threshold: 2, keys: [a.pub]}, channels: {keys: [b.pub]}}
ci:
  providers: [github, gitlab]
  shape: auto
  runners: {x86_64: ubuntu-24.04, arm64: {labels: [self-hosted, arm64], self_hosted: true}}
  budget: {concurrent_jobs: 20}
  hooks: {before_build: echo}
site: {title: Acme OS, url: https://docs.acme.example}
"""


def decode(text: str) -> tuple[ProjectConfig, list[Problem]]:
    problems: list[Problem] = []
    config = decode_config(text, "cosgen.yaml", problems)
    return config, [*problems, *check_config(config)]


def test_the_whole_example_is_read() -> None:
    config, problems = decode(FULL)
    assert problems == []
    assert config.channels["stable"].from_ == "testing"
    assert config.channels["nightly"].on.schedule == "0 20 * * *"
    assert config.ci.runners["x86_64"].labels == ("ubuntu-24.04",)
    assert config.ci.hooks.before_build == ("echo",)
    assert config.signing.root.threshold == 2


@pytest.mark.parametrize(
    ("text", "id_", "fix"),
    [
        ("chanels: {}\n", "CG021", "write `channels`"),
        ("ci: {shape: autom}\n", "CG023", "write `auto`"),
        ("channels: {a: {aprove: true}}\n", "CG021", "write `approve`"),
        ("ci: {timeout_minutes: 0}\n", "CG023", "write 1 or more"),
        ("ci: {timeout_minutes: many}\n", "CG020", "write a whole number"),
        ("foundations: [{name: x}]\n", "CG022", "add `url:`"),
        ("version: 2\n", "CG024", "newer cosgen"),
        ("trees: [../x]\n", "CG025", "inside the project"),
        ("trees: [/x]\n", "CG025", "inside the project"),
        ("arches: [x86_46]\n", "CG026", "write x86_64"),
        ("arches: [x86_64, amd64]\n", "CG026", "keep one"),
        ("channels: {a: {from: b}, b: {from: a}}\n", "CG026", "let one be built"),
        ("channels: {a: {gates: [iso]}}\n", "CG026", "none is defined"),
        ("channels: {a: {gates: [i]}}\nci: {jobs: {i: {run: [x], after: site}}}\n", "CG026", "after: gate"),
        ("ci: {jobs: {i: {run: [x], needs: [j]}, j: {run: [x], needs: [i]}}}\n", "CG026", "one of the needs"),
        ("channels: []\n", "CG020", "a map"),
        ("- a\n", "CG020", "a map"),
        ("flavors: [a b]\n", "CG023", "expected"),
        ("skip: [{packages: [t/a], flavors: [red]}]\nflavors: [green]\narches: [x86_64]\n", "CG026", "green"),
    ],
)
def test_slips_are_told_with_place_and_remedy(text: str, id_: str, fix: str) -> None:
    _, problems = decode(text)
    (problem, *_) = [item for item in problems if item.id == id_]
    assert fix in problem.fix
    assert problem.origin is not None
    assert problem.id in RULES


def test_each_circle_of_jobs_is_told_once_with_its_way() -> None:
    _, problems = decode(
        "ci:\n  jobs:\n"
        "    a: {run: [x], needs: [b]}\n    b: {run: [x], needs: [c]}\n    c: {run: [x], needs: [b]}\n"
        "    d: {run: [x], needs: [d]}\n"
    )
    assert [problem.what.partition(": ")[2] for problem in problems] == ["b -> c -> b", "d -> d"]
    assert [str(problem.origin) for problem in problems] == ["cosgen.yaml:4:19", "cosgen.yaml:6:19"]


def test_the_published_schema_is_the_one_the_table_makes() -> None:
    path = Path(config_schema.__file__).with_name("cosgen.schema.json")
    assert path.read_text() == config_schema.config_schema()


def test_the_schema_accepts_the_example_and_refuses_slips() -> None:
    schema = json.loads(config_schema.config_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    text = FULL.replace(" on:", ' "on":').replace("{on:", '{"on":')
    document = yaml.safe_load(text)
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"chanels": {}}, schema)


def test_the_digest_passes_over_comments_and_order() -> None:
    one, _ = decode("name: a\nflavors: [x]\n")
    other, _ = decode("# comment\nflavors: [x]\n\nname: a\n")
    assert config_digest(one, OsManifest()) == config_digest(other, OsManifest())
    assert config_digest(one, OsManifest()) != config_digest(ProjectConfig(), OsManifest())


def test_manifests_of_both_generations_and_changes_are_read() -> None:
    problems: list[Problem] = []
    files = {
        "old.yaml": "packages: {rootfs: [system/a, system/b], isoimage: [live/c]}\nlabel: L\nbuild: [x/y]\n"
    }
    manifest = decode_manifest(
        "extends: old.yaml\niso: {rootfs: {add: ['channel:system/d', 'docker:q/i:1'], remove: [system/b]}}\n",
        "manifest.yaml",
        problems,
        files.get,
    )
    assert problems == []
    assert manifest.packages == ("live/c", "system/a", "system/d", "x/y")
    assert manifest.label == "L"


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("extends: nope.yaml\n", "CG031"),
        ("extends: manifest.yaml\n", "CG031"),
        ("extends: ../x\n", "CG025"),
        ("build: {add: [a/b], remove: [c/d]}\n", "CG032"),
        ("build: x\n", "CG030"),
        ("- x\n", "CG030"),
    ],
)
def test_broken_manifests_have_their_error(text: str, id_: str) -> None:
    problems: list[Problem] = []
    decode_manifest(text, "manifest.yaml", problems)
    assert [problem.id for problem in problems] == [id_]


def test_a_lock_reads_back_as_it_was_written() -> None:
    digest = "sha256:" + "0" * 64
    foundation = LockedFoundation(name="cos", url="u", reference="r", snapshot="s", digest=digest)
    lock = Lock(seeds={"b": digest, "a linux/arm64": digest}, foundations=(foundation,))
    problems: list[Problem] = []
    again = read_lock(write_lock(lock), problems)
    assert write_lock(again) == write_lock(lock)
    assert again.seed_digests("linux/arm64") == {"a": digest, "b": digest}
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "seeds": {"a": "x"}}',
        '{"version": 1, "seeds": []}',
        '{"version": 1, "foundations": [1]}',
    ],
)
def test_a_tampered_lock_is_told(text: str) -> None:
    problems: list[Problem] = []
    read_lock(text, problems)
    assert {problem.id for problem in problems} == {"CG050"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("upgrade: {client: D, follow: channel}\n", "no release channels"),
        ("upgrade: {client: B, follow: image}\nregistry: {images: q.example/os}\n", "ignores an image"),
        ("upgrade: {client: C, follow: image}\n", "has none"),
        ("upgrade: {docker_type: true}\n", "nothing says where"),
    ],
)
def test_what_machines_cannot_follow_is_told_with_its_place(settings: str, why: str) -> None:
    _, (problem,) = decode(settings)
    assert why in problem.what
    assert problem.id == "CG026"
    assert problem.origin is not None
    assert problem.origin.line == 1
