"""How long a publish of many small objects takes, beside `aws s3 sync` on the same server; and what it costs."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.publish_plan import Policy
from cosgen.repository.session import Session
from cosgen.storage.counting import CountingStore
from cosgen.storage.memory import MemoryStore
from cosgen.storage.open import open_store
from cosgen.storage.port import FilePayload, Upload, digest_of
from tests.engines import ROOT
from tests.property.publish_world import package, request

OBJECTS, SIZE = 2000, 16 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "objects"
    target.mkdir()
    for number in range(OBJECTS):
        (target / f"{number:05d}").write_bytes(os.urandom(SIZE))
    return target


@pytest.mark.s3
@pytest.mark.slow
def test_many_small_objects_take_half_of_what_aws_s3_sync_takes(
    seaweedfs: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = os.environ.get("COSGEN_AWS") or shutil.which("aws")
    if aws is None:
        pytest.skip("the AWS command line is not installed")
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{seaweedfs.new_bucket()}?endpoint={seaweedfs.endpoint}&style=path")
    list(store.put_new([Upload(f"warm/{n}", package(str(n)).archive) for n in range(20)]))
    uploads = [
        Upload(f"o/{path.name}", FilePayload(path, SIZE, digest_of(path.read_bytes())))
        for path in sorted(folder.iterdir())
    ]
    began = time.perf_counter()
    assert sum(1 for _ in store.put_new(uploads)) == OBJECTS
    ours = time.perf_counter() - began
    target = f"s3://{seaweedfs.new_bucket()}/o"
    began = time.perf_counter()
    subprocess.run(
        [aws, "s3", "sync", "--only-show-errors", "--endpoint-url", seaweedfs.endpoint, str(folder), target],
        check=True,
    )
    theirs = time.perf_counter() - began
    print(f"\n{OBJECTS} objects: {ours:.2f} s, aws s3 sync {theirs:.2f} s, ratio {ours / theirs:.2f}")
    assert ours / theirs <= 0.5


def test_requests_do_not_grow_with_the_repository() -> None:
    counted = CountingStore(MemoryStore())
    session = Session(store=counted)
    big = request("testing", *(package(f"p{number}") for number in range(5000)))
    publish(session, big, PublishOptions())
    counted.requests.clear()
    publish(session, big, PublishOptions())
    assert sum(counted.requests.values()) <= 3
    counted.requests.clear()
    report = publish(session, request("testing", package("p7", body="new")), PublishOptions())
    print(f"\none changed of 5,000: {dict(counted.requests)}, {report.upload_bytes} bytes")
    assert sum(counted.requests.values()) <= 1 + 4 + 4 + 12
    assert counted.requests["list"] == 0


MEMORY = """
import sys, time
from tests.property.publish_world import package, request
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.storage.local import FolderStore
from pathlib import Path
session = Session(store=FolderStore(Path(sys.argv[1]), durable=False))
began = time.perf_counter()
publish(session, request("testing", package("p7", body="new")), PublishOptions())
seconds = time.perf_counter() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024, round(seconds, 2))
"""


@pytest.mark.slow
def test_one_changed_of_a_hundred_thousand_takes_little_memory(tmp_path: Path) -> None:
    from cosgen.storage.local import FolderStore

    session = Session(store=FolderStore(tmp_path, durable=False))
    everything = request("testing", *(package(f"p{number}") for number in range(100_000)))
    publish(session, everything, PublishOptions())
    assert everything.policy is Policy.MERGE
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    megabytes, seconds = done.stdout.split()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\none changed of 100,000: {megabytes} MB, {seconds} s; all of them at first: {own} MB")
    assert int(megabytes) <= 300
