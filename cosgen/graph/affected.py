"""Affected: which packages a change of files concerns, themselves or through what they are built on."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from cosgen.graph.model import Fingerprint, Graph

_NO_OWNERS: Mapping[str, Collection[str]] = MappingProxyType({})


def affected(
    graph: Graph,
    changed_paths: Iterable[str],
    *,
    shared: Collection[str] = (),
    owners: Mapping[str, Collection[str]] = _NO_OWNERS,
) -> frozenset[Fingerprint]:
    """Return the packages that a change of files concerns; see `explain_affected`."""
    return frozenset(explain_affected(graph, changed_paths, shared=shared, owners=owners))


def explain_affected(
    graph: Graph,
    changed_paths: Iterable[str],
    *,
    shared: Collection[str] = (),
    owners: Mapping[str, Collection[str]] = _NO_OWNERS,
) -> dict[Fingerprint, str]:
    """Return the packages that a change of files concerns, each with the reason, in build order.

    A file concerns the packages whose directory it is in, at any depth: nested packages are in the build
    context of the package around them. Shared templates concern every package of the project, since a tree
    may use the templates of another. What is not there any more counts by its path alone.

    Args:
        graph: The graph after the change.
        changed_paths: Files added, changed or removed, relative to the project root, "/" separators.
        shared: Further files that concern every package of the variant: values files, the lock file.
        owners: Further folders (overlays), and the packages (category/name) whose context they join.
    """
    paths = sorted(set(changed_paths))
    everything = next((path for path in paths if path in shared or _is_template(graph, path)), None)
    found: dict[Fingerprint, str] = {}
    for name in graph.order:
        node = graph.nodes[name]
        if node.foundation:
            continue
        package = node.package
        folders = [package.directory]
        folders += [folder for folder, humans in owners.items() if package.human in humans]
        sources = {file.source for file in package.files if file.source}
        own = next(
            (path for path in paths if path in sources or any(is_below(path, one) for one in folders)), None
        )
        beneath = next((item for item in _beneath(graph, name) if item in found), None)
        if own is not None:
            found[name] = f"{own} changed"
        elif everything is not None:
            found[name] = f"{everything} changed"
        elif beneath is not None:
            found[name] = f"built on {graph.nodes[beneath].package.human}, which is affected"
    return found


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is in a folder, at any depth.

    >>> is_below("packages/a/b/c", "packages/a"), is_below("packages/ab", "packages/a"), is_below("x", ".")
    (True, False, True)
    """
    return folder in {"", "."} or path.startswith(f"{folder}/")


def _beneath(graph: Graph, name: Fingerprint) -> Iterable[Fingerprint]:
    node = graph.nodes[name]
    return (*node.needs, *((node.redirect,) if node.redirect else ()))


def _is_template(graph: Graph, path: str) -> bool:
    """Tell whether luet would read a file as a shared template: any .yaml below a folder `templates`."""
    if not path.lower().endswith(".yaml") or "templates" not in path.split("/")[:-1]:
        return False
    return any(is_below(path, root) for root in {package.tree for package in graph.tree.packages})
