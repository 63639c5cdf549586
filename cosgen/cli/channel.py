"""`cosgen channel`: list, show, promote, roll back, yank and pin channels."""

import datetime as dt
import sys
from dataclasses import dataclass

import click

from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.group import Group
from cosgen.cli.store import Opened, open_session, storage_options
from cosgen.graph.plan_summary import counted
from cosgen.repository import channel as moves
from cosgen.repository.log import ChannelState, Commit, Step
from cosgen.repository.publish import PublishOptions
from cosgen.repository.reader import open_repository


@click.group(cls=Group)
def command() -> None:
    """Look at channels and move them; every move is a commit in the log."""


@dataclass(frozen=True, slots=True)
class _Work:
    opened: Opened
    options: PublishOptions


def _start(
    options: ProjectOptions,
    storage: str,
    *,
    single_writer: bool = False,
    dry_run: bool = False,
    note: str = "",
) -> _Work:
    opened = open_session(options, storage, single_writer=single_writer)
    return _Work(opened, PublishOptions(dry_run=dry_run, single_writer=single_writer, note=note))


@command.command("ls")
@storage_options
@project_options
def list_channels(storage: str, *, single_writer: bool, options: ProjectOptions) -> None:
    """List channels: commit, snapshot, since when."""
    work = _start(options, storage, single_writer=single_writer)
    for name, state in open_repository(work.opened.session.store, work.opened.session).channels().items():
        print(f"{name}\t{_line(state)}")


@command.command("show")
@click.argument("name")
@storage_options
@project_options
def show_channel(name: str, storage: str, *, single_writer: bool, options: ProjectOptions) -> None:
    """Show a channel: variants, and who moved it when and why."""
    work = _start(options, storage, single_writer=single_writer)
    repository = open_repository(work.opened.session.store, work.opened.session)
    print(f"{name}\t{_line(repository.channel(name))}")
    for key, index in repository.snapshot(name).variants.items():
        print(f"  {key}: {counted(index.packages, 'package')} for {index.platform}")
    for entry in repository.history(name):
        commit = entry.commit
        print(f"  {_line(entry.channel)}\t{commit.op}\t{commit.author}\t{commit.note}".rstrip())


@command.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--revision", default="", help="The newest snapshot of FROM built from this commit.")
@click.option("--snapshot", default="", help="Commit number, tag or id of the snapshot.")
@click.option("--tag", default="", help="Release that the snapshot becomes; kept for ever.")
@click.option("--note", default="", help="Why, for the log.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@storage_options
@project_options
def promote(  # noqa: PLR0913  # one parameter for each option
    source: str,
    target: str,
    revision: str,
    snapshot: str,
    tag: str,
    note: str,
    *,
    dry_run: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Move a channel to a snapshot of another."""
    work = _start(options, storage, single_writer=single_writer, dry_run=dry_run, note=note)
    commit = moves.promote(
        work.opened.session,
        source,
        target,
        snapshot=snapshot,
        revision=revision,
        tag=tag,
        options=work.options,
    )
    _tell(work, commit, target)


@command.command()
@click.argument("name")
@click.option(
    "--to", default="", metavar="SNAPSHOT", help="Commit number, tag or id.  [default: the one before]"
)
@click.option("--note", default="", help="Why, for the log.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@storage_options
@project_options
def rollback(
    name: str,
    to: str,
    note: str,
    *,
    dry_run: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Move a channel back to an earlier snapshot."""
    work = _start(options, storage, single_writer=single_writer, dry_run=dry_run, note=note)
    _tell(work, moves.rollback(work.opened.session, name, to=to, options=work.options), name)


@command.command("yank")
@click.argument("name")
@click.argument("packages", nargs=-1, required=True, metavar="category/name[@version]...")
@click.option("--note", default="", help="Why, for the log.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@storage_options
@project_options
def yank(
    name: str,
    packages: tuple[str, ...],
    note: str,
    *,
    dry_run: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Take packages out of a channel."""
    work = _start(options, storage, single_writer=single_writer, dry_run=dry_run, note=note)
    commit = moves.yank(work.opened.session, name, frozenset(packages), options=work.options)
    _tell(work, commit, name)


@command.command("pin")
@click.argument("name")
@click.argument("pin_name", metavar="PIN")
@click.option("--remove", is_flag=True, help="Let go of the pin instead.")
@storage_options
@project_options
def pin(
    name: str, pin_name: str, *, remove: bool, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Keep what a channel points at for ever, under a name."""
    work = _start(options, storage, single_writer=single_writer)
    session = work.opened.session
    commit = moves.unpin(session, pin_name) if remove else moves.pin(session, name, pin_name)
    _tell(work, commit, name)


def _tell(work: _Work, commit: Commit | None, name: str) -> None:
    if commit is None:
        print(f"{name} is there already")
    elif work.options.dry_run:
        print(f"would {commit.op} {name}: {_line(commit.state.channels[name])}")
    else:
        print(f"{commit.op} {name}: {_line(commit.state.channels[name])}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(work.opened.counted.requests.items()))
    print(f"requests: {counts}", file=sys.stderr)


def _line(place: ChannelState | Step) -> str:
    when = dt.datetime.fromtimestamp(place.time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    short = place.snapshot.digest.removeprefix("sha256:")[:12]
    return "\t".join(part for part in (f"commit {place.seq}", short, when, place.tag) if part)
