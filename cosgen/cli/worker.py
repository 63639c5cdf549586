"""`cosgen worker`: one of the workers that build a plan together."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from cosgen.build.request import BuildReport, Status
from cosgen.build.rules import problem
from cosgen.build.worker import PATIENCE_SECONDS, WorkerOptions, divide, run_worker
from cosgen.cli.build import build_options, build_variant
from cosgen.cli.building import (
    BuildOptions,
    Workshop,
    deadline_of,
    finish,
    output_folder,
    workshop_of,
    write_found,
)
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.plan_file import read_plan
from cosgen.errors import ManifestError
from cosgen.graph.model import Fingerprint
from cosgen.graph.plan_model import PlanNode

_EPILOG = """\b
Examples:
  cosgen worker --plan plan.json --index 0 --count 8 --pull --push
  cosgen worker --plan plan.json --index 3 --count 8 --arch arm64 --minutes 300 --pull --push
"""


@click.command(epilog=_EPILOG)
@project_options
@build_options
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), required=True, help="Plan to build.")
@click.option("--index", type=click.IntRange(0), default=0, show_default=True, help="Which worker this is.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Of how many.")
@click.option("--wave", type=click.IntRange(1), default=1, show_default=True, help="Which try this is.")
@click.option("--components", is_flag=True, help="Share nothing: take whole connected components.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=PATIENCE_SECONDS,
    envvar="COSGEN_WORKER_PATIENCE",
    show_default=True,
    metavar="SECONDS",
    help="Take over from a worker that gave no sign of life for so long; the same for all workers.",
)
@click.option("--minutes", type=float, help="Begin nothing that would not end within so many minutes.")
def command(
    options: ProjectOptions,
    plan_file: Path,
    index: int,
    count: int,
    wave: int,
    components: bool,
    patience: float,
    minutes: float | None,
    **shared: Any,  # noqa: ANN401 - the fields of BuildOptions, checked by click
) -> None:
    """Build a share of a plan: the own queue first, then what others have not built.

    Workers find each other's finished work in the cache registry by input digest. The exit code is 4 when a
    package failed; what is left for lack of time is for the next wave.
    """
    deadline = deadline_of(minutes)
    plan = read_plan(plan_file)
    with workshop_of(options, BuildOptions(**shared, deadline=deadline)) as workshop:
        nodes = [node for node in plan.to_build if node.variant in workshop.graphs]
        if index >= count:
            raise click.UsageError(f"--index counts from 0 and is below --count {count}")
        share = divide(nodes, index=index, count=count, by_components=components)
        _check_inputs(workshop, nodes)
        reports: list[BuildReport] = []
        worker = WorkerOptions(
            name=f"{socket.gethostname()}-{os.getpid()}-{index}",
            wave=wave,
            deadline=deadline,
            shares=not components and workshop.options.push,
            patience=patience,
        )
        done = run_worker(share, worker, workshop.tools, lambda node: _build(workshop, node, reports))
        for key in done.found:
            write_found(workshop, share.nodes[key])
        print(
            f"worker {index} of {count}, wave {wave}: {len(done.built)} built "
            f"({len(done.stolen)} of others), {len(done.found)} found built, "
            f"{len(done.failed)} failed, {len(done.left)} left",
            file=sys.stderr,
        )
        finish(workshop, reports)


def _build(workshop: Workshop, node: PlanNode, reports: list[BuildReport]) -> Status:
    graph = workshop.graphs[node.variant]
    output = output_folder(workshop, node.variant)
    report = build_variant(workshop, graph, (Fingerprint(node.fingerprint),), output)
    reports.append(report)
    return report.packages[0].status


def _check_inputs(workshop: Workshop, nodes: list[PlanNode]) -> None:
    """Refuse a plan that was made for other inputs: its digests would never be found."""
    other = []
    for node in nodes:
        mine = workshop.graphs[node.variant].nodes.get(Fingerprint(node.fingerprint))
        if mine is None or mine.input_digest != node.input_digest:
            other.append(node.key)
    if other:
        what = f"the plan was made for other inputs of {', '.join(other[:5])}"
        raise ManifestError(problem("CG494", what))
