"""The packages of graphs as units: one job each (`static`), or grouped into at most N jobs (`chunks`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosgen.errors import ManifestError, Origin, Problem
from cosgen.manifest.platform import Variant
from cosgen.pipeline.commands import is_package_word
from cosgen.pipeline.shapes import Unit

if TYPE_CHECKING:
    from cosgen.graph.model import Graph

WISE_CHUNKS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNode:
    """One package of one variant: what a job builds, and what must be built before."""

    key: str  # "<variant>:<category>/<name>[@version]"
    word: str  # category/name[@version], as `cosgen build` takes it
    variant: Variant
    needs: tuple[str, ...]  # keys
    seconds: float = 1.0


def nodes_of(graphs: Iterable["Graph"]) -> tuple[BuildNode, ...]:
    """Return what some graphs are to build, needs first: their targets, not what is skipped or not selected.

    A package's version is named only where the tree has several versions of it, so that raising a version
    does not change the pipelines.

    Raises:
        ManifestError: A name cannot stand on a command line.
    """
    nodes: list[BuildNode] = []
    problems: list[Problem] = []
    for graph in graphs:
        words = _words(graph)
        targets = frozenset(graph.targets)
        for fingerprint in graph.order:
            if fingerprint not in targets:
                continue
            node = graph.nodes[fingerprint]
            needs = {graph.nodes[need].redirect or need for need in node.needs}
            if not is_package_word(words[fingerprint]):
                problems.append(_bad_name(words[fingerprint], node.package.origin))
            nodes.append(
                BuildNode(
                    key=f"{graph.tree.variant.key}:{words[fingerprint]}",
                    word=words[fingerprint],
                    variant=graph.tree.variant,
                    needs=tuple(
                        sorted(f"{graph.tree.variant.key}:{words[need]}" for need in needs & targets)
                    ),
                )
            )
    if problems:
        raise ManifestError(*problems)
    return tuple(nodes)


def _words(graph: "Graph") -> dict[str, str]:
    humans: dict[str, int] = {}
    for fingerprint in graph.order:
        human = graph.nodes[fingerprint].package.human
        humans[human] = humans.get(human, 0) + 1
    words: dict[str, str] = {}
    for fingerprint in graph.order:
        package = graph.nodes[fingerprint].package
        several = humans[package.human] > 1
        words[fingerprint] = f"{package.human}@{package.definition.version}" if several else package.human
    return words


def _bad_name(word: str, origin: Origin) -> Problem:
    return Problem(
        what=f"{word!r} cannot stand on a command line",
        fix="name packages with letters, digits and + . _ - only, and begin with a letter or digit",
        id="CG101",
        origin=origin,
    )


def reduce_needs(nodes: Sequence[BuildNode]) -> dict[str, tuple[str, ...]]:
    """Return for each key its needs without those that another need brings along (transitive reduction).

    Args:
        nodes: Needs first. Needs outside `nodes` are left out.

    Source:
        Aho, Garey, Ullman 1972; reachability as bit sets, so n²/8 bytes.
    """
    bit = {node.key: 1 << index for index, node in enumerate(nodes)}
    above: dict[str, int] = {}
    reduced: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        needs = [need for need in dict.fromkeys(node.needs) if need in bit]
        brought = 0
        for need in needs:
            brought |= above[need]
        above[node.key] = brought
        for need in needs:
            above[node.key] |= bit[need]
        reduced[node.key] = tuple(sorted(need for need in needs if not brought & bit[need]))
    return reduced


def static_units(nodes: Sequence[BuildNode]) -> tuple[Unit, ...]:
    """Return a unit a package, with exact needs."""
    several = len({node.variant for node in nodes}) > 1
    reduced = reduce_needs(nodes)
    return tuple(
        Unit(
            key=node.key,
            title=f"{node.word} ({node.variant.key})" if several else node.word,
            variant=node.variant,
            packages=(node.word,),
            needs=reduced[node.key],
            seconds=node.seconds,
        )
        for node in nodes
    )


def chunk_units(nodes: Sequence[BuildNode], limit: int) -> tuple[Unit, ...]:
    """Return at most about `limit` units, each of packages of one level of one variant.

    No package of a level needs another of it, so units cannot need each other in a circle. Leaves, which
    nothing waits for, are put together apart from the rest.

    Args:
        nodes: Needs first.
        limit: Units to have at most; more only when there are more levels than that.
    """
    groups = _levels(nodes)
    size = max(1, -(-len(nodes) // limit))
    while sum(-(-len(group) // size) for group in groups.values()) > limit and size < len(nodes):
        size += max(1, size // 8)
    chunks: list[list[BuildNode]] = []
    for group in groups.values():
        parts = -(-len(group) // size)
        chunks.extend(group[index::parts] for index in range(parts))
    return _chunk_units(chunks)


def _levels(nodes: Sequence[BuildNode]) -> dict[tuple[int, bool, Variant], list[BuildNode]]:
    level: dict[str, int] = {}
    needed = {need for node in nodes for need in node.needs}
    for node in nodes:
        level[node.key] = 1 + max((level[need] for need in node.needs if need in level), default=-1)
    groups: dict[tuple[int, bool, Variant], list[BuildNode]] = {}
    for node in sorted(nodes, key=lambda node: (level[node.key], node.key)):
        leaf = node.key not in needed
        groups.setdefault((level[node.key], leaf, node.variant), []).append(node)
    return dict(sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], item[0][2])))


def _chunk_units(chunks: Sequence[Sequence[BuildNode]]) -> tuple[Unit, ...]:
    home = {node.key: index for index, chunk in enumerate(chunks) for node in chunk}
    key = [f"{chunk[0].variant.key}:c{index:04d}" for index, chunk in enumerate(chunks)]
    quotient = [
        BuildNode(
            key=key[index],
            word=key[index],
            variant=chunk[0].variant,
            needs=tuple(sorted({key[home[need]] for node in chunk for need in node.needs if need in home})),
        )
        for index, chunk in enumerate(chunks)
    ]
    reduced = reduce_needs(quotient)
    return tuple(
        Unit(
            key=key[index],
            title=_chunk_title(chunk),
            variant=chunk[0].variant,
            packages=tuple(node.word for node in chunk),
            needs=reduced[key[index]],
            seconds=sum(node.seconds for node in chunk),
        )
        for index, chunk in enumerate(chunks)
    )


def _chunk_title(chunk: Sequence[BuildNode]) -> str:
    rest = f" and {len(chunk) - 1} more" if len(chunk) > 1 else ""
    return f"{chunk[0].word}{rest}"


def only(nodes: Iterable[BuildNode], variants: Sequence[Variant]) -> tuple[BuildNode, ...]:
    """Return the nodes of some variants."""
    wanted = frozenset(variants)
    return tuple(node for node in nodes if node.variant in wanted)
