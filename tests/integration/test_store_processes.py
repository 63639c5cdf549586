"""Real processes on real stores: many publishers at once, killed at any moment, and readers all the while."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cosgen.repository.fsck import check_repository
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.reader import open_repository
from cosgen.repository.session import Session
from cosgen.repository.snapshot import load_records, load_snapshot
from cosgen.repository.views import read_view, view_snapshot
from cosgen.storage.open import open_store
from cosgen.storage.port import Store, digest_of
from tests.engines import ROOT
from tests.property.publish_world import VARIANT, package, request

VIEW = f"r/testing-{VARIANT.key}-repository.yaml"
PROCESSES, EACH, KILLS = 8, 3, 12


@pytest.fixture(params=["folder", pytest.param("seaweedfs", marks=pytest.mark.s3)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    server: Any = request.getfixturevalue(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.new_bucket()}?endpoint={server.endpoint}&style=path"


def start(url: str, name: str, count: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "tests.integration.publish_worker", url, name, str(count)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


class Reader(threading.Thread):
    """Follows the channel as a client does, and checks that all it leads to is there and right."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.stop, self.reads, self.seq = store, threading.Event(), 0, -1
        self.torn: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # whatever a reader meets is a finding
                self.torn.append(repr(error))
                return

    def look(self) -> None:
        blob = self.store.get(VIEW)
        if blob is None:
            return
        seq = int(str(read_view(blob.data)["seq"]))
        assert seq >= self.seq, "the view went back"
        self.seq = seq
        snapshot = load_snapshot(self.store, view_snapshot(blob.data))
        for record in load_records(self.store, snapshot.variants[VARIANT.key]):
            archive = self.store.get(record.archive.key)
            assert archive is not None, record.archive.key
            assert digest_of(archive.data) == record.archive.digest
        for file in snapshot.variants[VARIANT.key].luet.values():
            found = self.store.get(f"r/{file.key}")
            assert found is not None
            assert digest_of(found.data) == file.digest
        self.reads += 1


@pytest.mark.slow
def test_eight_publishers_at_once_lose_nothing_and_readers_see_nothing_torn(url: str) -> None:
    reader = Reader(open_store(url))
    reader.start()
    try:
        processes = [start(url, f"w{number}", EACH) for number in range(PROCESSES)]
        lines = [process.communicate(timeout=250)[0].splitlines() for process in processes]
    finally:
        reader.stop.set()
        reader.join()
    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert not reader.torn
    assert reader.reads
    acked = [line.split()[0] for group in lines for line in group]
    assert len(acked) == PROCESSES * EACH
    assert_holds(url, set(acked))


@pytest.mark.slow
def test_a_publisher_killed_at_any_moment_leaves_the_old_or_the_new_channel(url: str) -> None:
    chance = random.Random(4)  # not for secrets
    publish(Session(store=open_store(url)), request("testing", package("base")), PublishOptions())
    acked: set[str] = {package("base").record.fingerprint}
    reader = Reader(open_store(url))
    reader.start()
    try:
        for number in range(KILLS):
            process = start(url, f"k{number}", 50)
            assert process.stdout is not None
            first = process.stdout.readline()  # it is at work now
            time.sleep(chance.uniform(0, 0.4))
            os.kill(process.pid, signal.SIGKILL)
            rest = process.communicate(timeout=60)[0]
            acked |= {line.split()[0] for line in (first + rest).splitlines() if line.count(" ") == 1}
    finally:
        reader.stop.set()
        reader.join()
    assert not reader.torn
    publish(Session(store=open_store(url)), request("testing", package("last")), PublishOptions())
    assert_holds(url, acked)


def assert_holds(url: str, fingerprints: set[str]) -> None:
    store = open_store(url)
    repository = open_repository(store)
    snapshot = repository.snapshot("testing")
    there = {record.fingerprint for record in repository.packages(snapshot, VARIANT.key)}
    assert fingerprints <= there
    report = check_repository(Session(store=store), deep=True)
    assert report.problems == []
    assert report.commits == repository.commit.seq + 1
