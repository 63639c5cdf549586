"""TUF: python-tuf's own client judges the metadata, from a store in memory."""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from cosgen.errors import PublishError, Severity, VerificationError
from cosgen.repository.log import Commit
from cosgen.repository.mirror import MirrorRequest, mirror, read_channel
from cosgen.repository.session import Session
from cosgen.repository.tuf import ROLES, RoleKeys, Trust, channel_keys, tuf_files
from cosgen.repository.tuf_publish import Known, find_trust, publish_trust, publish_tuf, tuf_commit
from cosgen.repository.tuf_trust import (
    add_signatures,
    expiries,
    missing_signatures,
    new_trust,
    rotate_root,
    rotate_targets,
)
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import BytesPayload
from tests.fakes.repository_records import VARIANT, commit_of, put_snapshot, record

NOW = datetime.now(UTC).replace(microsecond=0)
EPOCH = int(NOW.timestamp())


@dataclass
class Signed:
    """A signed repository in memory; two of three root keys must sign."""

    store: MemoryStore = field(default_factory=MemoryStore)
    keys: dict[str, list[CryptoSigner]] = field(
        default_factory=lambda: {
            role: [CryptoSigner.generate_ed25519() for _ in range(3 if role == "root" else 1)]
            for role in ROLES
        }
    )

    def __post_init__(self) -> None:
        roles = {
            role: RoleKeys(tuple(key.public_key for key in keys), 2 if role == "root" else 1)
            for role, keys in self.keys.items()
        }
        self.trust = new_trust(roles, [key for keys in self.keys.values() for key in keys], NOW)
        publish_trust(self.session, self.trust)

    @property
    def session(self) -> Session:
        return Session(store=self.store)

    @property
    def online(self) -> tuple[CryptoSigner, ...]:
        return tuple(key for role in ("channels", "snapshot", "timestamp") for key in self.keys[role])

    @property
    def newest(self) -> Trust:
        found = find_trust(self.store)
        assert found is not None
        return Trust(root=found.root, targets=found.targets)

    def publish(self, seq: int, version: str = "1.0", *, at: int = EPOCH) -> Commit:
        ref = put_snapshot(self.store, [record("hello", version), record("vim", version)])
        commit = commit_of(seq, at, {"stable": ref})
        publish_tuf(self.session, commit, self.newest, self.online)
        return commit

    def seq(self, state: Path, root: bytes | None = None) -> object:
        return read_channel(self.store, "stable", state, root)["seq"]


@pytest.fixture
def signed() -> Signed:
    return Signed()


def test_a_client_follows_the_channel_from_the_first_root(signed: Signed, tmp_path: Path) -> None:
    signed.publish(0)
    assert signed.seq(tmp_path, signed.trust.root) == 0
    signed.publish(7)
    assert signed.seq(tmp_path) == 7


def test_the_same_commit_gives_the_same_bytes(signed: Signed) -> None:
    commit = tuf_commit(signed.publish(3))
    assert tuf_files(commit, signed.trust, signed.online) == tuf_files(commit, signed.trust, signed.online)


def test_publishing_twice_writes_nothing_new(signed: Signed) -> None:
    commit = signed.publish(3)
    before = {key: blob.stat.etag for key, blob in signed.store.objects.items()}
    publish_tuf(signed.session, commit, signed.newest, signed.online)
    assert {key: blob.stat.etag for key, blob in signed.store.objects.items()} == before


def test_an_older_commit_does_not_take_the_timestamp_back(signed: Signed, tmp_path: Path) -> None:
    signed.publish(5)
    signed.publish(4)
    assert signed.seq(tmp_path, signed.trust.root) == 5


def test_the_bytes_of_a_faster_publisher_are_used(signed: Signed, tmp_path: Path) -> None:
    commit = signed.publish(5)
    snapshot = "tuf/6.snapshot.json"
    theirs = add_signatures(signed.store.objects[snapshot].data, [CryptoSigner.generate_ed25519()])
    signed.store.objects.pop("tuf/timestamp.json")
    signed.store.put(snapshot, BytesPayload(theirs))
    publish_tuf(signed.session, commit, signed.newest, signed.online)
    assert signed.store.objects[snapshot].data == theirs
    assert signed.seq(tmp_path, signed.trust.root) == 5


