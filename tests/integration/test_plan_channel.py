"""Plans against a published channel: what is there is kept, and of what is not the plan says which input changed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cosgen.build.artifact import RECORD_SUFFIX
from cosgen.cli.plan import load_graphs
from cosgen.graph.digest import short_parts
from cosgen.manifest.loader import load_project
from tests.fakes.artifacts import make_artifact
from tests.fakes.command_line import run, succeed

SETTINGS = """\
version: 1
name: acme
trees: [packages]
values: [values.yaml]
arches: [x86_64]
repository: {storage: store}
channels: {testing: {on: {branch: main}}}
"""
FILES = {
    "cosgen.yaml": SETTINGS,
    "values.yaml": "color: green\n",
    "packages/base/definition.yaml": 'name: "base"\ncategory: "system"\nversion: "1.0"\n',
    "packages/base/build.yaml": 'image: "debian:12"\nsteps: ["touch /base"]\n',
    "packages/tool/definition.yaml": 'name: "tool"\ncategory: "apps"\nversion: "2.0"\n',
    "packages/tool/build.yaml": (
        'requires: [{name: "base", category: "system", version: ">=0"}]\nsteps: ["echo {{.Values.color}} > /tool"]\n'
    ),
    "packages/tool/data": "one\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose packages are all published, as a build records them."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    loaded = load_project(tmp_path, environment=dict(os.environ))
    (graph,) = load_graphs(loaded, loaded.variants)
    for node in graph.nodes.values():
        definition = node.package.definition
        folder = tmp_path / "build"
        made = make_artifact(folder, definition.name, definition.version, category=definition.category)
        built = replace(made, input_digest=node.input_digest, inputs=short_parts(node.input_parts))
        (folder / f"{made.fingerprint}{RECORD_SUFFIX}").write_text(built.to_json())
    succeed("publish", tmp_path / "build", "--channel", "testing", "--project", tmp_path)
    return tmp_path


def reasons(project: Path) -> dict[str, str]:
    plan = json.loads(succeed("plan", "--channel", "testing", "--json", "--project", project).out)
    return {node["human"]: node["reason"] for node in plan["nodes"] if node["action"] == "build"}


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    def act(project: Path) -> None:
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new))

    return act


def test_what_is_published_from_the_same_inputs_is_kept(project: Path) -> None:
    assert reasons(project) == {}


CHANGES = {
    "files": (
        change("packages/tool/data", "one", "two"),
        {"apps/tool": "changed: files of its directory"},
    ),
    "values": (
        change("values.yaml", "green", "blue"),
        {"apps/tool": "changed: its build spec, the values it reads"},
    ),
    "spec": (
        change("packages/tool/build.yaml", "/tool", "/other"),
        {"apps/tool": "changed: its build spec, files of its directory"},
    ),
    "version": (
        change("packages/tool/definition.yaml", "2.0", "2.1"),
        {"apps/tool": "version 2.0 -> 2.1"},
    ),
    "base image": (
        change("packages/base/build.yaml", "debian:12", "debian:13"),
        {
            "system/base": "changed: its build spec, files of its directory, the image it starts from",
            "apps/tool": "changed: what it is built on (system/base)",
        },
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_plan_says_what_changed(name: str, project: Path) -> None:
    act, expected = CHANGES[name]
    act(project)
    assert reasons(project) == expected


def test_a_channel_that_cannot_be_read_is_an_error_and_not_empty(project: Path) -> None:
    (project / "store/_log/HEAD").write_text("{}")
    (project / "store/_log/000000000000.json").write_text("{}")
    refused = run("plan", "--channel", "testing", "--project", project)
    assert refused.code == 6
    assert refused.ids == ["CG514"]
