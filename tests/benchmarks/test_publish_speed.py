"""How long a publish of many small objects takes, beside `aws s3 sync` on the same server; and what it costs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.session import Session
from cosgen.storage.counting import CountingStore
from cosgen.storage.memory import MemoryStore
from cosgen.storage.open import open_store
from cosgen.storage.port import FilePayload, Store, Upload, digest_of
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


def copiers(server: Any, folder: Path) -> Iterator[tuple[str, float, list[str]]]:
    """Yield the tools that are here: name, the share of their time that we may take, and the command.

    s5cmd is as fast as the server; it neither makes objects create-only nor sends their digests.
    """
    for name, most in (("aws", 0.5), ("rclone", 1.0), ("s5cmd", 1.3)):
        beside = Path(sys.executable).with_name(name)
        program = os.environ.get(f"COSGEN_{name.upper()}") or (
            str(beside) if beside.exists() else shutil.which(name)
        )
        if program is None:
            continue
        bucket, endpoint = server.new_bucket(), server.endpoint
        remote = f":s3,provider=Other,env_auth=true,force_path_style=true,endpoint='{endpoint}':{bucket}/o"
        words = {
            "aws": [
                "s3",
                "sync",
                "--only-show-errors",
                "--endpoint-url",
                endpoint,
                str(folder),
                f"s3://{bucket}/o",
            ],
            "rclone": ["copy", "--quiet", "--transfers=16", "--s3-no-check-bucket", str(folder), remote],
            "s5cmd": ["--log=error", f"--endpoint-url={endpoint}", "cp", f"{folder}/", f"s3://{bucket}/o/"],
        }
        yield name, most, [program, *words[name]]


def send(store: Store, folder: Path, prefix: str) -> float:
    """Return the seconds that storing a folder's files takes."""
    uploads = [
        Upload(f"{prefix}/{path.name}", FilePayload(path, SIZE, digest_of(path.read_bytes())))
        for path in sorted(folder.iterdir())
    ]
    began = time.perf_counter()
    assert sum(1 for _ in store.put_new(uploads)) == OBJECTS
    return time.perf_counter() - began


@pytest.mark.s3
@pytest.mark.slow
def test_many_small_objects_take_half_of_what_aws_s3_sync_takes(
    seaweedfs: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    tools = list(copiers(seaweedfs, folder))
    if not tools:
        pytest.skip("neither aws, rclone nor s5cmd is installed")
    store = open_store(f"s3://{seaweedfs.new_bucket()}?endpoint={seaweedfs.endpoint}&style=path")
    list(store.put_new([Upload(f"warm/{n}", package(str(n)).archive) for n in range(20)]))
    ours = min(send(store, folder, prefix) for prefix in ("a", "b"))  # other work on the machine only slows
    print(f"\n{OBJECTS} objects, each create-only with its digest: {ours:.2f} s")
    slower = []
    for name, most, command in tools:
        began = time.perf_counter()
        subprocess.run(command, check=True)
        theirs = time.perf_counter() - began
        print(f"{name} {theirs:.2f} s, ratio {ours / theirs:.2f}")
        if ours / theirs > most:
            slower.append(name)
    assert not slower


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
packages = {
    "first": lambda: (package(f"p{number}") for number in range(100_000)),
    "changed": lambda: (package("p7", body="new"),),
}
asked = request("testing", *packages[sys.argv[2]]())
began = time.perf_counter()
publish(session, asked, PublishOptions())
seconds = time.perf_counter() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024, round(seconds, 2))
"""


@pytest.mark.slow
def test_a_hundred_thousand_packages_take_little_memory(tmp_path: Path) -> None:
    for what in ("first", "changed"):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path), what],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        megabytes, seconds = done.stdout.split()
        print(f"\n100,000 packages, {what}: {megabytes} MB, {seconds} s")
        assert int(megabytes) <= 300
