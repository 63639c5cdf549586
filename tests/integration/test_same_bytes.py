"""The same project gives the same bytes: in another folder, another locale, with other hash seeds."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.benchmarks.trees import write_project

COMMANDS = (
    ("ci", "--stdout"),
    ("ci", "--stdout", "--shape", "static"),
    ("tree", "list", "--json"),
    ("tree", "graph", "--format", "svg"),
    ("plan", "--json"),
    ("check", "--format", "json"),
)
ODD = 'image: alpine:3\nsteps: ["{{ range $k, $v := .Values.labels }}{{ $k }}{{ $v }}{{ end }} {{ upper .Values.odd }}"]\n'
DEFINITION = "category: apps\nname: iI\nversion: '1'\nodd: iıß\nlabels: {z: ä, a: İ, m: x}\n"


@pytest.fixture(scope="module", name="projects")
def _projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    one = tmp_path_factory.mktemp("here") / "project"
    write_project(one, 73)
    odd = one / "packages" / "odd"
    odd.mkdir()
    (odd / "definition.yaml").write_text(DEFINITION, encoding="utf-8")
    (odd / "build.yaml").write_text(ODD, encoding="utf-8")
    other = tmp_path_factory.mktemp("elsewhere") / "quite another name"
    shutil.copytree(one, other, copy_function=shutil.copy)
    return one, other


def _locales() -> tuple[str, str]:
    """Return two locales; Turkish, which has its own small and large letters, where the machine has it."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    turkish = next((name for name in known if name.lower().startswith("tr_tr.utf")), "C.UTF-8")
    return "C", turkish


def _output(project: Path, words: tuple[str, ...], locale: str, seed: str) -> bytes:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project.parent),
        "LC_ALL": locale,
        "PYTHONHASHSEED": seed,
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("cosgen"), *words],
        cwd=project,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr.decode()
    assert done.stdout, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_folder_locale_and_hash_seed_change_no_byte(
    projects: tuple[Path, Path], words: tuple[str, ...]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(_output, projects, (words, words), _locales(), ("1", "2"))
    assert one == other
