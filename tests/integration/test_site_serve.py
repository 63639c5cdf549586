"""The preview server on loopback: types, encodings, folders, reload."""

import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest

from cosgen.cli.main import cosgen
from cosgen.site.preview import RELOAD_PATH, Watch, address, make_server
from tests.fakes.artifacts import make_artifact


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    server = make_server(tmp_path)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tmp_path, address(server)
    server.shutdown()
    server.server_close()
    thread.join()


def get(url: str) -> tuple[HTTPMessage, bytes]:
    with urllib.request.urlopen(url) as answer:
        return answer.headers, answer.read()


@pytest.mark.parametrize(("name", "kind"), [("a.tar.gz", "application/gzip"), ("a.tar.zst", "application/zstd"), ("r.yaml", "application/yaml"),
                                            ("i.html", "text/html; charset=utf-8"), ("s.svg", "image/svg+xml"), ("f.xml", "application/atom+xml; charset=utf-8")])  # fmt: skip
def test_types_are_right_and_nothing_is_marked_as_encoded(
    served: tuple[Path, str], name: str, kind: str
) -> None:
    folder, url = served
    (folder / name).write_bytes(b"content")
    headers, body = get(url + name)
    assert headers["Content-Type"] == kind
    assert headers["Content-Encoding"] is None
    assert body == b"content"


def test_folders_are_not_listed_and_nothing_above_is_served(served: tuple[Path, str]) -> None:
    folder, url = served
    (folder / "sub").mkdir()
    (folder.parent / "secret").write_text("x")
    for path in ("sub/", "../secret", "%2e%2e/secret"):
        with pytest.raises(urllib.error.HTTPError):
            get(url + path)


def test_it_listens_on_loopback_only(served: tuple[Path, str]) -> None:
    assert served[1].startswith("http://127.0.0.1:")


def test_a_preview_tells_its_generation(tmp_path: Path) -> None:
    server = make_server(tmp_path, generation=lambda: 7)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    assert get(address(server).rstrip("/") + RELOAD_PATH)[1] == b"7"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_watch_calls_when_the_stamp_changes() -> None:
    stamps = iter([1, 1, 2])
    called = threading.Event()
    watch = Watch(lambda: next(stamps, 2), called.set)
    thread = threading.Thread(target=watch.run)
    thread.start()
    assert called.wait(5)
    watch.stop()
    thread.join()


def test_site_serve_shows_what_is_published_meanwhile_and_survives_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "cosgen.yaml").write_text(
        "version: 1\nname: acme\ntrees: [packages]\narches: [x86_64]\nchannels: {stable: {on: {branch: main}}}\n"
        "repository: {storage: repository}\nsite: {pages: pages}\n"
    )
    (tmp_path / "packages").mkdir()
    (tmp_path / "pages").mkdir()
    publish(tmp_path, "1.0")
    program = str(Path(sys.executable).with_name("cosgen"))
    command = [program, "site", "serve", "--project", str(tmp_path), "--output", str(tmp_path / "site")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        seen = get(url.rstrip("/") + RELOAD_PATH)[1]
        publish(tmp_path, "1.1")
        seen = wait_for_change(url, seen)
        assert b"1.1" in get(url + "packages/apps/tool.html")[1]
        (tmp_path / "pages/mine.md").write_text("[gone](nowhere.md)\n")
        time.sleep(2)
        assert b"1.1" in get(url + "packages/apps/tool.html")[1]
        (tmp_path / "pages/mine.md").write_text("# Mine\n")
        wait_for_change(url, seen)
        assert b"Mine" in get(url + "mine.html")[1]
    finally:
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=20)
    assert "CG604" in talk
    assert talk.count("is not signed") <= 5  # once for each build, not for each look


def publish(root: Path, version: str) -> None:
    make_artifact(root / version, "tool", version)
    arguments = ["publish", str(root / version), "--channel", "stable", "--project", str(root)]
    cosgen.main(args=arguments, standalone_mode=False)


def wait_for_change(url: str, before: bytes) -> bytes:
    for _ in range(100):
        now = get(url.rstrip("/") + RELOAD_PATH)[1]
        if now != before:
            return now
        time.sleep(0.3)
    raise AssertionError("the preview did not build again")
