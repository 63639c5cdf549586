"""`cosgen image`: operating system images of a channel, from packages or from a container."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from cosgen.build.engine import connect
from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Registry
from cosgen.cli.context import (
    ProjectOptions,
    project_options,
    source_date_epoch,
    tell_problems,
)
from cosgen.cli.group import Group
from cosgen.cli.store import Opened, open_session, storage_options
from cosgen.errors import ManifestError, Problem, PublishError, VerificationError
from cosgen.manifest.config import ProjectConfig
from cosgen.repository.client_address import Generation
from cosgen.repository.client_source import ProjectFacts
from cosgen.repository.client_system import Follow
from cosgen.repository.images import ImageNote, image_notes, note_images
from cosgen.repository.publish import PublishOptions
from cosgen.repository.reader import Repository, find_repository, open_repository
from cosgen.upgrade.audit import ChangeKind, readable
from cosgen.upgrade.commit import ContainerReport, export_and_check, push_container
from cosgen.upgrade.delivery import Delivered, find_tags, move_channel_tags, notes_of, prepare
from cosgen.upgrade.image import move_tag
from cosgen.upgrade.systems import DeliveryRequest, container_files, flavor_name
from cosgen.upgrade.verify import expected_image, find_wrongs

_SHOWN = 20  # paths of each kind, unless --verbose
_PUSH_EPILOG = """\b
Example:
  cosgen image push --channel testing
"""
_COMMIT_EPILOG = """\b
Example:
  docker run --name edit ghcr.io/acme/os:stable sh -c 'echo hello > /etc/motd'
  cosgen image commit edit --channel edge --dry-run
"""


@click.group(cls=Group)
def command() -> None:
    """Deliver upgrades as container images, tagged by channel."""


@command.command("push", epilog=_PUSH_EPILOG)
@click.option("--channel", required=True, help="Channel whose images are pushed.")
@click.option(
    "--package", default="", metavar="CATEGORY/NAME", help="The system.  [default: upgrade.package]"
)
@click.option("--images", default="", metavar="REPOSITORY", help="Where to.  [default: registry.images]")
@click.option(
    "--layered",
    is_flag=True,
    help="A layer for each package that the system was made of; unchanged ones are not sent again.",
)
@storage_options
@project_options
def push_images(
    channel: str,
    package: str,
    images: str,
    *,
    layered: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Push the images of a channel and point the channel's tags at them.

    What is in the registry already is not made again: after a promotion or a rollback this only moves tags.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    request = _request(opened, channel, package, images, layered=layered)
    with tempfile.TemporaryDirectory(prefix="cosgen-image-") as folder:
        delivered = prepare(repository, _registry(opened), request, Path(folder))
    _release(opened, repository, channel, delivered, single_writer=single_writer)
    for image in delivered:
        tell_problems(image.notes)
        print(f"{image.name}@{image.digest}  {' '.join(image.tags)}")
        for platform, digest in sorted(image.platforms.items()):
            print(f"  {platform}  {digest}")


@command.command("tag")
@click.argument("tag")
@click.argument("source", metavar="TAG_OR_DIGEST")
@click.option("--images", default="", metavar="REPOSITORY", help="Which.  [default: registry.images]")
@click.option("--expect", default="", metavar="DIGEST", help="Only when TAG points at this digest now.")
@storage_options
@project_options
def tag_image(
    tag: str,
    source: str,
    images: str,
    expect: str,
    *,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Point TAG at another image of the repository, and see that it does.

    Tags of channels follow the commit log: use `cosgen image push --channel` for them.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    name = flavor_name(_images(opened.config, images), _one_flavor(options, opened.config))
    registry = _registry(opened)
    digest = source if source.startswith("sha256:") else registry.find_digest(name, source)
    if digest is None:
        raise PublishError(
            Problem(what=f"{name} has no tag {source!r}", fix="push the image first", id="CG656")
        )
    now = registry.find_digest(name, tag)
    move_tag(registry, name, tag, expected=expect or now, digest=digest)
    print(f"{name}:{tag} points at {digest}")


@command.command("verify")
@click.option("--channel", required=True, help="Channel to verify.")
@click.option(
    "--package", default="", metavar="CATEGORY/NAME", help="The system.  [default: upgrade.package]"
)
@click.option("--images", default="", metavar="REPOSITORY", help="Where.  [default: registry.images]")
@storage_options
@project_options
def verify_images(
    channel: str, package: str, images: str, *, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """See that a channel's images are what was published, and tell everything that is not.

    The tags point where the commit log says; every platform is there, with the root filesystem of the
    channel's snapshot and the files by which a machine follows this channel; SBOM and provenance are
    attached.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    registry = _registry(opened)
    recorded = image_notes(repository.commit.state, channel)
    if not recorded:
        raise VerificationError(
            Problem(
                what=f"the log knows no image of channel {channel}",
                fix=f"push them: cosgen image push --channel {channel}",
                id="CG656",
            )
        )
    request = _request(opened, channel, package, images)
    problems: list[Problem] = []
    for flavor, note in recorded.items():
        found = find_wrongs(registry, expected_image(repository, registry, request, flavor, note))
        problems += found
        if not found:
            print(f"{note.name}:{channel} is {note.digest}")
    if problems:
        raise VerificationError(*problems)


