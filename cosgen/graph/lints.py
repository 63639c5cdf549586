"""Lints that need the graph: what can be built and yet is hardly what was meant. All are warnings."""

from collections.abc import Iterator, Mapping, Sequence

from cosgen.errors import Problem
from cosgen.graph.chain import Chain
from cosgen.graph.digest import foreign_copies
from cosgen.graph.fingerprint import image_id
from cosgen.graph.model import Fingerprint, Node
from cosgen.graph.rules import warning
from cosgen.graph.view import View
from cosgen.manifest.tree import Tree

_MOST_NAMES = 5


def lint_graph(
    tree: Tree, nodes: Mapping[Fingerprint, Node], view: View, seeds: Mapping[str, str]
) -> tuple[Problem, ...]:
    """Return the warnings about a thought-through tree, without repetition."""
    found: dict[Problem, None] = {}
    for name, node in nodes.items():
        if name in view.redirects:
            found[_shadowed(node, nodes[view.redirects[name]])] = None
            continue
        if node.foundation:
            continue
        found.update(dict.fromkeys(_lint_spec(node, seeds)))
        found.update(dict.fromkeys(_lint_chain(node, nodes)))
        found.update(dict.fromkeys(_lint_base(node, nodes, seeds)))
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
        yield warning("CG408", what, origin=package.where_key("requires"))
    starts = (spec.image,) if spec.image and not spec.requires_final_images else ()
    for verb, key, images in (("starts", "image", starts), ("copies", "copy", foreign_copies(spec))):
        for image in dict.fromkeys(images):
            if "@sha256:" not in image and image not in seeds:
                what = f"{package.human} {verb} from {image}, which no digest pins"
                yield warning("CG411", what, origin=package.where_key(key))


def _lint_chain(node: Node, nodes: Mapping[Fingerprint, Node]) -> Iterator[Problem]:
    package = node.package
    if not isinstance(node.chain, Chain) or len(node.chain) < 2 or package.spec.image:
        return
    beneath = node.chain.names[:-1]
    for at in range(len(beneath) - 1, 0, -1):
        other = nodes[beneath[at]].package
        if other.spec.image and other.foundation is None:
            yield warning(
                "CG407",
                f"{package.human} is built on {other.human}, whose image {other.spec.image} discards "
                f"{_names(nodes, beneath[:at])}",
                origin=package.origin,
            )
            break
    last = nodes[beneath[-1]].package
    if last.spec.is_virtual:
        what = f"{package.human} is built on {last.human}, which is virtual"
        yield warning("CG409", what, origin=package.origin)


def _lint_base(node: Node, nodes: Mapping[Fingerprint, Node], seeds: Mapping[str, str]) -> Iterator[Problem]:
    """Warn of an image of a foundation that is built upon and not pinned."""
    if not isinstance(node.chain, Chain) or not node.images:
        return
    ours = [nodes[name].package.spec for name in node.chain.names if not nodes[name].foundation]
    parts = [nodes[name].package.foundation for name in node.chain.names]
    theirs = [part for part in parts if part is not None]
    starts_anew = any(spec.image or spec.requires_final_images for spec in ours)
    if theirs and not starts_anew and theirs[-1].image not in seeds:
        what = f"{node.package.human} starts from an image of {theirs[-1].name}, which no digest pins"
        yield warning("CG411", what, origin=node.package.origin)


def _names(nodes: Mapping[Fingerprint, Node], names: Sequence[Fingerprint]) -> str:
    told = ", ".join(nodes[name].package.human for name in names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return told + (f" and {more} more" if more > 0 else "")


def _lint_tags(tree: Tree) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for package in tree.packages:
        tag = image_id(package.fingerprint)
        first = seen.setdefault(tag, package.fingerprint)
        if first != package.fingerprint:
            what = f"{package.fingerprint} and {first} have one image tag, {tag}"
            yield warning("CG410", what, origin=package.origin)
