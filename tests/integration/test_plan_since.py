"""`cosgen plan` in a real git repository, and against a repository that was published to."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosgen.cli.plan import changed_paths, command
from cosgen.errors import ManifestError, MissingToolError

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "work tree"
    for name, build in (
        ("a", "image: x\n"),
        ("b", 'requires:\n- {category: t, name: a, version: ">=0"}\nsteps: [make]\n'),
        ("z", "image: y\n"),
    ):
        folder = root / "packages" / name
        folder.mkdir(parents=True)
        (folder / "definition.yaml").write_text(f'category: t\nname: {name}\nversion: "1"\n')
        (folder / "build.yaml").write_text(build)
    (root / "cosgen.yaml").write_text(
        "version: 1\nname: acme\ntrees: [packages]\narches: [x86_64]\n"
        "repository: {storage: ./store}\nchannels: {testing: {on: {branch: main}}}\n"
    )
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    return root


def run(project: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["--project", str(project), *words])


def actions(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return {node["human"]: node["action"] for node in json.loads(result.stdout)["nodes"]}


def test_only_what_changed_and_what_is_built_on_it_is_to_be_built(project: Path) -> None:
    (project / "packages/a/build.yaml").write_text("image: x\nsteps: [new]\n")
    assert actions(run(project, "--since", "HEAD", "--json")) == {
        "t/a": "build",
        "t/b": "build",
        "t/z": "keep",
    }


def test_new_removed_and_oddly_named_files_count(project: Path) -> None:
    (project / "packages/z/ä\nb").write_text("x")
    git(project, "rm", "-q", "packages/a/build.yaml")
    assert changed_paths(project, "HEAD") == ("packages/a/build.yaml", "packages/z/ä\nb")


def test_what_others_did_since_the_fork_does_not_count(project: Path) -> None:
    git(project, "branch", "-m", "main")
    git(project, "checkout", "-qb", "topic")
    git(project, "checkout", "-q", "main")
    (project / "packages/z/more").write_text("x")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "others")
    git(project, "checkout", "-q", "topic")
    (project / "packages/b/more").write_text("x")
    assert changed_paths(project, "main") == ("packages/b/more",)


@pytest.mark.parametrize("revision", ["nowhere", "--output=/tmp/x", "HEAD; true"])
def test_a_revision_that_is_not_there_is_an_error(project: Path, revision: str) -> None:
    with pytest.raises(MissingToolError) as caught:
        changed_paths(project, revision)
    assert caught.value.problems[0].id == "CG721"


def test_a_store_that_holds_nothing_yet_makes_everything_new(project: Path) -> None:
    (project / "store").mkdir()
    result = run(project, "--channel", "testing", "--json", "--output", str(project / "plan.json"))
    assert set(actions(result).values()) == {"build"}
    assert json.loads((project / "plan.json").read_text()) == json.loads(result.stdout)


def test_an_unknown_channel_is_an_error(project: Path) -> None:
    result = run(project, "--channel", "nightly")
    assert isinstance(result.exception, ManifestError)
    assert result.exception.problems[0].id == "CG720"
