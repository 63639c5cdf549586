"""Sharing work through a registry, resuming, failing well: `cosgen build` on a real engine and registry."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosgen.build.artifact import find_record
from tests.engines import DockerEngine, Registry, free_port, start_registry
from tests.integration.building import content, cosgen, environment, members, record_of, write_tree

pytestmark = [pytest.mark.docker, pytest.mark.registry]

CHAIN = {
    "c/base@1.0": "image: cosgen/busybox:test\nsteps:\n- echo {seed} > /base\n",
    "c/mid@1.0": 'requires:\n- {{name: base, category: c, version: ">=0"}}\nsteps:\n- cat /base > /mid\n',
    "c/top@1.0": 'requires:\n- {{name: mid, category: c, version: ">=0"}}\nsteps:\n- cat /mid /base > /top\n',
    "c/side@1.0": 'requires:\n- {{name: base, category: c, version: ">=0"}}\nsteps:\n- cat /base > /side\n',
}


def chain(seed: str) -> dict[str, str]:
    """Return a tree whose digests no other test has."""
    return {key: text.format(seed=seed) for key, text in CHAIN.items()}


def forget(engine: DockerEngine, repository: str) -> None:
    """Remove all images of a cache and what the engine remembers of building them."""
    client = engine.client()
    for image in client.images.list(name=repository):
        for tag in image.tags:
            client.images.remove(tag, force=True)
    client.api.prune_builds()


def files_of(folder: Path) -> dict[str, str]:
    """Return the digests of all files but the records (they tell seconds) and logs."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.endswith(".artifact.json")
    }


def test_two_builds_from_nothing_make_the_same_bytes(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "p", chain("same"))
    env = environment(docker_engine, tmp_path / "cache")
    for name in ("one", "two"):
        assert cosgen(root, env, "build", "--all", "--output", str(tmp_path / name)).code == 0
        forget(docker_engine, "cosgen/cache")
        time.sleep(1.1)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_all_ways_to_the_layers_and_both_builders_make_the_same_bytes(
    docker_engine: DockerEngine, busybox_image: str, registry: Registry, tmp_path: Path
) -> None:
    cache = f"{registry.address}/ways"
    root = write_tree(tmp_path / "p", chain("ways"), cache=cache)
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "overlay")).code == 0
    script = (
        "import sys\n"
        "from cosgen.build import sources\n"
        "sources.LayerReader.__init__.__kwdefaults__['ways'] = ('save',)\n"
        "import cosgen.build.request as r\n"
        "r.BuildRequest.__init__.__kwdefaults__['layer_ways'] = ('save',)\n"
        "from cosgen.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["build", "--all", "--output", str(tmp_path / "save")]
    subprocess.run([sys.executable, "-c", script, *words], cwd=root, env=env, check=True)
    assert record_of(tmp_path / "save", "top-c-1.0").build["layers_read_from"] == "save"
    forget(docker_engine, cache)
    for name in ("art-",):
        delete_tags(registry, "ways", name)
    assert cosgen(root, env, "build", "--all", "--pull", "--output", str(tmp_path / "blobs")).code == 0
    assert record_of(tmp_path / "blobs", "top-c-1.0").build["layers_read_from"] == "registry"
    forget(docker_engine, cache)
    classic = cosgen(
        root, env, "build", "--all", "--engine", "classic", "--output", str(tmp_path / "classic")
    )
    assert classic.code == 0, classic.err
    archives = [
        {name: digest for name, digest in files_of(tmp_path / way).items() if ".package.tar" in name}
        for way in ("overlay", "save", "blobs", "classic")
    ]
    assert archives[0] == archives[1] == archives[2] == archives[3]


def delete_tags(registry: Registry, name: str, prefix: str) -> None:
    """Delete manifests by the prefix of their tags."""
    from cosgen.build.reference import ImageName
    from cosgen.build.registry import Registry as Client

    client, place = Client(), ImageName(registry.address, name)
    for tag in client.list_tags(place):
        if tag.startswith(prefix):
            digest = client.find_digest(place, tag)
            assert digest is not None
            client.delete_manifest(place, digest)


def test_a_second_machine_takes_finished_work_from_the_registry(
    docker_engine: DockerEngine, busybox_image: str, registry: Registry, tmp_path: Path
) -> None:
    cache = f"{registry.address}/shared"
    root = write_tree(tmp_path / "p", chain("shared"), cache=cache)
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "one")).code == 0
    forget(docker_engine, cache)
    away = environment(docker_engine, tmp_path / "cache2", DOCKER_HOST="unix:///nowhere.sock")
    run = cosgen(
        root,
        away,
        "build",
        "--all",
        "--pull",
        "--output",
        str(tmp_path / "two"),
        "--summary",
        str(tmp_path / "s.json"),
    )
    assert run.code == 0, run.err
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    packages = json.loads((tmp_path / "s.json").read_text())["variants"][0]["packages"]
    assert {item["status"] for item in packages} == {"pulled"}


