"""Emitted files as they are reviewed: of a small tree in every shape, and of the starter as it stands.

Written anew by `pytest tests/golden/test_pipeline_golden.py --update-golden`; read the diff before it is kept.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen import __version__
from cosgen.cli.init import command as init
from cosgen.manifest.config import ChannelConfig, JobConfig, TriggerConfig
from cosgen.pipeline.child import child_pipeline
from cosgen.pipeline.drift import GeneratedFile, unified_diff
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipeline_run import plan_of
from tests.fakes.pipelines import X86, config, nodes

HERE = Path(__file__).parent / "pipelines"
TREE = {
    "base/root": (),
    "base/kernel": ("base/root",),
    "apps/tool": ("base/root",),
    "apps/shell": ("base/root",),
    "apps/editor": ("base/root",),
    "live/boot": (),
    "system/os": ("apps/tool", "base/kernel"),
}
SETTINGS = replace(
    config(jobs={"vm-test": JobConfig(run=("./scripts/vm-test",), packages=("system/os",))}, chunks=5),
    channels={
        "testing": ChannelConfig(on=TriggerConfig(branch="main"), gates=("vm-test",)),
        "stable": ChannelConfig(on=TriggerConfig(tag="v*"), from_="testing", approve=True),
    },
)
SHAPES = {"github": ("static", "chunks", "workers"), "gitlab": ("child", "static", "chunks", "workers")}
CASES = [(provider, shape) for provider, shapes in SHAPES.items() for shape in shapes]


def _small(provider: str, shape: str) -> list[GeneratedFile]:
    """Emit the small tree; files that are the same in every shape are kept with the first."""
    files = list(emit_nodes(SETTINGS, (X86,), nodes(TREE), Provider(provider), version="1", shape=shape))
    if shape == "child":
        plan = plan_of(nodes(TREE), ["x86_64:base/root"])
        for channel in ("", "testing"):
            text = child_pipeline(
                SETTINGS, (X86,), plan, version="1", channel=channel, jobs=None, components=not channel
            )
            files.append(GeneratedFile(f"at-run-time/{channel or 'request'}/child.yml", text))
    if shape == SHAPES[provider][0]:
        return files
    own = ("-testing.yml", "_cosgen-worker-x86_64.yml", "_cosgen-left.yml")
    return [file for file in files if file.path.endswith(own)]


def _without_digest(text: str) -> str:
    """Leave out the digest of what a file is made from: each new setting changes it, and nothing else."""
    return re.sub(r"sha256:[0-9a-f]{64}", "sha256:(left out)", text, count=1)


def _compare(folder: Path, files: Iterable[GeneratedFile], *, update: bool) -> None:
    texts = {file.path.removeprefix(".").replace("/.", "/"): _without_digest(file.text) for file in files}
    there = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    if update:
        for name in there.keys() - texts.keys():
            (folder / name).unlink()
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return
    names = sorted(texts.keys() | there.keys())
    diff = "".join(unified_diff(name, there.get(name, ""), texts.get(name, "")) for name in names)
    assert not diff, f"{diff}\nas it should be? pytest {Path(__file__).name} --update-golden"


@pytest.mark.parametrize(("provider", "shape"), CASES)
def test_a_small_tree_is_emitted_as_reviewed(provider: str, shape: str, update_golden: bool) -> None:
    _compare(HERE / f"small-{provider}-{shape}", _small(provider, shape), update=update_golden)


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_starter_is_emitted_as_reviewed(provider: str, tmp_path: Path, update_golden: bool) -> None:
    assert CliRunner().invoke(init, [str(tmp_path / "acme"), "--name", "acme"]).exit_code == 0
    made = _emit(tmp_path / "acme", provider)
    shown = [file for file in made if file.path.endswith(("-testing.yml", ".gitlab-ci.yml"))]
    _compare(HERE / f"starter-{provider}", shown, update=update_golden)


def _emit(project: Path, provider: str, **environment: str) -> list[GeneratedFile]:
    """Emit by a process of its own, and give the text without the version of cosgen that made it."""
    command = [
        str(Path(sys.executable).parent / "cosgen"),
        "ci",
        provider,
        "--project",
        str(project),
        "--no-cache",
    ]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    found = [*project.glob(".github/workflows/*.yml"), *project.glob(".gitlab/cosgen/*.yml")]
    found += [path for path in [project / ".gitlab-ci.yml"] if path.exists()]
    return [
        GeneratedFile(path.relative_to(project).as_posix(), path.read_text().replace(__version__, "1"))
        for path in sorted(found)
    ]


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_bytes_are_the_same_wherever_and_however_they_are_made(provider: str, tmp_path: Path) -> None:
    made = []
    for number, language in enumerate(("C", "C.UTF-8")):
        project = tmp_path / f"folder-{number}" / "acme"
        assert CliRunner().invoke(init, [str(project), "--name", "acme"]).exit_code == 0
        made.append(_emit(project, provider, PYTHONHASHSEED=str(number), LC_ALL=language, TZ="Asia/Tokyo"))
    assert made[0] == made[1]
