"""`cosgen check`: everything that is wrong with a project, at once."""

import os
import sys

import click

from cosgen.cli.context import (
    ProjectOptions,
    format_option,
    project_options,
    source_date_epoch,
    tell_problems,
)
from cosgen.errors import ManifestError, Origin, Problem, Severity
from cosgen.graph.graph import think
from cosgen.manifest.lints import lint_project
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.project import Project
from cosgen.manifest.tree import Tree

_EPILOG = """\b
Examples:
  cosgen check
  cosgen check --format json | jq .
  cosgen check --tree packages --values values/green-x86_64.yaml
"""


def find_problems(
    project: Project, options: ProjectOptions, epoch: int | None
) -> tuple[tuple[Problem, ...], int]:
    """Return every problem of a project, sorted by place, and the number of packages looked at."""
    trees: list[Tree] = []
    problems: dict[Problem, None] = dict.fromkeys(project.problems)
    for variant in options.select_variants(project.variants):
        tree = load_tree(project, variant, source_date_epoch=epoch)
        trees.append(tree)
        problems.update(dict.fromkeys(tree.problems))
        problems.update(dict.fromkeys(think(tree, compat=project.config.compat).problems))
    problems.update(dict.fromkeys(lint_project(project, trees)))
    ordered = sorted(problems, key=lambda item: (item.origin or Origin(""), item.id, item.what))
    return tuple(ordered), len({package.fingerprint for tree in trees for package in tree.packages})


@click.command(epilog=_EPILOG)
@project_options
@format_option
@click.option("--strict", is_flag=True, help="Let warnings fail as errors do.")
def command(options: ProjectOptions, format_: str, *, strict: bool) -> None:
    """Tell everything that is wrong with the project, at once.

    Reads the settings, the OS manifest and every package of every variant. Each problem comes with its place
    and a remedy. The exit code is 3 when there are errors.
    """
    project = load_project(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    problems, count = find_problems(project, options, source_date_epoch())
    tell_problems(problems, format_)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = len(problems) - errors
    if format_ == "text":
        click.echo(_summary(count, errors, warnings), err=bool(errors))
    if errors or (strict and warnings):
        sys.exit(ManifestError.exit_code)


def _summary(packages: int, errors: int, warnings: int) -> str:
    told = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    return f"{packages} packages: {', '.join(told) or 'nothing is wrong'}"
