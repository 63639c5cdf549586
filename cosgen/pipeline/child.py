"""GitLab child pipelines, written at run time from a plan: exactly the jobs there is work for."""

from collections.abc import Sequence

from cosgen.errors import ManifestError
from cosgen.graph.plan import Plan, package_key
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.gitlab import GitLabWriter, fan_in
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
    most = min(jobs or most_jobs(Provider.GITLAB, config), most_jobs(Provider.GITLAB, config)) - _AROUND
    units = component_units(plan, variants) if components else plan_units(plan, variants, max(most, 1))
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
    """Return a unit a package, or at most `most` chunks."""
    nodes = plan_nodes(plan, variants)
    return static_units(nodes) if len(nodes) <= most else chunk_units(nodes, most)


def component_units(plan: Plan, variants: Sequence[Variant]) -> tuple[Unit, ...]:
    """Return a unit a connected component, which needs no other."""
    known = {variant.key: variant for variant in variants}
    units = []
    for group in components_of(plan.to_build):
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
