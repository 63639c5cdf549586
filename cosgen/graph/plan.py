"""Plan: which packages to build, which to keep, which cannot be built, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cosgen.errors import Problem, Severity
from cosgen.graph.dag import levels, make_dag
from cosgen.graph.digest import platform_of
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.graph.plan_json import plan_from_json, plan_to_data, plan_to_json
from cosgen.graph.plan_model import (
    PLAN_SCHEMA,
    Action,
    Plan,
    PlanNode,
    PublishedPackage,
    count_actions,
    index_published,
    package_key,
)
from cosgen.graph.plan_reason import find_published, is_not_raised, tell_change
from cosgen.graph.plan_summary import summary_markdown
from cosgen.graph.rules import problem, warning
from cosgen.graph.schedule import assign_workers, simulate_queues, time_nodes, worker_count

__all__ = [
    "PLAN_SCHEMA",
    "Action",
    "Plan",
    "PlanNode",
    "PublishedPackage",
    "count_actions",
    "index_published",
    "package_key",
    "plan_builds",
    "plan_from_json",
    "plan_to_data",
    "plan_to_json",
    "summary_markdown",
]

DEFAULT_RUNNERS = 20
_SECONDS_VIRTUAL = 5.0
_SECONDS_EMPTY = 30.0  # images are made, no steps run in them
_SECONDS_STEPS = 150.0  # the median of real package builds
_SECONDS_JOIN = 300.0
_NOTHING: Mapping[str, float] = MappingProxyType({})


def plan_builds(
    graphs: Sequence[Graph],
    *,
    published: Mapping[str, PublishedPackage] | None = None,
    affected: Mapping[str, Mapping[Fingerprint, str]] | None = None,
    estimates: Mapping[str, float] = _NOTHING,
    runners: int = DEFAULT_RUNNERS,
    project: str = "",
    channel: str = "",
    since: str = "",
) -> Plan:
    """Decide for the targets of all variants what is to be done.

    Args:
        graphs: One a variant.
        published: What a channel holds (`index_published`); None when there is nothing to compare with,
            and then everything counts as changed, or, with `affected`, what is not affected as there.
        affected: Variant key -> package -> why, of what changed since a revision; None for everything.
        estimates: Seconds, under a plan's key, the key without version, or category/name; the most
            exact counts.
        runners: Most workers to plan for.
        project: Name of the project, for the reader.
        channel: Name of the channel that `published` is of.
        since: Git revision that `affected` is since.

    Returns:
        The plan. Every package to build finds what it needs: before it in the plan, or kept.
    """
    nodes: dict[str, PlanNode] = {}
    problems: list[Problem] = []
    for graph in graphs:
        own = None if affected is None else affected.get(graph.tree.variant.key, {})
        planner = _Planner(graph, published, own, estimates, since)
        nodes.update(planner.plan())
        problems += planner.problems
    plan = Plan(
        project=project,
        channel=channel,
        since=since,
        nodes=tuple(nodes[key] for key in sorted(nodes)),
        problems=tuple(dict.fromkeys(problems)),
    )
    return _check(_schedule(plan, runners))


class _Planner:
    """Plans one variant."""

    def __init__(
        self,
        graph: Graph,
        published: Mapping[str, PublishedPackage] | None,
        affected: Mapping[Fingerprint, str] | None,
        estimates: Mapping[str, float],
        since: str,
    ) -> None:
        self.graph = graph
        self.variant = graph.tree.variant
        self.published = published
        self.affected = affected
        self.estimates = estimates
        self.since = since
        self.actions: dict[Fingerprint, Action] = {}
        self.reasons: dict[Fingerprint, str] = {}
        self.below: dict[Fingerprint, frozenset[Fingerprint]] = {}
        self.problems: list[Problem] = []
        targets = set(graph.targets)
        self.order = [name for name in graph.order if name in targets]

    def plan(self) -> dict[str, PlanNode]:
        """Return the nodes of the variant under their keys."""
        for name in self.order:
            self.actions[name], self.reasons[name] = self._decide(name)
        self._complete()
        nodes = {self._key(name): self._node(name) for name in self.order}
        return nodes | {self._key(name): self._node(name) for name in self._finished()}

    def _finished(self) -> list[Fingerprint]:
        """Return what foundations built of what is needed here, and keep it."""
        names = sorted(
            {other for name in self.order for other in self.graph.nodes[name].needs}.difference(self.order)
        )
        found = [name for name in names if self.graph.nodes[name].foundation]
        for name in found:
            self.actions[name] = Action.KEEP
            self.reasons[name] = f"built by the foundation {self.graph.nodes[name].foundation}"
        return found

    def _decide(self, name: Fingerprint) -> tuple[Action, str]:
        node = self.graph.nodes[name]
        if not node.can_be_built:
            return Action.BLOCKED, self._blocked(node)
        for other in node.needs:
            if self.actions.get(other) is Action.BLOCKED:
                return Action.BLOCKED, f"needs {self.graph.nodes[other].package.human}, which is blocked"
        found = find_published(self.published, self.variant.key, node)
        if found is not None and found.input_digest == node.input_digest and found.present:
            return Action.KEEP, "published, nothing changed"
        if self.affected is not None and name not in self.affected:
            return Action.KEEP, f"not affected since {self.since}" if self.since else "not affected"
        if self.published is None:
            reason = self.affected[name] if self.affected is not None else "nothing is published yet"
            return Action.BUILD, reason
        changed = [
            self.graph.nodes[other].package.human
            for other in node.needs
            if self.actions.get(other) is Action.BUILD
        ]
        if found is not None and is_not_raised(node, found, changed):
            self._not_raised(node)
        return Action.BUILD, tell_change(node, found, changed)

    def _blocked(self, node: Node) -> str:
        package = node.package
        errors = [item for item in (*package.problems, *node.problems) if item.severity is Severity.ERROR]
        reason = errors[0].what if errors else "something it is built on has errors"
        self.problems.append(problem("CG422", f"{package.human} is blocked: {reason}", origin=package.origin))
        return reason

    def _not_raised(self, node: Node) -> None:
        package = node.package
        what = f"{package.human} changed, and its version is still {package.definition.version}"
        self.problems.append(warning("CG421", what, origin=package.origin))

    def _complete(self) -> None:
        """Build also what is not affected, is needed by what is built, and is not published."""
        if self.affected is None or self.published is None:
            return
        for name in reversed(self.order):
            if self.actions[name] is not Action.BUILD:
                continue
            waiting = list(self.graph.nodes[name].needs)
            while waiting:
                other = waiting.pop()
                node = self.graph.nodes[other]
                found = find_published(self.published, self.variant.key, node)
                is_there = found is not None and found.present and found.input_digest == node.input_digest
                if self.actions.get(other) is Action.KEEP and not is_there:
                    self.actions[other] = Action.BUILD
                    human = self.graph.nodes[name].package.human
                    self.reasons[other] = f"needed by {human}, and not published"
                    waiting += node.needs

    def _needs(self, name: Fingerprint) -> frozenset[Fingerprint]:
        """Return what is to be built before; kept packages are passed through to what they need."""
        found: set[Fingerprint] = set()
        for other in self.graph.nodes[name].needs:
            if self.actions.get(other, Action.KEEP) is Action.KEEP:
                found |= self._passed(other)
            else:
                found.add(other)
        return frozenset(found)

    def _passed(self, name: Fingerprint) -> frozenset[Fingerprint]:
        known = self.below.get(name)
        if known is None:  # needs come first in the order, so this goes no deeper than a target left out
            known = self.below[name] = self._needs(name)
        return known

    def _node(self, name: Fingerprint) -> PlanNode:
        node = self.graph.nodes[name]
        action = self.actions[name]
        needs = self._needs(name)
        self.below[name] = needs
        return PlanNode(
            key=self._key(name),
            fingerprint=name,
            human=node.package.human,
            version=node.package.definition.version,
            variant=self.variant.key,
            flavor=self.variant.flavor,
            arch=self.variant.arch,
            platform=platform_of(self.variant),
            action=action,
            reason=self.reasons[name],
            needs=() if action is Action.KEEP else tuple(sorted(map(self._key, needs))),
            input_digest=node.input_digest,
            estimate=self._estimate(node),
        )

    def _key(self, name: Fingerprint) -> str:
        package = self.graph.nodes[name].package
        return package_key(self.variant.key, package.human, package.definition.version)

    def _estimate(self, node: Node) -> float:
        human, version = node.package.human, node.package.definition.version
        names = (
            package_key(self.variant.key, human, version),
            package_key(self.variant.key, human),
            human,
        )
        known = [self.estimates[name] for name in names if name in self.estimates]
        return known[0] if known else _guess(node)


def _guess(node: Node) -> float:
    spec = node.package.spec
    if spec.is_virtual:
        return _SECONDS_VIRTUAL
    if spec.requires_final_images:
        return _SECONDS_JOIN
    return _SECONDS_STEPS if spec.steps or spec.prelude else _SECONDS_EMPTY


def _schedule(plan: Plan, runners: int) -> Plan:
    """Add levels, times, queues and the critical path of what is to be built."""
    building = {node.key: node for node in plan.to_build}
    dag = make_dag(
        {key: node.needs for key, node in building.items()},
        {key: node.estimate for key, node in building.items()},
    )
    timing, heights = time_nodes(dag), levels(dag)
    queues = assign_workers(dag, worker_count(dag, runners)) if building else ()
    nodes = (
        replace(
            node,
            level=heights[node.key],
            bottom_level=timing.bottom[node.key],
            slack=timing.slack[node.key],
        )
        if node.key in building
        else node
        for node in plan.nodes
    )
    return replace(
        plan,
        nodes=tuple(nodes),
        queues=queues,
        critical_path=timing.critical_path,
        work_seconds=timing.work_seconds,
        critical_seconds=timing.critical_seconds,
        wall_seconds=simulate_queues(dag, queues) if queues else 0.0,
    )


def _check(plan: Plan) -> Plan:
    """Prove that the plan holds together; that it does not is a bug of this module."""
    actions = {node.key: node.action for node in plan.nodes}
    queued = [key for queue in plan.queues for key in queue]
    if sorted(queued) != sorted(node.key for node in plan.to_build):
        raise AssertionError("the queues do not hold every package to build once")
    for node in plan.to_build:
        _check_needs(node, actions)
    return plan


def _check_needs(node: PlanNode, actions: Mapping[str, Action]) -> None:
    for need in node.needs:
        if actions.get(need) is not Action.BUILD:
            raise AssertionError(f"{node.key} needs {need}, which the plan does not build")


def unfinished(plan: Plan, done: Iterable[str]) -> tuple[PlanNode, ...]:
    """Return what of a plan is still to build when `done` (keys) is there, needs before dependents."""
    finished = set(done)
    left = [node for node in plan.to_build if node.key not in finished]
    return tuple(sorted(left, key=lambda node: (node.level, node.key)))
