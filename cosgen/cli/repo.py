"""`cosgen repo`: look at, verify and collect a repository; mirrors and imports are in `repo_luet.py`."""

import json
import sys

import click

from cosgen.cli.context import ProjectOptions, project_options, tell_problems
from cosgen.cli.group import Group
from cosgen.cli.repo_luet import commands
from cosgen.cli.store import DEFAULT_GRACE_DAYS, Opened, open_session, storage_options
from cosgen.errors import Severity, VerificationError
from cosgen.graph.plan_summary import counted
from cosgen.repository.doctor import examine
from cosgen.repository.fsck import check_repository
from cosgen.repository.gc import DAY, Keep, Retention, collect
from cosgen.repository.policy import PolicyRequest, policy_documents
from cosgen.repository.publish import PublishOptions
from cosgen.repository.reader import open_repository
from cosgen.storage.local import FolderStore

_DOCUMENTS = ("bucket", "publisher", "collector", "cors", "lifecycle", "headers")


@click.group(cls=Group)
def command() -> None:
    """Look at, compare, verify, collect and copy a repository."""


@command.command("ls")
@click.argument("channel", metavar="CHANNEL|PIN|SNAPSHOT")
@click.option("--json", "as_json", is_flag=True, help="One JSON record per line.")
@storage_options
@project_options
def list_packages(
    channel: str, *, as_json: bool, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """List the packages of a channel, pin or snapshot."""
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    snapshot = repository.snapshot(channel)
    for variant in snapshot.variants:
        for record in repository.packages(snapshot, variant):
            if as_json:
                print(json.dumps({"variant": variant, **record.to_json()}, sort_keys=True, default=list))
            else:
                print(f"{variant}\t{record.human}\t{record.archive.size}\t{record.archive.key}")


@command.command("show")
@click.argument("channel")
@click.argument("package", metavar="category/name")
@storage_options
@project_options
def show_package(
    channel: str, package: str, *, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Show all versions of a package in a channel, as JSON."""
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    snapshot = repository.snapshot(channel)
    found = [
        {"variant": variant, **record.to_json()}
        for variant in snapshot.variants
        for record in repository.versions(snapshot, variant, package)
    ]
    print(json.dumps(found, indent=1, sort_keys=True, default=list))


@command.command("log")
@click.option("--since", default=0, show_default=True, help="Oldest commit to show.")
@storage_options
@project_options
def show_log(since: int, *, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Show the commit log, newest first, one JSON object per line: who did what, when, why."""
    opened = open_session(options, storage, single_writer=single_writer)
    for commit in open_repository(opened.session.store, opened.session).log(since=since):
        entry = {
            "seq": commit.seq,
            "op": commit.op,
            "time": commit.time,
            "author": commit.author,
            "tool": commit.tool,
            "note": commit.note,
            "changes": commit.changes,
            "signed_by": [signature.keyid for signature in commit.signatures],
            "digest": commit.digest,
        }
        print(json.dumps(entry, sort_keys=True))


@command.command("fsck")
@click.option("--deep", is_flag=True, help="Read every object and compare its digest.")
@storage_options
@project_options
def fsck(*, deep: bool, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Verify log, snapshots, objects and views; never writes."""
    opened = open_session(options, storage, single_writer=single_writer)
    report = check_repository(opened.session, deep=deep)
    print(
        f"{report.commits} commits, {report.snapshots} snapshots, {report.objects} objects, "
        f"{report.bytes} bytes, {report.orphans} that nothing names"
    )
    errors = [item for item in report.problems if item.severity is Severity.ERROR]
    tell_problems([item for item in report.problems if item.severity is not Severity.ERROR])
    if errors:
        raise VerificationError(*errors)


@command.command("gc")
@click.option("--apply", is_flag=True, help="Do it; else only say what would be done.")
@click.option(
    "--grace-days", default=DEFAULT_GRACE_DAYS, show_default=True, help="Days from condemning to deleting."
)
@storage_options
@project_options
def gc(*, apply: bool, grace_days: float, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Condemn what no kept snapshot lists, and delete what was condemned long enough ago."""
    opened = open_session(options, storage, single_writer=single_writer)
    retention = Retention(channels=_keep(opened), grace=grace_days * DAY)
    report = collect(
        opened.session, retention, apply=apply, options=PublishOptions(single_writer=single_writer)
    )
    if apply and isinstance(opened.counted.store, FolderStore):
        opened.counted.store.remove_leftovers(opened.session.clock.now() - DAY)
    verb = "" if report.applied else "would have "
    for name, count in report.dropped.items():
        print(f"{name}: {verb}forgotten {counted(count, 'earlier snapshot')}")
    for word, keys in (("deleted", report.deleted), ("condemned", report.condemned)):
        for key in keys:
            print(f"{verb}{word} {key}")
    objects = counted(len(report.condemned), "object")
    print(f"{verb}condemned {objects} of {report.bytes} bytes", file=sys.stderr)


@command.command("policy")
@click.option(
    "--format",
    "kind",
    type=click.Choice(_DOCUMENTS),
    default="bucket",
    show_default=True,
)
@click.option("--bucket", default="", help="Name of the bucket.  [default: of the configured storage]")
@storage_options
@project_options
def policy(kind: str, bucket: str, *, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Print policies for the bucket, its publishers, its collector, and the headers of a web server."""
    opened = open_session(options, storage, single_writer=single_writer)
    request = PolicyRequest.of(opened.session.store.url, bucket)
    print(json.dumps(policy_documents(request)[kind], indent=2))


@command.command("doctor")
@storage_options
@project_options
def doctor(*, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Probe the store: which conditions it keeps, whether it checks bytes, how its clock goes."""
    opened = open_session(options, storage, single_writer=single_writer)
    examined = examine(opened.session, single_writer=single_writer)
    for line in examined.lines:
        print(line)
    tell_problems(examined.problems)
    if any(item.severity is Severity.ERROR for item in examined.problems):
        sys.exit(5)


def _keep(opened: Opened) -> dict[str, Keep]:
    if opened.config is None:
        return {}
    return {
        name: Keep(
            last=channel.keep.last or None, days=channel.keep.days or None, tags=channel.keep.tags == "all"
        )
        for name, channel in opened.config.channels.items()
    }


for extra in commands:
    command.add_command(extra)
