"""`cosgen lock`: pin seed images and foundations by digest, and show what newer pins would build anew."""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry
from cosgen.cli.context import source_date_epoch, stop_on_errors
from cosgen.cli.foundations import ground, load_lock, places
from cosgen.cli.rules import RULES
from cosgen.errors import BuildError, CosgenError, DriftError, ManifestError, Origin, Problem
from cosgen.graph.graph import think_variant
from cosgen.graph.model import Graph
from cosgen.graph.pins import rebuilt, seed_references
from cosgen.graph.plan_summary import counted
from cosgen.manifest.decoder import nearest
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.lock import LOCK_PATH, Lock, LockedFoundation, write_lock
from cosgen.manifest.lock_diff import PinChange, diff_locks
from cosgen.manifest.project import Project

_EPILOG = """\b
Examples:
  cosgen lock                               pin what is not pinned yet
  cosgen lock --update                      ask for newer pins of everything
  cosgen lock --update debian:bookworm-slim only of this seed image
  cosgen lock --check                       does the file fit the project? exits 8 when it does not
"""
_MOST_SHOWN = 20  # packages to build anew, on a terminal


@dataclass(frozen=True, slots=True)
class Pinned:
    """What `cosgen lock` found: a project, both locks, and what each makes of it."""

    project: Project
    old: Lock
    new: Lock
    before: tuple[Graph, ...]
    after: tuple[Graph, ...]

    @property
    def changes(self) -> tuple[PinChange, ...]:
        """What differs."""
        return diff_locks(self.old, self.new)


@click.command(epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--project",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder of the project.  [default: the current one]",
)
@click.option("--update", is_flag=True, help="Ask registries and foundations for the newest digests.")
@click.option("--check", is_flag=True, help="Write nothing; exit 8 when the file is not what it should be.")
@click.option(
    "--open-pr", is_flag=True, help="Put a changed file on a bot branch; open or renew its request."
)
def command(names: tuple[str, ...], folder: Path, *, update: bool, check: bool, open_pr: bool) -> None:
    """Pin seed images and foundations by digest in cosgen.lock.

    Without --update what is pinned stays as it is. NAMEs are seed images and foundations as cosgen.lock names
    them; --update takes all without any. What changes is shown, with the packages it would build anew.
    """
    if names and not update:
        raise click.UsageError("names are for --update: cosgen lock --update NAME")
    pinned = pin_project(folder, names, update=update)
    lines = tell(pinned)
    for line in lines:
        print(line)
    if not pinned.changes:
        print(f"{LOCK_PATH} is as it should be", file=sys.stderr)
    elif check:
        what = f"{LOCK_PATH} lacks {counted(len(pinned.changes), 'change')}"
        raise DriftError(Problem(what=what, fix=RULES["CG731"].fix, id="CG731", origin=Origin(LOCK_PATH)))
    elif open_pr:
        _propose(pinned, lines)
    else:
        _write(folder / LOCK_PATH, write_lock(pinned.new))


def pin_project(folder: Path, names: Collection[str] = (), *, update: bool = False) -> Pinned:
    """Pin everything a project takes from elsewhere.

    Args:
        folder: Its folder.
        names: What is asked for anew; all when empty.
        update: Ask for anything anew; else only for what has no pin.

    Raises:
        ManifestError: The project or its lock file has errors, or nothing bears a name (CG732).
        BuildError: A registry does not answer (CG470, CG471), or lacks an image (CG730).
        PublishError: A foundation cannot be read (CG686), or lacks what is followed (CG689, CG690).
        VerificationError: A foundation went back in time (CG687), or is not to be trusted now (CG688).
    """
    project = load_project(folder, environment=dict(os.environ))
    problems = list(project.problems)
    old = load_lock(folder, problems)
    stop_on_errors(problems)
    is_meant = _Meant(frozenset(names), update=update)
    foundations = pin_foundations(project, old, is_meant)
    project = ground(project, Lock(foundations=foundations), os.environ).project
    references = seed_references(_graphs(project, Lock()))
    _check_names(names, [*(item.name for item in foundations), *references])
    kept = {
        name: digest
        for name, digest in old.seeds.items()
        if name.partition(" ")[0] in references and not is_meant(name.partition(" ")[0])
    }
    pinned = {name.partition(" ")[0] for name in kept}
    found = resolve(project, [name for name in references if name not in pinned])
    new = Lock(seeds=kept | found, foundations=foundations)
    return Pinned(project, old, new, _before(project, old), _graphs(project, new))


@dataclass(frozen=True, slots=True)
class _Meant:
    """Tells what is to be asked for anew."""

    names: frozenset[str]
    update: bool

    def __call__(self, name: str) -> bool:
        return self.update and (not self.names or name in self.names)


