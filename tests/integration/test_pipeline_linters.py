"""Emitted files pass the linters that run without a provider, for every shape, of several projects."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.cli.ci import command
from cosgen.cli.init import command as init
from cosgen.manifest.config import OidcConfig, PullRequestConfig, RunnerConfig, SigningConfig
from cosgen.pipeline.child import child_pipeline
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipeline_run import plan_of
from tests.fakes.pipelines import ARM, X86, config, nodes, whole_config

BIN = Path(sys.executable).parent
COS = Path(__file__).parents[3] / "shared" / "trees" / "cos"
# Findings that are accepted, each with its reason.
ALLOWED = {
    "self-hosted-runner": "a runner group of the settings; CG113 keeps requests off machines that last",
    "self-repository": "`$/` needs runners of 2.336; `ci.self_repository: true` emits it",
}
SHAPES = {"github": ("static", "chunks", "workers"), "gitlab": ("static", "chunks", "workers", "child")}
CASES = [
    (project, provider, shape)
    for project in ("small", "whole", "starter", "cos")
    for provider, shapes in SHAPES.items()
    for shape in shapes
]
NodeTool = Callable[[str], tuple[str, ...]]


def _small(folder: Path, provider: str, shape: str) -> None:
    _write(folder, emit_nodes(config(), (X86,), nodes(), Provider(provider), version="1", shape=shape))


def _whole(folder: Path, provider: str, shape: str) -> None:
    packages = tuple(node for variant in (ARM, X86) for node in nodes(variant=variant))
    runners = {
        "arm64": RunnerConfig(emulate=True, purge_disk=True),
        "control": RunnerConfig(group="light", labels=("ubuntu-24.04",)),
    }
    settings = whole_config(
        runners=runners,
        site="storage",
        pull_requests=PullRequestConfig(labels=("build", "size/XL"), paths=("packages/**",)),
        variables={"TZ": "UTC"},
        oidc=OidcConfig(role="arn:aws:iam::123456789012:role/publish"),
        optional_variants=("arm64",),
    )
    settings = replace(settings, signing=SigningConfig(required=True))
    _write(folder, emit_nodes(settings, (ARM, X86), packages, Provider(provider), version="1", shape=shape))
    if shape == "child":
        for channel in ("", "testing"):
            text = child_pipeline(
                settings,
                (ARM, X86),
                plan_of(packages, ["x86_64:base/root"]),
                version="1",
                channel=channel,
                jobs=None,
                components=not channel,
            )
            _write(folder, [GeneratedFile(f".gitlab/cosgen/child-{channel or 'request'}.yml", text)])


def _write(folder: Path, files: Iterable[GeneratedFile]) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)


def _starter(folder: Path, provider: str, shape: str) -> None:
    assert CliRunner().invoke(init, [str(folder), "--name", "acme"]).exit_code == 0
    _emit(folder, provider, shape)


def _cos(folder: Path, provider: str, shape: str) -> None:
    if not COS.is_dir():
        pytest.skip("the cOS tree is not beside this checkout")
    for part in ("packages", "values"):
        shutil.copytree(COS / part, folder / part)
    shutil.copy(COS / "manifest.yaml", folder)
    too_many = provider == "gitlab" and shape == "static"  # of all variants, for GitLab's free plan
    _emit(folder, provider, shape, *(["--flavor", "green"] if too_many else []))


def _emit(folder: Path, provider: str, shape: str, *options: str) -> None:
    result = CliRunner().invoke(command, [provider, "--shape", shape, "--project", str(folder), *options])
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], list[str]]:
    """Give a function from project, provider and shape to the paths of its files; each is emitted once."""
    makers = {"small": _small, "whole": _whole, "starter": _starter, "cos": _cos}
    made: dict[tuple[str, str, str], list[str]] = {}

    def emit(project: str, provider: str, shape: str) -> list[str]:
        key = (project, provider, shape)
        if key not in made:
            folder = tmp_path_factory.mktemp("-".join(key))
            makers[project](folder, provider, shape)
            made[key] = sorted(map(str, _files(folder)))
        return made[key]

    return emit


def _files(folder: Path) -> Iterable[Path]:
    yield from folder.glob(".github/workflows/*.yml")
    yield from folder.glob(".gitlab/cosgen/*.yml")
    yield from folder.glob(".gitlab-ci.yml")


Emitted = Callable[[str, str, str], list[str]]
on_github = pytest.mark.parametrize(
    ("project", "shape"), [(project, shape) for project, provider, shape in CASES if provider == "github"]
)
on_gitlab = pytest.mark.parametrize(
    ("project", "shape"), [(project, shape) for project, provider, shape in CASES if provider == "gitlab"]
)


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not (BIN / tool).exists():
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([str(BIN / tool), *arguments], text=True, capture_output=True, check=False)


@on_github
def test_workflows_pass_the_parser_of_github(
    emitted: Emitted, node_tool: NodeTool, project: str, shape: str
) -> None:
    paths = emitted(project, "github", shape)
    assert paths
    run = subprocess.run(
        [*node_tool("workflow-parser"), *paths], text=True, capture_output=True, check=False, timeout=120
    )
    report = json.loads(run.stdout)
    assert len(report) == len(paths)
    assert {path: found for path, found in report.items() if found} == {}


def test_the_parser_of_github_does_refuse(tmp_path: Path, node_tool: NodeTool) -> None:
    path = tmp_path / "bad.yml"
    path.write_text("on: push\njobs: {a: {runs-on: ubuntu-24.04, needs: [b], steps: [{run: x}]}}\n")
    run = subprocess.run([*node_tool("workflow-parser"), str(path)], capture_output=True, check=False)
    assert run.returncode == 1


@on_github
def test_workflows_pass_actionlint_and_their_schema(emitted: Emitted, project: str, shape: str) -> None:
    paths = emitted(project, "github", shape)
    lint = _run("actionlint", "-no-color", "-oneline", *paths)
    assert lint.stdout == ""
    schema = _run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *paths)
    assert schema.returncode == 0, schema.stdout


@pytest.mark.parametrize("persona", ["pedantic", "auditor"])
@on_github
def test_workflows_pass_zizmor(emitted: Emitted, project: str, shape: str, persona: str) -> None:
    paths = emitted(project, "github", shape)
    options = ("--offline", "--no-progress", "--persona", persona, "--format", "json")
    found = json.loads(_run("zizmor", *options, *paths).stdout)
    assert {finding["ident"] for finding in found} <= set(ALLOWED)


@on_gitlab
def test_gitlab_files_pass_their_schema(emitted: Emitted, project: str, shape: str) -> None:
    paths = emitted(project, "gitlab", shape)
    assert paths
    options = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    schema = _run("check-jsonschema", *options, *paths)
    assert schema.returncode == 0, schema.stdout
