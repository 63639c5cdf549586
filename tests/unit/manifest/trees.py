"""Makes small projects on disk for the tests of this room."""

from collections.abc import Mapping
from pathlib import Path

from cosgen.errors import Problem, Severity
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.tree import Package, Tree

DEFINITION = 'name: a\ncategory: t\nversion: "1.0"\n'


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below `root`, and return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
    return root


def read(root: Path, files: Mapping[str, str | bytes], *, epoch: int | None = None) -> Tree:
    """Write files and load the project's first variant; the project's problems are in the tree's."""
    project = load_project(write(root, files))
    tree = load_tree(project, project.variants[0], source_date_epoch=epoch)
    return Tree(
        variant=tree.variant,
        packages=tree.packages,
        problems=(*project.problems, *tree.problems),
        by_fingerprint=tree.by_fingerprint,
        shadowed=tree.shadowed,
    )


def one(root: Path, build: str, definition: str = DEFINITION, **more: str) -> tuple[Package, Tree]:
    """Load a project with one package and this `build.yaml`."""
    files = {"packages/a/definition.yaml": definition, "packages/a/build.yaml": build}
    tree = read(root, files | {name.replace("__", "/"): text for name, text in more.items()})
    return tree.packages[0], tree


def ids(problems: tuple[Problem, ...], severity: Severity = Severity.ERROR) -> list[str]:
    """Return the ids of the problems of one severity."""
    return [problem.id for problem in problems if problem.severity is severity]
