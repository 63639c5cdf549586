"""`cosgen import`: carry an old cOS CI configuration over to cosgen.yaml."""

import io
from pathlib import Path

import click
from ruamel.yaml import YAML

from cosgen.cli.context import tell_problems
from cosgen.errors import ManifestError, Problem
from cosgen.graph.plan_summary import counted
from cosgen.manifest.cos_config import OldFile, import_cos_config

_EXAMPLES = """
\b
Examples:
  cosgen import                          read .github/config, write cosgen.yaml
  cosgen import --stdout --name acme-os  only look at what would be written
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--project",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    help="Folder of the project.  [default: the current one]",
)
@click.option(
    "--from", "folder", default=".github/config", show_default=True, help="Folder of the old files."
)
@click.option("--name", default="", help="Name of the project.  [default: the folder's]")
@click.option("--stdout", is_flag=True, help="Print cosgen.yaml instead of writing it.")
def command(*, project: Path, folder: str, name: str, stdout: bool) -> None:
    """Carry an old cOS CI configuration over to cosgen.yaml.

    What has no place in cosgen.yaml is told with the line where it stands; nothing is dropped in silence.
    """
    files = [
        OldFile(path=path.relative_to(project).as_posix(), text=path.read_text("utf-8", "replace"))
        for path in sorted((project / folder).glob("*.y*ml"))
    ]
    if not files:
        raise ManifestError(
            Problem(what=f"no configuration in {folder}", fix="name its folder with --from DIR", id="CG706")
        )
    has_values = any((project / "values").glob("*-*.yaml"))
    pattern = "values/{flavor}-{arch}.yaml" if has_values else ""
    imported = import_cos_config(files, name=name or project.resolve().name, values_pattern=pattern)
    buffer = io.StringIO()
    writer = YAML()
    writer.dump(dict(imported.settings), buffer)
    tell_problems(imported.notes)
    if stdout:
        click.echo(buffer.getvalue(), nl=False)
        return
    _write_new(project / "cosgen.yaml", buffer.getvalue())
    click.echo(f"wrote {project / 'cosgen.yaml'}; {counted(len(imported.notes), 'note')} above", err=True)


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ManifestError(
            Problem(
                what=f"{path} is there already",
                fix="move it away, or use --stdout and take over what you need",
                id="CG707",
            )
        ) from error
