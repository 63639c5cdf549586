"""A store that somebody else fills with nonsense, digests right: every reader ends well or with one of our errors."""

import copy
import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cosgen.errors import CosgenError
from cosgen.manifest.platform import Variant
from cosgen.repository import pool
from cosgen.repository.channel import promote
from cosgen.repository.client_config import client_files
from cosgen.repository.client_source import ProjectFacts, channel_address
from cosgen.repository.codec import decode
from cosgen.repository.description import read_description
from cosgen.repository.fsck import check_repository
from cosgen.repository.images import image_notes
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.publish_plan import Incoming, PublishRequest
from cosgen.repository.reader import open_repository
from cosgen.repository.record import PackageRecord
from cosgen.repository.session import Session
from cosgen.site.builder import build_site
from cosgen.site.collect import SiteOptions, collect_site
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import BytesPayload, digest_of
from tests.fakes.repository_records import archive_of, record

VARIANT = Variant("green", "x86_64")
NEWEST = pool.log_key(2)
PARTS = ("commit", "snapshot", "record")
FORGERIES = 450
NONSENSE: tuple[Any, ...] = (
    None, 0, -1, 1.5, True, "", "x", "../../etc/passwd", "/etc/passwd", "a\nb", [], {}, [1], {"a": 1}, 10**30,
    "9" * 5000, "\ud800", float("nan"), float("inf"), [[]], {"": {}}, "sha256:" + "0" * 64,
)  # fmt: skip
SETTINGS = {
    "name": "acme",
    "url": "https://repo.example",
    "project": {
        "trees": ["packages"],
        "channels": {"testing": {"description": "d", "source": "", "triggers": ["branch main"]}},
        "values": {VARIANT.key: {"image": "debian"}},
        "media": {"iso": ["apps/a"]},
        "package": "apps/a",
        "client": "C",
    },
    "foundations": [
        {"name": "f", "url": "https://f.example", "references": {VARIANT.key: "r.yaml"}, "priority": 5}
    ],
    "images": {"testing": {"green": {"name": "r.example/os", "digest": "sha256:" + "1" * 64}}},
}


def request(channel: str, *records: PackageRecord) -> PublishRequest:
    packages = [
        Incoming(
            variant=VARIANT.key,
            record=one,
            archive=BytesPayload(archive_of(one.name, one.version)),
            attestation=None,
        )
        for one in records
    ]
    variants = {VARIANT.key: (VARIANT, "linux/amd64")}
    return PublishRequest(channel=channel, variants=variants, packages=tuple(packages))


@pytest.fixture(scope="module")
def honest() -> MemoryStore:
    """Return a store with two channels of three packages and all that a log may tell."""
    told: dict[str, Any] = {
        "requires": [{"name": "b", "category": "apps", "version": ">=0"}],
        "provides": [{"name": "z", "category": "apps", "version": "1"}],
        "labels": {"x": "y"},
        "annotations": {"k": "v"},
        "uri": ["https://x.example"],
    }
    records = [
        record("a", description="d", license="MIT", **told),
        record("b", "2.0"),
        record("c", hidden=True),
    ]
    details: dict[str, Any] = {
        "readme": "# Hello",
        "seconds": 3.0,
        "revision": "a" * 40,
        "inputs": {"spec": "1"},
    }
    records = [dataclasses.replace(one, needs=("b-apps-2.0",), **details) for one in records]
    session = Session(store=MemoryStore())
    options = PublishOptions(settings=SETTINGS)
    publish(session, request("testing", *records[:2]), options)
    publish(session, request("testing", records[2]), options)
    promote(session, "testing", "stable")
    store = session.store
    assert isinstance(store, MemoryStore)
    return store


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in entries:
        yield from places(item, (*path, key))


def spoil(document: Any, chance: random.Random) -> None:
    """Put nonsense in one place of a JSON document, or take away what stands there."""
    *way, last = chance.choice(list(places(document)))
    for key in way:
        document = document[key]
    if chance.random() < 0.15:
        del document[last]
    else:
        document[last] = copy.deepcopy(chance.choice(NONSENSE))


