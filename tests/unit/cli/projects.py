"""Small projects on disk, and command lines run over them in this process."""

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from cosgen.cli.main import main

SEED = f"image: registry.example/seed@sha256:{'1' * 64}\n"
STEPS = "steps: [make]\n"


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command line."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Ran:
    """Run a command line as the console script does, exit codes and all."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    return Ran(code, out.getvalue(), err.getvalue())


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, path relative to `folder` -> text."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def package(name: str, build: str, *, definition: str = "", tree: str = "packages") -> dict[str, str]:
    """Return the two files of the package `category/name`, version 1."""
    category, _, short = name.partition("/")
    head = f"category: {category}\nname: {short}\nversion: '1'\n"
    return {f"{tree}/{name}/definition.yaml": head + definition, f"{tree}/{name}/build.yaml": build}
