"""From a project and its graphs to the text of all pipeline files of one provider."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from cosgen.errors import ManifestError, Problem, Severity
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.actions import choose_pins
from cosgen.pipeline.channels import pipelines_of
from cosgen.pipeline.drift import GeneratedFile, header_of
from cosgen.pipeline.extras import NIGHTLY, WEEKLY
from cosgen.pipeline.github import GitHubWriter
from cosgen.pipeline.gitlab import GitLabWriter
from cosgen.pipeline.limits import check_limits, most_jobs
from cosgen.pipeline.model import Pipeline
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.security import check_security
from cosgen.pipeline.shapes import Unit, choose_shape
from cosgen.pipeline.units import WISE_CHUNKS, BuildNode, chunk_units, nodes_of, only, static_units

if TYPE_CHECKING:
    from cosgen.graph.model import Graph

TASKS = {"nightly": NIGHTLY, "weekly": WEEKLY}
_AROUND = 20  # jobs of a pipeline that build nothing


def needs_graphs(asked: str, provider: Provider) -> bool:
    """Tell whether the packages of the tree go into the files; else they need not be read at all."""
    if asked in ("auto", Shape.CHILD):
        return provider is Provider.GITHUB
    return asked in (Shape.STATIC, Shape.CHUNKS)


def emit(
    config: ProjectConfig,
    variants: Sequence[Variant],
    graphs: Iterable["Graph"],
    provider: Provider,
    *,
    version: str,
    shape: str = "",
    proxy: str | None = None,
) -> tuple[GeneratedFile, ...]:
    """Return all files of one provider, sorted by path, after they passed every rule.

    Settings and variants come apart from the project, since a command line may ask for fewer variants, and
    since nothing else of a project goes into pipelines.

    Args:
        config: The settings of the project.
        variants: Those of its variants that are asked for.
        graphs: Its graphs; may be empty where `needs_graphs` says so.
        provider: For whom.
        version: Of cosgen.
        shape: Instead of `ci.shape`; "" for that.
        proxy: Text of the proxy workflow that is there, whose pins win; None when there is none.

    Raises:
        ManifestError: An emitted file would break a limit of the provider or a security rule.
    """
    return emit_nodes(config, variants, nodes_of(graphs), provider, version=version, shape=shape, proxy=proxy)


def emit_nodes(
    config: ProjectConfig,
    variants: Sequence[Variant],
    nodes: Sequence[BuildNode],
    provider: Provider,
    *,
    version: str,
    shape: str = "",
    proxy: str | None = None,
) -> tuple[GeneratedFile, ...]:
    """Do as `emit` does, from the packages to build; `nodes` are in build order."""
    scene = Scene(config=config, variants=tuple(variants), provider=provider, version=version)
    chosen = choose_shape(shape or config.ci.shape, provider, len(nodes))
    pipelines = pipelines_for(scene, chosen, nodes)
    again = f"{provider} --shape {shape}" if shape and shape != config.ci.shape else str(provider)
    header = header_of(again, version, _inputs(_settings(config), scene, nodes, chosen))
    if provider is Provider.GITHUB:
        writer = GitHubWriter(
            pins=choose_pins(proxy),
            python=config.ci.python,
            variables=dict(config.ci.variables),
            tasks=TASKS,
            self_repository=config.ci.self_repository,
        )
        texts = writer.write(pipelines, header)
    else:
        gitlab = GitLabWriter(variables=dict(config.ci.variables), retries=config.ci.retries)
        texts = gitlab.write(pipelines, header)
    files = tuple(GeneratedFile(path, text) for path, text in sorted(texts.items()))
    problems = [*check_limits(files, provider, config), *check_security(files, provider, config)]
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise ManifestError(*_few(errors))
    return files


def pipelines_for(scene: Scene, shape: Shape, nodes: Sequence[BuildNode]) -> tuple[Pipeline, ...]:
    """Return the pipelines in a shape, from the packages to build."""

    def units(variants: Sequence[Variant], wanted: Shape) -> tuple[Unit, ...]:
        chosen = only(nodes, variants)
        if wanted is Shape.STATIC:
            return static_units(chosen)
        room = most_jobs(scene.provider, scene.config) - _AROUND
        return chunk_units(chosen, min(scene.config.ci.chunks or WISE_CHUNKS, max(room, 1)))

    return pipelines_of(scene, shape, units)


def _inputs(settings_digest: str, scene: Scene, nodes: Sequence[BuildNode], shape: Shape) -> dict[str, str]:
    """Return what the files are made from, but for the pins of actions.

    Bots renew those in all files at once, and what they leave is then what would be emitted.
    """
    listed = shape in (Shape.STATIC, Shape.CHUNKS)
    return {
        "settings": settings_digest,
        "variants": " ".join(variant.key for variant in scene.variants),
        "packages": "\n".join(f"{node.key} {' '.join(sorted(node.needs))}" for node in nodes)
        if listed
        else "",
        "shape": shape,
    }


def _settings(config: ProjectConfig) -> str:
    settings = {item.name: getattr(config, item.name) for item in fields(config) if item.name != "places"}
    return repr(sorted(settings.items()))


def _few(problems: Sequence[Problem], most: int = 20) -> tuple[Problem, ...]:
    return tuple(problems[:most])
