"""Finished artifacts out of the cache registry, for a publish: found by input digest, taken when trusted."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.artifact import ArtifactRecord
from cosgen.build.exchange import pull_artifact
from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.graph.plan import Plan, PlanNode

_PULL_REF = "@refs/pull/"
_MERGE_REF = "@refs/merge-requests/"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose builds may be published.

    `source` is the address of the repository whose pipelines are trusted; "" trusts every builder, as
    a person does who publishes by hand.
    """

    source: str = ""

    def accepts(self, builder: str) -> bool:
        """Tell whether a builder's identity is a pipeline of ours that does not run on a request."""
        if not self.source:
            return True
        return (
            builder.startswith(f"{self.source}/") and _PULL_REF not in builder and _MERGE_REF not in builder
        )


def fetch_artifacts(
    plan: Plan, registry: Registry, name: ImageName, folder: Path, *, trust: Trust
) -> tuple[Path, ...]:
    """Fetch what a plan builds into one folder a variant.

    Args:
        plan: What was to be built.
        registry: The client.
        name: The cache repository.
        folder: Where the variants' folders are made.
        trust: Whose builds are taken.

    Returns:
        The folders that hold artifacts, sorted.

    Raises:
        PublishError: Some are not there (CG540); all of them are named.
        VerificationError: One is not what it says, or nobody trusted built it (CG543).
    """
    missing: list[PlanNode] = []
    doubtful: list[Problem] = []
    folders: set[Path] = set()
    for node in plan.to_build:
        place = folder / node.variant
        records = pull_artifact(registry, name, node.input_digest, place, platform=node.platform)
        if records is None:
            missing.append(node)
            continue
        folders.add(place)
        doubtful += [problem for record in records if (problem := _doubt(place, record, trust))]
    if missing:
        raise PublishError(*(_not_there(node, name) for node in missing))
    if doubtful:
        raise VerificationError(*doubtful)
    return tuple(sorted(folders))


def _doubt(folder: Path, record: ArtifactRecord, trust: Trust) -> Problem | None:
    """Return why the provenance of an artifact is not enough, or None."""
    statement = json.loads((folder / record.provenance.name).read_text(encoding="utf-8"))
    subjects = [subject.get("digest", {}).get("sha256", "") for subject in statement.get("subject", ())]
    if record.archive.digest.removeprefix("sha256:") not in _texts(subjects):
        return _untrusted(record, "its provenance speaks of other bytes")
    predicate = statement.get("predicate", {})
    builder = str(predicate.get("runDetails", {}).get("builder", {}).get("id", ""))
    if not trust.accepts(builder):
        who = builder or "somebody unknown"
        return _untrusted(record, f"it was built by {who}, not by a pipeline of {trust.source}")
    return None


def _texts(values: Sequence[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _not_there(node: PlanNode, name: ImageName) -> Problem:
    return Problem(
        what=f"{name} has no artifact of {node.key}",
        fix="build it with --push, or run the failed jobs of the pipeline again",
        id="CG540",
    )


def _untrusted(record: ArtifactRecord, why: str) -> Problem:
    return Problem(
        what=f"{record.fingerprint} is not published: {why}",
        fix="delete its tag in the cache registry and let the channel's pipeline build it again",
        id="CG543",
    )
