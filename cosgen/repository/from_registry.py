"""Finished artifacts out of the cache registry, for a publish: found by input digest, taken when trusted."""

from dataclasses import dataclass
from pathlib import Path

from cosgen.build.artifact import ArtifactRecord
from cosgen.build.exchange import pull_artifact
from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.graph.plan import Plan, PlanNode
from cosgen.repository.codec import DecodeError, decode, items, mapping

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
    planned = frozenset(node.fingerprint for node in plan.nodes)
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
        others = planned - {node.fingerprint}
        for record in records:
            problem = _another(node, record, others) or _doubt(place, record, trust)
            doubtful += [problem] if problem else []
    if missing:
        raise PublishError(*(_not_there(node, name) for node in missing))
    if doubtful:
        raise VerificationError(*doubtful)
    return tuple(sorted(folders))


def _another(node: PlanNode, record: ArtifactRecord, others: frozenset[str]) -> Problem | None:
    """Return that a record is not of the package that was planned, nor of a part of it; None when it is."""
    definition = record.definition
    human = f"{definition.get('category', '')}/{definition.get('name', '')}"
    if (record.flavor, record.arch) == (node.flavor, node.arch):
        if record.fingerprint == node.fingerprint and human == node.human:
            return None
        if record.build.get("subpackage_of") == node.fingerprint and record.fingerprint not in others:
            return None
    return _untrusted(record, f"it lies where {node.key} should")


def _doubt(folder: Path, record: ArtifactRecord, trust: Trust) -> Problem | None:
    """Return why the provenance of an artifact is not enough, or None."""
    try:
        statement = decode((folder / record.provenance.name).read_bytes())
        subjects = [mapping(mapping(one).get("digest")) for one in items(statement.get("subject"))]
        predicate = mapping(statement.get("predicate"))
        builder = str(mapping(mapping(predicate.get("runDetails")).get("builder")).get("id") or "")
    except DecodeError as error:
        return _untrusted(record, f"its provenance cannot be read ({error.what})")
    if all(one.get("sha256") != record.archive.digest.removeprefix("sha256:") for one in subjects):
        return _untrusted(record, "its provenance speaks of other bytes")
    if not trust.accepts(builder):
        who = builder or "somebody unknown"
        return _untrusted(record, f"it was built by {who}, not by a pipeline of {trust.source}")
    return None


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
