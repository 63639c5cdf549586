"""`cosgen site`: the release documentation, built from published metadata alone."""

import threading
from dataclasses import replace
from pathlib import Path

import click

from cosgen import __version__
from cosgen.cli.context import ProjectOptions, project_options
from cosgen.cli.group import Group
from cosgen.cli.store import Opened, open_session, storage_options
from cosgen.errors import CosgenError
from cosgen.manifest.config import ProjectConfig
from cosgen.repository.reader import Repository, open_repository
from cosgen.site.builder import SiteReport, build_site
from cosgen.site.collect import SiteOptions, collect_site
from cosgen.site.deploy import deploy_site
from cosgen.site.preview import Watch, address, make_server
from cosgen.site.text import size
from cosgen.storage.open import open_store
from cosgen.storage.probe import StoreClass

_STORAGE = "storage"  # as `ci.site` has it: beside the repository
_OUTPUT = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/site"),
    show_default=True,
    help="Where the pages go.",
)
_TITLE = click.option("--title", default="", help="Title.  [default: the project's, else the repository's]")
_URL = click.option("--url", default="", help="Address the site will have, for feeds and badges.")
_DOCS = click.option(
    "--docs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of Markdown pages of your own; index.md opens the first page.",
)


@click.group(cls=Group)
def command() -> None:
    """Build and preview the release documentation."""


@command.command("build")
@_OUTPUT
@_TITLE
@_URL
@_DOCS
@click.option("--clean", is_flag=True, help="Make every page anew.")
@click.option(
    "--to",
    default="",
    metavar="PLACE",
    help="Put the pages there too, and delete stale ones: `storage` for beside the repository, else "
    "s3://bucket/prefix or a folder.",
)
@storage_options
@project_options
def build(  # noqa: PLR0913  # each is an option
    *,
    output: Path,
    title: str,
    url: str,
    docs: Path | None,
    clean: bool,
    to: str,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Make the site of a repository's channels and packages.

    Nothing but the repository is read: its log, snapshots and package records. Pages of your own come
    from --docs or `site.pages`.

    Example: cosgen site build --storage https://repo.example.org --output build/site
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    report = _build(opened, repository, options.project, output, title=title, url=url, docs=docs, clean=clean)
    click.echo(output)
    click.echo(_told(report), err=True)
    if to:
        _deploy(opened, repository, output, to, options.project)


def _deploy(opened: Opened, repository: Repository, output: Path, to: str, base: Path) -> None:
    session = opened.session
    if to != _STORAGE:
        session = replace(session, store=open_store(to, base=base))
    weak = to == _STORAGE and repository.settings.get("store_class") == StoreClass.B
    report = deploy_site(output, session.patient, repository.commit.seq, conditions=not weak)
    place = session.store.url
    if report.newer:
        click.echo(f"{place}: the site of a later commit is there already", err=True)
        return
    click.echo(
        f"{place}: {report.sent} files sent ({size(report.sent_bytes)}), {report.deleted} deleted, "
        f"{report.kept} kept",
        err=True,
    )
    if report.left:
        click.echo(
            f"{report.left} stale pages may not be deleted with these rights; they say that they are gone",
            err=True,
        )


def _build(
    opened: Opened,
    repository: Repository,
    project: Path,
    output: Path,
    *,
    title: str,
    url: str,
    docs: Path | None,
    clean: bool = False,
) -> SiteReport:
    site = opened.config.site if opened.config else None
    if docs is None and site is not None and site.pages:
        docs = project / site.pages
    data = collect_site(repository, site_options(opened, title, url))
    return build_site(data, output, docs=docs, clean=clean)


def site_options(opened: Opened, title: str, url: str) -> SiteOptions:
    """Return what the project adds to the published metadata; options given on the command line win."""
    config = opened.config
    if config is None:
        return SiteOptions(title=title, url=url, generator=f"cosgen {__version__}")
    return SiteOptions(
        title=title or config.site.title or config.name,
        url=url or config.site.url or _beside(config),
        description=config.site.description,
        source_url=config.site.source,
        images=config.registry.images,
        packages=config.registry.packages if config.upgrade.docker_type else "",
        package=config.upgrade.package,
        recovery=config.upgrade.recovery,
        hidden=config.site.hidden,
        stale_days=config.site.stale_days,
        generator=f"cosgen {__version__}",
    )


def _beside(config: ProjectConfig) -> str:
    """Return where the site is read when it lies beside the repository; "" when it does not."""
    return config.repository.url.rstrip("/").removesuffix("/r") if config.ci.site == _STORAGE else ""


def _told(report: SiteReport) -> str:
    return (
        f"{report.pages} pages, {report.files} files, {size(report.bytes)}; "
        f"{report.written} written, {report.removed} removed"
    )


@command.command("serve")
@_OUTPUT
@_TITLE
@_DOCS
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: any that is free]")
@storage_options
@project_options
def serve(
    *,
    output: Path,
    title: str,
    docs: Path | None,
    port: int,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Build the site, serve it on 127.0.0.1, and build again when a channel moves or a page of yours changes.

    Open pages reload themselves. Ctrl-C ends it.
    """
    del single_writer
    preview = _Preview(options, storage, output, title, docs)
    preview.make()
    server = make_server(output, port, generation=lambda: preview.generation)
    watch = Watch(preview.stamp, preview.renew, seconds=preview.seconds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    click.echo(address(server))
    try:
        watch.run()
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        server.shutdown()
        server.server_close()


class _Preview:
    """A site that is built again when what it shows changes."""

    def __init__(
        self, options: ProjectOptions, storage: str, output: Path, title: str, docs: Path | None
    ) -> None:
        self._options, self._storage = options, storage
        self._output, self._title, self._docs = output, title, docs
        self._opened = open_session(options, storage)
        self.generation = 0

    @property
    def seconds(self) -> float:
        """How long to wait between two looks: a store that is far away is asked less often."""
        return 5.0 if "://" in self._opened.session.store.url else 0.5

    def make(self) -> None:
        """Read everything and build."""
        opened = open_session(self._options, self._storage)
        repository = open_repository(opened.session.store, opened.session)
        report = _build(
            opened,
            repository,
            self._options.project,
            self._output,
            title=self._title,
            url="",
            docs=self._docs,
        )
        click.echo(_told(report), err=True)
        self._opened = opened
        self.generation += 1

    def renew(self) -> None:
        """Build again; a mistake is told, and the site that is there stays."""
        try:
            self.make()
        except CosgenError as error:
            click.echo(str(error), err=True)

    def stamp(self) -> object:
        """Return what changes when the site should: the log's end, the settings, and the times of pages."""
        session, config, root = self._opened.session, self._opened.config, self._options.project
        try:
            seq = open_repository(session.store, session).commit.seq
        except CosgenError:
            seq = -1
        pages = self._docs or (root / config.site.pages if config and config.site.pages else None)
        below = sorted(pages.rglob("*")) if pages and pages.is_dir() else []
        files = [path for path in (root / "cosgen.yaml", *below) if path.is_file()]
        return seq, tuple((path.as_posix(), path.stat().st_mtime_ns) for path in files)
