"""`cosgen init`: copy the starter derivative, with the user's names in it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

import cosgen
from cosgen.errors import CosgenError, ManifestError, Problem
from cosgen.graph.plan_summary import counted
from cosgen.manifest.config import WORD

# What the starter says and a user may say otherwise. The starter builds as it is, so these are real values.
NAME = "my-os"
SEED = "debian:bookworm-slim"
STORAGE = "s3://my-os-repository"
URL = "https://repo.example.org"
REGISTRY = "ghcr.io/my-org/my-os"
RENAMED = {"gitignore": ".gitignore"}  # a name that tools which pack the starter would obey


@dataclass(frozen=True, slots=True)
class StarterFile:
    """One file of the starter, ready to be written."""

    path: str  # relative to the new project, "/" separators
    text: str


def starter_folder(name: str = "init") -> Path:
    """Return where a starter lies: inside the installed package, or in the checkout it runs from."""
    package = Path(cosgen.__file__).parent
    shipped = package / "_templates" / name
    return shipped if shipped.is_dir() else package.parent / "templates" / name


def read_starter(folder: Path, words: Mapping[str, str]) -> tuple[StarterFile, ...]:
    """Read the starter's files, sorted by path, with each word replaced by the user's.

    Args:
        folder: Where the starter lies.
        words: Word of the starter -> word of the user. All are replaced at once, longer words first.
    """
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    files = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file() and item.name != ".gitkeep"):
        relative = path.relative_to(folder)
        name = relative.with_name(RENAMED.get(relative.name, relative.name)).as_posix()
        text = path.read_text(encoding="utf-8")
        files.append(StarterFile(name, pattern.sub(lambda match: words[match[0]], text)))
    return tuple(files)


def write_new(files: tuple[StarterFile, ...], folder: Path) -> None:
    """Write files that must not be there yet; when one is, write none.

    Raises:
        ManifestError: CG702 for each file that is there already.
    """
    there = [file.path for file in files if (folder / file.path).exists()]
    if there:
        raise ManifestError(
            *(
                Problem(
                    what=f"{folder / path} exists already",
                    fix="choose another folder, or move the file away; nothing was written",
                    id="CG702",
                )
                for path in there
            )
        )
    for file in files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, encoding="utf-8")


def check_name(name: str) -> None:
    """Refuse a project name that cannot stand in file names, tags and addresses.

    Raises:
        ManifestError: CG703.
    """
    if not re.fullmatch(WORD, name):
        raise ManifestError(
            Problem(
                what=f"{name!r} cannot be the name of a project",
                fix="use letters, digits, dots, dashes and underscores; give one with --name",
                id="CG703",
            )
        )


EPILOG = """\b
Examples:
  cosgen init acme-os
  cosgen init acme-os --storage s3://acme-os --url https://os.acme.example --registry ghcr.io/acme/os
  cosgen init demo --storage ./repository --registry 127.0.0.1:5000/demo
  cosgen init acme-os --from https://repo.foundation.example
"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--name", metavar="NAME", help="Name of the project.  [default: that of the folder]")
@click.option("--seed", metavar="IMAGE", help=f"Image everything is built from.  [default: {SEED}]")
@click.option(
    "--storage", metavar="URL", help="Where the repository is kept: s3://BUCKET/PREFIX or a folder."
)
@click.option("--url", metavar="URL", help="Where clients read the repository.")
@click.option("--registry", metavar="REPOSITORY", help="Registry repository of images and caches.")
@click.option(
    "--from", "foundation", metavar="URL", help="Published repository to build on, in place of trees."
)
@click.option(
    "--reference",
    metavar="FILE",
    default="repository.yaml",
    show_default=True,
    help="Its repository file, CHANNEL-repository.yaml, with --from.",
)
def command(
    folder: Path,
    name: str | None,
    foundation: str | None,
    reference: str,
    seed: str | None,
    storage: str | None,
    url: str | None,
    registry: str | None,
) -> None:
    """Start a derivative in DIR that builds as it stands: two trees, manifest, values, channels.

    With --from it stands on a repository that others publish: one example package and a system made of the
    foundation's with that package laid over it, all pinned in cosgen.lock.
    """
    if foundation is not None and seed is not None:
        raise click.UsageError("--seed is for a starter without --from: a foundation brings its own")
    name = name or folder.resolve().name
    check_name(name)
    asked = {NAME: name, SEED: seed, STORAGE: storage, URL: url, REGISTRY: registry}
    words = {word: answer for word, answer in asked.items() if answer is not None}
    if foundation is not None:
        files = _start_on(foundation, reference, folder, words)
    else:
        files = read_starter(starter_folder(), words)
        write_new(files, folder)
    made = counted(len(files), "file")
    click.echo(f"{folder}: {made}. README.md says what is where; next: cosgen check", err=True)


def _start_on(url: str, reference: str, folder: Path, words: Mapping[str, str]) -> tuple[StarterFile, ...]:
    """Write a starter on a foundation, and pin it; when it cannot be pinned, nothing stays."""
    from cosgen.cli.foundations import cache_folder  # noqa: PLC0415 - the other starter asks nobody
    from cosgen.cli.init_from import survey  # noqa: PLC0415
    from cosgen.cli.lock import pin_project  # noqa: PLC0415
    from cosgen.manifest.lock import LOCK_PATH, write_lock  # noqa: PLC0415

    ground = survey(url, reference, cache_folder(os.environ))
    own = {**ground.words(words[NAME], _relative(url, folder)), **words}
    files = read_starter(starter_folder("derivative"), own)
    write_new(files, folder)
    try:
        text = write_lock(pin_project(folder).new)
    except CosgenError:
        _remove(files, folder)
        raise
    (folder / LOCK_PATH).write_text(text, encoding="utf-8")
    return (*files, StarterFile(LOCK_PATH, text))


def _remove(files: tuple[StarterFile, ...], folder: Path) -> None:
    """Take back what was written, and the folders that are empty then."""
    for file in files:
        (folder / file.path).unlink()
    for path in sorted({folder / file.path for file in files}, reverse=True):
        for parent in [path.parent, *path.parent.parents]:
            if not parent.is_relative_to(folder) or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()


def _relative(url: str, folder: Path) -> str:
    """Return an address as it shall stand in cosgen.yaml; a folder is named from the project's."""
    if ":" in url:
        return url
    return os.path.relpath(url, folder).replace(os.sep, "/")
