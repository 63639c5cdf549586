"""One contract for every store: memory, folder, and S3 of three makes, of which one is hostile."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from cosgen.storage.local import FolderStore
from cosgen.storage.memory import MemoryStore
from cosgen.storage.open import open_store
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    Condition,
    ConditionFailedError,
    FilePayload,
    Headers,
    Outcome,
    Store,
    StoreError,
    Upload,
    check_key,
    digest_of,
    read_chunks,
)
from cosgen.storage.probe import StoreClass, probe
from cosgen.storage.s3 import MULTIPART_FROM
from cosgen.storage.single import SingleWriterStore

S3 = ("moto_s3", "seaweedfs")
STORES = ("memory", "folder", *(pytest.param(name, marks=pytest.mark.s3) for name in S3))


def s3_store(server: Any, patch: pytest.MonkeyPatch) -> Store:
    for name, value in server.environment().items():
        patch.setenv(name, value)
    return open_store(f"s3://{server.new_bucket()}/some/where?endpoint={server.endpoint}&style=path")


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    match request.param:
        case "memory":
            return MemoryStore()
        case "folder":
            return FolderStore(tmp_path / "store")
        case name:
            return s3_store(request.getfixturevalue(name), monkeypatch)


def put(store: Store, key: str, data: bytes, condition: Condition = CREATE) -> str:
    return store.put(key, BytesPayload(data), condition=condition)


def read(store: Store, key: str) -> bytes | None:
    blob = store.get(key)
    return None if blob is None else blob.data


def test_what_is_put_is_got(store: Store) -> None:
    assert store.get("a/b.txt") is None
    assert store.head("a/b.txt") is None
    put(store, "a/b.txt", b"hello")
    assert read(store, "a/b.txt") == b"hello"
    stat = store.head("a/b.txt")
    assert stat is not None
    assert (stat.key, stat.size) == ("a/b.txt", 5)
    assert stat.digest in {None, digest_of(b"hello")}


def test_a_span_is_read(store: Store) -> None:
    put(store, "k", b"0123456789")
    spans = [(0, 4), (3, 4), (8, 2), (0, 10)]
    for start, length in spans:
        blob = store.get("k", start=start, length=length)
        assert blob is not None
        assert blob.data == b"0123456789"[start : start + length]
        assert blob.stat.size == 10
    assert b"".join(read_chunks(store, "k", 10, chunk=3)) == b"0123456789"


def test_create_only_never_overwrites(store: Store) -> None:
    put(store, "k", b"one")
    with pytest.raises(ConditionFailedError):
        put(store, "k", b"two")
    assert read(store, "k") == b"one"


def test_a_version_is_replaced_only_by_who_knows_it(store: Store) -> None:
    first = put(store, "k", b"one")
    second = put(store, "k", b"two!", Condition(match=first))
    assert second != first
    with pytest.raises(ConditionFailedError):
        put(store, "k", b"three", Condition(match=first))
    with pytest.raises(ConditionFailedError):
        put(store, "absent", b"three", Condition(match=first))
    blob = store.get("k")
    assert blob is not None
    assert (blob.data, blob.stat.etag) == (b"two!", second)


def test_listing_is_sorted_whole_and_goes_on_behind_a_key(store: Store) -> None:
    keys = sorted(f"p/{number:04d}" for number in range(30))
    for key in [*keys, "q/1", "p1"]:
        put(store, key, key.encode())
    assert [stat.key for stat in store.list("p/")] == keys
    assert [stat.key for stat in store.list("p/", after="p/0027")] == ["p/0028", "p/0029"]
    assert [stat.size for stat in store.list("q/")] == [3]
    assert list(store.list("nothing/")) == []


def test_deleting_is_done_once_and_may_be_repeated(store: Store) -> None:
    put(store, "k", b"one")
    store.delete("k")
    store.delete("k")
    assert store.get("k") is None
    put(store, "k", b"two")


def test_many_objects_are_created_and_known_ones_told(store: Store, tmp_path: Path) -> None:
    put(store, "m/3", b"other")
    path = tmp_path / "file"
    path.write_bytes(b"of a file")
    uploads = [Upload(f"m/{number}", BytesPayload(b"x" * number)) for number in range(40)]
    uploads.append(Upload("m/file", FilePayload(path, 9, digest_of(b"of a file"))))
    outcomes = {upload.key: outcome for upload, outcome in store.put_new(iter(uploads))}
    assert outcomes.pop("m/3") is Outcome.EXISTS
    assert set(outcomes.values()) == {Outcome.CREATED}
    assert read(store, "m/3") == b"other"
    assert read(store, "m/file") == b"of a file"
    assert read(store, "m/39") == b"x" * 39


def test_a_file_that_changed_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"changed!!")
    uploads = [Upload(f"c/{n}", FilePayload(path, 9, digest_of(b"of a file"))) for n in range(2)]
    with pytest.raises(StoreError):
        list(store.put_new(uploads))
    assert list(store.list("c/")) == []


def test_one_of_many_creators_wins(store: Store) -> None:
    results: list[int] = []
    start = threading.Barrier(4)

    def create(number: int) -> None:
        start.wait()
        try:
            put(store, "race", str(number).encode())
        except StoreError:
            return
        results.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert read(store, "race") == str(results[0]).encode()


def test_headers_are_kept_or_not_claimed(store: Store) -> None:
    headers = Headers("application/json", "public, max-age=30")
    store.put("h", BytesPayload(b"{}"), headers=headers)
    [(_, outcome)] = store.put_new([Upload("h2", BytesPayload(b"{}"), headers)])
    assert outcome is Outcome.CREATED
    for key in ("h", "h2"):
        stat = store.head(key)
        assert stat is not None
        assert stat.headers in {None, headers}


def test_a_probe_finds_class_a_and_leaves_nothing(store: Store) -> None:
    found = probe(store, "token", now=0.0)
    assert found.store_class is StoreClass.A
    assert found.deletes
    assert list(store.list("_probe/")) == []


def test_bad_keys_are_refused(store: Store) -> None:
    for key in ("", "/a", "a//b", "../a", "a/../b", "a+b", "a b", "a%2f", ".cosgen/lock", "ä"):
        with pytest.raises(ValueError, match="not a key"):
            check_key(key)
    with pytest.raises(ValueError, match="not a key"):
        store.get("a+b")


@pytest.mark.s3
def test_large_objects_go_in_parts(seaweedfs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_store(seaweedfs, monkeypatch)
    data = os.urandom(1 << 20) * ((MULTIPART_FROM >> 20) + 2)
    put(store, "big", data)
    stat = store.head("big")
    assert stat is not None
    assert stat.size == len(data)
    with pytest.raises(ConditionFailedError):
        put(store, "big", data)
    assert digest_of(b"".join(read_chunks(store, "big", len(data)))) == digest_of(data)


@pytest.mark.s3
def test_the_hostile_store_is_class_c(rclone_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_store(rclone_s3, monkeypatch)
    assert probe(store, "token", now=0.0).store_class is StoreClass.C
    single = SingleWriterStore(store)
    assert probe(single, "token2", now=0.0).store_class is StoreClass.A


@pytest.mark.s3
def test_wrong_bytes_are_refused_by_a_server_that_checks(
    seaweedfs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe(s3_store(seaweedfs, monkeypatch), "token", now=0.0).checks_bodies


@pytest.mark.s3
def test_without_obstore_threads_do_the_same(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cosgen.storage import bulk

    monkeypatch.setattr(bulk, "_obstore_client", lambda _: None)
    store = s3_store(moto_s3, monkeypatch)
    put(store, "m/1", b"1")
    uploads = [Upload(f"m/{number}", BytesPayload(b"x")) for number in range(20)]
    outcomes = {upload.key: outcome for upload, outcome in store.put_new(uploads)}
    assert outcomes.pop("m/1") is Outcome.EXISTS
    assert set(outcomes.values()) == {Outcome.CREATED}


def test_a_killed_writer_leaves_only_what_can_be_swept(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    put(store, "k", b"one")
    leftover = tmp_path / "store/.cosgen/tmp/left"
    leftover.write_bytes(b"half")
    assert [stat.key for stat in store.list("")] == ["k"]
    assert store.remove_leftovers(before=leftover.stat().st_mtime + 1) == 1
    assert not leftover.exists()


@pytest.mark.parametrize("url", ["s3://", "s3://bucket/x?colour=red", "ftp://host/x", ""])
def test_bad_addresses_are_told(url: str) -> None:
    with pytest.raises(StoreError, match="CG510"):
        open_store(url)


def anonymous(server: Any, bucket: str, patch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    for name in [
        name for name in os.environ if name.startswith("AWS_") and name != "AWS_EC2_METADATA_DISABLED"
    ]:
        patch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        patch.setenv(name, str(tmp_path / "none"))
    return open_store(f"s3://{bucket}/some/where?endpoint={server.endpoint}&style=path&region=us-east-1")


@pytest.mark.s3
def test_without_credentials_a_bucket_is_read_as_anybody_may(
    seaweedfs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer = s3_store(seaweedfs, monkeypatch)
    put(writer, "a", b"1")
    bucket = writer.url.split("/")[2]
    store = anonymous(seaweedfs, bucket, monkeypatch, tmp_path)
    assert read(store, "a") == b"1"
    assert read(store, "b") is None
    assert store.head("b") is None
    for write in (lambda: put(store, "c", b"1"), lambda: store.delete("a"), lambda: list(store.put_new([]))):
        with pytest.raises(StoreError, match="CG508"):
            write()


@pytest.mark.s3
def test_a_bucket_that_is_closed_to_anybody_is_not_an_empty_one(
    moto_s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S3 answers 403 for what is not there to who may not list: absent, once something could be read."""
    writer = s3_store(moto_s3, monkeypatch)
    put(writer, "a", b"1")
    bucket = writer.url.split("/")[2]
    moto_s3.client().put_object_acl(Bucket=bucket, Key="some/where/a", ACL="public-read")
    store = anonymous(moto_s3, bucket, monkeypatch, tmp_path)
    client = store.client  # type: ignore[attr-defined]
    get = client.get_object

    def without_listing(**words: Any) -> Any:
        try:
            return get(**words)
        except client.exceptions.NoSuchKey as error:
            answer = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise client.exceptions.ClientError(answer, "GetObject") from error

    monkeypatch.setattr(client, "get_object", without_listing)
    with pytest.raises(StoreError, match="CG507"):
        store.get("b")
    assert read(store, "a") == b"1"
    assert store.get("b") is None
