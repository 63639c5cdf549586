"""A registry in memory that serves whatever it was given, true or not."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class HostileRegistry:
    """What it serves: manifests by tag, blobs by digest, all of any repository."""

    address: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)  # digests of blobs that end in the middle

    def put_blob(self, data: bytes) -> dict[str, Any]:
        """Keep a blob and return its descriptor."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}

    def put_manifest(self, tag: str, document: object) -> None:
        """Keep a manifest under a tag."""
        self.manifests[tag] = json.dumps(document).encode()

    def find(self, path: str) -> tuple[bytes, int]:
        """Return what a path holds and how many bytes of it are sent."""
        _, _, rest = path.partition("/v2/")
        kind, name = rest.rsplit("/", 2)[-2:]
        data = (self.manifests if kind == "manifests" else self.blobs)[name]
        return data, len(data) // 2 if name in self.cut else len(data)


@contextlib.contextmanager
def start_hostile_registry() -> Iterator[HostileRegistry]:
    """Serve on loopback until the block ends."""
    found = HostileRegistry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                data, sent = found.find(self.path)
            except KeyError:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", MANIFEST_TYPE)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever is given too much hangs up
                self.wfile.write(data[:sent] if self.command == "GET" else b"")
            self.close_connection = sent < len(data)

        do_HEAD = do_GET  # noqa: N815 - the server's name

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.address = f"127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
