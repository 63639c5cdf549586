"""Targets: what of a tree is to be built, and what that brings with it."""

from collections.abc import Collection, Mapping, Sequence

from cosgen.errors import Problem
from cosgen.graph.model import Fingerprint, Node
from cosgen.graph.rules import problem


def choose_targets(
    nodes: Mapping[Fingerprint, Node], select: Sequence[str] | None, skip: Collection[str]
) -> tuple[tuple[Fingerprint, ...], list[Problem]]:
    """Return the packages to build, sorted, and what is wrong with the selection; a foundation's never are.

    Args:
        nodes: All packages.
        select: category/name or category/name@version of each to build; None for all.
        skip: category/name of those not to build; what needs them is refused.
    """
    wanted, problems = _selected(nodes, select, skip)
    reached: dict[Fingerprint, None] = {}
    while wanted:
        name = wanted.pop()
        name = nodes[name].redirect or name
        if name in reached:
            continue
        reached[name] = None
        node = nodes[name]
        if node.foundation:
            del reached[name]
            continue
        problems += [
            problem(
                "CG417",
                f"{node.package.human} needs {nodes[other].package.human}, which is skipped",
                origin=node.package.origin,
            )
            for other in node.needs
            if nodes[other].package.human in skip and not nodes[other].foundation
        ]
        wanted += node.needs
    return tuple(sorted(reached)), problems


def _selected(
    nodes: Mapping[Fingerprint, Node], select: Sequence[str] | None, skip: Collection[str]
) -> tuple[list[Fingerprint], list[Problem]]:
    humans: dict[str, list[Fingerprint]] = {}
    for name, node in nodes.items():
        humans.setdefault(node.package.human, []).append(name)
    problems: list[Problem] = []
    wanted: list[Fingerprint] = []
    for text in humans if select is None else select:
        human, _, version = text.partition("@")
        found = [
            name for name in humans.get(human, ()) if version in {"", nodes[name].package.definition.version}
        ]
        if not found:
            problems.append(problem("CG416", f"{text} is selected, and it is not in the trees"))
        elif human not in skip:
            wanted += found
    return wanted, problems
