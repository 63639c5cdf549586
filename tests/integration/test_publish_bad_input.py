"""Bad artifacts, bad stores and full disks, by the command line: one clear error each, and the channel as it was."""

import contextlib
import errno
import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cosgen.storage import local
from tests.fakes.artifacts import make_artifact
from tests.fakes.command_line import Done, run, succeed
from tests.fakes.strict_luet_reader import read

PUBLISH, VERIFICATION = 5, 6
VIEW = "r/testing-x86_64-repository.yaml"


def objects(folder: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cosgen" not in path.parts
    }


def publish(store: object, artifacts: Path) -> Done:
    return run("publish", artifacts, "--channel", "testing", "--storage", store, "--project", artifacts)


def assert_intact(store: Path, before: Mapping[str, bytes]) -> None:
    """Clients see the same, whole; nothing was committed."""
    after = objects(store)
    assert {key: after.get(key) for key in before} == before
    assert not [key for key in after if key.startswith("_log/") and key not in before]
    assert set(read(lambda name: after[f"r/{name}"], "testing-x86_64-repository.yaml").packages) == {
        "old-apps-1.0"
    }


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A repository in a folder whose channel has one package."""
    make_artifact(tmp_path / "old", "old")
    succeed(
        "publish",
        tmp_path / "old",
        "--channel",
        "testing",
        "--storage",
        tmp_path / "store",
        "--project",
        tmp_path,
    )
    return tmp_path / "store"


def truncated(folder: Path) -> None:
    archive = next(folder.glob("new-*.package.tar.zst"))
    archive.write_bytes(archive.read_bytes()[:-1])


def swapped(folder: Path) -> None:
    make_artifact(folder, "other")
    one, two = (next(folder.glob(f"{name}-*.package.tar.zst")) for name in ("new", "other"))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def missing(folder: Path) -> None:
    next(folder.glob("new-*.package.tar.zst")).unlink()


def cut_off(folder: Path) -> None:
    next(folder.glob("new-*.artifact.json")).write_text('{"schema": 1')


def changed(folder: Path, **fields: object) -> None:
    path = next(folder.glob("new-*.artifact.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


BAD: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "a truncated artifact": (truncated, VERIFICATION, "CG490"),
    "swapped artifacts": (swapped, VERIFICATION, "CG490"),
    "a missing artifact": (missing, VERIFICATION, "CG490"),
    "metadata of another platform": (
        lambda folder: changed(folder, platform="linux/arm64"),
        PUBLISH,
        "CG532",
    ),
    "metadata of another package": (
        lambda folder: changed(folder, definition={"name": "x/../y", "category": "apps", "version": "1"}),
        PUBLISH,
        "CG552",
    ),
    "a record that is cut off": (cut_off, VERIFICATION, "CG490"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_artifact_is_not_published(name: str, store: Path, tmp_path: Path) -> None:
    spoil, code, expected = BAD[name]
    make_artifact(tmp_path / "new", "new")
    spoil(tmp_path / "new")
    before = objects(store)
    refused = publish(store, tmp_path / "new")
    assert refused.code == code, refused.err
    assert set(refused.ids) == {expected}, refused.err
    assert_intact(store, before)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_disk_that_fails_at_any_write_leaves_the_channel(
    code: int, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_artifact(tmp_path / "new", "new")
    real: Any = local._copy
    before = objects(store)
    for at in range(20):
        writes = iter(range(1000))

        def copy(source: Any, target: Any, writes: Iterator[int] = writes, at: int = at) -> Any:
            if next(writes) == at:
                raise OSError(code, os.strerror(code))
            return real(source, target)

        monkeypatch.setattr(local, "_copy", copy)
        done = publish(store, tmp_path / "new")
        monkeypatch.setattr(local, "_copy", real)
        if any(key.startswith("_log/000000000001") for key in objects(store)):
            break
        assert (done.code, done.ids) == (PUBLISH, ["CG504"]), done.err
        assert_intact(store, before)
    assert at > 3
    # The commit stands; whatever failed behind it, the next command brings the views there.
    succeed("channel", "pin", "testing", "kept", "--storage", store, "--project", tmp_path)
    after = objects(store)
    assert "new-apps-1.0" in read(lambda name: after[f"r/{name}"], "testing-x86_64-repository.yaml").packages


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems can only be mounted as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_channel_and_space_completes_it(small_disk: Path, tmp_path: Path) -> None:
    store = small_disk / "store"
    make_artifact(tmp_path / "old", "old")
    assert publish(store, tmp_path / "old").code == 0
    before = objects(store)
    for number in range(3):
        make_artifact(tmp_path / "new", f"new{number}", content=os.urandom(100_000).hex())
    (small_disk / "ballast").write_bytes(bytes(250_000))
    refused = publish(store, tmp_path / "new")
    assert (refused.code, refused.ids) == (PUBLISH, ["CG504"])
    assert "no space left" in refused.err
    assert_intact(store, before)
    assert not list((store / ".cosgen/tmp").iterdir())
    (small_disk / "ballast").unlink()
    assert publish(store, tmp_path / "new").code == 0


class _Handler(http.server.BaseHTTPRequestHandler):
    """An S3 that says 200 to every write and keeps nothing."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_DELETE = do_GET  # noqa: N815  # the names of HTTP's methods

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


def test_a_store_that_answers_200_and_forgets_is_refused(aws: None, tmp_path: Path) -> None:
    make_artifact(tmp_path / "new", "new")
    with served(_Handler) as endpoint:
        refused = publish(f"s3://bucket/r?endpoint={endpoint}&style=path", tmp_path / "new")
    assert refused.code == PUBLISH
    assert refused.ids == ["CG509"], refused.err


def test_a_cut_network_is_an_error_and_never_an_empty_repository(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosgen.storage.retry.SystemClock.sleep", lambda *_: None)
    make_artifact(tmp_path / "new", "new")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    place = f"s3://bucket/r?endpoint={endpoint}&style=path"
    for words in (
        ("publish", tmp_path / "new", "--channel", "testing"),
        ("channel", "promote", "testing", "stable"),
        ("channel", "ls"),
        ("repo", "fsck"),
    ):
        refused = run(*words, "--storage", place, "--project", tmp_path)
        assert refused.code == PUBLISH, refused.err
        assert refused.ids == ["CG506"], refused.err
