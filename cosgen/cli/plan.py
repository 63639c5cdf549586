"""`cosgen plan`: what would be built and why, in which order, and how long it takes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from cosgen.cli.context import (
    ProjectOptions,
    format_option,
    project_options,
    source_date_epoch,
    stop_on_errors,
    tell_problems,
)
from cosgen.cli.foundations import load_lock, load_project
from cosgen.cli.store import open_session, storage_options
from cosgen.errors import ManifestError, MissingToolError, Problem
from cosgen.graph.affected import explain_affected
from cosgen.graph.graph import think_variant
from cosgen.graph.model import Fingerprint, Graph
from cosgen.graph.plan import (
    Action,
    Plan,
    PublishedPackage,
    count_actions,
    index_published,
    plan_builds,
    plan_to_json,
    summary_markdown,
)
from cosgen.graph.plan_summary import counted, duration
from cosgen.manifest.loader import load_tree
from cosgen.manifest.lock import PATH as LOCK_PATH
from cosgen.manifest.platform import Variant, find_arch
from cosgen.manifest.project import Project
from cosgen.repository.commit import read_tail
from cosgen.repository.published import published_package
from cosgen.repository.reader import open_repository
from cosgen.repository.session import Session

_EPILOG = """\b
Examples:
  cosgen plan                                  all there is to build
  cosgen plan --since origin/main              what the changes since then concern
  cosgen plan --channel testing --output plan.json
  cosgen plan --json | jq '.nodes[] | select(.action == "build") | .key'
