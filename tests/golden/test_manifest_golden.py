"""What we read and render equals what luet reads and renders, for real trees and for odd small ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cosgen.errors import Problem, Severity
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.project import Project
from cosgen.manifest.tree import Tree
from tests.golden.differences import PROBLEMS_ONLY_HERE, REFUSED_HERE, TREE_DIFFERENCES

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "golden"
TREES = sorted(GOLDEN.glob("cos-*.json"))
CASES = sorted((GOLDEN / "cases").glob("*.json"))
pytestmark = pytest.mark.skipif(not TREES, reason="the golden data is not here")

LISTS = ("prelude", "steps", "env", "retrieve", "includes", "excludes")
PLAIN = ("image", "seed", "requires_final_images", "unpack", "package_dir")


def reference(item: Definition) -> dict[str, str]:
    return {"category": item.category, "name": item.name, "version": item.version}


def spec_document(spec: BuildSpec) -> dict[str, Any]:
    document: dict[str, Any] = {"requires": [reference(item) for item in spec.requires]}
    document |= {name: getattr(spec, name) for name in PLAIN if getattr(spec, name)}
    document |= {name: list(getattr(spec, name)) for name in LISTS if getattr(spec, name)}
    if spec.copy:
        document["copy"] = [
            {
                "destination": item.destination,
                "image": item.image,
                "source": item.source,
                "package": reference(item.package) if item.package else None,
            }
            for item in spec.copy
        ]
    return document


def differences(tree: Tree, packages: list[Mapping[str, Any]]) -> dict[tuple[str, str], object]:
    found: dict[tuple[str, str], object] = {}
    for expected in packages:
        name = expected["fingerprint"]
        package = tree.by_fingerprint.get(name)
        if package is None:
            found[name, "missing"] = sorted(tree.by_fingerprint)
            continue
        if expected.get("error") or {problem.id for problem in package.problems} & REFUSED_HERE.keys():
            continue
        if package.problems:
            found[name, "problems"] = [str(problem) for problem in package.problems]
        for key, ours in (("path", package.directory), ("rendered", package.rendered)):
            if ours != expected[key]:
                found[name, key] = ours
        if "spec" in expected and spec_document(package.spec) != expected["spec"]:
            found[name, "spec"] = spec_document(package.spec)
    return found


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_the_cos_tree_reads_and_renders_as_in_luet(path: Path) -> None:
    golden = json.loads(path.read_text())
    root = (SHARED / golden["tree"]).parent
    project = load_project(root, trees=["packages"], values=[str(SHARED / golden["values"])])
    tree = load_tree(project, project.variants[0])
    assert project.problems == ()
    assert [package.fingerprint for package in tree.packages] == [
        p["fingerprint"] for p in golden["packages"]
    ]
    found = {(path.stem, name, field) for name, field in differences(tree, golden["packages"])}
    assert found == {key for key in TREE_DIFFERENCES if key[0] == path.stem}


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_the_cos_tree_without_options_has_the_same_variant(path: Path) -> None:
    golden = json.loads(path.read_text())
    project = load_project((SHARED / golden["tree"]).parent)
    key = path.stem.removeprefix("cos-")
    variant = next(variant for variant in project.variants if variant.key == key)
    tree = load_tree(project, variant)
    assert {(path.stem, *key) for key in differences(tree, golden["packages"])} <= set(TREE_DIFFERENCES)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_small_odd_tree_is_read_as_in_luet(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    root = tmp_path / "tree"
    root.mkdir()
    for name, content in case["files"].items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            target.symlink_to(content["symlink"])
        else:
            target.write_text(content)
    values = []
    if case["values"] is not None:
        (tmp_path / "values.yaml").write_text(case["values"])
        values = [str(tmp_path / "values.yaml")]
    project = load_project(root, trees=["."], values=values)
    tree = load_tree(project, project.variants[0])
    errors = errors_of(project)
    assert differences(tree, case["packages"] or []) == {}
    if case["load_error"]:
        assert errors or (values and errors_of(load_project(root, trees=["."])))
        return
    assert sorted(tree.by_fingerprint) == sorted(item["fingerprint"] for item in case["packages"])
    failed = [item["error"] for item in case["packages"] if item.get("error")]
    assert errors or not any(error.startswith("spec:") for error in failed)
    assert failed or {problem.id for problem in errors} <= {*PROBLEMS_ONLY_HERE, *REFUSED_HERE}


def errors_of(project: Project) -> list[Problem]:
    """Return the errors of a project's first tree."""
    tree = load_tree(project, project.variants[0])
    return [problem for problem in tree.problems if problem.severity is Severity.ERROR]
