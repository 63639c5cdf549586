"""A project on a published repository: pinned, read as it was pinned, and every way that can go wrong."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosgen.cli import channel, check, init, key, lock, plan, publish
from cosgen.errors import CosgenError, ManifestError, PublishError, VerificationError
from cosgen.manifest.lock import LOCK_PATH, LockedFoundation, read_lock
from cosgen.repository.foundation import root_url
from cosgen.repository.reader import open_repository
from cosgen.storage.open import open_store
from cosgen.storage.retry import SystemClock
from tests.engines import free_port
from tests.fakes.artifacts import make_artifact
from tests.integration.test_luet_import import repository


@dataclass
class World:
    """A foundation's repository, a project on it, and a cache of its own."""

    root: Path

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def project(self) -> Path:
        return self.root / "project"

    def publish(self, version: str, *, note: str = "", project: Path | None = None) -> None:
        artifacts = self.root / f"build-{version}-{note}"
        make_artifact(artifacts, "base", version, category="f", content=note)
        make_artifact(artifacts, "lib", version, category="f", requires=[("f", "base", ">=0")], content=note)
        made = invoke(
            publish.command,
            *(str(artifacts), "--channel", "stable", "--storage", str(self.repository)),
            *(("--project", str(project)) if project else ()),
        )
        assert made.exit_code == 0, (made.output, made.exception)

    def start(self, **settings: str) -> None:
        """Write a project that joins a package of the foundation with one of its own."""
        more = "".join(f", {name}: {value}" for name, value in settings.items())
        write(
            self.project,
            "os",
            'requires_final_images: true\nrequires: [{name: lib, category: f, version: ">=0"}]\nsteps: [x]\n',
        )
        (self.project / "cosgen.yaml").write_text(
            "version: 1\nname: own\nfoundations:\n"
            f"  - {{name: cos, url: ../repository, reference: stable-repository.yaml{more}}}\n"
        )

    def lock(self, *arguments: str) -> Result:
        return invoke(lock.command, "--project", str(self.project), *arguments)

    def pin(self) -> LockedFoundation:
        found = read_lock((self.project / LOCK_PATH).read_text(), []).foundation("cos")
        assert found is not None
        return found

    def planned(self) -> dict[str, str]:
        done = invoke(plan.command, "--project", str(self.project), "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        return {
            f"{node['human']}@{node['version']}": node["action"] for node in json.loads(done.stdout)["nodes"]
        }


def invoke(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)  # type: ignore[arg-type]  # a command


def write(root: Path, name: str, build: str, definition: str = "") -> None:
    folder = root / "packages" / name
    folder.mkdir(parents=True)
    (folder / "definition.yaml").write_text(f'name: {name}\ncategory: a\nversion: "1.0"\n{definition}')
    (folder / "build.yaml").write_text(build)


def refused(done: Result, kind: type[CosgenError], id_: str) -> str:
    """See that a command ended with one problem, and return what it says."""
    error = done.exception
    assert isinstance(error, kind), (done.output, error)
    assert [problem.id for problem in error.problems] == [id_], str(error)
    return error.problems[0].what


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = World(tmp_path)
    found.publish("1.0")
    found.start()
    return found


def test_a_project_is_planned_on_what_the_lock_pins_and_nothing_of_it_is_built(world: World) -> None:
    done = world.lock()
    assert done.exit_code == 0, (done.output, done.exception)
    assert "+ foundation cos  stable, commit 0" in done.output
    assert world.planned() == {"a/os@1.0": "build", "f/base@1.0": "keep", "f/lib@1.0": "keep"}
    world.publish("2.0")
    assert world.planned() == {"a/os@1.0": "build", "f/base@1.0": "keep", "f/lib@1.0": "keep"}
    done = world.lock("--update")
    assert "~ foundation cos  stable, commit 0" in done.output
    assert "builds 1 of 1 packages anew:\n  x86_64:a/os@1.0" in done.output
    assert world.planned() == {"a/os@1.0": "build", "f/base@2.0": "keep", "f/lib@2.0": "keep"}
    text = (world.project / LOCK_PATH).read_text()
    assert world.lock("--update").exit_code == 0
    assert (world.project / LOCK_PATH).read_text() == text