@command.command("commit", epilog=_COMMIT_EPILOG)
@click.argument("container")
@click.option("--channel", required=True, help="Tag that the image gets.")
@click.option("--images", default="", metavar="REPOSITORY", help="Where to.  [default: registry.images]")
@click.option("--expect", default="", metavar="DIGEST", help="Only when the tag points at this digest now.")
@click.option("--allow", multiple=True, metavar="PATTERN", help="Paths that may ship after all (repeatable).")
@click.option("--dry-run", is_flag=True, help="Show what changed and what should not ship; push nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show every path.")
@storage_options
@project_options
def commit_container(  # noqa: PLR0913 - one parameter for each option
    container: str,
    channel: str,
    images: str,
    expect: str,
    allow: tuple[str, ...],
    *,
    dry_run: bool,
    verbose: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Make an upgrade image of a running or stopped container: the `docker commit` way, looked through.

    Secrets and traces of the machine (host keys, machine-id, caches, histories) are refused unless allowed.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    flavor = _one_flavor(options, opened.config)
    with _exported(container, allow) as (report, exported):
        _tell_changes(report, verbose=verbose)
        if dry_run:
            tell_problems([finding.to_problem() for finding in report.findings])
            return
        request = _request(opened, channel, "-", images)
        repository = find_repository(opened.session)
        registry = _registry(opened)
        delivered = push_container(
            registry,
            request,
            report,
            exported,
            flavor,
            container_files(repository, request, flavor, report.platform),
        )
    tell_problems(delivered.notes)
    _release(opened, repository, channel, [delivered], expect=expect, single_writer=single_writer)
    print(f"{delivered.name}@{delivered.digest}  {channel}")


def _release(
    opened: Opened,
    repository: Repository | None,
    channel: str,
    images: Sequence[Delivered],
    *,
    single_writer: bool,
    expect: str = "",
) -> None:
    """Record the images, then move the channel's tags: a tag that was not moved is mended by the next run."""
    registry = _registry(opened)
    known = image_notes(repository.commit.state, channel) if repository else {}
    if expect:
        known = {image.flavor: ImageNote(name=str(image.name), digest=expect) for image in images}
    now = find_tags(registry, channel, images, known)
    is_container = all(image.container for image in images)
    note_images(
        opened.session,
        channel,
        notes_of(images, now),
        seen=repository.channel(channel).seq if repository and not is_container else None,
        options=PublishOptions(single_writer=single_writer),
    )
    move_channel_tags(registry, channel, images, now)


@contextmanager
def _exported(container: str, allow: Sequence[str]) -> Iterator[tuple[ContainerReport, Path]]:
    engine = connect(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="cosgen-commit-") as folder:
            exported = Path(folder) / "container.tar"
            yield export_and_check(engine.containers(), container, exported, allow=allow), exported
    finally:
        engine.close()


def _tell_changes(report: ContainerReport, *, verbose: bool) -> None:
    for kind in ChangeKind:
        paths = report.of_kind(kind)
        shown = paths if verbose else paths[:_SHOWN]
        for path in shown:
            print(f"{kind}: {readable(path)}", file=sys.stderr)
        if len(shown) < len(paths):
            print(f"{kind}: and {len(paths) - len(shown)} more (-v shows them)", file=sys.stderr)


def _request(
    opened: Opened, channel: str, package: str, images: str, *, layered: bool = False
) -> DeliveryRequest:
    config = opened.config
    return DeliveryRequest(
        channel=channel,
        package=package or _setting(config, "upgrade.package", "--package"),
        images=_images(config, images),
        created=source_date_epoch() or 0,
        layered=layered,
        project=config.name if config else "cosgen",
        facts=ProjectFacts.of(config),
        client=Generation(config.upgrade.client) if config else Generation.C,
        follow=Follow(config.upgrade.follow) if config else Follow.AUTO,
    )


def _one_flavor(options: ProjectOptions, config: ProjectConfig | None) -> str:
    """Return the flavor that is meant: the one given, or the only one there is."""
    flavors = options.flavors or (config.flavors if config else ())
    if len(flavors) > 1:
        what = f"which of the flavors {', '.join(flavors)} is meant?"
        raise ManifestError(Problem(what=what, fix="say one of them with --flavor", id="CG711"))
    return flavors[0] if flavors else ""


def _registry(opened: Opened) -> Registry:
    return Registry(insecure=bool(opened.config and opened.config.registry.insecure))


def _images(config: ProjectConfig | None, given: str) -> ImageName:
    return parse_name(given or _setting(config, "registry.images", "--images"))[0]


def _setting(config: ProjectConfig | None, key: str, option: str) -> str:
    settings: Mapping[str, str] = (
        {"upgrade.package": config.upgrade.package, "registry.images": config.registry.images}
        if config
        else {}
    )
    if not settings.get(key):
        raise ManifestError(
            Problem(what=f"`{key}` is not set", fix=f"set it in cosgen.yaml, or give {option}", id="CG705")
        )
    return settings[key]
