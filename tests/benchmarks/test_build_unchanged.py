"""`cosgen build --all` when nothing changed: 73 packages, whole process, no engine. Target: 2 seconds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosgen.build.archive import write_archive
from cosgen.build.artifact import ArtifactRecord, FileRef, file_ref, store_record
from cosgen.graph.graph import think_variant
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.lock import Lock

pytestmark = pytest.mark.slow
PACKAGES = 73


def write_project(root: Path) -> None:
    """Write a tree of the size of cOS: one base, the others on top of it, a few files each."""
    (root / "packages").mkdir(parents=True)
    (root / "cosgen.yaml").write_text("version: 1\nname: bench\ntrees: [packages]\narches: [x86_64]\n")
    for number in range(PACKAGES):
        folder = root / "packages" / f"p{number}"
        folder.mkdir()
        (folder / "definition.yaml").write_text(f'name: p{number}\ncategory: c\nversion: "1.0"\n')
        needs = (
            f'requires:\n- {{name: p{(number - 1) // 3}, category: c, version: ">=0"}}'
            if number
            else "image: x"
        )
        (folder / "build.yaml").write_text(f"{needs}\nsteps:\n" + "- echo {{ .Values.name }}\n" * 10)
        for extra in range(5):
            (folder / f"file{extra}").write_text(f"{number} {extra}\n" * 200)


def write_artifacts(root: Path, output: Path) -> None:
    """Write what a build would have left."""
    output.mkdir(parents=True)
    project = load_project(root)
    tree = load_tree(project, project.variants[0])
    for node in think_variant(project, tree, Lock()).nodes.values():
        stem = node.fingerprint
        with (output / f"{stem}.package.tar.zst").open("wb") as file:
            summary = write_archive((), file)
        refs = []
        for suffix in ("metadata.yaml", "cdx.json", "intoto.json"):
            (output / f"{stem}.{suffix}").write_text("{}")
            refs.append(file_ref(output / f"{stem}.{suffix}"))
        archive = FileRef(name=f"{stem}.package.tar.zst", digest=summary.digest, size=summary.size)
        names = tuple(f"usr/share/{stem}/{number}" for number in range(200))
        store_record(
            output,
            ArtifactRecord(
                fingerprint=stem,
                definition={"name": stem},
                finalize=None,
                readme=None,
                flavor="",
                arch="x86_64",
                platform="linux/amd64",
                input_digest=node.input_digest,
                compression="zstd",
                archive=archive,
                content_digest=summary.content_digest,
                metadata=refs[0],
                sbom=refs[1],
                provenance=refs[2],
                files=names,
                installed_size=0,
            ),
        )


def test_an_unchanged_tree_is_seen_within_two_seconds_without_an_engine(tmp_path: Path) -> None:
    write_project(tmp_path / "p")
    write_artifacts(tmp_path / "p", tmp_path / "o")
    command = [str(Path(sys.executable).parent / "cosgen"), "build", "--all", "--output", str(tmp_path / "o")]
    env = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock", "GITHUB_ACTIONS": ""}
    best, done = 99.0, None
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=tmp_path / "p", env=env, capture_output=True, text=True, check=True
        )
        best = min(best, time.monotonic() - started)
    assert done is not None
    assert f"{PACKAGES} unchanged" in done.stderr
    print(f"\nno-change build of {PACKAGES} packages: {best:.2f} s (target 2 s, ratio {best / 2:.2f})")
    assert best < 2