def test_what_was_read_once_needs_no_network(world: World) -> None:
    world.lock()
    before = world.planned()
    world.repository.rename(world.root / "elsewhere")
    assert world.planned() == before


def test_check_knows_the_packages_of_the_foundation(world: World) -> None:
    world.lock()
    done = invoke(check.command, "--project", str(world.project))
    assert done.exit_code == 0, done.output
    assert "1 package: nothing is wrong" in done.output


def test_an_unpinned_foundation_is_told(world: World) -> None:
    what = refused(invoke(plan.command, "--project", str(world.project)), ManifestError, "CG685")
    assert "cos at ../repository" in what
    world.lock()
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text().replace("stable-repository.yaml", "repository.yaml"))
    refused(invoke(plan.command, "--project", str(world.project)), ManifestError, "CG685")
    assert world.lock("--check").exit_code != 0
    assert world.lock().exit_code == 0
    assert world.pin().channel == "stable", "the default channel of the repository"


def test_an_override_must_be_said(world: World) -> None:
    write(world.project, "lib", "image: x@sha256:" + "0" * 64 + "\nsteps: [x]\n")
    definition = world.project / "packages" / "lib" / "definition.yaml"
    definition.write_text('name: lib\ncategory: f\nversion: "0.1"\n')
    world.lock()
    done = invoke(check.command, "--project", str(world.project), "--format", "json")
    found = [item["id"] for item in json.loads(done.stdout)["problems"] if item["severity"] == "error"]
    assert found == ["CG043"]
    definition.write_text(definition.read_text() + "override: true\n")
    assert invoke(check.command, "--project", str(world.project)).exit_code == 0
    assert world.planned() == {"a/os@1.0": "build", "f/lib@0.1": "build"}


def test_parts_can_be_taken(world: World) -> None:
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text().replace("}\n", ", packages: [f/base]}\n"))
    world.lock()
    done = invoke(check.command, "--project", str(world.project), "--format", "json")
    assert "CG401" in done.stdout


def test_a_foundation_that_does_not_answer_leaves_everything_as_it_is(world: World) -> None:
    world.lock()
    text = (world.project / LOCK_PATH).read_text()
    config = world.project / "cosgen.yaml"
    url = f"http://127.0.0.1:{free_port()}"
    config.write_text(config.read_text().replace("../repository", url))
    assert url in refused(world.lock(), PublishError, "CG686")
    assert (world.project / LOCK_PATH).read_text() == text


def test_a_place_without_a_repository_is_told(world: World) -> None:
    shutil.rmtree(world.repository)
    world.repository.mkdir()
    assert "holds no repository" in refused(world.lock(), PublishError, "CG686")
    assert not (world.project / LOCK_PATH).exists()


def test_a_channel_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text().replace("stable-", "nightly-"))
    assert "its channels: stable" in refused(world.lock(), PublishError, "CG689")


def test_a_variant_the_foundation_does_not_have_is_told(world: World) -> None:
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text() + "arches: [arm64]\n")
    assert "it has x86_64" in refused(world.lock(), PublishError, "CG690")


def test_a_foundation_restored_from_an_old_copy_is_refused(world: World) -> None:
    shutil.copytree(world.repository, world.root / "old")
    world.publish("2.0")
    world.lock()
    pinned = world.pin()
    shutil.rmtree(world.repository)
    shutil.copytree(world.root / "old", world.repository)
    assert "its log ends before commit 1" in refused(world.lock("--update"), VerificationError, "CG687")
    world.publish("2.0", note="another history")
    assert "is not the one that was seen" in refused(world.lock("--update"), VerificationError, "CG687")
    assert world.pin() == pinned
    assert world.planned()["f/lib@2.0"] == "keep", "what is pinned was read, and is still there"


def test_a_channel_that_its_owners_rolled_back_is_followed_and_said(world: World) -> None:
    world.publish("2.0")
    world.lock()
    rolled = invoke(channel.command, "rollback", "stable", "--storage", str(world.repository))
    assert rolled.exit_code == 0, (rolled.output, rolled.exception)
    done = world.lock("--update")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "commit 1" in done.output
    assert "-> stable, commit 2" in done.output
    assert world.planned()["f/lib@1.0"] == "keep"


