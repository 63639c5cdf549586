"""Chains, hashes, tags and Dockerfiles equal luet's, for real trees and for odd small ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from cosgen.errors import Severity
from cosgen.graph.graph import think
from cosgen.graph.model import Graph, Node
from cosgen.manifest.loader import load_project, load_tree
from tests.golden.differences import REFUSED_HERE
from tests.golden.graph_differences import ERRORS_ONLY_HERE, is_elsewhere

SHARED = Path(__file__).parents[3] / "shared"
GOLDEN = SHARED / "golden"
TREES = sorted(GOLDEN.glob("cos-*.json"))
CASES = sorted((GOLDEN / "cases").glob("*.json"))
pytestmark = pytest.mark.skipif(not TREES, reason="the golden data is not here")
TEXTS = ("spec_hash", "package_hash", "builder_tag", "builder_dockerfile", "package_dockerfile")


def chain_document(node: Node) -> list[dict[str, str]]:
    """Return the chain as the golden data has it: without the target's own builder tag."""
    links = [
        {
            "fingerprint": link.fingerprint,
            "build_hash": link.build_hash,
            "package_hash": link.package_hash,
            "builder_tag": link.builder_tag,
        }
        for link in node.chain
    ]
    links[-1]["builder_tag"] = ""
    return links


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_every_hash_and_tag_of_the_cos_tree_is_luets(path: Path) -> None:
    golden = json.loads(path.read_text())
    project = load_project(
        (SHARED / golden["tree"]).parent, trees=["packages"], values=[str(SHARED / golden["values"])]
    )
    graph = think(load_tree(project, project.variants[0]))
    assert list(graph.nodes) == [item["fingerprint"] for item in golden["packages"]]
    for expected in golden["packages"]:
        node = graph.nodes[expected["fingerprint"]]
        assert {name: getattr(node, name) for name in TEXTS} == {name: expected[name] for name in TEXTS}
        assert chain_document(node) == expected["chain"]
        assert node.can_be_built
    assert [item for item in graph.problems if item.severity is Severity.ERROR] == []
    assert len(graph.targets) == 72  # utils/installer cannot be reached: system/cos-wrapper provides it
    assert len(graph.images) < sum(len(node.chain) for node in graph.nodes.values())


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_graph_of_a_small_odd_tree_is_luets(path: Path, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    if case["load_error"] and case["packages"] is None:
        pytest.skip("luet gives up the whole tree")
    graph = think_case(case, tmp_path)
    for expected in case["packages"]:
        node = graph.nodes[expected["fingerprint"]]
        errors = {
            item.id for item in (*node.package.problems, *node.problems) if item.severity is Severity.ERROR
        }
        if expected.get("error"):
            assert errors or is_elsewhere(expected["fingerprint"], expected["error"])
            continue
        if errors & REFUSED_HERE.keys():
            continue
        assert errors <= ERRORS_ONLY_HERE.keys()
        names = [name for name in TEXTS if name in expected]
        assert {name: getattr(node, name) for name in names} == {name: expected[name] for name in names}
        assert [link.fingerprint for link in node.chain] == expected["chain"]


def think_case(case: dict[str, Any], folder: Path) -> Graph:
    root = folder / "tree"
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
        (folder / "values.yaml").write_text(case["values"])
        values = [str(folder / "values.yaml")]
    project = load_project(root, trees=["."], values=values)
    return think(load_tree(project, project.variants[0]))
