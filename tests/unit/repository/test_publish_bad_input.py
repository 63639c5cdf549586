"""Bad input and bad stores: one clear error each, and the channel as it was."""

import contextlib
import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cosgen.build.artifact import find_record, record_name, store_record
from cosgen.errors import CosgenError, PublishError, VerificationError
from cosgen.repository.incoming import read_builds
from cosgen.repository.log import Commit
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.publish_plan import Policy, PublishRequest
from cosgen.repository.session import Session
from cosgen.repository.upload import Journal
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import (
    ALWAYS,
    PLAIN,
    Blob,
    BytesPayload,
    Condition,
    Headers,
    Outcome,
    Payload,
    Stat,
    Upload,
    put_each,
)
from tests.fakes.artifacts import make_artifact
from tests.property.publish_world import package, request

VIEW = "r/testing-x86_64-repository.yaml"


@dataclass(slots=True)
class Liar:
    """A store that says yes: forgets some keys, cuts others short, or overwrites whatever is asked."""

    inner: MemoryStore = field(default_factory=MemoryStore)
    forgets: str = "\0"
    cuts: str = "\0"
    overwrites: bool = False
    url: str = "memory:liar"

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        return self.inner.get(key, start=start, length=length)

    def head(self, key: str) -> Stat | None:
        return self.inner.head(key)

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        if self.forgets in key:
            return '"1"'
        with payload.open() as stream:
            data = stream.read()
        kept = data[:-1] if self.cuts in key else data
        return self.inner.put(
            key, BytesPayload(kept), headers=headers, condition=ALWAYS if self.overwrites else condition
        )

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        return put_each(self, uploads)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        return self.inner.list(prefix, after=after)

    def delete(self, key: str) -> None:
        self.inner.delete(key)


def published(store: Liar) -> tuple[Session, bytes]:
    session = Session(store=store)
    publish(session, request("testing", package("a")), PublishOptions())
    return session, store.inner.objects[VIEW].data


def folder_request(folder: Path, policy: Policy = Policy.MERGE) -> PublishRequest:
    builds = read_builds([folder])
    return PublishRequest(
        channel="testing", variants=builds.variants, packages=builds.packages, policy=policy
    )


def assert_untouched(store: Liar, view: bytes) -> None:
    assert store.inner.objects[VIEW].data == view
    assert not [key for key in store.inner.objects if key == "_log/000000000001.json"]


@pytest.mark.parametrize("lie", ["forgets", "cuts"])
@pytest.mark.parametrize("part", [".package.", "x/shard/", ".tree.tar", "x/snap/"])
def test_a_store_that_forgets_or_cuts_is_found_out_before_the_commit(lie: str, part: str) -> None:
    store = Liar()
    session, view = published(store)
    setattr(store, lie, part)
    with pytest.raises(PublishError, match="CG519"):
        publish(session, request("testing", package("b")), PublishOptions())
    assert_untouched(store, view)


def test_a_store_without_conditions_is_refused() -> None:
    store = Liar(overwrites=True)
    with pytest.raises(PublishError, match="CG509"):
        publish(Session(store=store), request("testing", package("a")), PublishOptions())
    assert not store.inner.objects


def test_other_bytes_under_a_content_name_are_an_error() -> None:
    store = Liar()
    session, view = published(store)
    item = package("b")
    store.inner.put(item.record.archive.key, BytesPayload(b"x" * item.record.archive.size))
    with pytest.raises(VerificationError, match="CG518"):
        publish(session, request("testing", item), PublishOptions())
    assert_untouched(store, view)


def test_a_truncated_artifact_is_refused(tmp_path: Path) -> None:
    record = make_artifact(tmp_path, "lib")
    archive = tmp_path / record.archive.name
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(VerificationError):
        read_builds([tmp_path])


def test_swapped_artifacts_are_refused(tmp_path: Path) -> None:
    one, two = make_artifact(tmp_path, "one"), make_artifact(tmp_path, "two")
    first, second = tmp_path / one.archive.name, tmp_path / two.archive.name
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(VerificationError):
        read_builds([tmp_path])


def test_an_artifact_that_changes_after_it_was_read_is_refused(tmp_path: Path) -> None:
    store = Liar()
    record = make_artifact(tmp_path, "lib")
    asked = folder_request(tmp_path)
    archive = tmp_path / record.archive.name
    archive.write_bytes(b"y" * record.archive.size)
    with pytest.raises(PublishError):
        publish(Session(store=store.inner), asked, PublishOptions())
    assert not [key for key in store.inner.objects if key.startswith(("r/", "_log"))]


def test_metadata_that_lies_about_its_platform_is_refused(tmp_path: Path) -> None:
    store_record(tmp_path, replace(make_artifact(tmp_path, "lib"), platform="linux/arm64"))
    with pytest.raises(PublishError, match="CG532"):
        read_builds([tmp_path])


