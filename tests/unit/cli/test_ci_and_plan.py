"""`cosgen ci` writes, checks and spares files; `cosgen plan` tells what is built, and why."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.projects import SEED, STEPS, package, run, write

CONFIG = """\
version: 1
name: acme
flavors: [green]
arches: [x86_64]
channels:
  testing: {on: {branch: main}}
repository: {storage: ../store}
ci: {providers: [github, gitlab]}
"""
BASE = "requires: [{category: distro, name: base, version: '>=0'}]\n"


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {"cosgen.yaml": CONFIG, **package("distro/base", SEED + STEPS), **package("a/one", BASE + STEPS)}
    return write(tmp_path / "project", files)


def pipelines(project: Path) -> dict[str, str]:
    found = [*project.glob(".github/workflows/*"), *project.glob(".gitlab/cosgen/*"), *project.glob("*.yml")]
    return {path.relative_to(project).as_posix(): path.read_text() for path in found}


def test_what_is_written_is_named_and_needs_no_second_run(project: Path) -> None:
    first = run("ci", "--project", project)
    assert first.code == 0
    assert set(first.out.split()) == set(pipelines(project)) | {".gitlab-ci.yml"}
    again = run("ci", "--project", project)
    assert (again.code, again.out) == (0, "")
    assert "gitlab: 0 written or removed" in again.err
    assert run("ci", "--check", "--project", project).code == 0


def test_check_prints_the_difference_and_writes_nothing(project: Path) -> None:
    run("ci", "--project", project)
    path = project / ".github/workflows/cosgen-testing.yml"
    path.write_text(path.read_text() + "# by hand\n")
    before = pipelines(project)
    ran = run("ci", "--check", "--project", project)
    assert ran.code == 8
    assert "-# by hand" in ran.out
    assert "CG121" in ran.err
    assert pipelines(project) == before


def test_one_provider_alone_can_be_asked_for(project: Path) -> None:
    assert run("ci", "gitlab", "--project", project).code == 0
    assert not (project / ".github").exists()
    assert (project / ".gitlab-ci.yml").is_file()


def test_stdout_takes_the_place_of_files(project: Path) -> None:
    ran = run("ci", "github", "--stdout", "--project", project)
    assert ran.code == 0
    assert ran.out.startswith("--- # .github/workflows/")
    assert pipelines(project) == {}


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_a_shape_can_be_asked_for_and_is_named_in_the_files(project: Path, shape: str) -> None:
    ran = run("ci", "github", "--stdout", "--shape", shape, "--project", project)
    assert ran.code == 0
    assert f"# again:  cosgen ci github --shape {shape}\n" in ran.out


def test_files_of_other_hands_are_replaced_only_by_force(project: Path) -> None:
    write(project, {".github/workflows/cosgen-testing.yml": "on: push\n"})
    ran = run("ci", "github", "--project", project)
    assert (ran.code, "CG122" in ran.err) == (3, True)
    assert run("ci", "github", "--force", "--project", project).code == 0


def test_what_is_no_longer_made_is_removed(project: Path) -> None:
    run("ci", "github", "--project", project)
    write(project, {"cosgen.yaml": CONFIG.replace("testing:", "stable:")})
    assert ".github/workflows/cosgen-testing.yml" in run("ci", "github", "--project", project).out
    assert not (project / ".github/workflows/cosgen-testing.yml").exists()


def test_a_broken_project_emits_nothing(project: Path) -> None:
    write(project, {"cosgen.yaml": CONFIG + "naem: x\n"})
    ran = run("ci", "--project", project)
    assert (ran.code, pipelines(project)) == (3, {})
    assert "write `name`" in ran.err


def test_everything_is_built_where_nothing_is_known(project: Path) -> None:
    document = json.loads(run("plan", "--json", "--project", project).out)
    assert {node["key"]: (node["action"], node["level"]) for node in document["nodes"]} == {
        "green-x86_64:distro/base@1": ("build", 0),
        "green-x86_64:a/one@1": ("build", 1),
    }
    assert all(node["reason"] for node in document["nodes"])


def test_what_cannot_be_built_is_blocked_and_fails_nothing_else(project: Path) -> None:
    write(project, package("a/two", "steps: x\n"))
    ran = run("plan", "--json", "--project", project)
    actions = {node["key"]: node["action"] for node in json.loads(ran.out)["nodes"]}
    assert ran.code == 0
    assert actions["green-x86_64:a/two@1"] == "blocked"
    assert actions["green-x86_64:a/one@1"] == "build"
    assert "::error" in run("plan", "--format", "github", "--project", project).out


def test_an_unknown_channel_is_an_error(project: Path) -> None:
    ran = run("plan", "--channel", "nope", "--project", project)
    assert (ran.code, "CG720" in ran.err) == (3, True)
