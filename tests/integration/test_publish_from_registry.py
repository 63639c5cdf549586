"""`cosgen publish --from-registry` against a real registry."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosgen.build.artifact import ArtifactRecord, file_ref, store_record
from cosgen.build.exchange import push_artifact
from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry
from cosgen.graph.plan import Action, Plan, PlanNode, package_key, plan_to_json
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact

OURS = "https://github.com/acme/os"
WORKFLOW = f"{OURS}/.github/workflows/cosgen-testing.yml@refs/heads/main"


def built_by(builder: str, folder: Path, name: str) -> ArtifactRecord:
    """Make an artifact whose provenance names a builder."""
    record = make_artifact(folder, name)
    statement = {
        "subject": [{"name": record.archive.name, "digest": {"sha256": record.archive.digest[7:]}}],
        "predicate": {"runDetails": {"builder": {"id": builder}}},
    }
    path = folder / record.provenance.name
    path.write_text(json.dumps(statement))
    record = replace(record, provenance=file_ref(path))
    store_record(folder, record)
    return record


def node(record: ArtifactRecord) -> PlanNode:
    human = f"apps/{record.definition['name']}"
    return PlanNode(
        key=package_key("x86_64", human, "1.0"),
        fingerprint=record.fingerprint,
        human=human,
        version="1.0",
        variant="x86_64",
        flavor="",
        arch="x86_64",
        platform=record.platform,
        action=Action.BUILD,
        reason="new",
        input_digest=record.input_digest,
    )


class Publisher:
    """A project whose finished builds are in a cache registry."""

    def __init__(self, folder: Path, cache: str) -> None:
        self.folder = folder
        self.name = parse_name(cache)[0]
        (folder / "packages").mkdir()
        text = f"version: 1\nname: acme\nregistry: {{cache: {cache}}}\nrepository: {{storage: {folder / 'repo'}}}\n"
        (folder / "cosgen.yaml").write_text(f"{text}channels: {{testing: {{}}}}\n")

    def push(self, record: ArtifactRecord) -> None:
        push_artifact(Registry(), self.name, self.folder / "built", [record])

    def publish(self, *records: ArtifactRecord, code: int = 0) -> str:
        plan = Plan(nodes=tuple(node(record) for record in records))
        (self.folder / "plan.json").write_text(plan_to_json(plan))
        ci = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/os",
            "GITHUB_SERVER_URL": "https://github.com",
        }
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "cosgen"),
                *("publish", "--channel", "testing", "--plan", "plan.json", "--from-registry"),
            ],
            cwd=self.folder,
            env={**os.environ, **ci, "GITHUB_WORKFLOW_REF": "acme/os/x.yml@refs/heads/main"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def publisher(tmp_path: Path, registry: Server, request: pytest.FixtureRequest) -> Publisher:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return Publisher(tmp_path, f"{registry.address}/cache/{stem}")


def test_finished_builds_are_published_from_the_cache(publisher: Publisher) -> None:
    record = built_by(WORKFLOW, publisher.folder / "built", "a")
    publisher.push(record)
    assert "+ x86_64: apps/a@1.0" in publisher.publish(record)
    assert "everything already" in publisher.publish(record)


def test_what_is_not_there_is_named_and_nothing_is_published(publisher: Publisher) -> None:
    there = built_by(WORKFLOW, publisher.folder / "built", "a")
    publisher.push(there)
    told = publisher.publish(there, make_artifact(publisher.folder / "other", "b"), code=5)
    assert "CG540" in told
    assert "x86_64:apps/b@1.0" in told
    assert not (publisher.folder / "repo").exists()


@pytest.mark.parametrize(
    "builder",
    [
        "https://cosgen.dev/builder/local",
        WORKFLOW.replace("heads/main", "pull/7/merge"),
        f"{OURS}-evil/x@refs/heads/main",
    ],
)
def test_builds_of_others_are_refused(publisher: Publisher, builder: str) -> None:
    record = built_by(builder, publisher.folder / "built", "a")
    publisher.push(record)
    assert "CG543" in publisher.publish(record, code=6)
    assert not (publisher.folder / "repo").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"subject": 3}', '{"subject": [{"digest": []}]}', "[" * 200_000], ids=len
)
def test_provenance_that_is_none_is_refused(publisher: Publisher, text: str) -> None:
    record = built_by(WORKFLOW, publisher.folder / "built", "a")
    path = publisher.folder / "built" / record.provenance.name
    path.write_text(text)
    record = replace(record, provenance=file_ref(path))
    store_record(publisher.folder / "built", record)
    publisher.push(record)
    assert "its provenance cannot be read" in publisher.publish(record, code=6)


def test_provenance_of_other_bytes_is_refused(publisher: Publisher) -> None:
    record = built_by(WORKFLOW, publisher.folder / "built", "a")
    path = publisher.folder / "built" / record.provenance.name
    path.write_text(path.read_text().replace(record.archive.digest[7:], "0" * 64))
    record = replace(record, provenance=file_ref(path))
    store_record(publisher.folder / "built", record)
    publisher.push(record)
    assert "other bytes" in publisher.publish(record, code=6)


def test_a_build_of_another_package_or_variant_is_not_published_in_its_place(publisher: Publisher) -> None:
    wanted = built_by(WORKFLOW, publisher.folder / "built", "app")
    other = built_by(WORKFLOW, publisher.folder / "built", "kernel")
    publisher.push(replaced(publisher, other, input_digest=wanted.input_digest))
    assert "CG543" in publisher.publish(wanted, code=6)
    assert "kernel-apps-1.0 is not published: it lies where x86_64:apps/app@1.0 should" in publisher.publish(
        wanted, code=6
    )
    publisher.push(replaced(publisher, wanted, flavor="blue"))
    assert "it lies where" in publisher.publish(wanted, code=6)
    part = replaced(
        publisher, other, build={"subpackage_of": wanted.fingerprint}, input_digest=wanted.input_digest
    )
    store_record(publisher.folder / "built", wanted)
    push_artifact(Registry(), publisher.name, publisher.folder / "built", [wanted, part])
    publisher.publish(wanted)


def replaced(publisher: Publisher, record: ArtifactRecord, **changes: Any) -> ArtifactRecord:
    """Store a record with other fields."""
    changed = replace(record, **changes)
    store_record(publisher.folder / "built", changed)
    return changed
