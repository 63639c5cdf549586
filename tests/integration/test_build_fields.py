"""Every field of a build spec, built by a real engine, looked at member by member."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from cosgen.build.artifact import read_records
from cosgen.build.closure import images_beneath
from cosgen.build.image_maker import package_tag
from cosgen.graph.graph import think
from cosgen.manifest.loader import load_project, load_tree
from tests.engines import DockerEngine
from tests.integration.building import content, cosgen, environment, members, record_of
from tests.integration.test_build_cache import forget

TREE = Path(__file__).resolve().parent.parent / "trees" / "fields"
pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def built(docker_engine: DockerEngine, busybox_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fields")
    shutil.copytree(TREE, root / "project")
    forget(docker_engine, "cosgen/cache")  # of an engine that outlives the tests
    env = environment(docker_engine, root / "cache")
    run = cosgen(
        root / "project",
        env,
        "build",
        "--all",
        "--output",
        str(root / "out"),
        "--summary",
        str(root / "s.json"),
    )
    assert run.code == 0, run.err
    return root / "out"


def test_a_delta_holds_what_steps_add_with_owners_modes_and_links(built: Path) -> None:
    found = members(built, "delta-test-1.0+2")
    assert list(found) == [
        "etc/greeting",
        "opt",
        "opt/delta",
        "opt/delta/new\nline",
        "opt/delta/old",
        "opt/delta/pipe",
        "opt/delta/run",
        "opt/delta/späce é",
        "opt/delta/sub",
        "opt/delta/sub/hard",
        "opt/delta/sub/soft",
    ]
    run = found["opt/delta/run"]
    assert (run.mode, run.uid, run.gid) == (0o4750, 7, 8)
    assert found["opt/delta/sub"].mode == 0o1777
    assert found["opt/delta/sub/hard"].islnk()
    assert found["opt/delta/sub/hard"].linkname == "opt/delta/run"
    assert found["opt/delta/sub/soft"].linkname == "../run"
    assert found["opt/delta/pipe"].isfifo()
    assert found["opt/delta/old"].mtime == 981173106
    assert {info.uname + info.gname for info in found.values()} == {""}
    assert content(built, "delta-test-1.0+2", "etc/greeting") == b"hello world delta test overridden\n"


def test_changed_and_deleted_files_are_told_not_packed(built: Path) -> None:
    told = record_of(built, "delta-test-1.0+2").build
    assert told["left_out_changed"] == {"count": 1, "first": ["etc/seed-release"]}
    assert told["left_out_deleted"] == {"count": 1, "first": ["var/old/file"]}
    assert told["setuid"] == ["opt/delta/run", "opt/delta/sub/hard"]


def test_privileges_stay_where_a_package_declares_them(built: Path) -> None:
    found = members(built, "declared-test-1.0")
    modes = {
        name.rpartition("/")[2]: found[f"opt/declared/{name}"].mode
        for name in ("may", "may-not", "set/group")
    }
    assert modes == {"may": 0o4755, "may-not": 0o755, "group": 0o2755}
    told = record_of(built, "declared-test-1.0").build
    assert told["left_out_privileges"] == {"count": 1, "first": ["opt/declared/may-not"]}
    assert told["setuid"] == ["opt/declared/may", "opt/declared/set/group"]


def test_files_of_prelude_are_not_part_of_the_delta(built: Path) -> None:
    assert list(members(built, "seed-base-1.0")) == ["etc/conf.d", "etc/seed-release", "srv", "srv/private"]
    private = members(built, "seed-base-1.0")["srv/private"]
    assert (private.mode, private.uid, private.gid) == (0o700, 12, 34)


def test_includes_and_excludes_choose_members_and_keep_new_parents(built: Path) -> None:
    assert list(members(built, "filtered-test-1.0")) == ["usr/lib", "usr/lib/keep", "usr/lib/keep/k"]


def test_package_dir_is_the_root_of_its_artifact(built: Path) -> None:
    assert list(members(built, "directory-test-1.0")) == ["usr", "usr/bin", "usr/bin/bin"]


def test_unpack_takes_the_whole_image_without_what_was_deleted(built: Path) -> None:
    found = members(built, "whole-test-1.0")
    assert {"whole", "bin/busybox", "etc/passwd"} <= set(found)
    assert "bin/vi" not in found
    assert not any(name.startswith("luetbuild") for name in found)


def test_copy_takes_files_of_packages_and_images(built: Path) -> None:
    assert set(members(built, "copies-test-1.0")) == {
        "copied",
        "copied/again",
        "copied/greeting",
        "copied/passwd",
    }
    assert content(built, "copies-test-1.0", "copied/again") == b"hello world delta test overridden\n"


def test_final_images_are_joined_artifacts(built: Path) -> None:
    assert content(built, "joined-test-1.0", "joined") == b"bin\nwhole\n"
    assert "etc/rc" not in members(built, "joined-test-1.0")


def test_subpackages_are_cut_from_the_artifact(built: Path) -> None:
    assert set(members(built, "parts-doc-test-1.0")) == {
        "usr",
        "usr/share",
        "usr/share/parts",
        "usr/share/parts/doc",
    } - {"usr"}
    assert "usr/lib/parts/lib" in members(built, "parts-test-1.0")
    assert record_of(built, "parts-test-1.0").build["subpackages"] == ["parts-doc-test-1.0"]
    assert record_of(built, "parts-doc-test-1.0").definition["description"] == "Documents of parts."


def test_virtual_and_empty_packages_have_empty_artifacts(built: Path) -> None:
    for fingerprint in ("virtual-test-1.0", "prelude-only-test-1.0"):
        assert members(built, fingerprint) == {}
    assert record_of(built, "virtual-test-1.0").finalize == "install:\n- echo installed\n"


def test_every_artifact_set_agrees_with_its_record(built: Path) -> None:
    records = read_records(built)
    assert len(records) == 13
    for record in records:
        bill = json.loads((built / record.sbom.name).read_text())
        assert bill["specVersion"] == "1.6"
        statement = json.loads((built / record.provenance.name).read_text())
        digests = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
        assert digests[record.archive.name] == record.archive.digest.removeprefix("sha256:")


def test_a_record_tells_what_it_was_built_from_and_what_the_build_took(built: Path) -> None:
    assert record_of(built, "delta-test-1.0+2").needs == ("seed-base-1.0",)
    assert record_of(built, "parts-doc-test-1.0").needs == ("parts-test-1.0",)
    for fingerprint in ("delta-test-1.0+2", "virtual-test-1.0"):
        seconds = record_of(built, fingerprint).build["seconds"]
        assert isinstance(seconds, float)
        assert seconds > 0


def test_metadata_is_in_luets_dialect(built: Path) -> None:
    data = yaml.safe_load((built / "delta-test-1.0+2.metadata.yaml").read_text())
    assert data["runtime"]["packagerequires"][0]["name"] == "virtual"
    assert data["compilespec"]["package"]["packagerequires"][0]["name"] == "seed"
    assert [item["package"]["name"] for item in data["compilespec"]["sourceassertion"]] == ["seed", "delta"]
    assert data["files"] == list(record_of(built, "delta-test-1.0+2").files)
    assert data["compressiontype"] == "zstd"


def test_each_distinct_image_was_built_once(built: Path, docker_engine: DockerEngine) -> None:
    project = load_project(built.parent / "project")
    graph = think(load_tree(project, project.variants[0]))
    extracted = [key for node in graph.nodes.values() for key in images_beneath(graph, node.fingerprint)]
    wanted = {package_tag(graph.images[key].input_digest) for key in extracted}
    in_chains = [key for node in graph.nodes.values() for key in node.images]
    variant = json.loads((built.parent / "s.json").read_text())["variants"][0]
    images = [item["tag"] for item in variant["images"]]
    assert len(in_chains) > len(set(in_chains))  # so that there is something to save
    assert sorted(images) == sorted(wanted)
    assert variant["cache_hits"] == {"built": len(wanted)}
    client = docker_engine.client()
    tags = {tag.rpartition(":")[2] for image in client.images.list(name="cosgen/cache") for tag in image.tags}
    client.close()
    assert wanted <= tags
    logs = "".join(path.read_text() for path in (built / "logs").glob("*.log"))
    assert all(logs.count(f"# package image cosgen/cache:{tag}\n") == 1 for tag in wanted)
