"""The preview server on loopback: types, encodings, folders, reload."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest

from cosgen.site.preview import RELOAD_PATH, Watch, address, make_server


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