def test_two_different_builds_of_one_package_are_refused(tmp_path: Path) -> None:
    make_artifact(tmp_path / "a", "lib", content="one")
    make_artifact(tmp_path / "b", "lib", content="two")
    with pytest.raises(PublishError, match="CG531"):
        read_builds([tmp_path])


def test_a_requirement_nobody_meets_is_told_with_who_needs_it(tmp_path: Path) -> None:
    make_artifact(tmp_path, "app", requires=[("apps", "lib", ">=2")])
    make_artifact(tmp_path, "lib", "1.0")
    with pytest.raises(PublishError, match=r"apps/app@1\.0 requires apps/lib >=2"):
        publish(Session(store=MemoryStore()), folder_request(tmp_path), PublishOptions())


def test_a_requirement_met_by_what_is_published_already_is_fine(tmp_path: Path) -> None:
    session = Session(store=MemoryStore())
    make_artifact(tmp_path / "a", "lib", "2.1")
    publish(session, folder_request(tmp_path / "a"), PublishOptions())
    make_artifact(tmp_path / "b", "app", requires=[("apps", "lib", ">=2")])
    report = publish(session, folder_request(tmp_path / "b"), PublishOptions())
    assert report.commit is not None


def test_replace_makes_the_channel_exactly_what_is_given(tmp_path: Path) -> None:
    session = Session(store=MemoryStore())
    make_artifact(tmp_path / "a", "one")
    make_artifact(tmp_path / "b", "two")
    publish(session, folder_request(tmp_path / "a"), PublishOptions())
    report = publish(session, folder_request(tmp_path / "b", Policy.REPLACE), PublishOptions())
    assert report.changes["x86_64"].added == ("apps/two@1.0",)
    assert report.changes["x86_64"].removed == ("apps/one@1.0",)


def test_publishing_one_variant_leaves_the_others(tmp_path: Path) -> None:
    session = Session(store=MemoryStore())
    make_artifact(tmp_path / "a", "one", flavor="green")
    make_artifact(tmp_path / "b", "one", flavor="blue", arch="arm64")
    publish(session, folder_request(tmp_path / "a"), PublishOptions())
    publish(session, folder_request(tmp_path / "b"), PublishOptions())
    keys = {stat.key for stat in session.store.list("r/testing-")}
    assert keys == {"r/testing-green-x86_64-repository.yaml", "r/testing-blue-arm64-repository.yaml"}


def test_a_rewritten_log_is_noticed() -> None:
    store = MemoryStore()
    session = Session(store=store)
    for name in "abc":
        publish(session, request("testing", package(name)), PublishOptions())
    key = "_log/000000000001.json"
    forged = replace(Commit.decode(store.objects[key].data), note="it was never so")
    store.put(key, BytesPayload(forged.encode()))
    store.delete("_log/HEAD")
    store.delete("_log/000000000002.json")
    store.objects["_log/000000000002.json"] = store.objects[key]
    with pytest.raises(CosgenError):
        publish(session, request("testing", package("d")), PublishOptions())


def test_a_journal_saves_uploads_of_the_same_bytes_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    upload = Upload("r/x", BytesPayload(b"x"))
    journal = Journal.open(path, 1000.0)
    journal.add(upload)
    path.write_text(path.read_text() + '["torn', encoding="utf-8")
    assert Journal.open(path, 2000.0).has(upload)
    assert not Journal.open(path, 2000.0).has(Upload("r/x", BytesPayload(b"y")))
    assert not Journal.open(path, 1000.0 + 86400).has(upload)


def test_a_journal_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    journal = Journal.open(tmp_path / "file/journal", 0.0)
    journal.add(Upload("r/x", BytesPayload(b"x")))
    assert journal.path is None
    journal.close()


NONSENSE: tuple[object, ...] = (
    None,
    1,
    -1,
    1.5,
    "",
    [],
    {},
    [1],
    {"a": 1},
    "../x",
    "a\0b",
    True,
    "\ud800",
    10**40,
)


def test_no_record_of_another_form_ends_a_reader(tmp_path: Path) -> None:
    """Every field of a record is replaced by everything it should not be."""
    record = make_artifact(tmp_path, "a")
    whole = json.loads(record.to_json())
    inner = [(name, key) for name in ("archive", "metadata", "sbom", "provenance") for key in whole[name]]
    for path in (*((name,) for name in whole), *inner):
        for nonsense in NONSENSE:
            spoilt = copy.deepcopy(whole)
            (spoilt if len(path) == 1 else spoilt[path[0]])[path[-1]] = nonsense
            (tmp_path / record_name(record.fingerprint)).write_text(json.dumps(spoilt))
            with contextlib.suppress(CosgenError):
                read_builds([tmp_path])
            find_record(tmp_path, record.fingerprint)