def test_a_changed_package_is_built_on_pulled_images(
    docker_engine: DockerEngine, busybox_image: str, registry: Registry, tmp_path: Path
) -> None:
    cache = f"{registry.address}/changed"
    root = write_tree(tmp_path / "p", chain("changed"), cache=cache)
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "one")).code == 0
    forget(docker_engine, cache)
    with (root / "packages/top/build.yaml").open("a") as file:
        file.write("- echo more > /more\n")
    run = cosgen(
        root,
        env,
        "build",
        "--all",
        "--pull",
        "--push",
        "--output",
        str(tmp_path / "two"),
        "--summary",
        str(tmp_path / "s.json"),
    )
    assert run.code == 0, run.err
    variant = json.loads((tmp_path / "s.json").read_text())["variants"][0]
    assert {item["human"]: item["status"] for item in variant["packages"]} == {
        "c/base": "pulled",
        "c/mid": "pulled",
        "c/side": "pulled",
        "c/top": "built",
    }
    assert {item["package"]: item["how"] for item in variant["images"]} == {
        "c/mid": "pulled",
        "c/top": "built",
    }


def test_nothing_is_asked_of_the_engine_when_nothing_changed(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "p", chain("unchanged"))
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all").code == 0
    run = cosgen(root, env | {"DOCKER_HOST": "unix:///nowhere.sock"}, "build", "--all")
    assert (run.code, "4 unchanged" in run.err) == (0, True)