def text_of(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def add(store: MemoryStore, folder: str, suffix: str, data: bytes) -> dict[str, Any]:
    digest = digest_of(data)
    key = f"{folder}/{digest.removeprefix('sha256:')}{suffix}"
    store.put(key, BytesPayload(data))
    return {"key": key, "digest": digest, "size": len(data)}


def spoil_record(store: MemoryStore, snapshot: Any, chance: random.Random) -> None:
    shard = snapshot["variants"][VARIANT.key]["shards"][0]
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(store.objects[shard[1]].data)
    records = [json.loads(line) for line in lines.splitlines()]
    spoil(records, chance)
    ref = add(store, "x/shard", ".json.zst", zstandard.compress(b"".join(map(text_of, records))))
    shard[1:] = [ref["key"], ref["digest"], ref["size"]]


def forge(honest: MemoryStore, part: str, chance: random.Random) -> MemoryStore:
    """Return the store with one thing spoilt, and everything that names it by its digest written anew."""
    store = MemoryStore(objects=dict(honest.objects))
    envelope = json.loads(store.objects.pop(NEWEST).data)
    body = envelope["payload"]
    if part == "commit":
        spoil(body, chance)
    else:
        for channel in body["channels"].values():
            snapshot = json.loads(store.objects[channel["snapshot"]["key"]].data)
            if part == "record":
                spoil_record(store, snapshot, chance)
            elif part == "snapshot":
                spoil(snapshot["variants"], chance)
            channel["snapshot"] = add(store, "x/snap", ".json", text_of(snapshot))
    plain = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
    envelope["digest"] = hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
    del store.objects[pool.HEAD]
    store.put(NEWEST, BytesPayload(text_of(envelope)))
    return store


def read(store: MemoryStore) -> None:
    repository = open_repository(store)
    for name in repository.channels():
        snapshot = repository.snapshot(name)
        for key, index in snapshot.variants.items():
            assert all(one.human and one.archive_name for one in repository.packages(snapshot, key))
            repository.difference(snapshot, repository.snapshot("stable"), key)
            client_files(channel_address(repository, name, index, ProjectFacts.of(None)))
        list(repository.history(name))
        image_notes(repository.commit.state, name)
    read_description(repository.settings)


def check(store: MemoryStore) -> None:
    check_repository(Session(store=store), deep=True)


def add_package(store: MemoryStore) -> None:
    publish(Session(store=store), request("testing", record("new")), PublishOptions(dry_run=True))


def move(store: MemoryStore) -> None:
    promote(Session(store=store), "testing", "stable")


WORK: tuple[Callable[[MemoryStore], None], ...] = (read, check, add_package, move)


@pytest.mark.parametrize("part", PARTS)
def test_nonsense_in_a_store_is_told_and_never_a_traceback(honest: MemoryStore, part: str) -> None:
    refused = 0
    for seed in range(FORGERIES // len(PARTS)):
        store = forge(honest, part, random.Random(seed))
        for work in WORK:
            try:
                work(store)
            except CosgenError:
                refused += 1
            except Exception as error:  # noqa: BLE001  # it is what we look for
                pytest.fail(f"{work.__name__} of {part} {seed}: {error!r}")
    assert refused > FORGERIES // 10, "most of it is noticed"


def test_a_site_of_nonsense_is_built_or_refused(honest: MemoryStore, tmp_path: Path) -> None:
    for seed in range(20):
        for part in PARTS:
            store = forge(honest, part, random.Random(1000 + seed))
            try:
                data = collect_site(open_repository(store), SiteOptions())
                build_site(data, tmp_path / f"{part}-{seed}")
            except CosgenError:
                continue


def test_a_store_written_anew_with_nothing_spoilt_is_as_good_as_the_original(honest: MemoryStore) -> None:
    """Else the tests above would only see how forgeries are noticed."""
    store = forge(honest, "nothing", random.Random(0))
    for work in WORK:
        work(store)


@pytest.mark.parametrize(
    "data",
    [b"[" * 200_000, b'{"a": NaN}', b'{"a": "\\ud800"}', b"\xff", b"[]", b'{"a": ' + b"9" * 5000 + b"}"],
)
def test_json_that_is_none_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(CosgenError, match="CG511"):
        decode(data)
