"""Unit tests for cosgen.manifest.lints."""

import re
from pathlib import Path

import pytest

import cosgen.manifest
from cosgen.manifest.lints import lint_project
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.rules import RULES
from tests.unit.manifest.trees import DEFINITION, write


def lints(root: Path, files: dict[str, str]) -> list[str]:
    project = load_project(write(root, files))
    tree = load_tree(project, project.variants[0])
    return [problem.id for problem in lint_project(project, [tree])]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("image: x\nstep: [x]\n", ["CG062"]),
        ("image: x\npackge_dir: /x\n", ["CG060"]),
        ("image: x\nsomething: else\n", ["CG061"]),
        ("image: '{{ .Values.nope }}'\n", ["CG066"]),
        ("image: x\nexcludes: ['(']\n", ["CG067"]),
        ("image: x\nexcludes: ['^/boot|^/boot/.*', 'usr/share/efi/.*/*.efi']\n", []),
        ("image: x\npackage_dir: output\n", ["CG070"]),
        ("image: x\nenv: [A=1, 'B=\"x y\"', C=]\n", []),
        ("image: x\nenv: [A]\n", ["CG075"]),
        ("requires: [{name: b, category: t, version: '>=1,<2'}]\n", ["CG072"]),
    ],
)
def test_slips_in_build_specs(tmp_path: Path, build: str, expected: list[str]) -> None:
    assert (
        lints(tmp_path, {"packages/a/definition.yaml": DEFINITION, "packages/a/build.yaml": build})
        == expected
    )


@pytest.mark.parametrize(
    ("build", "place"),
    [
        ("{{ $a := 1 }}\nimage: x\nstep: [x]\n", "3:1"),
        ("image: x\nenv:\n- A=1\n- B\n", "4:3"),
        ("{{ $a := 1 }}\nimage: x\nexcludes:\n- ok\n- 'a('\n", "5:4"),
        ("{{ $a := 1 }}\n\nimage: x:{{ .Values.nope }}\n", "3:1"),
        ("{{ $a := 1 }}\n\nrequires:\n- {name: b, category: t, version: '>'}\n", "4:3"),
        ("image: x\nenv: ['{{ .Values.name }}-']\n", "1:1"),
    ],
)
def test_slips_are_shown_where_they_were_written(tmp_path: Path, build: str, place: str) -> None:
    files = {"packages/a/definition.yaml": DEFINITION, "packages/a/build.yaml": build}
    project = load_project(write(tmp_path, files))
    (problem,) = lint_project(project, [load_tree(project, project.variants[0])])
    assert str(problem.origin) == f"packages/a/build.yaml:{place}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"packages/a/definition.yaml": DEFINITION + "lables: {}\n"}, ["CG060"]),
        ({"packages/a/definition.yaml": DEFINITION.replace("1.0", "rpi-1")}, ["CG071"]),
        ({"packages/a/definition.yaml": DEFINITION.replace("name: a", "name: a~b")}, ["CG064"]),
        ({"packages/x/templates/t.yaml": "# comment\n"}, ["CG073"]),
        ({"packages/templates/t.yaml": "steps: [x]\n"}, ["CG074"]),
        ({"packages/templates/t.yaml": '# ok\n{{ define "a" }}x{{ end }}\n'}, []),
        ({"packages/a/definition.yaml": DEFINITION, "packages/a/finalize.yaml": "instal: [x]\n"}, ["CG080"]),
        ({"packages/a/definition.yaml": DEFINITION, "cosgen.yaml": "select: [t/b]\n"}, ["CG081"]),
        ({"packages/a/definition.yaml": DEFINITION, "cosgen.yaml": "skip: [{packages: [t/b]}]\n"}, ["CG081"]),
    ],
)
def test_slips_elsewhere(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert lints(tmp_path, files) == expected


def test_large_numbers_of_collections_are_told(tmp_path: Path) -> None:
    files = {
        "packages/a/collection.yaml": "packages:\n- {name: a, category: t, version: '1', num: 20220508}\n",
        "packages/a/build.yaml": "image: 'x:{{ .Values.num }}'\n",
    }
    assert lints(tmp_path, files) == ["CG078"]


def test_every_id_that_is_used_has_its_rule() -> None:
    folder = Path(cosgen.manifest.__file__).parent
    used = {id_ for path in folder.glob("*.py") for id_ in re.findall(r'"(CG0\d\d)"', path.read_text())}
    assert used == set(RULES)
