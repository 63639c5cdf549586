"""`cosgen repo diff|mirror|import|client`: compare, copy with verification, take over, and follow."""

import json
from pathlib import Path

import click

from cosgen.cli.context import ProjectOptions, project_options, tell_problems
from cosgen.cli.repo_push import push_channel
from cosgen.cli.store import open_session, storage_options
from cosgen.graph.plan_summary import counted
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.repository.client_address import ChannelAddress
from cosgen.repository.client_config import Generation, client_files
from cosgen.repository.client_source import ProjectFacts, channel_address
from cosgen.repository.client_system import Follow, system_files
from cosgen.repository.import_luet import import_repository
from cosgen.repository.reader import open_repository
from cosgen.storage.open import open_store


@click.command("diff")
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of Markdown.")
@storage_options
@project_options
def diff_snapshots(
    before: str, after: str, *, as_json: bool, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Show what differs between two channels, pins or snapshots, for each variant.

    Example: cosgen repo diff stable testing
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    old, new = repository.snapshot(before), repository.snapshot(after)
    found = {key: repository.difference(old, new, key) for key in sorted({*old.variants, *new.variants})}
    if as_json:
        click.echo(json.dumps({key: item.to_json() for key, item in found.items()}, indent=1, sort_keys=True))
    else:
        click.echo("\n".join(f"## {key}\n\n{item.to_markdown()}" for key, item in found.items()), nl=False)


@click.command("mirror")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--channel", required=True, help="Channel to copy.")
@click.option("--variant", "variants", multiple=True, help="Only this variant, as green-x86_64 (repeatable).")
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trusted root.json; needed the first time.",
)
@click.option("--verify", is_flag=True, default=True, hidden=True, help="Always on; kept for clarity.")
@click.option("--keep", is_flag=True, help="Keep archives that the channel no longer has.")
@storage_options
@project_options
def mirror_channel(  # noqa: PLR0913  # one argument for each option
    folder: Path,
    *,
    channel: str,
    variants: tuple[str, ...],
    root: Path | None,
    verify: bool,
    keep: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Copy a channel into FOLDER with everything verified; luet uses it as a `disk` repository.

    Example: cosgen repo mirror --verify /var/lib/os --channel stable --root root.json --storage https://host
    """
    from cosgen.repository.mirror import MirrorRequest, mirror  # noqa: PLC0415  # slow to import

    del verify
    opened = open_session(options, storage, single_writer=single_writer)
    request = MirrorRequest(
        channel=channel,
        folder=folder,
        variants=variants,
        root=root.read_bytes() if root else None,
        prune=not keep,
    )
    report = mirror(opened.session.store, request)
    click.echo(
        f"commit {report.seq}: {report.fetched} files fetched ({report.fetched_bytes} bytes), "
        f"{report.kept} kept, {report.removed} removed"
    )
    for reference in report.references:
        click.echo(folder / reference)


@click.command("client")
@click.argument("channel")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--generation", type=click.Choice([str(item) for item in Generation]), help="Only this one.")
@click.option(
    "--system", is_flag=True, help="As they lie in a system, by `upgrade.client` and `upgrade.follow`."
)
@storage_options
@project_options
def write_client_files(
    channel: str,
    *,
    output: Path,
    generation: str | None,
    system: bool,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Write the files by which machines follow CHANNEL, for every client generation.

    With --system: what the channel's images hold, each variant's files in a folder of its own, laid out as in
    the root of a machine. They can be copied into an image or a package that is made in another way.
    """
    opened = open_session(options, storage, single_writer=single_writer)
    repository = open_repository(opened.session.store, opened.session)
    output.mkdir(parents=True, exist_ok=True)
    for key, index in repository.snapshot(channel).variants.items():
        address = channel_address(repository, channel, index, ProjectFacts.of(opened.config))
        written = (
            _system_files(output / key, address, opened.config, generation)
            if system
            else [
                (output / file.name, file.text)
                for file in client_files(address)
                if generation in (None, str(file.generation))
            ]
        )
        for path, text in written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            click.echo(path)


def _system_files(
    root: Path, address: ChannelAddress, config: ProjectConfig | None, generation: str | None
) -> list[tuple[Path, str]]:
    client = Generation(generation or (config.upgrade.client if config else Generation.C))
    follow = Follow(config.upgrade.follow if config else Follow.AUTO)
    return [(root / file.path.lstrip("/"), file.text) for file in system_files(address, client, follow)]


@click.command("import")
@click.argument("source", metavar="URL|DIR")
@click.option("--reference", default="repository.yaml", show_default=True, help="Index file to follow.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--flavor", default="", help="Flavor that the repository is for.")
@click.option("--arch", required=True, help="Architecture that the repository is for.")
def import_luet(source: str, *, reference: str, output: Path, flavor: str, arch: str) -> None:
    """Take over a repository that luet wrote: verified artifacts for `cosgen publish`.

    Example: cosgen repo import https://old.example/repo --arch x86_64 --output imported
    """
    store = open_store(source) if "://" in source else None

    def fetch(name: str) -> bytes | None:
        if store is not None:
            blob = store.get(name)
            return blob.data if blob else None
        file = Path(source) / name
        return file.read_bytes() if file.is_file() else None

    report = import_repository(fetch, output, Variant(flavor, arch), reference=reference, origin=source)
    tell_problems(report.problems)
    found = counted(len(report.packages), "package")
    click.echo(f"{found} in {output}; next: cosgen publish --channel NAME {output}")


commands = (diff_snapshots, mirror_channel, write_client_files, import_luet, push_channel)
