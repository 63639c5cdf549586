"""An unchanged project is told by its bytes, and any change of any input is seen."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from cosgen.cli import unchanged
from cosgen.cli.main import cosgen
from cosgen.cli.unchanged import Memory, cache_folder, inputs_of, inspect
from cosgen.manifest.loader import load_project

CONFIG = """\
version: 1
name: small
trees: [packages]
values: ["values/{flavor}-{arch}.yaml"]
flavors: [green]
arches: [x86_64]
channels: {testing: {on: {branch: main}}}
ci: {providers: [github, gitlab], shape: static}
repository: {storage: "s3://small", url: "https://repo.example.org"}
"""
BUILD = '{{ template "none" . }}image: "{{ .Values.image }}"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a small project, an empty cache and no CI."""
    root = tmp_path / "project"
    files = {
        "cosgen.yaml": CONFIG,
        "manifest.yaml": "extends: base.yaml\n",
        "base.yaml": "packages: {}\n",
        "values/green-x86_64.yaml": "image: debian\n",
        "packages/templates/shared.yaml": '{{ define "none" }}{{ end }}',
        "packages/a/definition.yaml": "name: a\ncategory: t\nversion: '1'\n",
        "packages/a/build.yaml": BUILD,
        "packages/a/files/deep/script.sh": "echo\n",
        "packages/b/collection.yaml": "packages:\n- {name: b, category: t, version: '1'}\n",
        "packages/b/build.yaml": "requires: [{name: a, category: t, version: '>=0'}]\nsteps: [make]\n",
        "packages/b/notes": "x\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "packages/b/link").symlink_to("notes")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CI", "SOURCE_DATE_EPOCH", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    _settle()
    return root


def _settle() -> None:
    time.sleep(0.05)  # until the file system's clock has passed what was written


def _run(root: Path, *arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cosgen, ["ci", "--project", str(root), *arguments])


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count how often projects are really read."""
    calls: list[str] = []
    real = load_project

    def counted(root: Path, **options: object) -> object:
        calls.append(str(root))
        return real(root, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr("cosgen.manifest.loader.load_project", counted)
    return calls


def _digest(root: Path) -> str:
    inputs = inputs_of(load_project(root))
    assert inputs is not None
    return inspect(root, inputs).digest


def test_a_second_run_reads_nothing_and_says_the_same(project: Path, rendered: list[str]) -> None:
    first = _run(project)
    assert first.exit_code == 0, first.output
    again = _run(project)
    assert len(rendered) == 1
    assert again.exit_code == 0
    assert "as they were" in again.stderr
    assert "github: 0 written or removed" in again.stderr
    assert _run(project, "--check").exit_code == 0
    assert len(rendered) == 1
    kept = again.stderr
    slow = _run(project, "--no-cache")
    assert (slow.stdout, slow.stderr) == (again.stdout, kept)
    assert len(rendered) == 2


def _append(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes((root / name).read_bytes() + b"\n")


def _relink(root: Path) -> None:
    (root / "packages/b/link").unlink()
    (root / "packages/b/link").symlink_to("./notes")


def _copy_over_link(root: Path) -> None:
    (root / "packages/b/link").unlink()
    shutil.copy(root / "packages/b/notes", root / "packages/b/link")


def _move_behind_link(root: Path) -> None:
    (root / "packages").rename(root / "real")
    (root / "packages").symlink_to("real")


CHANGES: dict[str, Callable[[Path], object]] = {
    "settings": _append("cosgen.yaml"),
    "manifest": _append("manifest.yaml"),
    "the manifest it extends": _append("base.yaml"),
    "values": _append("values/green-x86_64.yaml"),
    "one more values file": lambda root: (root / "values/blue-x86_64.yaml").write_text(""),
    "shared template": _append("packages/templates/shared.yaml"),
    "definition": _append("packages/a/definition.yaml"),
    "build file": _append("packages/a/build.yaml"),
    "collection": _append("packages/b/collection.yaml"),
    "file deep in a context": _append("packages/a/files/deep/script.sh"),
    "mode": lambda root: (root / "packages/a/files/deep/script.sh").chmod(0o755),
    "mode of a folder": lambda root: (root / "packages/a/files").chmod(0o700),
    "added file": lambda root: (root / "packages/a/new").write_text(""),
    "added folder": lambda root: (root / "packages/c").mkdir(),
    "removed file": lambda root: (root / "packages/b/notes").unlink(),
    "renamed file": lambda root: (root / "packages/b/notes").rename(root / "packages/b/note"),
    "renamed folder": lambda root: (root / "packages/b").rename(root / "packages/bb"),
    "swapped contents": lambda root: (root / "packages/b/notes").write_text("y\n"),
    "link target": _relink,
    "copy in place of a link": _copy_over_link,
    "tree moved behind a link": _move_behind_link,
}


@pytest.mark.parametrize("change", CHANGES, ids=list(CHANGES))
def test_any_change_of_an_input_is_seen(project: Path, rendered: list[str], change: str) -> None:
    assert _run(project).exit_code == 0
    before = _digest(project)
    _settle()
    status = (project / "packages/b/notes").stat()
    CHANGES[change](project)
    notes = project / "packages/b/notes"
    if notes.is_file():
        os.utime(notes, ns=(status.st_atime_ns, status.st_mtime_ns))  # times are no way to hide a change
    inputs = inputs_of(load_project(project))
    assert inputs is not None
    assert inspect(project, inputs).digest != before
    rendered.clear()
    _run(project)
    assert rendered


@pytest.mark.parametrize(
    "arguments",
    [
        ("--shape", "workers"),
        ("--flavor", "green"),
        ("--arch", "x86_64"),
        ("--tree", "packages"),
        ("--values", "values/green-x86_64.yaml"),
        ("github",),
        ("--no-cache",),
        ("--stdout",),
    ],
)
def test_any_other_option_is_another_request(
    project: Path, rendered: list[str], arguments: tuple[str, ...]
) -> None:
    assert _run(project).exit_code == 0
    rendered.clear()
    _run(project, *arguments)
    assert rendered


def test_the_time_of_templates_and_the_tool_itself_are_inputs(
    project: Path, rendered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(project).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1")
        _run(project)
    assert len(rendered) == 2
    with monkeypatch.context() as patch:
        patch.setattr(unchanged, "__version__", "9")
        _run(project)
    assert len(rendered) == 3
    with monkeypatch.context() as patch:
        patch.setattr("sys.version", "4.0")
        _run(project)
    assert len(rendered) == 4


def test_what_was_emitted_must_still_be_there(project: Path, rendered: list[str]) -> None:
    assert _run(project).exit_code == 0
    emitted = sorted((project / ".github/workflows").glob("*.yml"))
    text = emitted[0].read_text()
    emitted[0].write_text(f"{text}# by hand\n")
    assert _run(project, "--check").exit_code != 0
    assert _run(project).exit_code == 0
    assert emitted[0].read_text() == text
    emitted[1].unlink()
    assert _run(project).exit_code == 0
    assert emitted[1].is_file()
    stale = project / ".github/workflows/old.yml"
    stale.write_text(text)
    assert _run(project).exit_code == 0
    assert not stale.exists()
    foreign = project / ".github/workflows/theirs.yml"
    foreign.write_text("on: push\n")
    rendered.clear()
    assert _run(project).exit_code == 0
    assert not rendered
    assert foreign.exists()


def test_errors_and_drift_are_never_remembered(project: Path, rendered: list[str]) -> None:
    assert _run(project, "--check").exit_code != 0
    assert _run(project, "--check").exit_code != 0
    (project / "cosgen.yaml").write_text("version: 9\n")
    assert _run(project).exit_code != 0
    assert _run(project).exit_code != 0
    assert len(rendered) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"null",
        b'{"inputs": [], "digest": "x", "outputs": {}}',
        b'{"inputs": ["cosgen.yaml"], "digest": 1, "outputs": {"github": {"a": "b"}}}',
        b'{"inputs": ["a\\u0000"], "digest": "x", "outputs": {"github": {"a": "b"}}}',
        b'{"inputs": ["a"], "digest": "x", "outputs": {"github": []}}',
        b"[" * 200_000,
    ],
)
def test_a_damaged_record_counts_as_none(project: Path, rendered: list[str], content: bytes) -> None:
    assert _run(project).exit_code == 0
    (record,) = cache(project).iterdir()
    record.write_bytes(content)
    _settle()
    assert _run(project).exit_code == 0
    assert len(rendered) == 2
    assert json.loads(record.read_bytes())["digest"]  # and is mended


def cache(project: Path) -> Path:
    folder = cache_folder({"XDG_CACHE_HOME": str(project.parent / "cache")})
    assert folder is not None
    return folder


def test_a_cache_that_cannot_be_written_is_no_fault(project: Path) -> None:
    (project.parent / "cache").write_text("a file in its way")
    assert _run(project).exit_code == 0
    assert _run(project).exit_code == 0


def test_nothing_is_kept_of_a_run_in_which_something_changed(project: Path) -> None:
    memory = Memory(cache(project), project, {})
    (project / "packages/b/notes").write_text("while it was read")
    memory.survey(load_project(project), [])
    memory.keep({"github": {"a": "b"}})
    assert not cache(project).exists()


def test_nothing_is_kept_where_templates_may_ask_the_world(project: Path, rendered: list[str]) -> None:
    config = project / "cosgen.yaml"
    config.write_text(config.read_text() + "templates: {allow_functions: [env]}\n")
    _settle()
    assert _run(project).exit_code == 0
    assert _run(project).exit_code == 0
    assert len(rendered) == 2


def test_records_lie_where_caches_do_and_never_in_ci() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/cosgen/ci")
    assert cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/cosgen/ci")
    assert cache_folder({}) is None
    assert cache_folder({"HOME": "/h", "CI": "true"}) is None


def test_old_records_go(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "MOST_RECORDS", 3)
    for number in range(6):
        memory = Memory(cache(project), project, {"number": number})
        memory.survey(load_project(project), [])
        memory.keep({"github": {"a": "b"}})
    assert len(list(cache(project).iterdir())) == 3
