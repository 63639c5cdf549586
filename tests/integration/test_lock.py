"""`cosgen lock` against a real registry, and a forge on loopback."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosgen.build.reference import parse_name
from cosgen.build.registry import Manifest, Registry
from cosgen.cli import lock
from cosgen.errors import BuildError, DriftError, ManifestError
from cosgen.manifest.lock import LOCK_PATH, read_lock
from cosgen.pipeline.commands import COMMANDS
from tests.engines import Registry as Server
from tests.engines import free_port
from tests.fakes.forge_server import REPOSITORY, TOKEN, run_forge

INDEX = "application/vnd.oci.image.index.v1+json"


def push(reference: str, note: str) -> str:
    """Put an empty index under a tag; return its digest."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"note": note}}
    name, tag = parse_name(reference)
    return Registry().put_manifest(name, tag, Manifest(json.dumps(document).encode(), INDEX))


def write(root: Path, name: str, build: str, **more: str) -> None:
    folder = root / "packages" / name
    folder.mkdir(parents=True)
    (folder / "definition.yaml").write_text(f'{{name: {name}, category: test, version: "1.0"}}\n')
    (folder / "build.yaml").write_text(build)
    for path, text in more.items():
        (root / path).write_text(text)


@pytest.fixture
def seeds(registry: Server, request: pytest.FixtureRequest) -> tuple[str, str]:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return f"{registry.address}/lock/{stem}:one", f"{registry.address}/lock/{stem}:two"


@pytest.fixture
def project(tmp_path: Path, seeds: tuple[str, str]) -> Path:
    write(tmp_path, "base", f"image: {seeds[0]}\nsteps: [a]\n")
    needs = 'requires: [{name: base, category: test, version: ">=0"}]\n'
    write(tmp_path, "above", f"{needs}steps: [b]\n")
    write(tmp_path, "other", f"image: {seeds[1]}\nsteps: [c]\n")
    write(tmp_path, "pinned", f"image: {seeds[1]}@sha256:{'0' * 64}\nsteps: [c]\n")
    (tmp_path / "cosgen.yaml").write_text("version: 1\nname: acme\nci: {providers: [gitlab, github]}\n")
    return tmp_path


def run(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(lock.command, ["--project", str(project), *arguments])


def pins(project: Path) -> dict[str, str]:
    return dict(read_lock((project / LOCK_PATH).read_text(), []).seeds)


def test_seeds_are_pinned_once_and_renewed_when_asked(project: Path, seeds: tuple[str, str]) -> None:
    first, second = (push(seed, "1") for seed in seeds)
    done = run(project)
    assert done.exit_code == 0, done.output
    assert pins(project) == dict(zip(seeds, (first, second), strict=True))
    assert "builds 3 of 4 packages anew" in done.output, "the one with a digest of its own stays"

    text = (project / LOCK_PATH).read_text()
    moved = [push(seed, "2") for seed in seeds]
    assert "as it should be" in run(project).output, "pins stay until they are to be renewed"
    assert (project / LOCK_PATH).read_text() == text

    done = run(project, "--update", seeds[0])
    assert done.exit_code == 0, done.output
    assert pins(project) == dict(zip(seeds, (moved[0], second), strict=True))
    assert f"~ seed {seeds[0]}  {first[:19]} -> {moved[0][:19]}" in done.output
    assert "builds 2 of 4 packages anew" in done.output
    assert "  x86_64:test/above@1.0\n" in done.output


def test_check_writes_nothing_and_tells_what_is_stale(project: Path, seeds: tuple[str, str]) -> None:
    for seed in seeds:
        push(seed, "1")
    stale = run(project, "--check")
    assert isinstance(stale.exception, DriftError)
    assert stale.exception.exit_code == 8
    assert not (project / LOCK_PATH).exists()
    run(project)
    assert run(project, "--check").exit_code == 0
    push(seeds[0], "2")
    assert run(project, "--check").exit_code == 0, "nobody asked whether there is something newer"
    assert isinstance(run(project, "--check", "--update").exception, DriftError)


def test_what_is_not_used_any_more_is_not_pinned_any_more(project: Path, seeds: tuple[str, str]) -> None:
    for seed in seeds:
        push(seed, "1")
    run(project)
    (project / "packages" / "other" / "build.yaml").write_text("")
    done = run(project)
    assert f"- seed {seeds[1]}" in done.output
    assert set(pins(project)) == {seeds[0]}


def test_all_that_cannot_be_pinned_is_told_at_once(project: Path, seeds: tuple[str, str]) -> None:
    error = run(project).exception
    assert isinstance(error, BuildError)
    assert [problem.id for problem in error.problems] == ["CG730", "CG730"]
    build = project / "packages" / "base" / "build.yaml"
    build.write_text(build.read_text().replace(seeds[0], f"127.0.0.1:{free_port()}/x:y"))
    error = run(project).exception
    assert isinstance(error, BuildError)
    assert len(error.problems) == 2
    assert "cannot be reached" in str(error)
    assert not (project / LOCK_PATH).exists()


def test_a_tampered_lock_is_refused_and_not_written_over(project: Path, seeds: tuple[str, str]) -> None:
    for seed in seeds:
        push(seed, "1")
    run(project)
    text = (project / LOCK_PATH).read_text().replace("sha256:", "sha256:0", 1)
    (project / LOCK_PATH).write_text(text)
    error = run(project, "--update").exception
    assert isinstance(error, ManifestError)
    assert [problem.id for problem in error.problems] == ["CG050"]
    assert (project / LOCK_PATH).read_text() == text


def test_a_name_that_pins_nothing_is_told_with_the_nearest(project: Path, seeds: tuple[str, str]) -> None:
    error = run(project, "--update", seeds[0][:-1]).exception
    assert isinstance(error, ManifestError)
    assert error.problems[0].id == "CG732"
    assert seeds[0] in error.problems[0].fix
    assert run(project, "name").exit_code == 2


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_the_maintenance_job_opens_one_request_and_writes_no_file(
    project: Path, seeds: tuple[str, str], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in seeds:
        push(seed, "1")
    flags = [option.name for option in COMMANDS["lock"].options]
    with run_forge() as forge:
        for name in ("GITHUB_REPOSITORY", "CI_PROJECT_PATH"):
            monkeypatch.setenv(name, REPOSITORY)
        monkeypatch.setenv(f"{provider.upper()}_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_API_URL", forge.url)
        monkeypatch.setenv("CI_SERVER_URL", forge.url)
        done = run(project, *flags)
        assert done.exit_code == 0, (done.output, done.exception)
        assert not (project / LOCK_PATH).exists()
        assert len(forge.requests) == 1
        lock_text = forge.files("cosgen/lock")[LOCK_PATH]
        assert set(read_lock(lock_text, []).seeds) == set(seeds)
        (project / LOCK_PATH).write_text(lock_text)
        before = len(forge.writes)
        assert run(project, *flags).exit_code == 0
        assert len(forge.writes) == before, "nothing new, so nothing is asked of the forge"
