"""`cosgen tree`: the list, one package, who needs whom, and the drawings."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.cli.projects import STEPS, package, run, write

BASE = "requires: [{category: distro, name: base, version: '>=0'}]\n"
TOOL = "requires: [{category: tools, name: tool, version: '>=0'}]\n"


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        {
            "values/x86_64.yaml": "arch: amd64\nmaps: {deep: 1}\n",
            **package("distro/base", "image: alpine:3\n" + STEPS),
            **package("tools/tool", BASE + "steps: ['make {{ .Values.arch }}']\n", definition="uses: gcc\n"),
            **package("system/os", TOOL + STEPS),
        },
    )


def test_packages_are_listed_by_name_and_version(project: Path) -> None:
    ran = run("tree", "list", "--project", project)
    assert ran.code == 0
    assert sorted(ran.out.split()) == ["distro/base@1", "system/os@1", "tools/tool@1"]


def test_the_whole_tree_is_listed_though_a_package_has_errors(project: Path) -> None:
    write(project, package("bad/one", "steps: x\n") | package("bad/two", BASE.replace("distro", "nowhere")))
    ran = run("tree", "list", "--json", "--project", project)
    assert ran.code == 3
    packages = {item["fingerprint"]: item for item in json.loads(ran.out)["packages"]}
    assert list(packages) == sorted(packages)
    assert len(packages) == 5
    assert {name for name, item in packages.items() if "error" in item} == {"one-bad-1", "two-bad-1"}
    assert "must be a list" in packages["one-bad-1"]["error"]
    text = run("tree", "list", "--project", project)
    assert text.code == 3
    assert "! bad/one@1" in text.out
    assert "must be a list" in text.err


def test_the_machine_interface_has_all_that_is_documented(project: Path) -> None:
    (first, *_) = json.loads(run("tree", "list", "--json", "--project", project).out)["packages"]
    assert set(first) >= {
        *("fingerprint", "category", "name", "version", "path", "hidden", "rendered", "spec", "requires"),
        *("chain", "spec_hash", "package_hash", "builder_tag", "builder_dockerfile", "package_dockerfile"),
        "input_digest",
    }


def test_a_pin_changes_digests_and_no_hash_of_luets(project: Path) -> None:
    def document() -> dict[str, str]:
        found = json.loads(run("tree", "show", "--json", "tools/tool", "--project", project).out)
        return {name: found[name] for name in ("package_hash", "input_digest")}

    before = document()
    lock = {"version": 1, "seeds": {"alpine:3": f"sha256:{'2' * 64}"}, "foundations": []}
    write(project, {"cosgen.lock": json.dumps(lock)})
    after = document()
    assert before["package_hash"] == after["package_hash"]
    assert before["input_digest"] != after["input_digest"]


def test_a_package_is_shown_with_chain_and_both_dockerfiles(project: Path) -> None:
    ran = run("tree", "show", "tools/tool", "--project", project)
    assert ran.code == 0
    for part in ("tools/tool@1", "base-distro-1 → tool-tools-1", "make amd64", "builder image:", "FROM "):
        assert part in ran.out
    assert run("tree", "show", "tools/tool@1", "--rendered", "--project", project).out.endswith("amd64']\n")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("arch", 'arch = "amd64"  from values/x86_64.yaml'),
        ("maps.deep", "maps.deep = 1  from values/x86_64.yaml"),
        ("uses", 'uses = "gcc"  from packages/tools/tool/definition.yaml'),
    ],
)
def test_a_value_is_traced_to_its_file(project: Path, key: str, expected: str) -> None:
    assert run("tree", "show", "tools/tool", "--why", key, "--project", project).out.strip() == expected


def test_unknown_names_get_the_nearest_one(project: Path) -> None:
    value = run("tree", "show", "tools/tool", "--why", "arc", "--project", project)
    assert (value.code, "did you mean arch?" in value.err) == (3, True)
    package_ = run("tree", "show", "tools/tol", "--project", project)
    assert (package_.code, "did you mean tools/tool?" in package_.err) == (3, True)


def test_a_package_with_errors_is_shown_and_fails(project: Path) -> None:
    write(project, package("bad/one", "steps: x\n"))
    ran = run("tree", "show", "bad/one", "--project", project)
    assert ran.code == 3
    assert "bad/one@1" in ran.out
    assert "must be a list" in ran.err


def test_needs_are_followed_both_ways(project: Path) -> None:
    assert run("tree", "deps", "system/os", "--project", project).out.split() == ["tools/tool@1"]
    deep = run("tree", "deps", "system/os", "--all", "--project", project).out.split()
    assert deep == ["distro/base@1", "tools/tool@1"]
    back = run("tree", "deps", "distro/base", "--reverse", "--project", project).out.split()
    assert back == ["tools/tool@1"]
    assert run("tree", "deps", "system/os", "--runtime", "--project", project).out == ""


@pytest.mark.parametrize(
    ("format_", "start", "edge"),
    [("text", "", ""), ("mermaid", "graph LR", "-->"), ("dot", "digraph", "->"), ("svg", "<svg", "<path")],
)
def test_the_graph_is_drawn(project: Path, format_: str, start: str, edge: str) -> None:
    ran = run("tree", "graph", "--format", format_, "--project", project)
    assert ran.code == 0
    assert ran.out.lstrip().startswith(start)
    assert edge in ran.out
    assert all(name in ran.out for name in ("distro/base", "tools/tool", "system/os"))
    part = run("tree", "graph", "tools/tool", "--format", format_, "--project", project)
    assert "system/os" not in part.out
    if format_ == "svg":
        ET.fromstring(ran.out)


def test_one_variant_at_a_time(project: Path) -> None:
    write(project, {"values/arm64.yaml": "arch: arm64\n"})
    ran = run("tree", "list", "--project", project)
    assert (ran.code, "CG711" in ran.err) == (3, True)
    assert run("tree", "list", "--arch", "arm64", "--project", project).code == 0
    assert "CG701" in run("tree", "list", "--arch", "riscv64", "--project", project).err


def test_of_two_providers_that_of_the_later_tree_counts(tmp_path: Path) -> None:
    provides = "provides: [{category: virtual, name: shell, version: '>=0'}]\n"
    seed = "image: alpine:3\n" + STEPS
    wants = "requires: [{category: virtual, name: shell, version: '>=0'}]\n" + STEPS
    write(
        tmp_path,
        package("x/own", seed, definition=provides, tree="zz")
        | package("x/theirs", seed, definition=provides, tree="aa")
        | package("x/user", wants, tree="aa"),
    )
    for trees, provider in ((("aa", "zz"), "own-x-1"), (("zz", "aa"), "theirs-x-1")):
        options = [word for tree in trees for word in ("--tree", tree)]
        ran = run("tree", "show", "x/user", "--json", "--project", tmp_path, *options)
        assert json.loads(ran.out)["requires"] == [provider]
