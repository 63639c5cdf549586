"""`cosgen build`: package images, and the artifacts extracted from them."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cosgen.build.builder import build_packages
from cosgen.build.request import BuildReport
from cosgen.build.rules import problem
from cosgen.cli.building import (
    BuildOptions,
    Workshop,
    all_targets,
    broken,
    deadline_of,
    finish,
    make_request,
    output_folder,
    select_targets,
    unbuildable,
    workshop_of,
    write_results,
)
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.plan_file import read_plan
from cosgen.errors import ManifestError, Problem
from cosgen.graph.affected import affected
from cosgen.graph.model import Fingerprint, Graph
from cosgen.graph.plan_model import Action, package_key

_EPILOG = """\b
Examples:
  cosgen build system/grub2                     one package and what it needs
  cosgen build --all --jobs 4                   everything the project selects
  cosgen build --affected --since origin/main   what a branch changes
  cosgen build --all --pull --push              as CI does: share work through the cache registry
"""
_PATH = click.Path(path_type=Path)


def build_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `build` and `worker` share."""
    options = (
        click.option("--output", type=_PATH, help="Folder for artifacts.  [default: build/VARIANT]"),
        click.option("--results", type=_PATH, metavar="DIR", help="Write one result record a package."),
        click.option("--summary", type=_PATH, metavar="FILE", help="Append Markdown, or write *.json."),
        click.option("--pull", is_flag=True, help="Take finished work from the cache registry."),
        click.option("--push", is_flag=True, help="Put finished work into the cache registry."),
        click.option("--jobs", "-j", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True,
                     help="Images built at once."),
        click.option("--network", default="", envvar="COSGEN_BUILD_NETWORK", metavar="MODE",
                     help="Network of commands in builds, as the engine names it."),
        click.option("--engine", type=click.Choice(("auto", "buildkit", "classic")), default="auto",
                     envvar="COSGEN_BUILD_ENGINE", show_default=True, help="How images are built."),
        click.option("--verbose", "-v", is_flag=True, help="Tell the engine, its choice, and every log."),
        click.option("--quiet", "-q", is_flag=True, help="Tell errors only."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command(epilog=_EPILOG)
@click.argument("packages", nargs=-1, metavar="[PKG]...")
@project_options
@build_options
@click.option("--all", "everything", is_flag=True, help="All packages the project selects.")
@click.option("--packages", "listed", default="", metavar="LIST", help="Packages, by blanks or commas.")
@click.option(
    "--affected", "only_affected", is_flag=True, help="What changed since --since, and what needs it."
)
@click.option(
    "--since", default="HEAD", show_default=True, metavar="REV", help="Git revision for --affected."
)
@click.option(
    "--plan", "plan_file", type=_PATH, metavar="FILE", help="Pass over packages that this plan keeps."
)
@click.option("--rebuild", is_flag=True, help="Build the named packages anew, whatever is there.")
@click.option(
    "--keep-going/--fail-fast",
    default=True,
    show_default=True,
    help="After a failure, build what does not need it.",
)
@click.option("--timeout", type=float, metavar="MINUTES", help="Stop after so many minutes; a rerun resumes.")
def command(
    packages: tuple[str, ...],
    options: ProjectOptions,
    everything: bool,
    listed: str,
    only_affected: bool,
    since: str,
    plan_file: Path | None,
    timeout: float | None,
    **shared: Any,  # noqa: ANN401 - the fields of BuildOptions, checked by click
) -> None:
    """Build package images and extract their artifacts.

    What is there already is found by input digest: in the output folder, in the engine, in the cache registry
    (--pull). What fails blocks only what needs it, and running again resumes. The exit code is 4 when a
    package failed.
    """
    words = (*packages, *listed.replace(",", " ").split())
    if not words and not everything and not only_affected:
        raise click.UsageError("name packages, or say --all or --affected")
    with workshop_of(options, BuildOptions(**shared, deadline=deadline_of(timeout))) as workshop:
        changed = _changed_paths(workshop, since) if only_affected else None
        kept = _kept_keys(plan_file)
        reports = []
        for key, graph in workshop.graphs.items():
            targets = _targets(workshop, graph, words, everything=everything or not words)
            if changed is not None:
                near = affected(graph, changed)
                targets = tuple(item for item in targets if item in near)
            targets = tuple(item for item in targets if _key(graph, item) not in kept)
            reports.append(build_variant(workshop, graph, targets, output_folder(workshop, key)))
        finish(workshop, reports)


def build_variant(
    workshop: Workshop, graph: Graph, targets: Sequence[Fingerprint], output: Path
) -> BuildReport:
    """Build packages of one variant; those with errors in their manifests fail without being tried."""
    bad = broken(graph, targets)
    good = [item for item in targets if item not in bad]
    report = build_packages(make_request(workshop, graph, good, output), workshop.tools, workshop.progress)
    failed = [unbuildable(graph.nodes[item], problems) for item, problems in bad.items()]
    merged = sorted((*report.packages, *failed), key=lambda item: item.fingerprint)
    report = replace(report, packages=tuple(merged))
    write_results(workshop, report, output)
    return report


def _targets(
    workshop: Workshop, graph: Graph, words: Sequence[str], *, everything: bool
) -> tuple[Fingerprint, ...]:
    if everything:
        return all_targets(workshop, graph)
    targets, problems = select_targets(workshop, graph, words)
    if problems:
        raise ManifestError(*problems)
    return targets


def _key(graph: Graph, item: Fingerprint) -> str:
    package = graph.nodes[item].package
    return package_key(graph.tree.variant.key, package.human, package.definition.version)


def _kept_keys(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    return frozenset(node.key for node in read_plan(path).nodes if node.action is Action.KEEP)


def _changed_paths(workshop: Workshop, since: str) -> frozenset[str]:
    """Return what differs from a revision, the working tree and new files included."""
    root = Path(workshop.project.root)
    names: set[str] = set()
    for words in (
        ("diff", "--name-only", "-z", "--relative", "--no-renames", "--end-of-options", since, "--"),
        ("ls-files", "--others", "--exclude-standard", "-z"),
    ):
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", b"") or str(error).encode()
            raise ManifestError(_no_revision(since, told.decode("utf-8", "replace"))) from error
        names.update(name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name)
    return frozenset(names)


def _no_revision(since: str, told: str) -> Problem:
    fix = "fetch the revision (CI: full history), or build --all"
    return problem("CG494", f"git does not tell what changed since {since}: {told.strip()[:300]}", fix=fix)
