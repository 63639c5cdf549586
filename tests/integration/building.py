"""Running `cosgen build` on trees, and looking at what it leaves."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.archive import open_archive
from cosgen.build.artifact import ArtifactRecord, find_record
from tests.engines import DockerEngine


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


def write_tree(
    root: Path, packages: Mapping[str, str], *, cache: str = "", files: Mapping[str, bytes] | None = None
) -> Path:
    """Write a project: `category/name@version` -> text of its build.yaml."""
    root.mkdir(parents=True, exist_ok=True)
    lines = ["version: 1", "name: test", "trees: [packages]", "arches: [x86_64]"]
    if cache:
        lines.append(f'registry: {{cache: "{cache}"}}')
    (root / "cosgen.yaml").write_text("\n".join(lines) + "\n")
    for key, text in packages.items():
        human, _, version = key.partition("@")
        category, _, name = human.partition("/")
        folder = root / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "definition.yaml").write_text(f'name: {name}\ncategory: {category}\nversion: "{version}"\n')
        (folder / "build.yaml").write_text(text)
    for path, data in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def environment(engine: DockerEngine, cache: Path, **more: str) -> dict[str, str]:
    """Return the environment of a build: the engine, host networking, a cache of its own."""
    return {
        **os.environ,
        **engine.environment(),
        "COSGEN_BUILD_NETWORK": "host",
        "XDG_CACHE_HOME": str(cache),
        "GITHUB_ACTIONS": "",
        "GITLAB_CI": "",
        **more,
    }


def cosgen(root: Path, env: Mapping[str, str], *words: str, timeout: float = 240) -> Run:
    """Run the command."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "cosgen"), *words],
        cwd=root,
        check=False,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def members(folder: Path, fingerprint: str) -> dict[str, tarfile.TarInfo]:
    """Return the members of an artifact by name."""
    record = record_of(folder, fingerprint)
    with (folder / record.archive.name).open("rb") as file, open_archive(file, record.compression) as tar:
        return {info.name: info for info in tar}


def content(folder: Path, fingerprint: str, name: str) -> bytes:
    """Return the bytes of a member."""
    record = record_of(folder, fingerprint)
    with (folder / record.archive.name).open("rb") as file, open_archive(file, record.compression) as tar:
        for info in tar:
            if info.name == name:
                found = tar.extractfile(info)
                assert found is not None
                return found.read()
    raise AssertionError(f"{name} is not in {fingerprint}")


def record_of(folder: Path, fingerprint: str) -> ArtifactRecord:
    """Return a record that must be there."""
    record = find_record(folder, fingerprint)
    assert record is not None, f"no artifact of {fingerprint}"
    return record
