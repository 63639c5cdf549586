"""Images that a build makes: each distinct one of the trie of chains once, against every package's chain anew."""

import tempfile
from pathlib import Path

from cosgen.graph.graph import think
from cosgen.graph.model import Graph
from cosgen.manifest.loader import load_project, load_tree
from tests.benchmarks.measure import compare, row
from tests.benchmarks.trees import write_project

COS = Path(__file__).parents[3] / "shared" / "trees" / "cos"  # the tree of cOS, where it is at hand


def main() -> None:
    """Print the rows of images saved."""
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), 73)
        compare_images("a tree of cOS's size", read_graph(Path(folder)))
    if COS.is_dir():
        values = [str(COS / "values" / "green-x86_64.yaml")]
        compare_images("the cOS tree", read_graph(COS, trees=["packages"], values=values))


def read_graph(root: Path, trees: list[str] | None = None, values: list[str] | None = None) -> Graph:
    """Read a project and think its first variant through."""
    project = load_project(root, trees=trees or [], values=values or [])
    return think(load_tree(project, project.variants[0]))


def compare_images(name: str, graph: Graph) -> None:
    """Print elements of all chains, distinct ones, and images that are built: empty packages make none."""
    links = [link for node in graph.nodes.values() for link in node.chain]
    distinct = {link.package_hash for link in links}
    built = {key for node in graph.nodes.values() for key in node.images}
    row(f"{name}, {len(graph.nodes)} packages: elements of their chains", len(links), "")
    compare(f"{name}: distinct elements", len(distinct), len(links), "", target=0.5)
    compare(f"{name}: images that are built", len(built), len(links), "", target=0.5)


if __name__ == "__main__":
    main()
