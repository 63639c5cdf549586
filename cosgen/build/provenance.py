"""Provenance: an in-toto statement that says which inputs and which builder made an artifact.

Source: in-toto Attestation Framework, Statement v1; SLSA provenance v1. It names no time and no host, so
that the same inputs make the same statement.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cosgen.build.artifact import FileRef

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://cosgen.dev/build/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Who builds: in CI the workflow's identity, as the caller knows it."""

    id: str = "https://cosgen.dev/builder/local"
    version: str = ""
    invocation: str = ""  # address of the run, "" outside of CI
    source: str = ""  # address of the source repository
    revision: str = ""  # its commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One input with its digest."""

    uri: str
    digest: str = ""  # "sha256:" + 64 hex, "gitCommit:…"; "" when none is known


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """What a statement says of one build."""

    package: str  # category/name@version
    flavor: str
    arch: str
    platform: str
    input_digest: str
    subjects: Sequence[FileRef]
    materials: Sequence[Material] = ()
    internal: Mapping[str, str] = field(default_factory=dict)  # parameters of ours: schema, compression


def render_provenance(facts: BuildFacts, builder: Builder) -> str:
    """Return the statement as canonical JSON."""
    predicate: dict[str, object] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "package": facts.package,
                "flavor": facts.flavor,
                "arch": facts.arch,
                "platform": facts.platform,
            },
            "internalParameters": dict(facts.internal) | {"inputDigest": facts.input_digest},
            "resolvedDependencies": [_descriptor(item) for item in _materials(facts, builder)],
        },
        "runDetails": {
            "builder": {"id": builder.id, "version": {"cosgen": builder.version}},
            "metadata": {"invocationId": builder.invocation} if builder.invocation else {},
        },
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": ref.name, "digest": {"sha256": ref.digest.removeprefix("sha256:")}}
            for ref in facts.subjects
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return json.dumps(statement, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def _materials(facts: BuildFacts, builder: Builder) -> Sequence[Material]:
    found = set(facts.materials)
    if builder.source or builder.revision:
        digest = f"gitCommit:{builder.revision}" if builder.revision else ""
        found.add(Material(uri=f"git+{builder.source}" if builder.source else "git", digest=digest))
    return sorted(found, key=lambda item: (item.uri, item.digest))


def _descriptor(material: Material) -> dict[str, object]:
    kind, _, value = material.digest.partition(":")
    return {"uri": material.uri, **({"digest": {kind: value}} if value else {})}
