"""A TCP proxy that is slow, or goes away after so many bytes: a registry far away, or lost half-way."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_GONE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class CuttingProxy:
    """Forwards connections to a server until its bytes are used up; then it drops all and knows no server."""

    def __init__(self, target: str, delay: float = 0.0) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._delay = delay  # seconds that bytes take, each way
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._left: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.passed = 0  # bytes, both ways
        self.most = 0  # connections at once
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, size: int | None) -> None:
        """Go away after so many more bytes; None: stay."""
        with self._lock:
            self._left = size

    def close(self) -> None:
        """End the server and all connections."""
        self._server.close()
        self._drop()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self._left == 0:
                    with client, contextlib.suppress(OSError):
                        client.recv(1 << 16)
                        client.sendall(_GONE)
                    continue
                server = socket.create_connection(self._target)
                self._open |= {client, server}
                self.most = max(self.most, len(self._open) // 2)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._may_pass(len(data)):
                    self._drop()
                    return
                time.sleep(self._delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        self._open -= {source}

    def _may_pass(self, size: int) -> bool:
        with self._lock:
            self.passed += size
            if self._left is None:
                return True
            self._left = max(0, self._left - size)
            return self._left > 0

    def _drop(self) -> None:
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()


@contextlib.contextmanager
def start_proxy(target: str, delay: float = 0.0) -> Iterator[CuttingProxy]:
    """Run a proxy until the block ends; `delay` in seconds, each way."""
    proxy = CuttingProxy(target, delay)
    try:
        yield proxy
    finally:
        proxy.close()
