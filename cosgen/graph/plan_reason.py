"""Reasons: why a package is to be built, told from what its channel holds."""

from collections.abc import Mapping, Sequence

from cosgen.graph.digest import short_parts
from cosgen.graph.model import Node
from cosgen.graph.plan_model import PublishedPackage, package_key

_PARTS = {
    "spec": "its build spec",
    "files": "files of its directory",
    "values": "the values it reads",
    "platform": "the platform",
    "seed": "the image it starts from",
    "copies": "an image it copies from",
    "beneath": "what it is built on",
}
_OWN = ("spec", "files", "values")
_MOST_NAMES = 3


def find_published(
    published: Mapping[str, PublishedPackage] | None, variant: str, node: Node
) -> PublishedPackage | None:
    """Return what is published of a package: this version of it, else another, else None."""
    if published is None:
        return None
    human, version = node.package.human, node.package.definition.version
    exact = published.get(package_key(variant, human, version))
    return exact or published.get(package_key(variant, human))


def tell_change(node: Node, found: PublishedPackage | None, changed: Sequence[str]) -> str:
    """Say in one line why a package is to be built.

    Args:
        node: The package.
        found: What is published of it.
        changed: category/name of what it needs and is built anew, too.
    """
    version = node.package.definition.version
    if found is None:
        return "not published yet"
    if found.version != version:
        return f"version {found.version} -> {version}"
    if found.input_digest == node.input_digest:
        return "published, but its artifact is missing"
    parts = _changed_parts(node, found)
    if parts:
        told = [_PARTS[name] for name in _PARTS if name in parts]
        if "beneath" in parts and changed:
            told[-1] = f"what it is built on ({_names(changed)})"
        return f"changed: {', '.join(told)}"
    return f"built on {_names(changed)}" if changed else "its own inputs changed"


def is_not_raised(node: Node, found: PublishedPackage, changed: Sequence[str]) -> bool:
    """Tell whether a package's own content changed while its version stayed."""
    if found.version != node.package.definition.version or found.input_digest == node.input_digest:
        return False
    parts = _changed_parts(node, found)
    return any(name in parts for name in _OWN) if parts else not changed


def _changed_parts(node: Node, found: PublishedPackage) -> set[str]:
    if not found.parts:
        return set()
    ours, theirs = short_parts(node.input_parts), short_parts(found.parts)
    return {name for name in _PARTS if ours.get(name, "") != theirs.get(name, "")}


def _names(changed: Sequence[str]) -> str:
    more = len(changed) - _MOST_NAMES
    return ", ".join(changed[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
