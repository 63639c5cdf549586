"""Builds on engines that know nothing: the same bytes on each, and what a cache with luet's tags saves them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry as Client
from tests.base_images import import_busybox
from tests.engines import DockerEngine, Registry, start_docker
from tests.integration.building import content, cosgen, environment, members, record_of, write_tree
from tests.integration.test_build_cache import chain, files_of

pytestmark = [pytest.mark.docker, pytest.mark.registry]

# Owners, modes, links, times, capabilities and attributes, in a package that copies and one that is joined.
TREE = {
    "c/odd@1.0": """image: cosgen/busybox:test
steps:
- >-
  mkdir -m 1777 /odd && echo a > /odd/a && chown 7:8 /odd/a && chmod 4750 /odd/a && ln /odd/a /odd/b &&
  ln -s a /odd/c && mkfifo /pipe && touch -d '2001-02-03 04:05:06' /odd/a
- "printf x > \\"$(printf '/odd/n\\\\nl')\\""
""",
    "c/copy@1.0": """requires:
- {name: odd, category: c, version: ">=0"}
copy:
- package: {name: odd, category: c, version: ">=0"}
  source: /odd
  destination: /copied
package_dir: /copied
steps:
- date > /copied/when; rm /copied/when
""",
    "c/joined@1.0": """requires_final_images: true
requires:
- {name: shell, category: c, version: ">=0"}
- {name: odd, category: c, version: ">=0"}
steps:
- cat /odd/a > /joined
""",
    "c/shell@1.0": "image: cosgen/busybox:test\nunpack: true\nsteps:\n- 'true'\n",
}


@pytest.fixture
def other_engine() -> Iterator[DockerEngine]:
    """Give a second engine, empty but for the seed."""
    with start_docker() as engine:
        import_busybox(engine)
        yield engine


def test_two_clean_engines_make_the_same_bytes(
    docker_engine: DockerEngine, other_engine: DockerEngine, busybox_image: str, tmp_path: Path
) -> None:
    for engine, name, builder in ((docker_engine, "one", "auto"), (other_engine, "two", "classic")):
        root = write_tree(tmp_path / name / "p", TREE)  # in another folder, written at another time
        env = environment(engine, tmp_path / name / "cache")
        run = cosgen(root, env, "build", "--all", "--engine", builder, "--output", str(tmp_path / name / "o"))
        assert run.code == 0, run.err
    one, two = files_of(tmp_path / "one/o"), files_of(tmp_path / "two/o")
    assert one == two
    assert len(one) == 4 * len(TREE)
    assert members(tmp_path / "one/o", "odd-c-1.0")["odd/b"].linkname == "odd/a"
    assert content(tmp_path / "one/o", "joined-c-1.0", "joined") == b"a\n"


def test_images_under_luets_tags_are_taken_by_a_machine_that_has_none(
    docker_engine: DockerEngine,
    other_engine: DockerEngine,
    busybox_image: str,
    registry: Registry,
    tmp_path: Path,
) -> None:
    root = write_tree(tmp_path / "p", chain("luet tags"), cache=f"{registry.address}/luet")
    settings = root / "cosgen.yaml"
    settings.write_text(settings.read_text().replace("registry: {", "registry: {luet_tags: true, "))
    name = ImageName(registry.address, "luet")
    env = environment(docker_engine, tmp_path / "cache")
    assert cosgen(root, env, "build", "--all", "--push", "--output", str(tmp_path / "o")).code == 0
    tags = registry.folder / "docker/registry/v2/repositories/luet/_manifests/tags"
    for tag in (*tags.glob("in-*"), *tags.glob("art-*")):  # as if luet itself had filled the cache
        shutil.rmtree(tag)
    assert {tag.partition("-")[0] for tag in Client().list_tags(name)}.isdisjoint({"in", "art"})
    summary = tmp_path / "s.json"
    away = environment(other_engine, tmp_path / "cache2")
    words = ("build", "--all", "--pull", "--output", str(tmp_path / "o2"), "--summary", str(summary))
    run = cosgen(root, away, *words)
    assert run.code == 0, run.err
    assert json.loads(summary.read_text())["variants"][0]["cache_hits"] == {"luet": 4}
    for fingerprint in ("base-c-1.0", "mid-c-1.0", "top-c-1.0", "side-c-1.0"):
        taken, built = (record_of(tmp_path / name, fingerprint) for name in ("o2", "o"))
        assert taken.archive == built.archive
