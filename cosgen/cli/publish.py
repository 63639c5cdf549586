"""`cosgen publish`: add artifacts to the repository and move a channel to them."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.store import open_session, repository_settings, storage_options
from cosgen.errors import PublishError
from cosgen.graph.plan_json import plan_from_json
from cosgen.repository.incoming import incoming, read_folders, variants_of
from cosgen.repository.publish import PublishOptions, PublishReport, publish
from cosgen.repository.publish_plan import Policy, PublishRequest
from cosgen.repository.rules import problem
from cosgen.repository.upload import Journal


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(file_okay=False, path_type=Path))
@click.option("--channel", required=True, help="Channel that gets the packages.")
@click.option(
    "--policy",
    type=click.Choice([str(policy) for policy in Policy]),
    default="merge",
    show_default=True,
    help="merge: add to what is there; replace: become exactly this; fail: stop when the channel moves.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Drop what this plan has not.",
)
@click.option("--from-registry", is_flag=True, help="Take the plan's artifacts from the cache registry.")
@click.option("--tag", default="", help="Release that the snapshot is; kept for ever.")
@click.option("--note", default="", help="Why, for the log.")
@click.option("--dry-run", is_flag=True, help="Say what would change and be sent; write nothing.")
@storage_options
@project_options
def command(  # noqa: PLR0913  # one parameter for each option
    folders: tuple[Path, ...],
    channel: str,
    policy: str,
    plan_file: Path | None,
    tag: str,
    note: str,
    *,
    from_registry: bool,
    dry_run: bool,
    single_writer: bool,
    storage: str,
    options: ProjectOptions,
) -> None:
    r"""Publish finished builds to a channel.

    \b
    Examples:
      cosgen publish build/artifacts --channel testing
      cosgen publish build/artifacts --channel testing --storage ./repo --dry-run
    """
    if from_registry:
        raise PublishError(problem("CG540", "artifacts are taken from folders only, so far"))
    if not folders:
        raise click.UsageError("give the folders that `cosgen build --output` wrote to")
    opened = open_session(options, storage, single_writer=single_writer)
    found = read_folders(folders)
    request = PublishRequest(
        channel=channel,
        variants=variants_of(found),
        packages=incoming(found),
        policy=Policy(policy),
        wanted=_wanted(plan_file) if plan_file else {},
    )
    name = hashlib.sha256(opened.session.store.url.encode()).hexdigest()[:12]
    journal = Journal.open(folders[0] / f".publish-{name}.journal", opened.session.clock.now())
    done = publish(
        opened.session,
        request,
        PublishOptions(
            dry_run=dry_run,
            single_writer=single_writer,
            note=note,
            tag=tag,
            settings=repository_settings(opened),
            journal=journal,
        ),
    )
    _tell(done, opened.counted.requests, dry_run=dry_run)


def _wanted(plan_file: Path) -> dict[str, frozenset[str]]:
    plan = plan_from_json(plan_file.read_text(encoding="utf-8"))
    wanted: dict[str, set[str]] = {}
    for node in plan.nodes:
        wanted.setdefault(node.key.partition(":")[0], set()).add(node.fingerprint)
    return {key: frozenset(names) for key, names in wanted.items()}


def _tell(report: PublishReport, requests: Mapping[str, int], *, dry_run: bool) -> None:
    for variant, changes in report.changes.items():
        for sign, names in (("+", changes.added), ("~", changes.changed), ("-", changes.removed)):
            for name in names:
                print(f"{sign} {variant}: {name}")
    if not report.changes:
        print(f"{report.channel} has everything already")
    elif dry_run:
        objects = len(report.uploads)
        print(f"would send {objects} objects, {report.upload_bytes} bytes, then commit and renew the views")
    elif report.commit is not None and report.snapshot is not None:
        short = report.snapshot.digest.removeprefix("sha256:")[:12]
        print(f"{report.channel} is at commit {report.commit.seq}, snapshot {short}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items()))
    print(f"requests: {counts or 'none'}", file=sys.stderr)
