"""What a build touches: packages whose artifacts are joined, and images beneath or copied from."""

from collections.abc import Collection, Iterable

from cosgen.graph.model import Fingerprint, Graph, ImageKey


def images_beneath(graph: Graph, package: Fingerprint) -> tuple[ImageKey, ...]:
    """Return the images that the making of a package's image may touch: its own first, those copied from too.

    () when it has none, or nothing is built for it.
    """
    node = graph.nodes[package]
    if node.package.spec.is_empty or not node.images:
        return ()
    found: dict[ImageKey, None] = {}
    todo = [node.images[-1]]
    while todo:
        key = todo.pop()
        if key not in found:
            found[key] = None
            image = graph.images[key]
            todo.extend([image.parent] if image.parent else [])
            todo.extend(key for item in image.copies for key in graph.nodes[item].images[-1:])
    return tuple(found)


def joined(graph: Graph, package: Fingerprint) -> frozenset[Fingerprint]:
    """Return the packages whose artifacts are joined into an image beneath a package."""
    return frozenset(item for key in images_beneath(graph, package) for item in graph.images[key].join)


def with_joined(graph: Graph, targets: Iterable[Fingerprint]) -> tuple[Fingerprint, ...]:
    """Return the targets and every package whose artifact is joined into one of their images, sorted."""
    found: set[Fingerprint] = set()
    todo = list(targets)
    while todo:
        package = todo.pop()
        if package not in found:
            found.add(package)
            todo.extend(joined(graph, package) - found)
    return tuple(sorted(found))


def artifacts_needed(
    graph: Graph, targets: Iterable[Fingerprint], building: Collection[Fingerprint]
) -> frozenset[Fingerprint]:
    """Return whose artifacts matter: the targets, and what is joined for those of them that are built."""
    needed = set(targets)
    built = frozenset(building)
    todo = [item for item in needed if item in built]
    while todo:
        new = joined(graph, todo.pop()) - needed
        needed |= new
        todo.extend(item for item in new if item in built)
    return frozenset(needed)
