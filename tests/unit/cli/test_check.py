"""`cosgen check` tells all that is wrong, in the form that is asked for, and with the right exit code."""

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
"""
PIPELINES = ".github/workflows"


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    return write(tmp_path, {"cosgen.yaml": CONFIG, **package("distro/base", SEED + STEPS)})


def test_a_sound_project_is_told_in_one_line(project: Path) -> None:
    ran = run("check", "--project", project)
    assert (ran.code, ran.out, ran.err) == (0, "1 package: nothing is wrong\n", "")


def test_every_problem_is_told_at_once_with_place_and_remedy(project: Path) -> None:
    write(project, package("a/one", STEPS) | package("a/two", "requires: [{category: a, name: none}]\n"))
    ran = run("check", "--project", project)
    assert ran.code == 3
    assert "packages/a/one/definition.yaml:1:1" in ran.err
    assert "packages/a/two/build.yaml:1:12" in ran.err
    assert ran.err.endswith("3 packages: 2 errors, 1 warning\n")
    assert ran.err.count("fix:") == 3


TEMPLATED = """\
{{ if .Values.name }}
requires:
- {category: distro, name: base}
- category: a
  name: none
{{ end }}
steps: [make]
"""


def test_what_is_not_there_is_shown_where_it_is_asked_for(project: Path) -> None:
    definition = 'name: one\ncategory: a\nversion: "1"\nrequires:\n- {category: a, name: gone}\n'
    build = (
        TEMPLATED
        + "copy:\n- package: {category: a, name: lost, version: '1'}\n  source: /a\n  destination: /b\n"
    )
    write(project, package("a/one", build) | {"packages/a/one/definition.yaml": definition})
    ran = run("check", "--project", project)
    assert ran.code == 3
    for place in ("definition.yaml:5:3", "build.yaml:4:3", "build.yaml:9:12"):
        assert f"--> packages/a/one/{place}\n" in ran.err


def test_json_is_the_product_of_check(project: Path) -> None:
    write(project, package("a/one", STEPS))
    ran = run("check", "--project", project, "--format", "json")
    assert (ran.code, ran.err) == (3, "")
    (problem,) = json.loads(ran.out)["problems"]
    assert set(problem) == {"id", "severity", "what", "fix", "origin"}
    assert problem["origin"]["path"] == "packages/a/one/definition.yaml"


def test_github_gets_annotations(project: Path) -> None:
    write(project, package("a/one", STEPS))
    ran = run("check", "--project", project, "--format", "github")
    assert ran.code == 3
    assert ran.out.startswith("::error file=packages/a/one/definition.yaml,line=1,col=1,title=CG")


def test_warnings_fail_only_when_one_is_strict(project: Path) -> None:
    write(project, package("a/one", "image: alpine:3\n" + STEPS))
    assert run("check", "--project", project).code == 0
    strict = run("check", "--project", project, "--strict")
    assert strict.code == 3
    assert "alpine:3" in strict.err


def test_a_pinned_seed_is_not_called_floating(project: Path) -> None:
    write(project, package("a/one", "image: alpine:3\n" + STEPS))
    lock = {"version": 1, "seeds": {"alpine:3": f"sha256:{'2' * 64}"}, "foundations": []}
    write(project, {"cosgen.lock": json.dumps(lock)})
    assert run("check", "--project", project, "--strict").err == ""


def test_a_lock_file_that_cannot_be_read_is_an_error_of_the_project(project: Path) -> None:
    write(project, {"cosgen.lock": "{"})
    ran = run("check", "--project", project)
    assert ran.code == 3
    assert "cosgen.lock:1:2" in ran.err


def test_pipelines_that_are_not_what_they_should_be_are_a_warning(project: Path) -> None:
    assert run("ci", "github", "--project", project).code == 0
    assert run("check", "--project", project, "--strict").code == 0
    write(project, package("a/one", SEED + STEPS))
    ran = run("check", "--project", project)
    assert ran.code == 0
    assert f"{PIPELINES}/" in ran.err
    assert "CG121" in ran.err
    assert "cosgen ci github" in ran.err
    assert run("check", "--project", project, "--strict").code == 3


@pytest.mark.parametrize("some", [("--flavor", "green"), ("--arch", "x86_64"), ("--tree", "packages")])
def test_a_part_of_the_project_says_nothing_of_its_pipelines(project: Path, some: tuple[str, str]) -> None:
    assert run("ci", "github", "--project", project).code == 0
    write(project, package("a/one", SEED + STEPS))
    assert "CG121" not in run("check", "--project", project, *some).err


def test_pipelines_of_other_hands_are_none_of_ours(project: Path) -> None:
    write(project, {f"{PIPELINES}/cosgen-testing.yml": "on: push\n"})
    assert run("check", "--project", project, "--strict").code == 0


def test_a_name_that_cannot_stand_in_a_pipeline_is_an_error_once_there_are_pipelines(project: Path) -> None:
    assert run("ci", "github", "--project", project).code == 0
    write(project, package("-a/one", SEED + STEPS))
    assert "CG101" in run("check", "--project", project).err


def test_what_a_build_starts_from_and_copies_is_shown_at_its_key(project: Path) -> None:
    build = '{{ $image := "busybox:1" }}\ncopy:\n- {image: alpine:3, source: /a, destination: /b}\nimage: "{{ $image }}"\n'
    write(project, package("a/one", build))
    ran = run("check", "--project", project)
    assert "a/one starts from busybox:1, which no digest pins\n  --> packages/a/one/build.yaml:4:1" in ran.err
    assert "a/one copies from alpine:3, which no digest pins\n  --> packages/a/one/build.yaml:2:1" in ran.err


@pytest.mark.parametrize("data", [b"\xff", b"", b"[", b"[]", b"{}"], ids=range(5))
def test_a_lock_file_that_is_none_is_told(project: Path, data: bytes) -> None:
    (project / "cosgen.lock").write_bytes(data)
    for words in (["check"], ["plan"]):
        ran = run(*words, "--project", project)
        assert ran.code == 3
        assert "cosgen.lock:1:" in ran.err
