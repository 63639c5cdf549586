"""`cosgen ci`: write the pipelines, and the small calls that their jobs make of plans and results."""
# ruff: noqa: PLC0415 - a call of a job must not wait for imports of other commands

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen import __version__
from cosgen.cli.context import ProjectOptions, project_options, source_date_epoch, stop_on_errors
from cosgen.errors import BuildError, DriftError, ManifestError, Problem

if TYPE_CHECKING:
    from cosgen.graph.model import Graph
    from cosgen.graph.plan import Plan
    from cosgen.manifest.platform import Variant
    from cosgen.manifest.project import Project
    from cosgen.pipeline.drift import GeneratedFile
    from cosgen.pipeline.needs import Need
    from cosgen.pipeline.results import Result

FOLDERS = {"github": (".github/workflows",), "gitlab": (".gitlab/cosgen",)}
SHAPES = ("auto", "static", "chunks", "workers", "child")


class _ProvidersOrCommand(click.Group):
    """Takes `cosgen ci github` as an argument, and `cosgen ci outputs` as a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move provider names out of the way of the subcommand's name."""
        takers = {name for item in self.params if _takes_value(item) for name in item.opts}
        words = [word for before, word in pairwise(["", *args]) if before not in takers]
        chosen = [word for word in words if word in FOLDERS]
        if chosen and not any(word in self.commands for word in words):
            ctx.meta["providers"] = chosen
            args = [word for word in args if word not in FOLDERS]
        return super().parse_args(ctx, args)


def _takes_value(item: click.Parameter) -> bool:
    return isinstance(item, click.Option) and not item.is_flag


@click.group(
    cls=_ProvidersOrCommand,
    invoke_without_command=True,
    subcommand_metavar="[github|gitlab] | COMMAND [ARGS]...",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; print what differs, and exit 8 when anything does."
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the files instead of writing them.")
@click.option("--open-pr", is_flag=True, help="Put the files on the bot branch; open or renew its request.")
@click.option("--shape", type=click.Choice(SHAPES), default=None, help="Instead of `ci.shape`.")
@click.option("--force", is_flag=True, help="Also replace files that cosgen did not make.")
@project_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    options: ProjectOptions,
    check: bool,
    to_stdout: bool,
    open_pr: bool,
    shape: str | None,
    force: bool,
) -> None:
    r"""Write the pipelines for GitHub Actions and GitLab CI.

    \b
    Examples:
      cosgen ci                    for the providers of cosgen.yaml
      cosgen ci github --stdout    look at GitHub's
      cosgen ci --check            does CI run what it should? exits 8 with a diff if not
    """
    if ctx.invoked_subcommand:
        return
    project = _load(options)
    chosen = ctx.meta.get("providers") or project.config.ci.providers
    drifted: list[Problem] = []
    for provider in chosen:
        files = _emit(project, options, provider, shape or "")
        if to_stdout:
            _print(files)
        elif check:
            drifted += _check(options.project, provider, files)
        elif open_pr:
            _open(project, provider, files)
        else:
            _write(options.project, provider, files, force=force)
    if drifted:
        raise DriftError(*drifted)


def _load(options: ProjectOptions) -> "Project":
    from cosgen.manifest.loader import load_project

    project = load_project(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    stop_on_errors(project.problems)
    return project


def _emit(
    project: "Project", options: ProjectOptions, provider: str, shape: str
) -> tuple["GeneratedFile", ...]:
    from cosgen.pipeline.actions import PROXY_PATH
    from cosgen.pipeline.emit import emit, needs_graphs
    from cosgen.pipeline.scene import Provider

    variants = options.select_variants(project.variants)
    asked = shape or project.config.ci.shape
    graphs = list(_graphs(project, variants)) if needs_graphs(asked, Provider(provider)) else []
    proxy = options.project / PROXY_PATH
    return emit(
        project.config,
        variants,
        graphs,
        Provider(provider),
        version=__version__,
        shape=asked,
        proxy=proxy.read_text(encoding="utf-8") if proxy.is_file() else None,
    )


def _graphs(project: "Project", variants: Sequence["Variant"]) -> Iterator["Graph"]:
    from cosgen.graph.graph import think_variant
    from cosgen.manifest.loader import load_tree
    from cosgen.manifest.lock import Lock

    for variant in variants:
        tree = load_tree(project, variant, source_date_epoch=source_date_epoch())
        yield think_variant(project, tree, Lock())  # pins change digests, which no pipeline shows


def _present(root: Path, provider: str) -> dict[str, str]:
    paths = [path for folder in FOLDERS[provider] for path in sorted((root / folder).glob("*.yml"))]
    if provider == "gitlab" and (root / ".gitlab-ci.yml").is_file():
        paths.append(root / ".gitlab-ci.yml")
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _print(files: Sequence["GeneratedFile"]) -> None:
    for file in files:
        print(f"--- # {file.path}")
        print(file.text, end="")


def _check(root: Path, provider: str, files: Sequence["GeneratedFile"]) -> Iterator[Problem]:
    from cosgen.errors import Origin
    from cosgen.pipeline.drift import find_drift

    for drift in find_drift(files, _present(root, provider)):
        print(drift.diff, end="")
        yield Problem(
            what=f"{drift.path} is {drift.kind}",
            fix=f"run `cosgen ci {provider}` and commit what it writes",
            id="CG121",
            origin=Origin(drift.path),
        )


def _write(root: Path, provider: str, files: Sequence["GeneratedFile"], *, force: bool) -> None:
    from cosgen.pipeline.drift import find_drift

    drifts = find_drift(files, _present(root, provider))
    foreign = [drift.path for drift in drifts if drift.kind == "foreign"]
    if foreign and not force:
        raise ManifestError(*map(_foreign, foreign))
    texts = {file.path: file.text for file in files}
    for drift in drifts:
        path = root / drift.path
        if drift.kind == "stale":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(texts[drift.path], encoding="utf-8")
            part.replace(path)
        print(drift.path)
    same = len(files) - sum(drift.kind != "stale" for drift in drifts)
    print(f"{provider}: {len(drifts)} written or removed, {same} as they were", file=sys.stderr)


def _foreign(path: str) -> Problem:
    return Problem(
        what=f"{path} is there, and was not made by cosgen",
        fix="move it away, or say --force to replace it",
        id="CG122",
    )


def _open(project: "Project", provider: str, files: Sequence["GeneratedFile"]) -> None:
    from cosgen.pipeline.forge import open_forge

    forge = open_forge(provider, os.environ)
    request = forge.propose(
        branch=project.config.ci.bot_branch,
        base=project.config.ci.default_branch,
        title="Renew the pipelines",
        body="Made by `cosgen ci --open-pr` from cosgen.yaml and the package trees.",
        files={file.path: file.text for file in files},
    )
    print(request.url)


# --- calls of jobs ----------------------------------------------------------------------------------

_plan_option = click.option(
    "--plan", "plan_path", type=click.Path(dir_okay=False, path_type=Path), required=True
)
_results_option = click.option(
    "--results", "results_path", type=click.Path(file_okay=False, path_type=Path), required=True
)
_to_option = click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="File of outputs.")


