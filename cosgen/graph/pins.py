"""Which images from elsewhere a project starts from, and what other pins would build anew."""

from collections.abc import Iterable, Sequence

from cosgen.graph.digest import foreign_copies
from cosgen.graph.model import Graph
from cosgen.graph.plan_model import package_key


def seed_references(graphs: Iterable[Graph]) -> tuple[str, ...]:
    """Return the images from elsewhere that targets use, sorted; not those named by a digest."""
    found: set[str] = set()
    for graph in graphs:
        for name in graph.targets:
            found.update(graph.images[key].seed for key in graph.nodes[name].images)
            found.update(foreign_copies(graph.nodes[name].package.spec))
    return tuple(sorted(item for item in found if item and "@sha256:" not in item))


def rebuilt(before: Sequence[Graph], after: Sequence[Graph]) -> tuple[str, ...]:
    """Return the keys of the targets that other pins give another input digest, in build order.

    Args:
        before: The graphs with the old pins.
        after: The same variants with the new ones.
    """
    old = {graph.tree.variant.key: graph for graph in before}
    found = []
    for graph in after:
        variant = graph.tree.variant.key
        known = old[variant].nodes if variant in old else {}
        targets = frozenset(graph.targets)
        for name in graph.order:
            node = graph.nodes[name]
            if name in targets and (name not in known or known[name].input_digest != node.input_digest):
                found.append(package_key(variant, node.package.human, node.package.definition.version))
    return tuple(found)