def test_a_failure_names_its_log_and_blocks_only_its_dependents(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    tree = chain("failing") | {
        "c/mid@1.0": 'requires:\n- {name: base, category: c, version: ">=0"}\nsteps:\n- echo told && false\n'
    }
    root = write_tree(tmp_path / "p", tree)
    env = environment(docker_engine, tmp_path / "cache")
    run = cosgen(
        root, env, "build", "--all", "--output", str(tmp_path / "o"), "--results", str(tmp_path / "r")
    )
    assert run.code == 4
    assert "CG451" in run.err
    results = {
        path.name.split("-")[0]: json.loads(path.read_text())["state"]
        for path in (tmp_path / "r/x86_64").glob("*.json")
    }
    assert results == {"base": "built", "side": "built", "mid": "failed", "top": "blocked"}
    assert "told" in (tmp_path / "r/x86_64/mid-c-1.0.log").read_text()


@pytest.mark.parametrize("seconds", [0.9, 1.6, 2.4])
def test_a_killed_build_is_resumed(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path, seconds: float
) -> None:
    root = write_tree(tmp_path / "p", chain(f"killed {seconds}"))
    env = environment(docker_engine, tmp_path / "cache")
    words = [str(Path(sys.executable).parent / "cosgen"), "build", "--all", "--output", str(tmp_path / "o")]
    process = subprocess.Popen(words, cwd=root, env=env, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run = cosgen(root, env, "build", "--all", "--output", str(tmp_path / "o"))
    assert run.code == 0, run.err
    assert not list((tmp_path / "o").glob(".partial-*"))
    assert members(tmp_path / "o", "top-c-1.0").keys() == {"top"}


def test_a_registry_that_goes_away_costs_only_the_push(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    port = free_port()
    root = write_tree(tmp_path / "p", chain("going"), cache=f"127.0.0.1:{port}/gone")
    env = environment(docker_engine, tmp_path / "cache")
    run = cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o"))
    assert run.code == 4
    assert "CG480" in run.err
    assert "Traceback" not in run.err
    with start_registry(tmp_path / "registry", port=port):
        run = cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o"))
        assert run.code == 0, run.err
        shutil.rmtree(tmp_path / "o")
        run = cosgen(root, env, "build", "--all", "--pull", "--output", str(tmp_path / "o"))
        assert "4 from cache" in run.err


def test_odd_names_and_many_files_are_kept(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    steps = (
        "image: cosgen/busybox:test\nsteps:\n"
        "- mkdir -p /many && cd /many && i=0; while [ $i -lt 10000 ]; do echo $i > f$i; i=$((i+1)); done\n"
        "- printf 'x' > \"$(printf '/many/\\377raw')\"\n"
    )
    root = write_tree(tmp_path / "p", {"c/many@1.0": steps}, files={"packages/many/ünï ☃ name": b"x"})
    run = cosgen(
        root,
        environment(docker_engine, tmp_path / "cache"),
        "build",
        "c/many",
        "--output",
        str(tmp_path / "o"),
    )
    assert run.code == 0, run.err
    assert len(record_of(tmp_path / "o", "many-c-1.0").files) == 10001
    assert "many/\udcffraw" in members(tmp_path / "o", "many-c-1.0")


def test_hostile_packages_are_refused(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    tree = {
        "c/device@1.0": "image: cosgen/busybox:test\nsteps:\n- mknod /etc/sda b 8 0\n",
        "c/escape@1.0": "image: cosgen/busybox:test\nsteps:\n- ln -s ../../../etc/shadow /etc/x\n",
        "c/missing@1.0": "image: cosgen/busybox:test\npackage_dir: /none\nsteps:\n- 'true'\n",
    }
    root = write_tree(tmp_path / "p", tree)
    run = cosgen(
        root,
        environment(docker_engine, tmp_path / "cache"),
        "build",
        "--all",
        "--output",
        str(tmp_path / "o"),
    )
    assert run.code == 4
    assert all(name in run.err for name in ("CG464", "CG463", "CG461"))
    assert all(
        find_record(tmp_path / "o", f"{name}-c-1.0") is None for name in ("device", "escape", "missing")
    )


def test_every_choice_is_told_with_its_reason_to_whoever_asks(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    root = write_tree(
        tmp_path / "p", {"c/one@1.0": "image: cosgen/busybox:test\nsteps:\n- echo told > /one\n"}
    )
    env = environment(docker_engine, tmp_path / "cache")
    run = cosgen(root, env, "build", "c/one", "--verbose", "--engine", "classic")
    told = [line for line in run.err.splitlines() if line.startswith(("engine:", "images:", "layers of"))]
    assert [line.partition(": ")[0] for line in told] == ["engine", "images", "layers of c/one"]
    assert docker_engine.host in told[0]
    assert told[1] == "images: built with classic: asked for"
    assert re.fullmatch(r"layers of c/one: (overlay2|save): .+", told[2])
    quiet = cosgen(root, env, "build", "c/one", "--rebuild", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")


def test_names_and_values_full_of_shell_are_words_or_refused(
    docker_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    pwn = tmp_path / "pwned"
    evil = f"$(touch {pwn});`touch {pwn}`&&touch {pwn}"
    values = {
        "c/image@1.0": f"image: {json.dumps('cosgen/busybox:test; ' + evil)}\nsteps:\n- echo > /x\n",
        "c/flag@1.0": "image: --output=/x\nsteps:\n- echo > /x\n",
        "c/line@1.0": f"image: {json.dumps('cosgen/busybox:test' + chr(10) + 'RUN id')}\nsteps:\n- echo > /x\n",
        "c/env@1.0": f"image: cosgen/busybox:test\nenv: [{json.dumps('A=1' + chr(10) + 'USER 7')}]\nsteps: [id]\n",
        "c/copied@1.0": "image: cosgen/busybox:test\ncopy:\n"
        f"- {{image: {json.dumps(evil)}, source: /a, destination: /b}}\nsteps: [id]\n",
        "c/good@1.0": f"image: cosgen/busybox:test\nenv: [{json.dumps('A=' + chr(39) + evil + chr(39))}]\n"
        'steps:\n- echo "$A" > /good\n',
    }
    root = write_tree(tmp_path / "p", values, files={f"packages/good/{'; touch pwned #'}": b"x"})
    env = environment(docker_engine, tmp_path / "cache")
    run = cosgen(
        root, env, "build", "--all", "--output", str(tmp_path / "o"), "--summary", str(tmp_path / "s.json")
    )
    assert (run.code, "Traceback" in run.err) == (4, False), run.err
    packages = json.loads((tmp_path / "s.json").read_text())["variants"][0]["packages"]
    assert {item["human"]: [told["id"] for told in item["problems"]] for item in packages} == {
        "c/image": ["CG453"],
        "c/flag": ["CG453"],
        "c/line": ["CG453"],
        "c/env": ["CG455"],
        "c/copied": ["CG453"],
        "c/good": [],
    }
    assert content(tmp_path / "o", "good-c-1.0", "good").decode() == f"{evil}\n"
    assert not list(tmp_path.rglob("pwned"))
