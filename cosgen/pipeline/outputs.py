"""A plan as the outputs that jobs read."""

import json
from collections.abc import Sequence

from cosgen.graph.plan import Plan, PlanNode, package_key
from cosgen.pipeline.scene import slug


def outputs_of(plan: Plan, *, todo: bool, workers: int, components: bool) -> tuple[str, ...]:
    """Return `name=value` lines: `work`, and what else is asked for.

    Args:
        plan: What is to be built.
        todo: Also `todo`, the packages to build between blanks, with their version and without.
        workers: Also `workers_<arch>` and `count_<arch>` of each arch, at most so many; 0 for none.
        components: Workers take whole connected components, so no more of them than there are components.
    """
    nodes = plan.to_build
    lines = [f"work={'true' if nodes else 'false'}"]
    if todo:
        names = {package_key(node.variant, node.human) for node in nodes}
        names |= {package_key(node.variant, node.human, node.version) for node in nodes}
        lines.append(f"todo= {' '.join(sorted(names))} ")
    if not workers:
        return tuple(lines)
    for arch in sorted({node.arch for node in plan.nodes}):
        own = [node for node in nodes if node.arch == arch]
        count = min(workers, len(components_of(own)) if components else worth(own))
        numbers = json.dumps([str(number) for number in range(count)], separators=(",", ":"))
        lines += [f"workers_{slug(arch)}={numbers}", f"count_{slug(arch)}={count}"]
    return tuple(lines)


def worth(nodes: Sequence[PlanNode]) -> int:
    """Return how many workers pay: the work over the critical path, rounded up; at most one a package."""
    critical = max((node.bottom_level for node in nodes), default=0.0)
    work = sum(node.estimate for node in nodes)
    pays = -int(-work // critical) if critical > 0 else len(nodes)
    return max(1, min(len(nodes), pays)) if nodes else 0


def components_of(nodes: Sequence[PlanNode]) -> tuple[tuple[PlanNode, ...], ...]:
    """Return the connected components of some nodes, each in the order given, largest work first."""
    home = {node.key: node.key for node in nodes}

    def root(key: str) -> str:
        while home[key] != key:
            home[key] = home[home[key]]
            key = home[key]
        return key

    for node in nodes:
        for need in node.needs:
            if need in home:
                home[root(need)] = root(node.key)
    groups: dict[str, list[PlanNode]] = {}
    for node in nodes:
        groups.setdefault(root(node.key), []).append(node)
    return tuple(
        sorted(
            (tuple(group) for group in groups.values()),
            key=lambda group: (-sum(node.estimate for node in group), group[0].key),
        )
    )