def _plan(path: Path) -> "Plan":
    from cosgen.graph.plan import plan_from_json

    return plan_from_json(path.read_text(encoding="utf-8"))


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


@command.command("outputs")
@_plan_option
@_to_option
@click.option("--workers", type=click.IntRange(1, 250), default=20, show_default=True)
@click.option("--components", is_flag=True, help="Workers take whole connected components.")
def outputs(*, plan_path: Path, to: Path | None, workers: int, components: bool) -> None:
    """Turn a plan into the outputs that other jobs of a run read."""
    from cosgen.pipeline.outputs import outputs_of

    _append(to, outputs_of(_plan(plan_path), workers=workers, components=components))


@command.command("collect")
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

    optional = _load(options).config.ci.optional_variants
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


@command.command("left")
@_plan_option
@_results_option
@_to_option
def left(*, plan_path: Path, results_path: Path, to: Path | None) -> None:
    """Say whether something of a plan is left that nobody tried."""
    from cosgen.pipeline.results import left_over

    rest = left_over(_plan(plan_path), _results(results_path))
    _append(to, [f"left={'true' if rest else 'false'}"])
    print(f"{len(rest)} left over", file=sys.stderr)


@command.command("gate")
@click.option("--outcome", "path", type=click.Path(dir_okay=False, path_type=Path), required=True)
def gate(*, path: Path) -> None:
    """Fail when a collected outcome is red."""
    import json

    outcome = json.loads(path.read_text(encoding="utf-8"))
    if outcome["verdict"] == "green":
        return
    problems = [
        Problem(
            what=f"{key} is {outcome['states'][key]}: {outcome['reasons'].get(key, 'no record')}",
            fix="look at its log, and build it with `cosgen build`",
            id="CG123",
        )
        for key in outcome["red"][:50]
    ]
    raise BuildError(*problems)


@command.command("child")
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

    project = _load(options)
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


@command.command("doctor")
@click.option("--apply", is_flag=True, help="Make what the forge lets be made.")
@project_options
@click.pass_context
def doctor(ctx: click.Context, *, options: ProjectOptions, apply: bool) -> None:
    """Tell what the pipelines need in the forge, and what of it is missing."""
    from cosgen.pipeline.needs import forge_needs, trust_policy

    project = _load(options)
    for provider in ctx.meta.get("providers") or project.config.ci.providers:
        needs = forge_needs(project.config, project.variants, provider, version=__version__)
        have = _have(provider, apply=apply, needs=needs)
        for need in needs:
            mark = {True: "ok     ", False: "missing", None: "needed "}[have.get(need)]
            print(f"{mark} {need.kind} {need.name}: {need.why}")
        if policy := trust_policy(project.config, provider):
            print(f"\nTrust policy of the role on AWS ({provider}):\n{policy}", end="")


def _have(provider: str, *, apply: bool, needs: Sequence["Need"]) -> dict["Need", bool]:
    from cosgen.pipeline.forge import has_token, open_forge

    if not has_token(provider, os.environ):
        print("no token: the list tells what is needed, not what is there", file=sys.stderr)
        return {}
    return open_forge(provider, os.environ).examine(needs, apply=apply)
