"""GitLab child pipelines, written at run time from a plan: exactly the jobs there is work for."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from cosgen.errors import ManifestError
from cosgen.graph.plan import Plan, PlanNode, package_key
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.gitlab import MAX_NEEDS, GitLabWriter, fan_in
from cosgen.pipeline.gitlab_child import child_map
from cosgen.pipeline.limits import check_limits, most_jobs
from cosgen.pipeline.outputs import components_of
from cosgen.pipeline.scene import Provider, Scene
from cosgen.pipeline.security import check_security
from cosgen.pipeline.shapes import Unit
from cosgen.pipeline.units import BuildNode, chunk_units, static_units
from cosgen.pipeline.yaml_text import print_yaml

_AROUND = 5


def child_pipeline(
    config: ProjectConfig,
    variants: Sequence[Variant],
    plan: Plan,
    *,
    version: str,
    channel: str,
    jobs: int | None,
    components: bool,
) -> str:
    """Return the text of the child pipeline.

    Args:
        config: The settings.
        variants: Of the project.
        plan: What is to be built; with nothing to build the child has one job that says so.
        version: Of cosgen.
        channel: For which channel; "" for a merge request.
        jobs: At most so many; by default what the plan on GitLab allows.
        components: A job a connected component, since nothing may be handed on.

    Raises:
        ManifestError: The text would break a limit or a rule.
    """
    scene = Scene(config=config, variants=tuple(variants), provider=Provider.GITLAB, version=version)
    limit = most_jobs(Provider.GITLAB, config)
    most = min(jobs or limit, limit) - _AROUND
    units = component_units(plan, variants, most) if components else plan_units(plan, variants, most)
    writer = GitLabWriter(variables=dict(config.ci.variables), retries=config.ci.retries)
    text = print_yaml(child_map(scene, writer, units, channel=channel, request=not channel, join=fan_in))
    file = GeneratedFile("cosgen-request.yml" if not channel else "child.yml", text)
    problems = (
        *check_limits([file], Provider.GITLAB, config),
        *check_security([file], Provider.GITLAB, config),
    )
    if problems:
        raise ManifestError(*problems)
    return text


def _packed(components: Sequence[tuple[PlanNode, ...]], most: int) -> Iterator[tuple[PlanNode, ...]]:
    """Lay components of one variant together until there are at most `most` groups.

    The longest goes first, and to the group with least work (Graham 1969, LPT).
    """
    variants = sorted({component[0].variant for component in components})
    for variant in variants:
        own = [component for component in components if component[0].variant == variant]
        count = max(1, min(len(own), most * len(own) // len(components)))
        groups: list[tuple[float, int, tuple[PlanNode, ...]]] = [(0.0, at, ()) for at in range(count)]
        for component in own:
            work, at, group = heappop(groups)
            heappush(groups, (work + sum(node.estimate for node in component), at, (*group, *component)))
        yield from (group for _, _, group in sorted(groups, key=lambda item: item[1]))


def plan_nodes(plan: Plan, variants: Sequence[Variant]) -> tuple[BuildNode, ...]:
    """Return what a plan is to build, needs first."""
    known = {variant.key: variant for variant in variants}
    nodes = sorted(plan.to_build, key=lambda node: (node.level, node.key))
    return tuple(
        BuildNode(
            key=node.key,
            word=f"{node.human}@{node.version}",
            variant=known[node.variant],
            needs=node.needs,
            seconds=node.estimate,
        )
        for node in nodes
    )


def plan_units(plan: Plan, variants: Sequence[Variant], most: int) -> tuple[Unit, ...]:
    """Return a unit a package, or at most `most` chunks; jobs that join needs count too."""
    nodes = plan_nodes(plan, variants)
    units = static_units(nodes)
    while len(units) > 1 and (over := len(units) + _joins(units) - most) > 0:
        fewer = chunk_units(nodes, min(most, len(units) - over))
        if len(fewer) >= len(units):
            break  # a chunk a level is the least
        units = fewer
    return units


def _joins(units: Sequence[Unit]) -> int:
    """Return at most how many jobs stand between units and too many needs."""
    return sum(-(-len(unit.needs) // (MAX_NEEDS - 1)) for unit in units if len(unit.needs) >= MAX_NEEDS)


def component_units(plan: Plan, variants: Sequence[Variant], most: int) -> tuple[Unit, ...]:
    """Return a unit a connected component, which needs no other; several to one beyond `most` units."""
    known = {variant.key: variant for variant in variants}
    units = []
    for group in _packed(components_of(plan.to_build), most):
        ordered = sorted(group, key=lambda node: (node.level, node.key))
        rest = f" and {len(ordered) - 1} more" if len(ordered) > 1 else ""
        last = ordered[-1]
        units.append(
            Unit(
                key=package_key(last.variant, last.human, last.version),
                title=f"{last.human}{rest}",
                variant=known[last.variant],
                packages=tuple(f"{node.human}@{node.version}" for node in ordered),
                needs=(),
                seconds=sum(node.estimate for node in ordered),
            )
        )
    return tuple(units)
