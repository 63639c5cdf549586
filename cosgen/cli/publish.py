"""`cosgen publish`: add artifacts to the repository and move a channel to them."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry
from cosgen.cli.building import find_builder
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.foundations import Grounded, load_grounded
from cosgen.cli.plan_file import read_plan
from cosgen.cli.store import Opened, open_session, repository_settings, storage_options
from cosgen.errors import ManifestError, Problem
from cosgen.graph.plan import Plan
from cosgen.graph.plan_summary import counted
from cosgen.manifest.platform import Variant
from cosgen.repository.client_source import FOUNDATIONS
from cosgen.repository.codec import Json
from cosgen.repository.description import SETTING, describe
from cosgen.repository.foundation_publish import (
    check_reachable,
    needed_beneath,
    republished,
    told_to_clients,
)
from cosgen.repository.from_registry import Trust, fetch_artifacts
from cosgen.repository.incoming import read_builds
from cosgen.repository.publish import PublishOptions, PublishReport, publish
from cosgen.repository.publish_plan import Policy, PublishRequest
from cosgen.repository.record import PackageRecord
from cosgen.repository.sources import UNKNOWN, Sources, read_sources
from cosgen.repository.upload import Journal

_EPILOG = """\b
Examples:
  cosgen publish build/artifacts --channel testing
  cosgen publish build/artifacts --channel testing --storage ./repo --dry-run
"""


@click.command(epilog=_EPILOG)
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(file_okay=False, path_type=Path))
@click.option("--channel", required=True, help="Channel that gets the packages.")
@click.option(
    "--policy",
    type=click.Choice([str(policy) for policy in Policy]),
    help="merge: add to what is there; replace: become exactly this; fail: stop when the channel moves. "
    " [default: repository.policy, merge]",
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
    policy: str | None,
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
    """Publish finished builds to a channel."""
    if not folders and not from_registry:
        raise click.UsageError("give the folders that `cosgen build --output` wrote to, or --from-registry")
    if from_registry and plan_file is None:
        raise click.UsageError("--from-registry needs --plan: it says which artifacts")
    opened = open_session(options, storage, single_writer=single_writer)
    grounded = _grounded(options.project)
    plan = read_plan(plan_file) if plan_file else None
    choices = PublishOptions(
        dry_run=dry_run,
        single_writer=single_writer,
        note=note,
        tag=tag,
        settings={**repository_settings(opened), **_described(grounded)},
        journal=_journal(opened, folders[0] if folders else plan_file.parent if plan_file else None),
    )
    with tempfile.TemporaryDirectory(prefix="cosgen-publish-") as scratch:
        if from_registry and plan:
            folders = (*folders, *_fetch(opened, plan, Path(scratch)))
        request = _request(folders, channel, _policy(opened, policy), plan)
        request = replace(_on_foundations(request, grounded), sources=_sources(grounded))
        done = publish(opened.session, request, choices)
    _tell(done, opened.counted.requests, dry_run=dry_run)


def _grounded(folder: Path) -> Grounded | None:
    """Return the project in a folder with its foundations, or None outside of a project."""
    if not (folder / "cosgen.yaml").is_file():
        return None
    return load_grounded(folder, environment=dict(os.environ))


def _described(grounded: Grounded | None) -> dict[str, Json]:
    """Return what the log keeps of the project for the site and for clients; {} outside of a project."""
    if grounded is None:
        return {}
    project = grounded.project
    beside = told_to_clients(grounded.foundations, project.variants)
    return {SETTING: describe(project).to_json(), FOUNDATIONS: beside}


def _sources(grounded: Grounded | None) -> Sources:
    """Return the project's trees as a compiler tree, when its settings ask for one."""
    if grounded is None:
        return UNKNOWN
    project = grounded.project
    if not project.config.repository.sources:
        return Sources(known=True)
    return read_sources(Path(project.root) / tree for tree in project.config.trees)


def _on_foundations(request: PublishRequest, grounded: Grounded | None) -> PublishRequest:
    """Look into foundations for what our packages require, and take along what is to be published too."""
    if grounded is None or not grounded.foundations:
        return request
    packages = list(request.packages)
    beneath: dict[str, tuple[PackageRecord, ...]] = {}
    for key, (variant, _) in request.variants.items():
        theirs = grounded.records(variant)
        own = [item.record for item in request.packages if item.variant == key]
        found = needed_beneath(own, theirs)
        check_reachable(found)
        beneath[key] = tuple(record for _, record in theirs.values())
        packages += republished(key, found)
    return replace(request, packages=tuple(packages), beneath=beneath)


def _request(folders: tuple[Path, ...], channel: str, policy: Policy, plan: Plan | None) -> PublishRequest:
    builds = read_builds(folders)
    return PublishRequest(
        channel=channel,
        variants={**_planned_variants(plan), **builds.variants},
        packages=builds.packages,
        policy=policy,
        wanted=_wanted(plan),
    )


def _policy(opened: Opened, given: str | None) -> Policy:
    return Policy(given or (opened.config.repository.policy if opened.config else Policy.MERGE))


def _planned_variants(plan: Plan | None) -> dict[str, tuple[Variant, str]]:
    nodes = plan.nodes if plan else ()
    return {node.variant: (Variant(node.flavor, node.arch), node.platform) for node in nodes}


def _wanted(plan: Plan | None) -> dict[str, frozenset[str]]:
    wanted: dict[str, set[str]] = {}
    for node in plan.nodes if plan else ():
        wanted.setdefault(node.variant, set()).add(node.fingerprint)
    return {key: frozenset(names) for key, names in wanted.items()}


def _fetch(opened: Opened, plan: Plan, scratch: Path) -> tuple[Path, ...]:
    config = opened.config
    if config is None or not config.registry.cache:
        raise ManifestError(
            Problem(
                what="no cache registry is configured", fix="set `registry.cache` in cosgen.yaml", id="CG705"
            )
        )
    builder = find_builder(os.environ, Path())
    registry = Registry(insecure=config.registry.insecure)
    name = parse_name(config.registry.cache)[0]
    return fetch_artifacts(plan, registry, name, scratch, trust=Trust(builder.source))


def _journal(opened: Opened, folder: Path | None) -> Journal:
    if folder is None:
        return Journal()
    name = hashlib.sha256(opened.session.store.url.encode()).hexdigest()[:12]
    return Journal.open(folder / f".publish-{name}.journal", opened.session.clock.now())


def _tell(report: PublishReport, requests: Mapping[str, int], *, dry_run: bool) -> None:
    for variant, changes in report.changes.items():
        for sign, names in (("+", changes.added), ("~", changes.changed), ("-", changes.removed)):
            for name in names:
                print(f"{sign} {variant}: {name}")
    if not report.changes:
        print(f"{report.channel} has everything already")
    elif dry_run:
        objects = counted(len(report.uploads), "object")
        print(f"would send {objects}, {report.upload_bytes} bytes, then commit and renew the views")
    elif report.commit is not None and report.snapshot is not None:
        short = report.snapshot.digest.removeprefix("sha256:")[:12]
        print(f"{report.channel} is at commit {report.commit.seq}, snapshot {short}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items()))
    print(f"requests: {counts or 'none'}", file=sys.stderr)
