"""Lints that need the graph: what can be built and yet is hardly what was meant. All are warnings."""

from collections.abc import Iterator, Mapping

from cosgen.errors import Problem
from cosgen.graph.fingerprint import image_id
from cosgen.graph.model import Fingerprint, Node
from cosgen.graph.rules import warning
from cosgen.graph.view import View
from cosgen.manifest.tree import Tree


def lint_graph(
    tree: Tree, nodes: Mapping[Fingerprint, Node], view: View, seeds: Mapping[str, str]
) -> tuple[Problem, ...]:
    """Return the warnings about a thought-through tree, without repetition."""
    found: dict[Problem, None] = {}
    for name, node in nodes.items():
        if name in view.redirects:
            found[_shadowed(node, nodes[view.redirects[name]])] = None
            continue
        found.update(dict.fromkeys(_lint_spec(node, seeds)))
        found.update(dict.fromkeys(_lint_chain(node, nodes)))
    found.update(dict.fromkeys(_lint_tags(tree)))
    return tuple(found)


def _shadowed(node: Node, provider: Node) -> Problem:
    package, other = node.package, provider.package
    what = (
        f"{package.human}@{package.definition.version} cannot be reached: "
        f"{other.human} provides its name, and luet builds that in its place"
    )
    return warning("CG406", what, origin=package.origin)


def _lint_spec(node: Node, seeds: Mapping[str, str]) -> Iterator[Problem]:
    package, spec = node.package, node.package.spec
    if spec.image and spec.requires and not spec.requires_final_images:
        what = f"{package.human} starts from {spec.image}; its build requirements are not used"
        yield warning("CG408", what, origin=package.origin)
    is_pinned = "@sha256:" in spec.image or spec.image in seeds
    if spec.image and not spec.requires_final_images and not is_pinned:
        what = f"{package.human} starts from {spec.image}, which no digest pins"
        yield warning("CG411", what, origin=package.origin)


def _lint_chain(node: Node, nodes: Mapping[Fingerprint, Node]) -> Iterator[Problem]:
    package = node.package
    if len(node.chain) < 2 or package.spec.image:
        return
    beneath = [nodes[link.fingerprint].package for link in node.chain[:-1]]
    for at, other in enumerate(beneath):
        if at and other.spec.image:
            lost = ", ".join(item.human for item in beneath[:at])
            what = f"{package.human} is built on {other.human}, whose image loses {lost}"
            yield warning("CG407", what, origin=package.origin)
    if beneath[-1].spec.is_virtual:
        what = f"{package.human} is built on {beneath[-1].human}, which is virtual"
        yield warning("CG409", what, origin=package.origin)


def _lint_tags(tree: Tree) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for package in tree.packages:
        tag = image_id(package.fingerprint)
        first = seen.setdefault(tag, package.fingerprint)
        if first != package.fingerprint:
            what = f"{package.fingerprint} and {first} have one image tag, {tag}"
            yield warning("CG410", what, origin=package.origin)
