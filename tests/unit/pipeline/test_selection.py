"""Pipelines build what `cosgen plan` plans: the selection, without what is skipped."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.cli.ci import command
from cosgen.errors import ManifestError

PACKAGES = {
    "base/root": "",
    "base/wide": "requires: [{category: base, name: root, version: '>=1'}]\n",
    "system/os": "requires: [{category: base, name: root, version: '>=1'}]\n",
    "live/boot": "",
}
SETTINGS = """version: 1
name: acme
arches: [x86_64]
trees: [packages]
registry: {cache: ghcr.io/acme/cache}
ci: {shape: static}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, requires in PACKAGES.items():
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        category, _, short = name.partition("/")
        (folder / "definition.yaml").write_text(f"category: {category}\nname: {short}\nversion: '1.0'\n")
        (folder / "build.yaml").write_text(requires or "image: alpine:3\n")
    return tmp_path


def _emit(project: Path, extra: str = "") -> str:
    (project / "cosgen.yaml").write_text(SETTINGS + extra)
    result = CliRunner().invoke(command, ["github", "--stdout", "--project", str(project)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_without_a_selection_every_package_has_a_job(project: Path) -> None:
    text = _emit(project)
    assert all(f"packages: {name}\n" in text for name in PACKAGES)


def test_what_is_selected_brings_what_it_needs_and_nothing_else(project: Path) -> None:
    text = _emit(project, "select: [system/os]\n")
    assert "system/os" in text
    assert "base/root" in text
    assert "base/wide" not in text
    assert "live/boot" not in text


def test_what_is_skipped_has_no_job(project: Path) -> None:
    text = _emit(project, "skip: [{packages: [live/boot], arches: [x86_64]}]\n")
    assert "live/boot" not in text
    assert "base/wide" in text


def test_settings_with_errors_make_no_pipelines(project: Path) -> None:
    (project / "cosgen.yaml").write_text("version: 1\nnaem: acme\n")
    result = CliRunner().invoke(command, ["github", "--stdout", "--project", str(project)])
    assert result.exit_code != 0
    assert "jobs:" not in result.output


@pytest.mark.parametrize("shape", ["static", "chunks"])
def test_packages_that_need_each_other_are_told_and_nothing_is_emitted(project: Path, shape: str) -> None:
    circle = "requires: [{category: base, name: wide, version: '>=1'}]\n"
    (project / "packages/base/root/build.yaml").write_text(circle)
    (project / "cosgen.yaml").write_text(SETTINGS)
    words = ["github", "--stdout", "--shape", shape, "--project", str(project)]
    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, ManifestError)
    assert {problem.id for problem in result.exception.problems} == {"CG403"}