def test_what_is_pinned_and_gone_is_told(world: World) -> None:
    world.lock()
    shutil.rmtree(world.root / "cache")
    (world.repository / world.pin().snapshot).unlink()
    what = refused(invoke(plan.command, "--project", str(world.project)), VerificationError, "CG691")
    assert world.pin().snapshot in what


@pytest.mark.parametrize("name", ["digest", "snapshot"])
def test_a_tampered_lock_never_reads_other_bytes(world: World, name: str) -> None:
    world.lock()
    path = world.project / LOCK_PATH
    document = json.loads(path.read_text())
    value = document["foundations"][0][name]
    document["foundations"][0][name] = value.replace(value[-10:-5], "00000")
    path.write_text(json.dumps(document))
    shutil.rmtree(world.root / "cache")
    refused(invoke(plan.command, "--project", str(world.project)), VerificationError, "CG691")


def sign(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sign the foundation, as its owners do; return their root."""
    keys = world.root / "keys"
    assert invoke(key.command, "new", "--output", str(keys)).exit_code == 0
    monkeypatch.setenv("COSGEN_SIGNING_KEY", base64.b64encode((keys / "online.pem").read_bytes()).decode())
    roots = [str(keys / f"tuf/1.{role}.json") for role in ("root", "targets")]
    done = invoke(key.command, "publish", *roots, "--storage", str(world.repository))
    assert done.exit_code == 0, (done.output, done.exception)
    world.publish("2.0")
    monkeypatch.delenv("COSGEN_SIGNING_KEY")
    return keys / "tuf/1.root.json"


def test_the_root_of_a_signed_foundation_is_pinned_and_checked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sign(world, monkeypatch)
    done = world.lock()
    assert "trusts root 1 of cos from now on" in done.output, (done.output, done.exception)
    assert world.pin().root_version == 1
    assert world.planned()["f/lib@2.0"] == "keep"

    path = world.project / LOCK_PATH
    path.write_text(path.read_text().replace(world.pin().root_digest, "sha256:" + "0" * 64))
    assert "not the one that was pinned" in refused(world.lock("--update"), VerificationError, "CG688")

    path.unlink()
    shutil.copy(root, world.project / "root.json")
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text().replace("}\n", ", trust: root.json}\n"))
    done = world.lock()
    assert done.exit_code == 0, (done.output, done.exception)
    assert "from now on" not in done.output, "the project names the root"


def test_a_foundation_whose_signatures_expired_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(world.repository)
    with monkeypatch.context() as then:
        then.setattr(SystemClock, "now", lambda _: 1_000_000_000.0)
        world.publish("1.0")
        sign(world, then)
    assert "expired" in refused(world.lock(), VerificationError, "CG688")
    assert not (world.project / LOCK_PATH).exists()


def test_a_foundation_that_is_not_to_be_trusted_is_not_followed_and_still_built_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(world, monkeypatch)
    world.lock()
    pinned = world.pin()
    timestamp = world.repository / "tuf" / "timestamp.json"
    document = json.loads(timestamp.read_text())
    document["signed"]["expires"] = "2001-01-01T00:00:00Z"
    timestamp.write_text(json.dumps(document))
    refused(world.lock("--update"), VerificationError, "CG688")
    assert world.pin() == pinned
    assert world.planned()["f/lib@2.0"] == "keep"


def test_a_foundation_that_lost_its_log_or_signatures_is_not_followed_as_one_of_luet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = sign(world, monkeypatch)
    world.lock()
    pinned = world.pin()
    shutil.rmtree(world.repository)
    repository(world.repository)
    (world.repository / "repository.yaml").rename(world.repository / "stable-repository.yaml")
    assert "its log is gone" in refused(world.lock("--update"), VerificationError, "CG687")
    assert world.pin() == pinned

    (world.project / LOCK_PATH).unlink()
    shutil.copy(root, world.project / "root.json")
    config = world.project / "cosgen.yaml"
    config.write_text(config.read_text().replace("}\n", ", trust: root.json}\n"))
    assert "has none" in refused(world.lock(), VerificationError, "CG688")


def test_addresses_of_the_clients_folder_lead_to_the_root() -> None:
    assert root_url("https://repo.example.org/r") == "https://repo.example.org"
    assert root_url("s3://bucket/x/r?region=eu") == "s3://bucket/x?region=eu"
    assert root_url("../repository") == "../repository"


def published(world: World, *arguments: str) -> Result:
    """Publish a package of the project that requires one of the foundation."""
    artifacts = world.root / "own"
    make_artifact(artifacts, "app", requires=[("f", "lib", ">=0")])
    return invoke(
        publish.command,
        *(str(artifacts), "--channel", "stable", "--storage", str(world.root / "own-repository")),
        *("--project", str(world.project), *arguments),
    )


def names_in(folder: Path) -> set[str]:
    repository = open_repository(open_store(str(folder)))
    return {record.name for record in repository.packages(repository.snapshot("stable"), "x86_64")}


def configure(world: World, **settings: str) -> None:
    config = world.project / "cosgen.yaml"
    more = "".join(f", {name}: {value}" for name, value in settings.items())
    config.write_text(config.read_text().replace("}\n", f"{more}}}\n"))


def test_a_package_that_requires_one_of_the_foundation_is_published_without_it(world: World) -> None:
    (world.root / "foundation").mkdir()
    (world.root / "foundation" / "cosgen.yaml").write_text(
        "version: 1\nname: f\nrepository: {url: https://repo.example.org, storage: ../repository}\n"
    )
    (world.root / "foundation" / "packages").mkdir()
    world.publish("1.1", project=world.root / "foundation")
    world.lock()
    assert world.pin().address == "https://repo.example.org/r"
    done = published(world)
    assert done.exit_code == 0, (done.output, done.exception)
    assert names_in(world.root / "own-repository") == {"app"}


def test_packages_that_clients_could_not_read_are_refused(world: World) -> None:
    world.lock()
    assert "f/lib@1.0" in refused(published(world), PublishError, "CG692")
    assert not (world.root / "own-repository").exists()


def test_what_is_needed_of_the_foundation_can_be_published_too(world: World) -> None:
    configure(world, publish="true")
    world.lock()
    done = published(world)
    assert done.exit_code == 0, (done.output, done.exception)
    assert names_in(world.root / "own-repository") == {"app", "lib", "base"}
    assert "everything already" in published(world).output


def test_a_requirement_that_nobody_meets_is_still_refused(world: World) -> None:
    configure(world, publish="true")
    world.lock()
    make_artifact(world.root / "own", "bad", requires=[("f", "nowhere", ">=0")])
    assert "f/nowhere" in refused(published(world), PublishError, "CG521")


def start_on(world: World, *arguments: str) -> tuple[Path, Result]:
    folder = world.root / "made" / "acme-os"
    return folder, invoke(init.command, str(folder), "--from", str(world.repository), *arguments)


def test_a_starter_on_a_foundation_is_sound_and_pinned(world: World) -> None:
    folder, done = start_on(world)
    assert done.exit_code == 0, (done.output, done.exception)
    assert read_lock((folder / LOCK_PATH).read_text(), []).foundations[
        0
    ].snapshot == "x/snap/" + world_snapshot(world)
    checked = invoke(check.command, "--project", str(folder), "--strict")
    assert checked.exit_code == 0, checked.output
    planned = invoke(plan.command, "--project", str(folder), "--json")
    actions = {node["human"]: node["action"] for node in json.loads(planned.stdout)["nodes"]}
    assert actions == {"f/base": "keep", "apps/hello": "build", "system/acme-os": "build"}
    for word in ("the-foundation", "the-category", "the-system", "my-os", "foundation.example.org"):
        assert not [path for path in folder.rglob("*") if path.is_file() and word in path.read_text()], word


def world_snapshot(world: World) -> str:
    return next((world.repository / "x" / "snap").iterdir()).name


def test_a_starter_that_cannot_be_pinned_leaves_nothing(world: World) -> None:
    folder, done = start_on(world, "--reference", "nightly-repository.yaml")
    refused(done, PublishError, "CG689")
    assert not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cosgen.yaml").write_text("mine")
    refused(start_on(world)[1], ManifestError, "CG702")
    assert [path.name for path in folder.iterdir()] == ["cosgen.yaml"]
