"""`cosgen check`: everything that is wrong with a project, at once."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cosgen.cli.context import (
    ProjectOptions,
    format_option,
    project_options,
    source_date_epoch,
    tell_problems,
)
from cosgen.cli.emitting import Emitter, present_files
from cosgen.cli.foundations import Grounded, load_grounded
from cosgen.errors import ManifestError, Origin, Problem, Severity
from cosgen.graph.graph import think_variant
from cosgen.graph.model import Graph
from cosgen.graph.plan_summary import counted
from cosgen.manifest.lints import lint_project
from cosgen.manifest.loader import load_tree
from cosgen.manifest.project import Project
from cosgen.pipeline.drift import find_drift, is_ours

_EPILOG = """\b
Examples:
  cosgen check
  cosgen check --format json | jq .
  cosgen check --tree packages --values values/green-x86_64.yaml
"""


def find_problems(
    grounded: Grounded, options: ProjectOptions, epoch: int | None
) -> tuple[tuple[Problem, ...], int]:
    """Return every problem of a project, sorted by place, and the number of packages looked at."""
    project = grounded.project
    found = list(grounded.problems)
    graphs = [
        think_variant(project, load_tree(project, variant, source_date_epoch=epoch), grounded.lock)
        for variant in options.select_variants(project.variants)
    ]
    for graph in graphs:
        found += graph.problems
    found += lint_project(project, [graph.tree for graph in graphs])
    if options == ProjectOptions(project=options.project) and not _errors(found):
        found += find_drifted(project, options.project, graphs)
    ordered = sorted(dict.fromkeys(found), key=lambda item: (item.origin or Origin(""), item.id, item.what))
    return tuple(ordered), len({package.fingerprint for graph in graphs for package in graph.tree.packages})


def find_drifted(project: Project, root: Path, graphs: Sequence[Graph]) -> Iterator[Problem]:
    """Tell which pipelines are not what `cosgen ci` would write, for providers that have any of ours.

    Args:
        project: A project without errors.
        root: Its folder.
        graphs: The graphs of all its variants.
    """
    emitter = Emitter(project, project.variants, root, graphs=lambda: graphs)
    for provider in project.config.ci.providers:
        present = present_files(root, provider)
        if not any(map(is_ours, present.values())):
            continue
        try:
            files = emitter.emit(provider)
        except ManifestError as error:
            yield from error.problems
            continue
        for drift in find_drift(files, present):
            yield Problem(
                what=f"{drift.path} is {drift.kind}",
                fix=f"run `cosgen ci {provider}` and commit what it writes",
                id="CG121",
                origin=Origin(drift.path),
                severity=Severity.WARNING,
            )


def _errors(problems: Sequence[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


@click.command(epilog=_EPILOG)
@project_options
@format_option
@click.option("--strict", is_flag=True, help="Let warnings fail as errors do.")
def command(options: ProjectOptions, format_: str, *, strict: bool) -> None:
    """Tell everything that is wrong with the project, at once.

    Reads the settings, the OS manifest, every package of every variant, and the pipelines that were written
    (not with --tree, --values, --flavor or --arch). Each problem comes with its place and a remedy. The exit
    code is 3 when there are errors.
    """
    grounded = load_grounded(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    problems, count = find_problems(grounded, options, source_date_epoch())
    tell_problems(problems, format_)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = len(problems) - errors
    if format_ == "text":
        click.echo(_summary(count, errors, warnings), err=bool(errors))
    if errors or (strict and warnings):
        sys.exit(ManifestError.exit_code)


def _summary(packages: int, errors: int, warnings: int) -> str:
    told = [counted(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return f"{counted(packages, 'package')}: {', '.join(told) or 'nothing is wrong'}"
