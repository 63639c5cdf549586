"""A signed repository from its first key to a machine's copy, by the command line; and who is turned away."""

import base64
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from cosgen.repository.commit import Change, append, make_commit, read_tail
from cosgen.repository.log import Commit
from cosgen.repository.session import Session
from cosgen.repository.sign import KeySources, generate_key, load_key, private_pem, public_pem, sign_all
from cosgen.storage.local import FolderStore
from cosgen.storage.open import open_store
from tests.fakes.artifacts import make_artifact
from tests.fakes.command_line import Done, run, succeed
from tests.fakes.strict_luet_reader import read

VERIFICATION = 6
VIEW = "r/testing-x86_64-repository.yaml"


@dataclass(frozen=True)
class Place:
    """A repository, its keys, and the machine that works on it."""

    url: str
    root: Path
    patch: pytest.MonkeyPatch

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    def sign_with(self, pem: Path | None) -> None:
        """Give the job a secret, or take it away."""
        if pem is None:
            self.patch.delenv("COSGEN_SIGNING_KEY", raising=False)
        else:
            self.patch.setenv("COSGEN_SIGNING_KEY", base64.b64encode(pem.read_bytes()).decode())

    def artifact(self, version: str, name: str = "hello") -> Path:
        folder = self.root / f"build-{name}-{version}"
        make_artifact(folder, name, version)
        return folder

    def call(self, *words: object) -> Done:
        return run(*words, "--storage", self.url, "--project", self.root)

    def do(self, *words: object) -> Done:
        return succeed(*words, "--storage", self.url, "--project", self.root)

    def mirror(self, *words: object) -> Done:
        return self.call("repo", "mirror", self.root / "copy", "--verify", "--channel", "testing", *words)

    @property
    def copy(self) -> bytes:
        """What luet reads first on the machine."""
        return (self.root / "copy/repository.yaml").read_bytes()

    def objects(self) -> Mapping[str, bytes]:
        """Everything in the store; for folders."""
        folder = Path(self.url)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and ".cosgen" not in path.parts
        }


