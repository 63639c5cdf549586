"""The packages of graphs as units: one job each (`static`), or grouped into at most N jobs (`chunks`)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosgen.errors import ManifestError, Origin, Problem
from cosgen.graph.chunk import group_into
from cosgen.graph.dag import Dag, levels, make_dag, transitive_reduction
from cosgen.graph.order import find_cycle, strong_components
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
        ManifestError: A name cannot stand on a command line, or packages need each other in a circle.
    """
    nodes: list[BuildNode] = []
    problems: list[Problem] = []
    for graph in graphs:
        problems += _circles(graph)
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
        raise ManifestError(*dict.fromkeys(problems))
    return tuple(nodes)


def _circles(graph: "Graph") -> Iterator[Problem]:
    """Yield the problems of targets that need themselves, over others or not: no order of jobs suits them."""
    needs = {name: graph.nodes[name].needs for name in graph.targets}
    needs = {name: tuple(need for need in below if need in needs) for name, below in needs.items()}
    for members in strong_components(needs):
        if find_cycle(members, needs):
            for name in members:
                yield from (item for item in graph.nodes[name].problems if item.id == "CG403")


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


def static_units(nodes: Sequence[BuildNode]) -> tuple[Unit, ...]:
    """Return a unit a package, with exact needs."""
    reduced = transitive_reduction(_dag(nodes))
    return tuple(
        Unit(
            key=node.key,
            title=node.word,
            variant=node.variant,
            packages=(node.word,),
            needs=tuple(sorted(reduced[node.key])),
            seconds=node.seconds,
        )
        for node in nodes
    )


def chunk_units(nodes: Sequence[BuildNode], limit: int) -> tuple[Unit, ...]:
    """Return at most about `limit` units of packages of one variant each, grouped by `graph/chunk.py`.

    Args:
        nodes: Needs first.
        limit: Units to have at most, shared out among the variants by their packages; more only when there
            are more levels than that.
    """
    variants = sorted({node.variant for node in nodes})
    return tuple(
        unit for variant in variants for unit in _chunks_of(only(nodes, [variant]), limit / len(nodes))
    )


def _chunks_of(nodes: Sequence[BuildNode], share: float) -> Sequence[Unit]:
    """Group the packages of one variant into `share` units a package."""
    dag = _dag(nodes)
    least = 2 + max(levels(dag).values())  # a chunk a level, and the leaves
    known = {node.key: node for node in nodes}
    variant = nodes[0].variant
    return [
        Unit(
            key=f"{variant.key}:{chunk.name}",
            title=_chunk_title([known[key] for key in chunk.members]),
            variant=variant,
            packages=tuple(known[key].word for key in chunk.members),
            needs=tuple(f"{variant.key}:{need}" for need in chunk.needs),
            seconds=chunk.weight,
        )
        for chunk in group_into(dag, max(least, int(share * len(nodes))))
    ]


def _dag(nodes: Sequence[BuildNode]) -> Dag:
    return make_dag({node.key: node.needs for node in nodes}, {node.key: node.seconds for node in nodes})


def _chunk_title(chunk: Sequence[BuildNode]) -> str:
    rest = f" and {len(chunk) - 1} more" if len(chunk) > 1 else ""
    return f"{chunk[0].word}{rest}"


def only(nodes: Iterable[BuildNode], variants: Sequence[Variant]) -> tuple[BuildNode, ...]:
    """Return the nodes of some variants."""
    wanted = frozenset(variants)
    return tuple(node for node in nodes if node.variant in wanted)
