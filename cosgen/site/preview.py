"""A small web server on loopback: folders as a static host serves them, and a preview that reloads."""

import functools
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cosgen.site.media import content_type

RELOAD_PATH = "/_cosgen/reload"
_RELOAD = """
let seen = null;
async function look() {
  try {
    const answer = await (await fetch("%s", {cache: "no-store"})).text();
    if (seen !== null && answer !== seen) location.reload();
    seen = answer;
  } catch (error) { /* the preview is building or gone */ }
  setTimeout(look, 1000);
}
look();
"""


class _Handler(SimpleHTTPRequestHandler):
    """Serves files as they are: tarballs get their own type and never a Content-Encoding."""

    protocol_version = "HTTP/1.1"
    generation: Callable[[], int] | None = None  # set for a preview

    def guess_type(self, path: object) -> str:
        """Return the type by the last suffix only."""
        return content_type(str(path))

    def list_directory(self, path: object) -> None:
        """Refuse: a static host lists nothing."""
        del path
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Keep browsers from caching what is being worked on."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def do_GET(self) -> None:
        """Serve a file, or what the preview's reload asks for."""
        generation = type(self).generation
        if generation is None:
            super().do_GET()
        elif self.path.split("?")[0] == RELOAD_PATH:
            self._send(str(generation()).encode(), "text/plain; charset=utf-8")
        elif self.path.split("?")[0].endswith("/assets/cosgen.js"):
            script = Path(self.translate_path(self.path))
            text = script.read_text(encoding="utf-8") if script.is_file() else ""
            self._send((text + _RELOAD % RELOAD_PATH).encode(), content_type("cosgen.js"))
        else:
            super().do_GET()

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is given
        """Say nothing: the terminal is for what went wrong."""


def make_server(
    folder: Path, port: int = 0, *, generation: Callable[[], int] | None = None
) -> ThreadingHTTPServer:
    """Return a server on 127.0.0.1, bound but not yet serving.

    Args:
        folder: What is served, at `/`.
        port: Port to take; 0 for any that is free.
        generation: For a preview: pages reload themselves when its value changes.
    """
    handler = type(
        "_FolderHandler", (_Handler,), {"generation": staticmethod(generation) if generation else None}
    )
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(handler, directory=str(folder)))


def address(server: ThreadingHTTPServer) -> str:
    """Return the URL of a server."""
    return f"http://127.0.0.1:{server.server_address[1]}/"


class Watch:
    """Calls back when what `stamp` returns changes; looks every so many seconds."""

    def __init__(
        self, stamp: Callable[[], object], changed: Callable[[], None], *, seconds: float = 0.5
    ) -> None:
        self._seconds = seconds
        self._stamp = stamp
        self._changed = changed
        self._last = stamp()
        self._stop = threading.Event()

    def run(self) -> None:
        """Look until `stop` is called."""
        while not self._stop.wait(self._seconds):
            now = self._stamp()
            if now != self._last:
                self._last = now
                self._changed()

    def stop(self) -> None:
        """End `run`."""
        self._stop.set()
