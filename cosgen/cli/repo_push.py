"""`cosgen repo push`: a channel as luet's docker repository type, for clients that read registries only."""

import sys
import tempfile
from pathlib import Path

import click

from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.store import Opened, open_session, storage_options
from cosgen.errors import ManifestError, Problem
from cosgen.repository.reader import open_repository
from cosgen.upgrade.packages import PackagesRequest, VariantPush, plan_packages, push_packages

_EPILOG = """\b
Example:
  cosgen repo push --channel testing --packages ghcr.io/acme/packages
"""


@click.command("push", epilog=_EPILOG)
@click.option("--channel", required=True, help="Channel to push.")
@click.option("--packages", default="", metavar="REPOSITORY", help="Where to.  [default: registry.packages]")
@click.option("--force", is_flag=True, help="Give tags that hold something else to this channel's packages.")
@click.option("--dry-run", is_flag=True, help="Say what would be pushed; write nothing.")
@storage_options
@project_options
def push_channel(
    channel: str,
    packages: str,
    *,
    force: bool,
    dry_run: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Push a channel as luet's docker repository type: an image a package, tags instead of files.

    Each variant has a repository of its own, `REPOSITORY-<flavor>-<arch>`, which clients name in `urls`. What
    is there already is not sent again; the tags that clients follow move last.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    registry = Registry(insecure=bool(opened.config and opened.config.registry.insecure))
    name = parse_name(packages or _configured(opened))[0]
    plans = plan_packages(repository, registry, PackagesRequest(channel=channel, packages=name, force=force))
    if dry_run:
        for plan in plans:
            for tag in (*plan.content, *plan.pointers):
                print(f"would push {plan.name}:{tag.tag}")
    else:
        with tempfile.TemporaryDirectory(prefix="cosgen-packages-") as folder:
            store = opened.session.patient
            push_packages(
                store, registry, plans, Path(folder), tell=lambda text: print(text, file=sys.stderr)
            )
    for plan in plans:
        print(_told(plan, dry_run=dry_run))


def _told(plan: VariantPush, *, dry_run: bool) -> str:
    count = len(plan.content) + len(plan.pointers)
    return f"{plan.name}: {'would push' if dry_run else 'pushed'} {count}, {plan.kept} there already"


def _configured(opened: Opened) -> str:
    if opened.config is None or not opened.config.registry.packages:
        raise ManifestError(
            Problem(
                what="`registry.packages` is not set",
                fix="set it in cosgen.yaml, or give --packages",
                id="CG705",
            )
        )
    return opened.config.registry.packages
