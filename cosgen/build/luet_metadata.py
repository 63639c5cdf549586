"""`<fingerprint>.metadata.yaml` in luet's own dialect, without what varies from run to run.

Keys, their order and their nesting are those of luet 3f2397b6 (artifact.go, compilerspec.go, package.go).
Clock, host paths and options of the command line are left empty: luet reads none of them back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from cosgen.build.artifact import FileRef
from cosgen.graph.model import Node
from cosgen.manifest.build_spec import BuildSpec, CopyField, Subpackage
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFacts:
    """What the metadata tells beyond the package itself."""

    archive: FileRef
    compression: str
    files: Sequence[str]
    seed: str  # reference of the image the builder started from
    platform: str  # os/arch[/variant]
    repository: str  # of the build cache; "" when none


def definition_fields(definition: Definition) -> dict[str, object]:
    """Return the non-empty fields of a runtime definition under luet's JSON names (artifact records).

    Paths of the build host are left out.
    """
    values: dict[str, object] = {
        "name": definition.name,
        "category": definition.category,
        "version": definition.version,
        "requires": [definition_fields(item) for item in definition.requires],
        "conflicts": [definition_fields(item) for item in definition.conflicts],
        "provides": [definition_fields(item) for item in definition.provides],
        "hidden": definition.hidden,
        "labels": dict(sorted(definition.labels.items())),
        "annotations": dict(sorted(definition.annotations.items())),
        "description": definition.description,
        "license": definition.license,
        "uri": list(definition.uri),
        "use_flags": list(definition.use_flags),
        "state": definition.state,
    }
    return {key: value for key, value in values.items() if value}


def render_metadata(definition: Definition, node: Node | None, tree: Tree, facts: MetadataFacts) -> str:
    """Return the metadata of an artifact.

    Args:
        definition: The runtime package: the node's own, or a subpackage cut from it.
        node: The package that was built.
        tree: The tree, for the packages of its chain.
        facts: What the build found.
    """
    os_name, _, arch = facts.platform.partition("/")
    arch, _, variant = arch.partition("/")
    document: dict[str, object] = {
        "path": facts.archive.name,
        "dependencies": [],
        "compilespec": _compile_spec(node, tree, facts) if node else None,
        "checksums": {"sha256": facts.archive.digest.removeprefix("sha256:")},
        "sourceassertion": [],
        "compressiontype": facts.compression,
        "files": list(facts.files),
        "packagecacheimage": "",
        "runtime": _package(definition),
        "platform": {"os": os_name, "arch": arch, **({"variant": variant} if variant else {})},
    }
    return str(
        yaml.dump(
            document,
            Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
            sort_keys=False,
            allow_unicode=True,
            width=4096,
            indent=4,
        )
    )


def _package(definition: Definition, requires: Sequence[Definition] | None = None) -> dict[str, object]:
    needed = definition.requires if requires is None else requires
    return {
        "id": 0,
        "name": definition.name,
        "version": definition.version,
        "category": definition.category,
        "useflags": list(definition.use_flags),
        "state": definition.state,
        "packagerequires": [_package(item) for item in needed],
        "packageconflicts": [_package(item) for item in definition.conflicts],
        "provides": [_package(item) for item in definition.provides],
        "hidden": definition.hidden,
        "annotations": dict(sorted(definition.annotations.items())),
        "path": "",
        "description": definition.description,
        "uri": list(definition.uri),
        "license": definition.license,
        "buildtimestamp": "",
        "labels": dict(sorted(definition.labels.items())),
        "treedir": "",
        "origindockerfile": definition.dockerfile,
    }


def _compile_spec(node: Node, tree: Tree, facts: MetadataFacts) -> dict[str, object]:
    spec: BuildSpec = node.package.spec
    values: dict[str, object] = {}
    if spec.steps:
        values["steps"] = list(spec.steps)
    values |= {
        "env": list(spec.env),
        "prelude": list(spec.prelude),
        "image": spec.image,
        "seed": facts.seed,
        "package": _package(node.package.definition, spec.requires),
        "sourceassertion": _assertions(node, tree),
        "package_dir": spec.package_dir,
    }
    if spec.subpackages:
        values["subpackages"] = [_subpackage(item) for item in spec.subpackages]
    return values | {
        "retrieve": list(spec.retrieve),
        "outputpath": "",
        "unpack": spec.unpack,
        "includes": list(spec.includes),
        "excludes": list(spec.excludes),
        "buildoptions": {"pushimagerepository": facts.repository, "pullimagerepository": []},
        "copy": [_copy(item) for item in spec.copy],
        "requires_final_images": spec.requires_final_images,
    }


def _assertions(node: Node, tree: Tree) -> list[Mapping[str, object]]:
    return [
        {
            "package": _package(tree.by_fingerprint[link.fingerprint].definition),
            "value": True,
            "hash": {"buildhash": link.build_hash, "packagehash": link.package_hash},
        }
        for link in node.chain
        if link.fingerprint in tree.by_fingerprint
    ]


def _subpackage(item: Subpackage) -> dict[str, object]:
    return {
        **_package(item.definition),
        "includes": list(item.includes),
        "excludes": list(item.excludes),
    }


def _copy(item: CopyField) -> dict[str, object]:
    return {
        "package": _package(item.package) if item.package else None,
        "image": item.image,
        "source": item.source,
        "destination": item.destination,
    }