"""
_MOST_ROWS = 40  # of packages to build, on a terminal; JSON and Markdown have all
_SHORT = 1.0  # seconds; what took less came from a cache and is no estimate


@click.command(epilog=_EPILOG)
@project_options
@storage_options
@format_option
@click.option("--channel", default="", metavar="NAME", help="Compare with what this channel holds.")
@click.option("--since", default="", metavar="REV", help="Build only what changed since this git revision.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write plan.json.")
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path), help="Append a Markdown summary.")
@click.option(
    "--runners",
    type=click.IntRange(1, 10_000),
    metavar="P",
    help="Machines to plan for.  [default: ci.budget.concurrent_jobs]",
)
def command(  # noqa: PLR0913 - click passes an argument an option
    options: ProjectOptions,
    storage: str,
    *,
    single_writer: bool,
    format_: str,
    channel: str,
    since: str,
    as_json: bool,
    output: Path | None,
    summary: Path | None,
    runners: int | None,
) -> None:
    """Show what would be built, why, and how long it takes.

    Each package is kept (the channel has it, made from the same inputs), built, or blocked by an error, its
    own or of what it needs. Without --channel everything counts as not there. Blocked packages do not fail
    the command: what does not need them is built all the same.
    """
    project = load_project(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    stop_on_errors(project.problems)
    graphs = load_graphs(project, _variants(options, project, channel))
    published: Mapping[str, PublishedPackage] | None = None
    estimates: Mapping[str, float] = {}
    if channel:
        session = open_session(options, storage, single_writer=single_writer).session
        published, estimates = read_published(session, channel, graphs)
    plan = plan_builds(
        graphs,
        published=published,
        affected=find_affected(project, graphs, since) if since else None,
        estimates=estimates,
        runners=runners or project.config.ci.budget.concurrent_jobs,
        project=project.config.name,
        channel=channel,
        since=since,
    )
    if output is not None:
        output.write_text(plan_to_json(plan), encoding="utf-8")
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(summary_markdown(plan))
    if as_json:
        print(plan_to_json(plan), end="")
    else:
        print("\n".join(tell_plan(plan)))
    tell_problems(plan.problems, "text" if format_ == "json" else format_)


def load_graphs(project: Project, variants: Sequence[Variant]) -> tuple[Graph, ...]:
    """Load and think through some variants of a project.

    Raises:
        ManifestError: The lock file cannot be used.
    """
    problems: list[Problem] = []
    lock = load_lock(Path(project.root), problems)
    stop_on_errors(problems)
    epoch = source_date_epoch()
    return tuple(
        think_variant(project, load_tree(project, variant, source_date_epoch=epoch), lock)
        for variant in variants
    )


def read_published(
    session: Session, channel: str, graphs: Sequence[Graph]
) -> tuple[dict[str, PublishedPackage], dict[str, float]]:
    """Return what a channel holds of the graphs' variants, and how long its packages took.

    A store that answers and holds nothing yet is a channel without packages; one that does not answer is an
    error, so that an outage never rebuilds the world.

    Raises:
        PublishError: The store cannot be read.
        VerificationError: What it holds is damaged, or not signed as it should be.
    """
    if read_tail(session).commit.seq < 0:
        print(f"{session.store.url} holds no repository yet: all is new", file=sys.stderr)
        return {}, {}
    repository = open_repository(session.store, session)
    if channel not in repository.channels():
        print(f"the channel {channel} holds nothing yet: all is new", file=sys.stderr)
        return {}, {}
    snapshot = repository.snapshot(channel)
    rows: list[tuple[str, str, PublishedPackage]] = []
    estimates: dict[str, float] = {}
    for key in sorted({graph.tree.variant.key for graph in graphs} & set(snapshot.variants)):
        for record in repository.packages(snapshot, key):
            human = f"{record.category}/{record.name}"
            rows.append((key, human, published_package(record)))
            if record.seconds is not None and record.seconds >= _SHORT:
                estimates[f"{key}:{human}"] = record.seconds
    return index_published(rows), estimates


def find_affected(project: Project, graphs: Sequence[Graph], since: str) -> dict[str, dict[Fingerprint, str]]:
    """Return for each variant what the changes since a git revision concern, and why.

    Raises:
        MissingToolError: There is no git, or it does not know the revision.
    """
    paths = changed_paths(Path(project.root), since)
    return {
        graph.tree.variant.key: explain_affected(
            graph,
            paths,
            shared={LOCK_PATH, *project.values_files(graph.tree.variant)},
            owners={
                overlay.files: {
                    package.human
                    for package in graph.tree.packages
                    if overlay in project.overlays(graph.tree.variant, package.human)
                }
                for overlay in project.config.overlays
            },
        )
        for graph in graphs
    }


def changed_paths(root: Path, since: str) -> tuple[str, ...]:
    """Return the files below `root` that differ from a git revision, new ones included; sorted.

    Compared is with where the history forked from the revision, so that what others did there since does
    not count; where the fork is not in the clone, with the revision itself.

    Raises:
        MissingToolError: There is no git, or it does not know the revision.
    """
    revision = _git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}"
    ).strip()
    fork = _git(root, "merge-base", revision, "HEAD", may_fail=True).strip() or revision
    changed = _git(root, "diff", "--name-only", "--no-renames", "--relative", "-z", fork, "--", ".")
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return tuple(sorted({path for path in (changed + added).split("\0") if path}))


def _git(root: Path, *words: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False, timeout=120)
    except FileNotFoundError as error:
        raise MissingToolError(_git_problem("git is not installed", "install git")) from error
    if done.returncode and not may_fail:
        said = done.stderr.decode("utf-8", "replace").strip() or f"git {words[0]} found nothing"
        fix = "name a revision that is there; in CI fetch the history (fetch-depth: 0)"
        raise MissingToolError(_git_problem(f"git cannot tell what changed: {said}", fix))
    return "" if done.returncode else done.stdout.decode("utf-8", "surrogateescape")


def _git_problem(what: str, fix: str) -> Problem:
    return Problem(what=what, fix=fix, id="CG721")


def _variants(options: ProjectOptions, project: Project, channel: str) -> tuple[Variant, ...]:
    """Return the variants to plan: those asked for, of those the channel has."""
    variants = options.select_variants(project.variants)
    if not channel:
        return variants
    settings = project.config.channels.get(channel)
    if settings is None:
        have = ", ".join(sorted(project.config.channels)) or "none"
        what = f"the project has no channel {channel!r}"
        raise ManifestError(Problem(what=what, fix=f"choose one of: {have}", id="CG720"))
    arches = {find_arch(name) for name in settings.arches}
    return tuple(
        variant
        for variant in variants
        if (not settings.flavors or variant.flavor in settings.flavors)
        and (not settings.arches or find_arch(variant.arch) in arches)
    )


def tell_plan(plan: Plan) -> Iterator[str]:
    """Yield the lines that tell a plan to a person."""
    counts = count_actions(plan.nodes)
    yield f"{counts[Action.KEEP]} kept, {counts[Action.BUILD]} to build, {counts[Action.BLOCKED]} blocked"
    for node in (node for node in plan.nodes if node.action is Action.BLOCKED):
        yield f"  blocked  {node.key}: {node.reason}"
    building = sorted(plan.to_build, key=lambda node: (node.level, node.key))
    for node in building[:_MOST_ROWS]:
        yield f"  {node.level:>2}  {node.key}: {node.reason}"
    if len(building) > _MOST_ROWS:
        yield f"      … and {len(building) - _MOST_ROWS} more"
    if building:
        names = {node.key: node.human for node in building}
        yield "critical path: " + " → ".join(names[key] for key in plan.critical_path)
        yield (
            f"{duration(plan.work_seconds)} of work, at least {duration(plan.critical_seconds)}, "
            f"about {duration(plan.wall_seconds)} with {counted(len(plan.queues), 'worker')}"
        )