def test_root_and_channel_keys_rotate_and_every_historic_root_still_works(
    signed: Signed, tmp_path: Path
) -> None:
    signed.publish(0)
    roots = [signed.trust.root]
    old = Path(tmp_path / "old")
    assert signed.seq(old, roots[0]) == 0
    for step in (1, 2, 3):
        trust = signed.newest
        fresh = [CryptoSigner.generate_ed25519() for _ in range(3)]
        snapshot_key, channels_key = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
        root = rotate_root(
            trust.root,
            {
                "root": RoleKeys(tuple(key.public_key for key in fresh), 2),
                "snapshot": RoleKeys((snapshot_key.public_key,)),
            },
            [*signed.keys["root"], *fresh],
            NOW,
        )
        assert missing_signatures(root, trust.root) == 0
        targets = rotate_targets(
            trust.targets, signed.keys["targets"], NOW, RoleKeys((channels_key.public_key,))
        )
        publish_trust(signed.session, Trust(root=root, targets=targets))
        signed.keys |= {"root": fresh, "snapshot": [snapshot_key], "channels": [channels_key]}
        roots.append(root)
        signed.publish(step)
    assert signed.seq(old) == 3
    for number, root in enumerate(roots):
        assert signed.seq(tmp_path / str(number), root) == 3


def test_a_root_without_enough_signatures_is_counted_and_can_be_completed(signed: Signed) -> None:
    one, two, _ = signed.keys["root"]
    half = rotate_root(signed.trust.root, {}, [one], NOW)
    assert missing_signatures(half, signed.trust.root) == 1
    assert missing_signatures(add_signatures(half, [two]), signed.trust.root) == 0


def test_a_role_with_fewer_keys_than_its_threshold_is_refused(signed: Signed) -> None:
    with pytest.raises(VerificationError, match="`root` needs 2 signatures but has 1 keys"):
        rotate_root(signed.trust.root, {"root": RoleKeys((signed.keys["root"][0].public_key,), 2)}, [], NOW)


def test_another_file_of_the_same_number_is_not_written_over(signed: Signed) -> None:
    roles = {role: RoleKeys(tuple(key.public_key for key in keys)) for role, keys in signed.keys.items()}
    other = new_trust(roles, signed.keys["root"], NOW + timedelta(days=1))
    with pytest.raises(VerificationError, match=r"another tuf/1\.targets\.json"):
        publish_trust(signed.session, other)


def test_a_key_that_is_not_the_roles_is_refused_before_anything_is_written(signed: Signed) -> None:
    signed.keys["snapshot"] = [CryptoSigner.generate_ed25519()]
    ref = put_snapshot(signed.store, [record("hello")])
    before = set(signed.store.objects)
    with pytest.raises(VerificationError, match="no key at hand may sign TUF role `snapshot`"):
        publish_tuf(signed.session, commit_of(1, EPOCH, {"stable": ref}), signed.newest, signed.online)
    assert set(signed.store.objects) == before


def test_documents_of_channels_that_did_not_move_are_not_sent_again(signed: Signed) -> None:
    first = signed.publish(3)
    document = next(key for key in signed.store.objects if "targets/channels" in key)
    del signed.store.objects[document]
    later = replace(first, seq=4)
    publish_tuf(signed.session, later, signed.newest, signed.online, known=Known(seq=3))
    assert document not in signed.store.objects
    publish_tuf(signed.session, later, signed.newest, signed.online)
    assert document in signed.store.objects


def restore(signed: Signed, objects: dict[str, bytes]) -> None:
    for key, data in objects.items():
        signed.store.put(key, BytesPayload(data))


def attack(signed: Signed, name: str) -> None:
    """Change the store as somebody could who may write it but has no key."""
    objects = {key: blob.data for key, blob in signed.store.objects.items()}
    signed.publish(9, "2.0")
    if name == "mix and match":
        # the new timestamp with the old TUF snapshot under the new name
        restore(signed, {"tuf/10.snapshot.json": objects["tuf/3.snapshot.json"]})
    elif name == "wrong key":
        thief = Signed()
        thief.publish(12)
        restore(
            signed,
            {
                key: blob.data
                for key, blob in thief.store.objects.items()
                if "13." in key or "timestamp" in key
            },
        )
    elif name == "tampered target":
        key = next(key for key in signed.store.objects if "targets/channels" in key and key not in objects)
        restore(signed, {key: signed.store.objects[key].data.replace(b'"seq":9', b'"seq":8')})
    elif name == "cut off":
        del signed.store.objects["tuf/10.channels.json"]


@pytest.mark.parametrize("name", ["rollback", "mix and match", "wrong key", "tampered target", "cut off"])
def test_a_client_that_knows_the_channel_refuses(name: str, signed: Signed, tmp_path: Path) -> None:
    signed.publish(2)
    before = signed.store.objects["tuf/timestamp.json"].data
    signed.seq(tmp_path, signed.trust.root)
    if name == "rollback":
        attack(signed, "")
        signed.seq(tmp_path)
        restore(signed, {"tuf/timestamp.json": before})
    else:
        attack(signed, name)
    with pytest.raises(VerificationError, match="cannot be trusted"):
        signed.seq(tmp_path)