@pytest.fixture(params=["folder", pytest.param("moto", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    url = str(tmp_path / "store")
    if request.param == "moto":
        server: Any = request.getfixturevalue("moto_s3")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        url = f"s3://{server.new_bucket()}/acme?endpoint={server.endpoint}&style=path"
    return Place(url, tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A signed repository in a folder with one package in `testing`, and a machine that follows it."""
    place = Place(str(tmp_path / "store"), tmp_path, monkeypatch)
    start(place)
    assert place.mirror("--root", place.keys / "tuf/1.root.json").code == 0
    return place


def start(place: Place) -> None:
    succeed("key", "new", "--output", place.keys)
    place.do("key", "publish", *place.keys.glob("tuf/*.json"))
    place.sign_with(place.keys / "online.pem")
    place.do("publish", place.artifact("1.0"), "--channel", "testing")


def versions(fetch: Callable[[str], bytes], reference: str = "repository.yaml") -> set[str]:
    return {str(package.definition["version"]) for package in read(fetch, reference).packages.values()}


def rotate_online(place: Place, folder: Path) -> Done:
    """Replace the online key: everything is signed by the old one and the new one first."""
    sources = [f"--key=file:{place.keys}/{name}.pem" for name in ("root-1", "root-2", "targets")]
    place.do("key", "rotate", "online", "--output", folder, *sources)
    both = [f"--key=file:{keys}/online.pem" for keys in (place.keys, folder)]
    return place.do("key", "publish", *folder.glob("tuf/*.json"), *both)


def test_from_the_first_key_to_a_machine_that_verifies(place: Place) -> None:
    start(place)
    first = place.do("channel", "promote", "testing", "stable")
    place.do("publish", place.artifact("2.0"), place.artifact("1.0"), "--channel", "testing")
    again = place.do("publish", place.artifact("2.0"), place.artifact("1.0"), "--channel", "testing")
    second = place.do("channel", "promote", "testing", "stable")
    back = place.do("channel", "rollback", "stable")
    assert sum(again.requests.values()) <= 3
    assert [sum(done.requests.values()) for done in (first, second, back)] == [10, 9, 9]
    place.do("key", "refresh")
    rotate_online(place, place.root / "new")
    place.sign_with(place.root / "new/online.pem")
    place.do("publish", place.artifact("3.0"), "--channel", "testing")
    checked = place.do("repo", "fsck", "--deep")
    assert "not signed" not in checked.err

    store = open_store(place.url)

    def fetch(name: str) -> bytes:
        blob = store.get(f"r/{name}")
        assert blob is not None, name
        return blob.data

    assert versions(fetch, "stable-x86_64-repository.yaml") == {"1.0"}
    assert versions(fetch, "testing-x86_64-repository.yaml") == {"1.0", "2.0", "3.0"}
    for root in ("1", "2"):
        copy = place.root / f"copy{root}"
        blob = store.get(f"tuf/{root}.root.json")
        assert blob is not None
        (place.root / "root.json").write_bytes(blob.data)
        place.do("repo", "mirror", copy, "--channel", "testing", "--root", place.root / "root.json")
        assert versions(lambda name, copy=copy: (copy / name).read_bytes()) == {"1.0", "2.0", "3.0"}  # type: ignore[misc]  # the default binds it
    assert "timestamp\tversion" in place.do("key", "status").out


def test_a_machine_follows_through_a_rotation_without_a_gap(folder: Place) -> None:
    rotate_online(folder, folder.root / "new")
    assert folder.mirror().code == 0
    folder.sign_with(folder.keys / "online.pem")
    before = folder.objects()
    late = folder.call("publish", folder.artifact("2.0"), "--channel", "testing")
    assert (late.code, late.ids) == (VERIFICATION, ["CG564"])
    assert folder.objects()[VIEW] == before[VIEW]
    assert not [key for key in folder.objects() if key.startswith("_log/0") and key not in before]


@pytest.mark.parametrize("role", ["root", "targets"])
@pytest.mark.parametrize("how", ["new keys", "--renew"])
def test_offline_roles_are_replaced_and_renewed(role: str, how: str, folder: Place) -> None:
    sources = [f"--key=file:{folder.keys}/{name}.pem" for name in ("root-1", "root-2", "targets")]
    renew = ("--renew",) if how == "--renew" else ()
    folder.do("key", "rotate", role, *renew, "--output", folder.root / "new", *sources)
    files = sorted((folder.root / "new/tuf").glob("*.json"))
    assert [path.name for path in files] == {
        ("root", "new keys"): ["2.root.json"],
        ("root", "--renew"): ["2.root.json"],
        ("targets", "new keys"): ["2.root.json", "2.targets.json"],
        ("targets", "--renew"): ["2.targets.json"],
    }[role, how]
    folder.do("key", "publish", *files)
    folder.do("publish", folder.artifact("2.0"), "--channel", "testing")
    assert folder.mirror().code == 0
    fresh = folder.call(
        "repo",
        "mirror",
        folder.root / "copy2",
        "--channel",
        "testing",
        "--root",
        folder.keys / "tuf/1.root.json",
    )
    assert fresh.code == 0
    assert folder.do("repo", "fsck").err == ""
    again = folder.call("key", "publish", *files)
    assert again.code == 0, "what is there already may be given again"


# --- who is turned away: machines -------------------------------------------------------------------


def attack_rollback(place: Place, before: Mapping[str, bytes]) -> None:
    write(place, {"tuf/timestamp.json": before["tuf/timestamp.json"]})


def attack_mix_and_match(place: Place, before: Mapping[str, bytes]) -> None:
    newest = max(place.objects(), key=snapshot_number)
    oldest = max(before, key=snapshot_number)
    write(place, {newest: before[oldest]})


def attack_wrong_key(place: Place, before: Mapping[str, bytes]) -> None:
    del before
    thief = Place(str(place.root / "thief"), place.root / "thiefs", place.patch)
    start(thief)
    thief.do("publish", thief.artifact("6.6"), "--channel", "testing")
    thief.do("publish", thief.artifact("6.7"), "--channel", "testing")
    write(place, {key: data for key, data in thief.objects().items() if ".root." not in key})


def attack_target(place: Place, before: Mapping[str, bytes]) -> None:
    key = next(key for key in place.objects() if "targets/channels" in key and key not in before)
    write(place, {key: place.objects()[key].replace(b'"seq":1', b'"seq":0')})


def attack_archive(place: Place, before: Mapping[str, bytes]) -> None:
    key = next(key for key in place.objects() if ".package." in key and key not in before)
    write(place, {key: bytes(len(place.objects()[key]))})


def attack_index(place: Place, before: Mapping[str, bytes]) -> None:
    for key in place.objects():
        if key.startswith("x/snap/") and key not in before:
            write(place, {key: next(data for name, data in before.items() if name.startswith("x/snap/"))})


def snapshot_number(key: str) -> int:
    name = key.removeprefix("tuf/")
    return int(name.split(".")[0]) if name.endswith(".snapshot.json") else -1


def write(place: Place, objects: Mapping[str, bytes]) -> None:
    for key, data in objects.items():
        path = Path(place.url) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)


ATTACKS = {
    "rollback": (attack_rollback, "CG573"),
    "mix and match": (attack_mix_and_match, "CG573"),
    "wrong key": (attack_wrong_key, "CG573"),
    "tampered target": (attack_target, "CG573"),
    "tampered archive": (attack_archive, "CG573"),
    "swapped snapshot": (attack_index, "CG512"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_machine_refuses_and_keeps_what_it_had(name: str, folder: Place) -> None:
    attack, expected = ATTACKS[name]
    before = folder.objects()
    folder.do("publish", folder.artifact("2.0"), "--channel", "testing")
    if name == "rollback":
        assert folder.mirror().code == 0
    copy = folder.copy
    attack(folder, before)
    refused = folder.mirror()
    assert (refused.code, refused.ids) == (VERIFICATION, [expected])
    assert folder.copy == copy
    assert versions(lambda file: (folder.root / "copy" / file).read_bytes())


def test_a_frozen_repository_is_refused_when_it_expires(folder: Place) -> None:
    copy = folder.copy
    age(folder, "timestamp")
    shutil.rmtree(folder.root / "copy/.cosgen-tuf")  # the machine has a younger one of the same number
    refused = folder.mirror("--root", folder.keys / "tuf/1.root.json")
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG573"])
    assert "cosgen key refresh" in refused.err
    assert folder.copy == copy
    status = folder.call("key", "status")
    assert status.code == VERIFICATION
    assert "expired" in status.err
    assert folder.call("repo", "fsck").ids == ["CG565"]
    folder.do("key", "refresh")
    assert folder.mirror().code == 0


def age(place: Place, role: str) -> None:
    """Sign a role's metadata again so that it expired yesterday."""
    files = {"timestamp": "timestamp", "root": "1.root", "targets": "1.targets"}
    keys = {"timestamp": ("online",), "root": ("root-1", "root-2"), "targets": ("targets",)}[role]
    path = Path(place.url) / f"tuf/{files[role]}.json"
    metadata: Metadata[Any] = Metadata.from_file(str(path))
    metadata.signed.expires = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    metadata.signatures.clear()
    for key in keys:
        where = KeySources({}, lambda path: Path(path).read_bytes())
        metadata.sign(load_key(f"file:{place.keys}/{key}.pem", where), append=True)
    path.unlink()
    metadata.to_file(str(path))
    (Path(place.url) / "_log/HEAD").unlink()  # it has a copy


# --- who is turned away: publishers -----------------------------------------------------------------


@pytest.mark.parametrize("role", ["root", "targets"])
def test_nothing_is_published_under_an_expired_root_or_targets(role: str, folder: Place) -> None:
    age(folder, role)
    before = folder.objects()
    refused = folder.call("publish", folder.artifact("2.0"), "--channel", "testing")
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG565"])
    assert f"cosgen key rotate {role} --renew" in refused.err
    assert_no_commit(folder, before)


def test_a_signed_repository_is_not_written_without_its_key(folder: Place) -> None:
    before = folder.objects()
    folder.sign_with(None)
    for words in (
        ("publish", folder.artifact("2.0"), "--channel", "testing"),
        ("channel", "promote", "testing", "stable"),
        ("channel", "pin", "testing", "kept"),
    ):
        refused = folder.call(*words)
        assert (refused.code, refused.ids) == (VERIFICATION, ["CG575"]), refused.err
    assert_no_commit(folder, before)


def test_a_wrong_key_stops_a_publish_before_its_commit(folder: Place) -> None:
    before = folder.objects()
    strange = folder.root / "strange.pem"
    strange.write_bytes(private_pem(generate_key()))
    folder.sign_with(strange)
    for words in (
        ("publish", folder.artifact("2.0"), "--channel", "testing"),
        ("channel", "promote", "testing", "stable"),
        ("key", "refresh"),
    ):
        refused = folder.call(*words)
        assert (refused.code, refused.ids) == (VERIFICATION, ["CG564"]), refused.err
    assert_no_commit(folder, before)
    folder.sign_with(folder.keys / "online.pem")
    folder.do("publish", folder.artifact("2.0"), "--channel", "testing")


def assert_no_commit(place: Place, before: Mapping[str, bytes]) -> None:
    after = place.objects()
    grown = {key for key in after if before.get(key) != after[key]}
    invisible = ("r/hello", "x/", "a/", "r/i/", "_log/HEAD")
    assert all(key.startswith(invisible) for key in grown), grown


# --- who is turned away: readers of the log ----------------------------------------------------------


def forge(place: Place, sign: Callable[[Commit], Commit]) -> None:
    """Append a commit as somebody could who may write the store but has no key of it."""
    session = Session(store=FolderStore(Path(place.url)))
    tail = read_tail(session)
    state = replace(tail.state, channels={"testing": replace(tail.state.channels["testing"], seq=0)})
    commit = make_commit(session, tail, Change(op="publish", state=state, txn="evil", details={}))
    assert append(session, sign(commit))


def by_a_thief(commit: Commit) -> Commit:
    return commit.signed(sign_all(commit.payload(), [generate_key()]))


def with_an_old_signature(place: Place) -> Callable[[Commit], Commit]:
    tail = read_tail(Session(store=FolderStore(Path(place.url))))
    return lambda commit: commit.signed(tail.commit.signatures)


READERS: tuple[tuple[str, ...], ...] = (
    ("repo", "ls", "testing"),
    ("repo", "log"),
    ("repo", "fsck"),
    ("channel", "ls"),
    ("channel", "promote", "testing", "stable"),
    ("channel", "rollback", "testing"),
    ("key", "refresh"),
    ("site", "build"),
)


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_a_commit_that_nobody_trusted_signed_is_refused_by_every_reader(
    words: tuple[str, ...], folder: Place
) -> None:
    forge(folder, lambda commit: commit)
    before = folder.objects()
    refused = folder.call(*words)
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG515"]), refused.err
    assert folder.objects() == before


@pytest.mark.parametrize("how", ["a thief", "an old signature"])
def test_a_commit_with_a_wrong_signature_is_refused(how: str, folder: Place) -> None:
    forge(folder, by_a_thief if how == "a thief" else with_an_old_signature(folder))
    refused = folder.call("publish", folder.artifact("2.0"), "--channel", "testing")
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG563"])


def test_fsck_finds_an_unsigned_commit_among_signed_ones(folder: Place) -> None:
    forge(folder, lambda commit: commit)
    folder.do("key", "refresh", "--adopt")
    assert folder.call("repo", "fsck").ids == ["CG515"]


# --- what the project pins ---------------------------------------------------------------------------


def project(place: Place, **signing: object) -> None:
    config = {"version": 1, "name": "acme", "repository": {"storage": place.url}, "signing": signing}
    (place.root / "cosgen.yaml").write_text(json.dumps(config))
    (place.root / "packages").mkdir(exist_ok=True)


def test_a_project_pins_its_keys(folder: Place) -> None:
    project(
        folder,
        root={"keys": [f"keys/root-{number}.pub" for number in (1, 2, 3)], "threshold": 2},
        targets={"keys": ["keys/targets.pub"]},
        channels={"keys": ["keys/online.pub"], "expires_days": 30},
        timestamp_days=7,
        required=True,
    )
    folder.do("publish", folder.artifact("2.0"), "--channel", "testing")
    assert folder.do("key", "status").err == ""
    timestamp = json.loads((Path(folder.url) / "tuf/timestamp.json").read_text())["signed"]
    at = json.loads((Path(folder.url) / "_log/000000000001.json").read_text())["payload"]["time"]
    assert datetime.fromisoformat(timestamp["expires"]).timestamp() == at + 7 * 86400


@pytest.mark.parametrize("role", ["root", "targets", "channels"])
def test_a_repository_with_other_keys_than_the_pinned_ones_is_refused(role: str, folder: Place) -> None:
    (folder.root / "keys/other.pub").write_bytes(public_pem(generate_key().public_key))
    project(folder, **{role: {"keys": ["keys/other.pub"]}})
    before = folder.objects()
    refused = folder.call("publish", folder.artifact("2.0"), "--channel", "testing")
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG563" if role == "channels" else "CG576"])
    assert_no_commit(folder, before)


def test_a_project_that_requires_signatures_neither_publishes_nor_reads_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(str(tmp_path / "store"), tmp_path, monkeypatch)
    place.do("publish", place.artifact("1.0"), "--channel", "testing")
    project(place, required=True)
    assert place.call("channel", "ls").ids == ["CG515"]
    fresh = Place(str(tmp_path / "other"), tmp_path, monkeypatch)
    refused = fresh.call("publish", place.artifact("1.0"), "--channel", "testing")
    assert (refused.code, refused.ids) == (VERIFICATION, ["CG575"])


def test_an_unsigned_repository_says_so_and_can_be_signed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(str(tmp_path / "store"), tmp_path, monkeypatch)
    place.do("publish", place.artifact("1.0"), "--channel", "testing")
    assert "is not signed: nothing proves who wrote it" in place.do("channel", "ls").err
    assert place.call("repo", "mirror", tmp_path / "copy", "--channel", "testing").ids == ["CG571"]
    succeed("key", "new", "--output", place.keys)
    key = f"--key=file:{place.keys}/online.pem"
    place.do("key", "publish", *place.keys.glob("tuf/*.json"), key)
    assert "not signed" not in place.do("channel", "ls").err
    assert place.mirror("--root", place.keys / "tuf/1.root.json").code == 0
    assert place.do("repo", "fsck").err == ""


def test_two_keys_must_sign_when_the_project_says_so(folder: Place) -> None:
    for name in ("one", "two"):
        key = generate_key()
        (folder.root / f"{name}.pem").write_bytes(private_pem(key))
        (folder.root / f"{name}.pub").write_bytes(public_pem(key.public_key))
    place = Place(str(folder.root / "other"), folder.root, folder.patch)
    project(place, channels={"keys": ["one.pub", "two.pub"], "threshold": 2})
    succeed("key", "new", "--output", folder.root / "fresh", "--project", folder.root)
    place.sign_with(folder.root / "one.pem")
    place.do("key", "publish", *(folder.root / "fresh/tuf").glob("*.json"))
    alone = place.call("publish", place.artifact("1.0"), "--channel", "testing")
    assert (alone.code, alone.ids) == (VERIFICATION, ["CG576"])
    place.patch.setenv("COSGEN_SIGNING_KEY_2", (folder.root / "two.pem").read_text())
    place.do("publish", place.artifact("1.0"), "--channel", "testing")
    commit = json.loads((folder.root / "other/_log/000000000000.json").read_text())
    assert len(commit["signatures"]) == 2
    place.do("repo", "fsck")


def test_keys_that_a_project_names_are_not_made_again(tmp_path: Path) -> None:
    succeed("key", "new", "--output", tmp_path / "keys")
    place = Place(str(tmp_path / "store"), tmp_path, pytest.MonkeyPatch())
    project(
        place,
        root={"keys": ["keys/root-1.pub", "keys/root-2.pub"], "threshold": 2},
        channels={"keys": ["keys/online.pub"]},
    )
    done = succeed("key", "new", "--output", tmp_path / "two", "--project", tmp_path)
    assert sorted(path.name for path in (tmp_path / "two").glob("*.pem")) == ["targets.pem"]
    assert "root lacks 2 signatures" in done.err
    for holder in ("root-1", "root-2"):
        succeed("key", "sign", tmp_path / "two/tuf/1.root.json", f"--key=file:{tmp_path}/keys/{holder}.pem")
    place.do("key", "publish", *(tmp_path / "two/tuf").glob("*.json"))
    public = succeed("key", "public", f"file:{tmp_path}/keys/online.pem").out
    assert public == (tmp_path / "keys/online.pub").read_text()
