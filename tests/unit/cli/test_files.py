"""Files and folders that are not what a command needs are told of, with an exit code of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.projects import SEED, STEPS, package, write


@pytest.mark.parametrize(
    ("file", "words", "told"),
    [
        ("", ["plan", "--output", "nowhere/plan.json"], "nowhere/plan.json: No such file or directory"),
        (".github", ["ci", "github"], ".github/workflows: Not a directory"),
        ("build", ["init", "build/os"], "build/os: Not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, file: str, words: list[str], told: str
) -> None:
    write(tmp_path, {"cosgen.yaml": "version: 1\nname: os\n", **package("distro/base", SEED + STEPS)})
    if file:
        (tmp_path / file).touch()
    program = Path(sys.executable).with_name("cosgen")
    done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert f"error[CG708]: {told}" in done.stderr
    assert "Traceback" not in done.stderr
