"""The small calls that jobs of pipelines make, of plans and of results: `cosgen ci outputs` and its like."""
# ruff: noqa: PLC0415 - a call of a job must not wait for imports of other commands

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen import __version__
from cosgen.cli.context import ProjectOptions, project_options, stop_on_errors
from cosgen.errors import BuildError, Problem

if TYPE_CHECKING:
    from cosgen.graph.plan import Plan
    from cosgen.manifest.project import Project
    from cosgen.pipeline.results import Outcome, Result


def load_sound(options: ProjectOptions) -> "Project":
    """Read a project whose settings have no errors.

    Raises:
        ManifestError: They have.
    """
    from cosgen.cli.foundations import load_project

    project = load_project(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    stop_on_errors(project.problems)
    return project


_plan_option = click.option(
    "--plan", "plan_path", type=click.Path(dir_okay=False, path_type=Path), required=True
)
_results_option = click.option(
    "--results", "results_path", type=click.Path(file_okay=False, path_type=Path), required=True
)
_to_option = click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="File of outputs.")


def _plan(path: Path) -> "Plan":
    from cosgen.cli.plan_file import read_plan

    return read_plan(path)


def _results(folder: Path) -> Iterator["Result"]:
    from cosgen.pipeline.results import RESULT_SUFFIX, result_from_json

    for path in sorted(folder.rglob(f"*{RESULT_SUFFIX}")):
        try:
            yield result_from_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            print(f"{path}: passed over: {error}", file=sys.stderr)


def _append(path: Path | None, lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if path is None:
        print(text, end="")
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@click.command("outputs")
@_plan_option
@_to_option
@click.option("--todo", is_flag=True, help="Also tell the packages to build.")
@click.option("--workers", type=click.IntRange(1, 250), help="Also tell workers, at most so many an arch.")
@click.option("--components", is_flag=True, help="Workers take whole connected components.")
def outputs(*, plan_path: Path, to: Path | None, todo: bool, workers: int | None, components: bool) -> None:
    """Turn a plan into the outputs that other jobs of a run read."""
    from cosgen.pipeline.outputs import outputs_of

    _append(to, outputs_of(_plan(plan_path), todo=todo, workers=workers or 0, components=components))


@click.command("collect")
@_plan_option
@_results_option
@_to_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path))
@project_options
def collect(
    *,
    options: ProjectOptions,
    plan_path: Path,
    results_path: Path,
    to: Path | None,
    output: Path,
    summary: Path | None,
) -> None:
    """Lay results beside a plan, and say what came of it."""
    from cosgen.pipeline.results import State, collect_results, summary_of

    optional = load_sound(options).config.ci.optional_variants
    outcome = collect_results(_plan(plan_path), _results(results_path), optional)
    output.write_text(outcome.to_json(), encoding="utf-8")
    if summary:
        _append(summary, [summary_of(outcome)])
    counts = [
        f"built={outcome.count(State.BUILT)}",
        f"failed={outcome.count(State.FAILED)}",
        f"missing={outcome.count(State.MISSING, State.BLOCKED)}",
    ]
    print(f"{outcome.verdict}: {', '.join(counts)}", file=sys.stderr)
    if to:
        _append(to, [f"verdict={outcome.verdict}", *counts])


@click.command("left")
@_plan_option
@_results_option
@_to_option
def left(*, plan_path: Path, results_path: Path, to: Path | None) -> None:
    """Say whether something of a plan is left that nobody tried."""
    from cosgen.pipeline.results import left_over

    rest = left_over(_plan(plan_path), _results(results_path))
    _append(to, [f"left={'true' if rest else 'false'}"])
    print(f"{len(rest)} left over", file=sys.stderr)


@click.command("gate")
@click.option(
    "--outcome", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True
)
def gate(*, path: Path) -> None:
    """Fail when a collected outcome is red."""
    outcome = _outcome(path)
    problems = [
        Problem(
            what=f"{key} is {outcome.states.get(key, 'lost')}: {outcome.reasons.get(key, 'no record')}",
            fix="look at its log, and build it with `cosgen build`",
            id="CG123",
        )
        for key in outcome.red[:50]
    ]
    if problems:
        raise BuildError(*problems)


def _outcome(path: Path) -> "Outcome":
    from cosgen.pipeline.results import outcome_from_json

    try:
        return outcome_from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fix = "make it anew with `cosgen ci collect`"
        raise BuildError(Problem(what=f"{path}: {error}", fix=fix, id="CG124")) from error


@click.command("child")
@_plan_option
@click.option("--channel", default="", help="The channel it is built for.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--jobs", type=click.IntRange(1), default=None, help="At most so many jobs.")
@click.option("--components", is_flag=True, help="A job a connected component.")
@project_options
def child(
    *,
    options: ProjectOptions,
    plan_path: Path,
    channel: str,
    output: Path,
    jobs: int | None,
    components: bool,
) -> None:
    """Write the GitLab child pipeline of a plan."""
    from cosgen.pipeline.child import child_pipeline

    project = load_sound(options)
    text = child_pipeline(
        project.config,
        project.variants,
        _plan(plan_path),
        version=__version__,
        channel=channel,
        jobs=jobs,
        components=components,
    )
    output.write_text(text, encoding="utf-8")


CALLS = (outputs, collect, left, gate, child)
