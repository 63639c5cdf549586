"""`cosgen ci`: write the pipelines, and the small calls that their jobs make of plans and results."""
# ruff: noqa: PLC0415 - a call of a job must not wait for imports of other commands

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen.cli.ci_calls import CALLS, load_sound
from cosgen.cli.ci_forge import doctor, open_request
from cosgen.cli.context import ProjectOptions, project_options, source_date_epoch
from cosgen.cli.emitting import FOLDERS, Emitter, present_files, proxy_text
from cosgen.cli.group import Group
from cosgen.cli.unchanged import Memory, cache_folder, matches
from cosgen.errors import DriftError, ManifestError, Problem

if TYPE_CHECKING:
    from cosgen.graph.model import Graph
    from cosgen.manifest.platform import Variant
    from cosgen.manifest.project import Project
    from cosgen.pipeline.drift import GeneratedFile

SHAPES = ("auto", "static", "chunks", "workers", "child")


class _ProvidersOrCommand(Group):
    """Takes `cosgen ci github` as an argument, and `cosgen ci outputs` as a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move provider names out of the way of the subcommand's name."""
        takers = {name for item in self.params if _takes_value(item) for name in item.opts}
        words = [word for before, word in pairwise(["", *args]) if before not in takers]
        chosen = [word for word in words if word in FOLDERS]
        if chosen and not any(word in self.commands for word in words):
            ctx.meta["providers"] = chosen
            args = [word for word in args if word not in FOLDERS]
        return super().parse_args(ctx, args)


def _takes_value(item: click.Parameter) -> bool:
    return isinstance(item, click.Option) and not item.is_flag


@click.group(
    cls=_ProvidersOrCommand,
    invoke_without_command=True,
    subcommand_metavar="[github|gitlab] | COMMAND [ARGS]...",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; print what differs, and exit 8 when anything does."
)
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the files instead of writing them.")
@click.option("--open-pr", is_flag=True, help="Put the files on the bot branch; open or renew its request.")
@click.option("--shape", type=click.Choice(SHAPES), default=None, help="Instead of `ci.shape`.")
@click.option("--force", is_flag=True, help="Also replace files that cosgen did not make.")
@click.option("--no-cache", is_flag=True, help="Render anew, whatever earlier runs remember.")
@project_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    options: ProjectOptions,
    check: bool,
    to_stdout: bool,
    open_pr: bool,
    shape: str | None,
    force: bool,
    no_cache: bool,
) -> None:
    r"""Write the pipelines for GitHub Actions and GitLab CI.

    \b
    Examples:
      cosgen ci                    for the providers of cosgen.yaml
      cosgen ci github --stdout    look at GitHub's
      cosgen ci --check            does CI run what it should? exits 8 with a diff if not
    """
    if ctx.invoked_subcommand:
        return
    memory = None
    if not (to_stdout or open_pr or no_cache):
        memory = _memory(options, providers=ctx.meta.get("providers"), shape=shape)
        if memory and _is_unchanged(memory, options.project, quiet=check):
            return
    project = load_sound(options)
    chosen = ctx.meta.get("providers") or project.config.ci.providers
    pins = _pins(options.project)
    if memory:
        memory.survey(project, _others(chosen))
    drifted: list[Problem] = []
    made: dict[str, dict[str, str]] = {}
    variants = options.select_variants(project.variants)
    emitter = Emitter(
        project, variants, options.project, shape=shape or "", graphs=lambda: _graphs(project, variants)
    )
    for provider in chosen:
        files = emitter.emit(provider)
        made[provider] = {file.path: file.text for file in files}
        if to_stdout:
            _print(files)
        elif check:
            drifted += _check(options.project, provider, files)
        elif open_pr:
            print(open_request(project, options.project, provider, files))
        else:
            _write(options.project, provider, files, force=force)
    if drifted:
        raise DriftError(*drifted)
    if memory and pins == _pins(options.project):
        memory.keep(made)


def _memory(options: ProjectOptions, **asked: object) -> Memory | None:
    folder = cache_folder(os.environ)
    request = {name: getattr(options, name) for name in ("trees", "values", "flavors", "arches")}
    request |= {"root": os.path.abspath(options.project), "epoch": source_date_epoch()}  # noqa: PTH100 - not resolved
    return Memory(folder, options.project, {**request, **asked}) if folder else None


def _is_unchanged(memory: Memory, root: Path, *, quiet: bool) -> bool:
    """Tell whether all files are what an earlier run made of the same inputs."""
    from cosgen.pipeline.drift import is_ours

    record = memory.recall()
    if record is None or not matches(record, lambda provider: present_files(root, provider), is_ours):
        return False
    for provider, files in record.outputs.items():
        if not quiet:
            _tell(provider, 0, len(files))
    return True


def _pins(root: Path) -> object:
    """Return the pins that a run finds; a run that changes them cannot vouch for the next."""
    from cosgen.pipeline.actions import choose_pins

    return choose_pins(proxy_text(root))


def _others(providers: Sequence[str]) -> list[str]:
    """Name the proxy workflow where it is an input and no output."""
    from cosgen.pipeline.actions import PROXY_PATH

    return [] if "github" in providers else [PROXY_PATH]


def _graphs(project: "Project", variants: Sequence["Variant"]) -> Iterator["Graph"]:
    from cosgen.graph.graph import think_variant
    from cosgen.manifest.loader import load_tree
    from cosgen.manifest.lock import Lock

    for variant in variants:
        tree = load_tree(project, variant, source_date_epoch=source_date_epoch())
        yield think_variant(project, tree, Lock())  # pins change digests, which no pipeline shows


def _print(files: Sequence["GeneratedFile"]) -> None:
    for file in files:
        print(f"--- # {file.path}")
        print(file.text, end="")


def _check(root: Path, provider: str, files: Sequence["GeneratedFile"]) -> Iterator[Problem]:
    from cosgen.errors import Origin
    from cosgen.pipeline.drift import find_drift

    for drift in find_drift(files, present_files(root, provider)):
        print(drift.diff, end="")
        yield Problem(
            what=f"{drift.path} is {drift.kind}",
            fix=f"run `cosgen ci {provider}` and commit what it writes",
            id="CG121",
            origin=Origin(drift.path),
        )


def _write(root: Path, provider: str, files: Sequence["GeneratedFile"], *, force: bool) -> None:
    from cosgen.pipeline.drift import find_drift

    drifts = find_drift(files, present_files(root, provider))
    foreign = [drift.path for drift in drifts if drift.kind == "foreign"]
    if foreign and not force:
        raise ManifestError(*map(_foreign, foreign))
    texts = {file.path: file.text for file in files}
    for drift in drifts:
        path = root / drift.path
        if drift.kind == "stale":
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(texts[drift.path], encoding="utf-8")
            part.replace(path)
        print(drift.path)
    same = len(files) - sum(drift.kind != "stale" for drift in drifts)
    _tell(provider, len(drifts), same)


def _tell(provider: str, changed: int, same: int) -> None:
    print(f"{provider}: {changed} written or removed, {same} as they were", file=sys.stderr)


def _foreign(path: str) -> Problem:
    return Problem(
        what=f"{path} is there, and was not made by cosgen",
        fix="move it away, or say --force to replace it",
        id="CG122",
    )


for _call in CALLS:
    command.add_command(_call)
command.add_command(doctor)
