"""Emitted files pass the linters that run without a provider."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipelines import X86, config, nodes

BIN = Path(sys.executable).parent
# Findings that are accepted, each with its reason.
ALLOWED = {
    "self-repository": "`$/` needs runners of 2.336; `ci.self_repository: true` emits it",
}


def _emit(folder: Path, provider: Provider, shape: str) -> list[str]:
    paths = []
    for file in emit_nodes(config(), (X86,), nodes(), provider, version="1", shape=shape):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        paths.append(str(path))
    return paths


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not (BIN / tool).exists():
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([str(BIN / tool), *arguments], text=True, capture_output=True, check=False)


@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_workflows_pass_actionlint_and_their_schema(tmp_path: Path, shape: str) -> None:
    paths = _emit(tmp_path, Provider.GITHUB, shape)
    lint = _run("actionlint", "-no-color", "-oneline", *paths)
    assert lint.stdout == ""
    schema = _run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *paths)
    assert schema.returncode == 0, schema.stdout


@pytest.mark.parametrize("persona", ["pedantic", "auditor"])
@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_workflows_pass_zizmor(tmp_path: Path, shape: str, persona: str) -> None:
    _emit(tmp_path, Provider.GITHUB, shape)
    options = ("--offline", "--no-progress", "--persona", persona, "--format", "json")
    found = json.loads(_run("zizmor", *options, str(tmp_path)).stdout)
    assert {finding["ident"] for finding in found} <= set(ALLOWED)


@pytest.mark.parametrize("shape", ["static", "chunks", "workers", "child"])
def test_gitlab_files_pass_their_schema(tmp_path: Path, shape: str) -> None:
    paths = _emit(tmp_path, Provider.GITLAB, shape)
    options = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    schema = _run("check-jsonschema", *options, *paths)
    assert schema.returncode == 0, schema.stdout