def test_a_frozen_repository_is_refused_when_its_timestamp_expires(signed: Signed, tmp_path: Path) -> None:
    signed.publish(2, at=EPOCH - 4 * 86400)
    with pytest.raises(VerificationError, match="expired") as caught:
        signed.seq(tmp_path, signed.trust.root)
    assert "cosgen key refresh" in str(caught.value)


def test_there_must_be_a_root_to_start_from(signed: Signed, tmp_path: Path) -> None:
    signed.publish(0)
    with pytest.raises(VerificationError, match="no trusted TUF root yet"):
        signed.seq(tmp_path)


def test_an_unknown_channel_is_named(signed: Signed, tmp_path: Path) -> None:
    signed.publish(0)
    with pytest.raises(PublishError, match="no signed channel beta"):
        read_channel(signed.store, "beta", tmp_path, signed.trust.root)


def test_expiry_is_told_when_half_of_a_lifetime_has_passed(signed: Signed) -> None:
    signed.publish(0)
    names = ("1.root", "1.targets", "1.channels", "1.snapshot", "timestamp")
    found = expiries([signed.store.objects[f"tuf/{name}.json"].data for name in names])
    assert [item.role for item in found] == list(ROLES)
    timestamp = found[-1]
    assert timestamp.problem(NOW) is None
    half = timestamp.problem(NOW + timedelta(days=2))
    assert half is not None
    assert half.severity is Severity.WARNING
    late = timestamp.problem(NOW + timedelta(days=4))
    assert late is not None
    assert late.severity is Severity.ERROR
    root = found[0].problem(NOW + timedelta(days=300))
    assert root is not None
    assert "cosgen key rotate root" in root.fix


def test_the_keys_of_the_log_are_those_that_channels_ever_had(signed: Signed) -> None:
    new = CryptoSigner.generate_ed25519()
    targets = rotate_targets(signed.trust.targets, signed.keys["targets"], NOW, RoleKeys((new.public_key,)))
    ids = {signed.keys["channels"][0].public_key.keyid, new.public_key.keyid}
    assert set(channel_keys([signed.trust.targets, targets])) == ids


def test_a_mirror_is_verified_down_to_the_archives(signed: Signed, tmp_path: Path) -> None:
    signed.publish(4)
    request = MirrorRequest(channel="stable", folder=tmp_path / "m", root=signed.trust.root)
    report = mirror(signed.store, request)
    assert report.references == ("repository.yaml", f"stable-{VARIANT}-repository.yaml")
    assert (report.seq, report.fetched, report.kept) == (4, 4, 0)
    again = mirror(signed.store, replace(request, root=None))
    assert (again.fetched, again.kept, again.removed) == (0, 4, 0)


def test_a_mirror_drops_what_the_channel_no_longer_has(signed: Signed, tmp_path: Path) -> None:
    request = MirrorRequest(channel="stable", folder=tmp_path / "m", root=signed.trust.root)
    signed.publish(4)
    mirror(signed.store, request)
    signed.publish(5, "2.0")
    report = mirror(signed.store, request)
    assert (report.fetched, report.removed) == (4, 4)


def test_a_mirror_refuses_a_tampered_archive_and_keeps_the_old_state(signed: Signed, tmp_path: Path) -> None:
    request = MirrorRequest(channel="stable", folder=tmp_path / "m", root=signed.trust.root)
    signed.publish(4)
    mirror(signed.store, request)
    before = (tmp_path / "m/repository.yaml").read_bytes()
    signed.publish(5, "2.0")
    key = record("vim", "2.0").archive.key
    data = signed.store.objects[key].data
    signed.store.put(key, BytesPayload(data.replace(b"2.0", b"6.6")))
    with pytest.raises(VerificationError, match="does not have the digest that was signed"):
        mirror(signed.store, request)
    assert (tmp_path / "m/repository.yaml").read_bytes() == before
    assert not list((tmp_path / "m").glob(".*.part"))


def test_a_mirror_knows_its_variants(signed: Signed, tmp_path: Path) -> None:
    signed.publish(4)
    request = MirrorRequest(
        channel="stable", folder=tmp_path, root=signed.trust.root, variants=("blue-x86_64",)
    )
    with pytest.raises(PublishError, match="choose among: green-x86_64"):
        mirror(signed.store, request)


def test_signing_is_fast(signed: Signed) -> None:
    started = time.perf_counter()
    signed.publish(1)
    assert time.perf_counter() - started < 1
