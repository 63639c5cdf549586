"""Unit tests for cosgen.manifest.loader, walk and assemble: projects on disk."""

import os
from pathlib import Path

import pytest

from cosgen.errors import Severity
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.platform import Variant
from tests.unit.manifest.trees import DEFINITION, ids, one, read, write


def test_a_folder_of_packages_is_a_project(tmp_path: Path) -> None:
    package, tree = one(tmp_path, "image: x\n")
    assert (package.human, package.directory, package.spec.image, package.tree) == (
        "t/a",
        "packages/a",
        "x",
        "packages",
    )
    assert [file.name for file in package.files] == ["build.yaml", "definition.yaml"]
    assert tree.problems == ()


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    project = load_project(tmp_path)
    assert ids(project.problems) == ["CG001"]
    assert load_tree(project, project.variants[0]).packages == ()


def test_variants_are_guessed_from_values(tmp_path: Path) -> None:
    files = {f"values/{name}.yaml": "" for name in ("blue-x86_64", "blue-arm64", "red-x86_64", "red-arm64")}
    project = load_project(write(tmp_path, files | {"packages/.keep": ""}))
    assert project.variants == (
        Variant("blue", "arm64"),
        Variant("blue", "x86_64"),
        Variant("red", "arm64"),
        Variant("red", "x86_64"),
    )
    assert project.values_files(project.variants[0]) == ("values/blue-arm64.yaml",)


def test_names_of_a_values_file_name_the_variant(tmp_path: Path) -> None:
    project = load_project(
        write(tmp_path, {"v/green-arm64.yaml": "", "packages/.keep": ""}), values=["v/green-arm64.yaml"]
    )
    assert project.variants == (Variant("green", "arm64"),)


def test_a_later_tree_overrides_only_when_it_says_so(tmp_path: Path) -> None:
    files = {
        "cosgen.yaml": "trees: [one, two]\n",
        "one/a/definition.yaml": DEFINITION,
        "one/a/build.yaml": "image: one\n",
        "two/a/definition.yaml": DEFINITION.replace("1.0", "2.0") + "override: true\n",
        "two/a/build.yaml": "image: two\n",
    }
    tree = read(tmp_path, files)
    assert [(package.fingerprint, package.spec.image) for package in tree.packages] == [("a-t-2.0", "two")]
    assert tree.shadowed == (("t/a@1.0", "one/a/definition.yaml:1:1"),)
    tree = read(tmp_path, files | {"two/a/definition.yaml": DEFINITION})
    assert [(package.fingerprint, package.spec.image) for package in tree.packages] == [("a-t-1.0", "one")]
    assert ids(tree.problems) == ["CG040"]


def test_overlays_are_laid_over_the_build_context(tmp_path: Path) -> None:
    tree = read(
        tmp_path,
        {
            "cosgen.yaml": "overlays: [{packages: [t/a], files: over}]\n",
            "packages/a/definition.yaml": DEFINITION,
            "packages/a/build.yaml": "image: x\n",
            "packages/a/conf": "old",
            "over/conf": "new",
            "over/sub/more": "x",
        },
    )
    files = {file.name: file.source for file in tree.packages[0].files}
    assert files["conf"] == "over/conf"
    assert files["sub/more"] == "over/sub/more"


def test_nested_packages_belong_to_the_context_of_those_above(tmp_path: Path) -> None:
    tree = read(
        tmp_path,
        {
            "packages/x/definition.yaml": DEFINITION,
            "packages/x/y/definition.yaml": DEFINITION.replace("a", "b"),
        },
    )
    outer = tree.by_fingerprint["a-t-1.0"] if "a-t-1.0" in tree.by_fingerprint else tree.packages[0]
    assert "y/definition.yaml" in [file.name for file in outer.files]


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../outside", "nowhere", "."])
def test_links_that_cannot_be_hashed_are_problems(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("x")
    root = write(
        tmp_path / "p", {"packages/a/definition.yaml": DEFINITION, "packages/a/build.yaml": "image: x\n"}
    )
    (root / "packages/a/link").symlink_to(target)
    project = load_project(root)
    assert ids(load_tree(project, project.variants[0]).problems) == ["CG009"]


def test_pipes_are_never_opened(tmp_path: Path) -> None:
    root = write(tmp_path, {"packages/a/definition.yaml": DEFINITION})
    os.mkfifo(root / "packages/a/pipe")
    os.mkfifo(root / "packages/a/build.yaml")
    project = load_project(root)
    assert set(ids(load_tree(project, project.variants[0]).problems)) == {"CG009"}


def test_links_to_files_inside_are_followed_and_remembered(tmp_path: Path) -> None:
    root = write(tmp_path, {"packages/a/definition.yaml": DEFINITION, "packages/a/file": "x"})
    (root / "packages/a/link").symlink_to("file")
    project = load_project(root)
    files = {file.name: file for file in load_tree(project, project.variants[0]).packages[0].files}
    assert files["link"].digest == files["file"].digest
    assert files["link"].link == "file"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("steps: x\n", "CG004"),
        ("steps:\n- echo foo: bar\n", "CG004"),
        ('unpack: "true"\n', "CG004"),
        ("requires: [{name: a, version: 1.0}]\n", "CG004"),
        ("version: 1.0\n", "CG004"),
        ("- a\n", "CG004"),
        ("package: x\n", "CG004"),
        ("build_options: [a]\n", "CG004"),
        ("id: 12345678901234567890\n", "CG004"),
        ("copy: {source: a}\n", "CG004"),
        ("steps: [[a]]\n", "CG004"),
        ("image: [a]\n", "CG004"),
        ("labels: {a: 1}\n", "CG004"),
        ("image: .inf\n", "CG004"),
        ("unknown: {deep: [.NaN]}\n", "CG004"),
        ("unknown: {~: x}\n", "CG004"),
        ("a: [\n", "CG002"),
        ("{{ fail `x` }}", "CG011"),
    ],
)
def test_broken_build_specs_have_their_error(tmp_path: Path, build: str, expected: str) -> None:
    package, _ = one(tmp_path, build)
    assert set(ids(package.problems)) == {expected}


