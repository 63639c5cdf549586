"""Images when the registry refuses half-way, loses answers, or somebody else moves tags meanwhile.

Whatever happens, a tag names an image that is there as a whole, the error says what to do, and the next run mends it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry
from tests.e2e.image_project import Project
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact
from tests.fakes.fault_proxy import Faults, start_fault_proxy


@pytest.fixture
def faults(registry: Server) -> Iterator[Faults]:
    with start_fault_proxy(registry.address) as proxy:
        yield proxy


@pytest.fixture
def project(tmp_path: Path, faults: Faults, request: pytest.FixtureRequest) -> Project:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())
    return Project(tmp_path, f"{faults.address}/faults/{stem}", {})


def check_whole(name: ImageName) -> list[str]:
    """See that everything under every tag is there; return the tags that machines may follow."""
    registry = Registry()
    tags = registry.list_tags(name)
    for tag in tags:
        _check(registry, name, tag)
    return [tag for tag in tags if not tag.startswith("sha256-")]


def _check(registry: Registry, name: ImageName, reference: str) -> None:
    found = registry.find_manifest(name, reference)
    assert found is not None, f"{name}@{reference} is not there"
    document = json.loads(found.data)
    for entry in document.get("manifests", ()):
        _check(registry, name, entry["digest"])
    for blob in (*document.get("layers", ()), *([document["config"]] if "config" in document else ())):
        assert registry.has_blob(name, blob["digest"]), f"{name}@{reference} lacks {blob['digest']}"


def count_writes(project: Project, faults: Faults, *command: str) -> int:
    faults.heal()
    project.run(*command)
    return faults.writes


def elsewhere(project: Project, number: int) -> tuple[str, ImageName]:
    """Return a place that holds nothing, for the same snapshot."""
    path = f"{project.images}-{number}"
    host, _, rest = path.partition("/")
    return path, ImageName(host, rest)


@pytest.mark.parametrize("fault", ["refuse", "lose"])
def test_a_push_that_stops_anywhere_leaves_whole_images_and_is_mended(
    project: Project, faults: Faults, fault: str
) -> None:
    project.publish("1.0", arches=("x86_64",))
    push = ("image", "push", "--channel", "testing")
    writes = count_writes(project, faults, *push)
    assert writes > 20
    for number in range(1, writes, 5):
        place, name = elsewhere(project, number)
        faults.heal()
        if fault == "refuse":
            faults.refuse_after = number
            told = project.run(*push, "--images", place, code=4)
            assert "CG481" in told
            faults.heal()
            assert "testing" not in check_whole(name)
            project.run(*push, "--images", place)
        else:
            faults.lose = number
            project.run(*push, "--images", place)
        assert check_whole(name) == ["1.0", "s0", "testing"]
        project.run("image", "verify", "--channel", "testing", "--images", place)


def test_a_refused_upgrade_leaves_the_channel_where_it_was(project: Project, faults: Faults) -> None:
    project.publish("1.0", arches=("x86_64",))
    one = project.push("testing")
    project.publish("2.0", arches=("x86_64",))
    for number in (0, 6, 12):
        faults.heal()
        faults.refuse_after = number
        project.run("image", "push", "--channel", "testing", code=4)
        faults.heal()
        assert project.digest("testing") == one
        project.run("image", "verify", "--channel", "testing", code=6)  # the log is not the snapshot's image
    two = project.push("testing")
    assert two != one
    project.run("image", "verify", "--channel", "testing")


def test_no_tag_moves_when_the_image_of_one_flavor_cannot_be_pushed(project: Project, faults: Faults) -> None:
    settings = project.folder / "cosgen.yaml"
    settings.write_text(settings.read_text() + "flavors: [blue, green]\nvalues: []\n")
    folders = [project.folder / "artifacts" / flavor for flavor in ("blue", "green")]
    for folder in folders:
        make_artifact(folder, "os", "1.0", category="system", flavor=folder.name)
    project.run("publish", *map(str, folders), "--channel", "testing")
    faults.refuse = lambda method, path: method == "PUT" and "-green/manifests/" in path
    assert "CG481" in project.run("image", "push", "--channel", "testing", code=4)
    faults.heal()
    host, _, path = project.images.partition("/")
    blue, green = (ImageName(host, f"{path}-{flavor}") for flavor in ("blue", "green"))
    assert check_whole(blue) == ["1.0", "s0"]
    assert check_whole(green) == []
    project.run("image", "push", "--channel", "testing")
    assert check_whole(blue) == check_whole(green) == ["1.0", "s0", "testing"]


def test_the_move_that_is_lost_between_log_and_tag_is_made_by_the_next_run(
    project: Project, faults: Faults
) -> None:
    project.publish("1.0", arches=("x86_64",))
    one = project.push("testing")
    project.publish("2.0", arches=("x86_64",))

    faults.refuse = lambda method, path: method == "PUT" and path.endswith("/manifests/testing")
    project.run("image", "push", "--channel", "testing", code=4)
    faults.heal()
    assert project.digest("testing") == one
    assert "CG657" in project.run("image", "verify", "--channel", "testing", code=6)
    project.publish("3.0", arches=("x86_64",))  # and the world goes on
    three = project.push("testing")
    assert three not in {None, one}
    project.run("image", "verify", "--channel", "testing")


def foreign_manifest(project: Project) -> str:
    """Push an image that is not ours to move, and return its digest."""
    direct, name = Registry(), project.name
    index = direct.find_manifest(name, "testing")
    assert index is not None
    return str(json.loads(index.data)["manifests"][0]["digest"])


def move_by_somebody_else(project: Project, registry: Server, digest: str) -> None:
    direct = ImageName(registry.address, project.name.path)
    manifest = Registry().find_manifest(direct, digest)
    assert manifest is not None
    Registry().put_manifest(direct, "testing", manifest)


def test_a_tag_moved_after_we_looked_is_told_and_stays_theirs(
    project: Project, faults: Faults, registry: Server
) -> None:
    project.publish("1.0", arches=("x86_64",))
    one = project.push("testing")
    theirs = foreign_manifest(project)
    project.publish("2.0", arches=("x86_64",))
    looked: list[str] = []

    def move_it(method: str, path: str) -> None:
        if method == "HEAD" and path.endswith("/manifests/testing") and not looked:
            looked.append(path)
            move_by_somebody_else(project, registry, theirs)

    faults.after = move_it
    assert "CG655" in project.run("image", "push", "--channel", "testing", code=5)
    faults.heal()
    assert project.digest("testing") == theirs
    assert "CG657" in project.run("image", "verify", "--channel", "testing", code=6)
    project.run("image", "tag", "testing", one)
    assert project.push("testing") not in {one, theirs}


def test_a_tag_moved_right_after_our_move_is_told(project: Project, faults: Faults, registry: Server) -> None:
    project.publish("1.0", arches=("x86_64",))
    project.push("testing")
    theirs = foreign_manifest(project)
    project.publish("2.0", arches=("x86_64",))

    def move_it(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/manifests/testing"):
            move_by_somebody_else(project, registry, theirs)

    faults.after = move_it
    told = project.run("image", "push", "--channel", "testing", code=6)
    assert "CG657" in told
    assert project.digest("testing") == theirs


def test_a_registry_that_is_away_for_a_moment_is_waited_for(project: Project, faults: Faults) -> None:
    project.publish("1.0", arches=("x86_64",))
    faults.status, faults.refuse_after, faults.refuse_times = 503, 3, 2
    project.push("testing")
    assert check_whole(project.name) == ["1.0", "s0", "testing"]


@pytest.mark.parametrize("fault", ["refuse", "lose"])
def test_a_docker_type_push_that_stops_anywhere_is_a_whole_repository(
    project: Project, faults: Faults, fault: str
) -> None:
    project.publish("1.0", arches=("x86_64",))
    push = ("repo", "push", "--channel", "testing")
    writes = count_writes(project, faults, *push)
    pointers = {"repository.yaml", "testing-x86_64-repository.yaml", "s0-x86_64-repository.yaml"}
    for number in range(1, writes, 7):
        place, _ = elsewhere(project, number)
        host, _, rest = f"{place}-x86_64".partition("/")
        name = ImageName(host, rest)
        faults.heal()
        if fault == "refuse":
            faults.refuse_after = number
            assert "CG481" in project.run(*push, "--packages", place, code=4)
            faults.heal()
            tags = set(check_whole(name))
            assert not tags & pointers or "os-system-1.0" in tags
            project.run(*push, "--packages", place)
        else:
            faults.lose = number
            project.run(*push, "--packages", place)
        assert pointers | {"os-system-1.0", "os-system-1.0.metadata.yaml"} < set(check_whole(name))
