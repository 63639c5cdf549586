"""What most commands share: options that name a project and its variants, and how problems are told."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import click

from cosgen.errors import ManifestError, Problem, Severity
from cosgen.manifest.platform import Variant, find_arch

P = ParamSpec("P")
R = TypeVar("R")


class Progress(Protocol):
    """Where long work tells how far it is; the terminal, CI logs and tests each have one."""

    def step(self, name: str) -> None:
        """Start a named piece of work (a package, an upload)."""

    def note(self, text: str) -> None:
        """Say one line about the piece under way."""

    def done(self, name: str, *, ok: bool = True) -> None:
        """End a named piece of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """The options by which a command line names a project; empty fields mean "as configured"."""

    project: Path
    trees: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    flavors: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()

    def select_variants(self, variants: Sequence[Variant]) -> tuple[Variant, ...]:
        """Keep the variants that --flavor and --arch ask for.

        Raises:
            ManifestError: A flavor or an arch is asked for that the project does not have.
        """
        problems = [
            *_unknown("flavor", self.flavors, {variant.flavor for variant in variants}),
            *_unknown("arch", self.arches, {variant.arch for variant in variants}),
        ]
        if problems:
            raise ManifestError(*problems)
        kernel_names = {_kernel_name(arch) for arch in self.arches}
        return tuple(
            variant
            for variant in variants
            if (not self.flavors or variant.flavor in self.flavors)
            and (not self.arches or _kernel_name(variant.arch) in kernel_names)
        )


def _kernel_name(text: str) -> str:
    arch = find_arch(text)
    return arch.kernel if arch else text


def _unknown(kind: str, asked: Iterable[str], known: set[str]) -> Iterable[Problem]:
    key = {"flavor": "flavors", "arch": "arches"}[kind]
    normalized = {_kernel_name(name) if kind == "arch" else name for name in known}
    for name in asked:
        if (_kernel_name(name) if kind == "arch" else name) not in normalized:
            have = ", ".join(sorted(known)) or "none"
            yield Problem(
                what=f"the project has no {kind} {name!r}",
                fix=f"choose one of: {have}; or add it to `{key}` in cosgen.yaml",
                id="CG701",
            )


def project_options(function: Callable[P, R]) -> Callable[..., R]:
    """Add --project, --tree, --values, --flavor and --arch; the command gets them as `options`."""

    @click.option(
        "--project",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        help="Folder of the project.  [default: the current one]",
    )
    @click.option(
        "--tree", "trees", multiple=True, metavar="DIR", help="Package tree, in place of the project's."
    )
    @click.option(
        "--values", multiple=True, metavar="FILE", help="Values file, in place of the project's; last wins."
    )
    @click.option("--flavor", "flavors", multiple=True, help="Only this flavor (repeatable).")
    @click.option("--arch", "arches", multiple=True, help="Only this architecture (repeatable).")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        values = dict(kwargs)
        options = ProjectOptions(
            **{name: values.pop(name) for name in ("project", "trees", "values", "flavors", "arches")}  # type: ignore[arg-type]  # click checked them
        )
        return function(*args, options=options, **values)  # type: ignore[arg-type]  # as above

    return wrapper


def source_date_epoch() -> int | None:
    """Return SOURCE_DATE_EPOCH from the environment, in seconds, or None."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(text) if text.isascii() and text.isdigit() else None


FORMATS = ("text", "json", "github")


def format_option(function: Callable[P, R]) -> Callable[P, R]:
    """Add --format text|json|github; github is the default inside GitHub Actions."""
    default = "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text"
    return click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default=default,
        show_default=True,
        help="How problems are told.",
    )(function)


def tell_problems(problems: Sequence[Problem], format_: str = "text") -> None:
    """Print problems: JSON on stdout (it is the product then), text and GitHub annotations on stderr."""
    if format_ == "json":
        print(json.dumps({"problems": [problem_to_json(problem) for problem in problems]}, indent=1))
    elif format_ == "github":
        for problem in problems:
            print(_annotation(problem))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)


def problem_to_json(problem: Problem) -> dict[str, object]:
    """Return the machine form of a problem (schema: docs, machine interfaces)."""
    origin = problem.origin
    return {
        "id": problem.id,
        "severity": str(problem.severity),
        "what": problem.what,
        "fix": problem.fix,
        "origin": None
        if origin is None
        else {"path": origin.path, "line": origin.line, "column": origin.column},
    }


def _annotation(problem: Problem) -> str:
    at = problem.origin
    place = f"file={_escape(at.path, property_=True)},line={at.line},col={at.column}," if at else ""
    text = _escape(f"{problem.what}\nfix: {problem.fix}")
    return f"::{problem.severity} {place}title={problem.id}::{text}"


def _escape(text: str, *, property_: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_ else text


def stop_on_errors(problems: Iterable[Problem]) -> None:
    """Raise when any problem is an error.

    Raises:
        ManifestError: With all the errors.
    """
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise ManifestError(*errors)
