"""Unit tests of cosgen.storage.http: what servers answer that mean no good."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from cosgen.storage import http as store_http
from cosgen.storage.http import HttpStore
from cosgen.storage.port import StoreError, UncertainError


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers with some headers and then bytes: a number of them, or without end."""

    told: ClassVar[dict[str, str]] = {}
    count: ClassVar[int] = 0
    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in self.told.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.count < 0:
                self.wfile.write(bytes(1 << 16))
                self.sent.append(1 << 16)
        self.wfile.write(bytes(max(self.count, 0)))

    do_HEAD = do_GET  # noqa: N815 - the server's name

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(count: int, **told: str) -> Iterator[HttpStore]:
    handler = type(
        "Handler", (_Server,), {"told": {k.replace("_", "-"): v for k, v in told.items()}, "count": count}
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield HttpStore(f"http://127.0.0.1:{server.server_port}", timeout=5.0)
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_object_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_http, "_MOST", 1 << 20)
    with serving(-1) as store, pytest.raises(StoreError, match="MiB or more"):
        store.get("tuf/timestamp.json")
    with serving(-1, Content_Length=str(1 << 60)) as store, pytest.raises(StoreError, match="MiB or more"):
        store.get("tuf/timestamp.json")


def test_of_a_span_no_more_is_read_than_was_asked_for() -> None:
    with serving(-1) as store:
        blob = store.get("x", start=10, length=100)
        assert blob is not None
        assert len(blob.data) == 100


def test_an_object_that_ends_early_is_no_answer() -> None:
    with serving(10, Content_Length="20") as store:
        for length in (None, 1000):
            with pytest.raises(UncertainError):
                store.get("x", length=length)


@pytest.mark.parametrize(
    "told",
    [
        {"Content_Range": "bytes 0-1/\u00b2"},
        {"Last_Modified": "Mon, 01 Jan 0001 00:00:00 +2359"},
        {"Date": "x"},
    ],
)
def test_headers_that_say_nothing_are_passed_over(told: dict[str, str]) -> None:
    with serving(3, Content_Length="3", **told) as store:
        blob = store.get("x")
        assert blob is not None
        assert (blob.data, blob.stat.size) == (bytes(3), 3)
