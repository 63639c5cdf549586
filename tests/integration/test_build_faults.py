"""What goes wrong outside of a build: it is told by one clear problem, leaves nothing half-made, and is resumed."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cosgen.build.artifact import read_records
from cosgen.build.engine import LABEL
from tests.base_images import import_busybox
from tests.engines import DockerEngine, Registry, remove_engine_folder, start_docker, start_registry
from tests.fakes.cutting_proxy import start_proxy
from tests.integration.building import Run, cosgen, environment, write_tree
from tests.integration.test_build_cache import chain, files_of, forget

pytestmark = pytest.mark.docker

JOINED = """requires_final_images: true
requires:
- {name: top, category: c, version: ">=0"}
- {name: shell, category: c, version: ">=0"}
steps:
- cat /top > /joined
"""
SHELL = "image: cosgen/busybox:test\nunpack: true\nsteps:\n- 'true'\n"


@contextlib.contextmanager
def started(root: Path, env: Mapping[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test."""
    command = [str(Path(sys.executable).parent / "cosgen"), *words]
    with subprocess.Popen(command, cwd=root, env=dict(env), stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def leftovers(engine: DockerEngine, repository: str) -> list[str]:
    """Return what of ours dangles in an engine: containers, images without a name, joins."""
    client = engine.client()
    found = [item.name for item in client.containers.list(all=True, filters={"label": LABEL})]
    dangling = client.images.list(filters={"dangling": True, "label": LABEL})
    joins = [tag for image in client.images.list(name=repository) for tag in image.tags if "-join" in tag]
    client.close()
    return [*found, *(item.id for item in dangling), *joins]


def is_one_problem(run: Run, rule: str) -> bool:
    """Tell whether a command failed as builds fail, with that id, and without a traceback."""
    return run.code == 4 and rule in run.err and "Traceback" not in run.err


def test_a_build_killed_at_any_moment_is_resumed_to_the_same_bytes(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    tree = chain("killed") | {"c/shell@1.0": SHELL, "c/joined@1.0": JOINED}
    root = write_tree(tmp_path / "p", tree)
    env = environment(docker_engine, tmp_path / "cache")
    began = time.monotonic()
    assert cosgen(root, env, "build", "--all", "--output", str(tmp_path / "whole")).code == 0
    whole = time.monotonic() - began
    forget(docker_engine, "cosgen/cache")
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    output = tmp_path / "o"
    for _ in range(5):
        with started(root, env, "build", "--all", "--output", str(output)) as process:
            time.sleep(chance.uniform(0.3, whole))
            process.send_signal(signal.SIGKILL)
        if output.exists():
            read_records(output)
    run = cosgen(root, env, "build", "--all", "--output", str(output))
    assert run.code == 0, f"seed {seed}: {run.err}"
    assert files_of(output) == files_of(tmp_path / "whole"), f"seed {seed}"
    assert leftovers(docker_engine, "cosgen/cache") == []


def test_what_killed_builds_left_goes_once_its_image_is_there(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    tree = {
        f"c/{name}@1.0": f"image: cosgen/busybox:test\nsteps:\n- echo {name} > /{name}\n" for name in "ab"
    }
    root = write_tree(tmp_path / "p", tree)
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all", "--output", str(tmp_path / "o")).code == 0
    client = docker_engine.client()
    (image,) = client.images.list(filters={"label": "org.cosgen.package=c/a@1.0"}, name="cosgen/cache")[:1]
    made, foreign = image.labels[LABEL], "sha256:" + "0" * 64
    left = {
        digest: client.images.build(
            fileobj=io.BytesIO(f"FROM {busybox_image}\nLABEL {LABEL}={digest}\n".encode()), rm=True
        )[0].id
        for digest in (made, foreign)
    }
    assert cosgen(root, env, "build", "c/b", "--rebuild", "--output", str(tmp_path / "o")).code == 0
    there = {item.id for item in client.images.list(filters={"dangling": True, "label": LABEL})}
    client.images.remove(left[foreign])
    client.close()
    assert left[made] not in there
    assert left[foreign] in there, "somebody else may be at work on that one"


@pytest.mark.parametrize(
    ("stop", "builder"), [("SIGINT", "auto"), ("SIGTERM", "auto"), ("SIGINT", "classic")]
)
def test_a_stopped_build_leaves_nothing_running_and_nothing_dangling(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path, stop: str, builder: str
) -> None:
    word = f"{stop}-{builder}-{os.getpid()}"
    slow = f"image: cosgen/busybox:test\nsteps:\n- echo {word} > /a\n- sleep 30; echo {word} > /b\n"
    root = write_tree(tmp_path / "p", {"c/slow@1.0": slow})
    env = environment(docker_engine, tmp_path / "cache")
    words = ("build", "--all", "--engine", builder, "--output", str(tmp_path / "o"))
    with started(root, env, *words) as process:
        log = tmp_path / "o/logs"
        while not any("sleep 30" in path.read_text() for path in log.glob("*.log")):
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.Signals[stop])
        assert process.wait(20) != 0
        assert "Traceback" not in (process.stderr.read() if process.stderr else "")
    assert "sleep 30" not in running_commands()
    assert leftovers(docker_engine, "cosgen/cache") == []
    assert not list((tmp_path / "o").glob(".partial-*"))


def running_commands() -> str:
    """Return the command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(lines)


@pytest.mark.registry
def test_a_registry_lost_half_way_of_a_push_is_told_and_pushed_to_again(
    docker_engine: DockerEngine, busybox_image: str, registry: Registry, tmp_path: Path
) -> None:
    with start_proxy(registry.address) as proxy:
        tree = {"c/large@1.0": LARGE.format(size=3_000)}
        root = write_tree(tmp_path / "p", tree, cache=f"{proxy.address}/push")
        env = environment(docker_engine, tmp_path / "cache")
        proxy.cut_after(6_000_000)  # past the image, in the artifact: the engine tries its part for a minute
        run = cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o"))
        assert is_one_problem(run, "CG480"), run.err
        assert len(read_records(tmp_path / "o")) == 1
        proxy.cut_after(None)
        run = cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o"))
        assert run.code == 0, run.err
        run = cosgen(root, env, "build", "--all", "--pull", "--output", str(tmp_path / "again"))
        assert "1 from cache" in run.err
        assert files_of(tmp_path / "again") == files_of(tmp_path / "o")


@pytest.mark.registry
def test_a_registry_lost_half_way_of_a_pull_leaves_whole_artifacts_only(
    docker_engine: DockerEngine, busybox_image: str, registry: Registry, tmp_path: Path
) -> None:
    with start_proxy(registry.address) as proxy:
        root = write_tree(tmp_path / "p", chain("pull"), cache=f"{proxy.address}/pull")
        env = environment(docker_engine, tmp_path / "cache")
        run = cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o"))
        assert run.code == 0, run.err
        before = proxy.passed
        words = ("build", "--all", "--pull", "--output")
        assert cosgen(root, env, *words, str(tmp_path / "whole")).code == 0
        proxy.cut_after((proxy.passed - before) // 2)
        run = cosgen(root, env, *words, str(tmp_path / "cut"))
        assert is_one_problem(run, "CG480"), run.err
        read_records(tmp_path / "cut")
        proxy.cut_after(None)
        assert cosgen(root, env, *words, str(tmp_path / "cut")).code == 0
        assert files_of(tmp_path / "cut") == files_of(tmp_path / "o")


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small file system in memory, or skip."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


LARGE = "image: cosgen/busybox:test\nsteps:\n- dd if=/dev/urandom of=/large bs=1000 count={size}\n"


def test_a_full_output_folder_is_told_and_holds_whole_artifacts_only(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    tree = {"c/large@1.0": LARGE.format(size=4_000), "c/little@1.0": LARGE.format(size=1)}
    root = write_tree(tmp_path / "p", tree)
    env = environment(docker_engine, tmp_path / "cache")
    with small_disk(tmp_path / "disk", "2m") as disk:
        run = cosgen(root, env, "build", "--all", "--output", str(disk))
        assert is_one_problem(run, "CG497"), run.err
        assert "No space left on device" in run.err
        assert [record.fingerprint for record in read_records(disk)] == ["little-c-1.0"]
        assert not list(disk.glob(".partial-*"))
        assert not (disk / "large-c-1.0.package.tar.zst").exists()


def test_an_engine_with_a_full_disk_is_told_by_the_log(busybox_image: str, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "p", {"c/large@1.0": LARGE.format(size=200_000)})
    with small_disk(tmp_path / "disk", "64m") as disk, start_docker(disk / "data") as engine:
        import_busybox(engine)
        env = environment(engine, tmp_path / "cache")
        run = cosgen(root, env, "build", "--all", "--output", str(tmp_path / "o"))
        assert is_one_problem(run, "CG451"), run.err
        assert "No space left on device" in run.err.splitlines()[-5]
        assert leftovers(engine, "cosgen/cache") == []


def test_an_engine_that_is_restarted_is_told_and_the_build_resumed(
    busybox_image: str, tmp_path: Path
) -> None:
    tree = {
        "c/quick@1.0": "image: cosgen/busybox:test\nsteps:\n- echo > /quick\n",
        "c/slow@1.0": "image: cosgen/busybox:test\nsteps:\n- sleep 4; echo > /slow\n",
    }
    root = write_tree(tmp_path / "p", tree)
    words = ("build", "--all", "--output", str(tmp_path / "o"))
    with start_docker(tmp_path / "engine/data") as engine:
        import_busybox(engine)
        env = environment(engine, tmp_path / "cache")
        with started(root, env, *words) as process:
            while not (tmp_path / "o/quick-c-1.0.artifact.json").exists():
                time.sleep(0.05)
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            err = process.stderr.read() if process.stderr else ""
            assert is_one_problem(Run(process.wait(30), "", err), "CG450"), err
    with start_docker(tmp_path / "engine/data") as engine:
        run = cosgen(root, environment(engine, tmp_path / "cache"), *words)
        assert run.code == 0, run.err
        assert "1 built, 1 unchanged" in run.err
    remove_engine_folder(tmp_path / "engine")


@pytest.mark.registry
def test_wrong_and_missing_logins_are_told_before_anything_is_built(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    with start_registry(tmp_path / "registry", locked=True) as registry:
        assert registry.login is not None
        user, password = registry.login
        root = write_tree(tmp_path / "p", chain("login"), cache=f"{registry.address}/login")
        nobody = environment(docker_engine, tmp_path / "cache", DOCKER_CONFIG=str(tmp_path / "none"))
        wrong = nobody | {"COSGEN_REGISTRY_USER": user, "COSGEN_REGISTRY_PASSWORD": "guess"}
        for env, way in ((nobody, "--push"), (wrong, "--push"), (wrong, "--pull")):
            run = cosgen(root, env, "build", "--all", way, "--output", str(tmp_path / "o"))
            assert is_one_problem(run, "CG481"), run.err
            assert run.err.count("CG481") == 1
            assert not list(tmp_path.glob("o/*"))
        right = nobody | {"COSGEN_REGISTRY_USER": user, "COSGEN_REGISTRY_PASSWORD": password}
        run = cosgen(root, right, "build", "--all", "--push", "--output", str(tmp_path / "o"))
        assert run.code == 0, run.err
        run = cosgen(root, right, "build", "--all", "--pull", "--output", str(tmp_path / "again"))
        assert "4 from cache" in run.err