def pin_foundations(
    project: Project, old: Lock, is_meant: Callable[[str], bool]
) -> tuple[LockedFoundation, ...]:
    """Return the pins of all foundations: those there are, and new ones for those without or asked for.

    Raises:
        PublishError: One cannot be read, or lacks what is followed.
        VerificationError: One went back in time, or is not to be trusted now.
    """
    from cosgen.repository.foundation_pin import pin  # noqa: PLC0415 - slow, and seldom needed

    found = []
    for place in places(project, old):
        known = place.pinned
        found.append(known if known is not None and not is_meant(place.name) else pin(place))
    return tuple(sorted(found, key=lambda item: item.name))


def _before(project: Project, old: Lock) -> tuple[Graph, ...]:
    """Return the graphs with the old pins; none when those cannot be followed any more."""
    try:
        return _graphs(ground(project, old, os.environ).project, old)
    except CosgenError:
        return ()


def resolve(project: Project, references: Sequence[str]) -> dict[str, str]:
    """Return the digest that each image has in its registry now.

    Raises:
        BuildError: With all that cannot be told.
    """
    registry = Registry(insecure=project.config.registry.insecure)
    found: dict[str, str] = {}
    problems: dict[Problem, None] = {}
    for reference in references:
        name, tag = parse_name(reference)
        try:
            digest = registry.find_digest(name, tag)
        except CosgenError as error:
            problems.update(dict.fromkeys(error.problems))
            continue
        if digest is None:
            what = f"no registry has the seed image {reference}"
            problems[Problem(what=what, fix=RULES["CG730"].fix, id="CG730")] = None
        else:
            found[reference] = digest
    if problems:
        raise BuildError(*problems)
    return found


def tell(pinned: Pinned) -> tuple[str, ...]:
    """Say what changes, and what that would build anew."""
    if not pinned.changes:
        return ()
    keys = rebuilt(pinned.before, pinned.after)
    total = sum(len(graph.targets) for graph in pinned.after)
    lines = [
        *map(str, pinned.changes),
        *_first_roots(pinned),
        f"builds {len(keys)} of {total} packages anew" + ":" * bool(keys),
    ]
    lines += [f"  {key}" for key in keys[:_MOST_SHOWN]]
    more = len(keys) - _MOST_SHOWN
    return (*lines, f"  and {more} more") if more > 0 else tuple(lines)


def _first_roots(pinned: Pinned) -> Iterator[str]:
    """Say of each root that is trusted from now on, because nobody gave another, how to compare it."""
    given = {item.name for item in pinned.project.config.foundations if item.trust}
    for item in pinned.new.foundations:
        known = pinned.old.foundation(item.name)
        if item.root_digest and item.name not in given and (known is None or not known.root_digest):
            yield f"trusts root {item.root_version} of {item.name} from now on: {item.root_digest}"
            yield "  compare that with what its owners tell, or set `trust` to their root.json"


def _check_names(names: Collection[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ManifestError(*(_unknown(name, known) for name in unknown))


def _unknown(name: str, known: Sequence[str]) -> Problem:
    near = nearest(name, list(known))
    fix = f"write {near}" if near else f"choose one of: {', '.join(known) or 'nothing needs a pin'}"
    return Problem(what=f"nothing to pin is called {name!r}", fix=fix, id="CG732")


def _graphs(project: Project, lock: Lock) -> tuple[Graph, ...]:
    epoch = source_date_epoch()
    return tuple(
        think_variant(project, load_tree(project, variant, source_date_epoch=epoch), lock)
        for variant in project.variants
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    print(f"{path} written", file=sys.stderr)


def _propose(pinned: Pinned, lines: Sequence[str]) -> None:
    """Put the lock file on a branch of its own, so that the request for the pipelines stays what it is.

    Raises:
        MissingToolError: The environment has no token for the project's forge.
    """
    from cosgen.pipeline.forge import has_token, open_forge  # noqa: PLC0415 - slow, and seldom needed

    ci = pinned.project.config.ci
    providers = [name for name in ci.providers if has_token(name, os.environ)] or ci.providers[:1]
    folder = ci.bot_branch.rpartition("/")[0] or "cosgen"
    told = "\n".join(lines)
    for provider in providers:
        request = open_forge(provider, os.environ).propose(
            branch=f"{folder}/lock",
            base=ci.default_branch,
            title="Renew the pins of seed images and foundations",
            body=f"Made by `cosgen lock --update --open-pr`.\n\n```text\n{told}\n```\n",
            files={LOCK_PATH: write_lock(pinned.new)},
        )
        print(request.url)
