"""An HTTP proxy before a registry, which refuses, loses answers, or lets somebody else act in between."""

import contextlib
import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Hook = Callable[[str, str], None]  # method, path


@dataclass
class Faults:
    """What goes wrong; the counters say what happened."""

    address: str = ""
    refuse_after: int | None = None  # writes that pass; all that follow get `status`
    refuse_times: int | None = None  # of those, only so many; None for all
    refuse: Callable[[str, str], bool] | None = None  # tells of method and path whether to refuse
    status: int = 403
    lose: int | None = None  # number of the write whose answer is lost, from 0
    before: Hook | None = None  # called before a request is passed on
    after: Hook | None = None  # called before its answer is
    writes: int = 0
    log: list[str] = field(default_factory=list)

    def heal(self) -> None:
        """Let nothing go wrong any more, and count anew."""
        self.refuse_after = self.refuse_times = self.refuse = None
        self.lose = self.before = self.after = None
        self.status = 403
        self.writes = 0
        self.log.clear()


@contextlib.contextmanager
def start_fault_proxy(target: str) -> Iterator[Faults]:
    """Run a proxy before `target` (host:port) until the block ends."""
    faults = Faults()
    handler = type("Handler", (_Handler,), {"faults": faults, "target": target})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    faults.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults
    target: str

    def _pass(self) -> None:
        faults, method = self.faults, self.command
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        number = faults.writes if method in WRITES else -1
        faults.writes += number >= 0
        faults.log.append(f"{method} {self.path.partition('?')[0]}")
        if self._is_refused(number):
            self._answer(faults.status, {}, b'{"errors":[{"code":"DENIED"}]}')
            return
        if faults.before:
            faults.before(method, self.path)
        status, headers, data = self._forward(method, body)
        if faults.after:
            faults.after(method, self.path)
        if number >= 0 and number == faults.lose:
            self.close_connection = True
            return
        self._answer(status, headers, data)

    def _is_refused(self, number: int) -> bool:
        faults = self.faults
        if faults.refuse and faults.refuse(self.command, self.path):
            return True
        if number < 0 or faults.refuse_after is None or number < faults.refuse_after:
            return False
        if faults.refuse_times is None:
            return True
        faults.refuse_times -= 1
        return faults.refuse_times >= 0

    def _forward(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.target, timeout=30)
        try:
            connection.request(method, self.path, body or None, dict(self.headers.items()))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - named by the library

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