@pytest.mark.parametrize(
    "definition",
    [
        "name: a\nversion: 1.0\n",
        "name: a\ncategory: 1\n",
        "name: a\nlabels: {a: 1}\n",
        "name: a\ndescription: Y\n",
        "name: a\nuri: x\n",
        "name: a\nhidden: 'yes'\n",
        "name: a\nrequires: {name: b}\n",
        "name: a\nextra: .inf\n",
        "name: a\nextra: {deep: [.NaN]}\n",
        "name: a\n~: x\n",
        "name: a\nextra: {deep: {null: x}}\n",
        "- a\n",
    ],
)
def test_broken_definitions_have_their_error(tmp_path: Path, definition: str) -> None:
    assert "CG003" in ids(read(tmp_path, {"packages/a/definition.yaml": definition}).problems)


@pytest.mark.parametrize("entry", ["{name: a, x: .inf}", "{name: a, x: {~: 1}}", "{name: 1}", "a"])
def test_broken_collections_have_their_error(tmp_path: Path, entry: str) -> None:
    files = {"packages/a/collection.yaml": f"packages: [{entry}]\n", "packages/a/build.yaml": ""}
    assert "CG003" in ids(read(tmp_path, dict(files)).problems)


def test_a_collection_is_read_by_way_of_json_as_a_whole(tmp_path: Path) -> None:
    text = "packages: [{name: a, category: t, version: '1'}]\nextra: .inf\n"
    files: dict[str, str | bytes] = {"packages/a/collection.yaml": text, "packages/a/build.yaml": ""}
    assert ids(read(tmp_path, files).problems) == ["CG003"]


@pytest.mark.parametrize("text", ["", "~\n", "---\n", "# nothing\n", "---\n---\nname: a\n"])
def test_an_empty_definition_is_a_package_without_a_name(tmp_path: Path, text: str) -> None:
    tree = read(tmp_path, {"packages/a/definition.yaml": text})
    assert list(tree.by_fingerprint) == ["--"]
    assert ids(tree.problems) == ["CG041"]


def test_null_is_the_same_as_absent(tmp_path: Path) -> None:
    package, tree = one(tmp_path, "image: ~\nsteps:\nunpack: null\ncopy: ~\nrequires:\n")
    assert package.spec == BuildSpec()
    assert ids(tree.problems) == []


def test_a_fault_in_rendered_text_is_told_where_the_user_wrote_it(tmp_path: Path) -> None:
    package, _ = one(tmp_path, "image: {{ .Values.name }}\nsteps:\n- echo\n- foo: bar\n")
    (problem,) = package.problems
    assert str(problem.origin) == "packages/a/build.yaml:4:3"


def test_requirements_seen_only_without_values_stay_and_are_told(tmp_path: Path) -> None:
    build = "{{ if not .Values.go }}requires: [{name: b, category: t, version: '>=0'}]{{ end }}\n"
    one(tmp_path, build)
    write(tmp_path, {"values/x86_64.yaml": "go: true\n"})
    project = load_project(tmp_path)
    tree = load_tree(project, project.variants[0])
    assert [item.name for item in tree.packages[0].spec.requires] == ["b"]
    assert ids(tree.problems, Severity.WARNING) == ["CG076"]


def test_a_missing_values_file_and_bad_text_are_told(tmp_path: Path) -> None:
    tree = read(
        tmp_path,
        {
            "cosgen.yaml": "values: [values/nope.yaml]\n",
            "packages/a/definition.yaml": DEFINITION,
            "packages/a/build.yaml": b"image: \xff\n",
        },
    )
    assert ids(tree.problems) == ["CG008", "CG005"]


def test_two_runs_and_two_folders_give_the_same_tree(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"packages/{name}/definition.yaml": DEFINITION.replace("name: a", f"name: {name}") for name in "bca"
    }
    assert read(tmp_path / "one", files) == read(tmp_path / "two", files)
