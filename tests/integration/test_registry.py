"""cosgen.build.registry against a real registry."""

import contextlib
import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Manifest, Registry
from cosgen.errors import BuildError, VerificationError
from tests.engines import Registry as Server
from tests.engines import free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def name(registry: Server, request: pytest.FixtureRequest) -> ImageName:
    stem = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    return parse_name(f"{registry.address}/tests/{stem}")[0]


def an_index() -> Manifest:
    return Manifest(b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % INDEX.encode(), INDEX)


def test_a_blob_comes_back_as_it_was_put(name: ImageName, tmp_path: Path) -> None:
    client = Registry()
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 20_000)
    digest = client.put_blob(name, big)
    assert digest == f"sha256:{hashlib.sha256(big.read_bytes()).hexdigest()}"
    assert b"".join(client.iter_blob(name, digest)) == big.read_bytes()
    assert client.put_blob(name, b"small") == client.put_blob(name, b"small")


def test_an_empty_file_can_be_put(name: ImageName, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    digest = Registry(retries=0).put_blob(name, tmp_path / "empty")
    assert Registry().get_blob(name, digest) == b""


def test_a_manifest_is_found_by_tag_and_digest(name: ImageName) -> None:
    client = Registry()
    manifest = an_index()
    assert client.find_manifest(name, "one") is None
    assert client.find_digest(name, "one") is None
    assert client.put_manifest(name, "one", manifest) == manifest.digest
    assert client.find_manifest(name, "one") == manifest
    assert client.find_manifest(name, manifest.digest) == manifest
    assert client.find_digest(name, "one") == manifest.digest
    assert client.list_tags(name) == ("one",)
    client.delete_manifest(name, manifest.digest)
    assert client.find_digest(name, "one") is None


def test_a_missing_blob_is_a_clear_error(name: ImageName) -> None:
    with pytest.raises(BuildError, match="CG483"):
        Registry().get_blob(name, "sha256:" + "0" * 64)


def test_a_registry_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(BuildError, match="cannot be reached"):
        Registry(retries=0).find_digest(ImageName(f"127.0.0.1:{free_port()}", "x"), "y")


class _Liar(http.server.BaseHTTPRequestHandler):
    """Answers every blob with the same wrong bytes, and asks for a login on `private/`."""

    def do_GET(self) -> None:
        if "/private/" in self.path and self.headers.get("Authorization") != "Basic bWU6c2VjcmV0":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"wrong")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def liar() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_bytes_of_another_digest_are_refused(liar: str) -> None:
    with pytest.raises(VerificationError, match="CG482"):
        Registry().get_blob(ImageName(liar, "x"), "sha256:" + "0" * 64)
    with pytest.raises(VerificationError, match="CG482"):
        Registry().find_manifest(ImageName(liar, "x"), "sha256:" + "0" * 64)


def test_a_login_is_used_and_a_missing_one_told(liar: str) -> None:
    digest = f"sha256:{hashlib.sha256(b'wrong').hexdigest()}"
    private = ImageName(liar, "private/x")
    assert Registry(credentials=lambda _: ("me", "secret")).get_blob(private, digest) == b"wrong"
    with pytest.raises(BuildError, match="CG481"):
        Registry(credentials=lambda _: ("me", "guess")).get_blob(private, digest)
    with pytest.raises(BuildError, match="docker login"):
        Registry(credentials=lambda _: None).get_blob(private, digest)


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Where a registry leads: it asks for the registry's login, and takes uploads."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(self.headers.get("Authorization") or "")
        self.send_response(401)
        realm = f"http://localhost:{self.connection.getsockname()[1]}/token"
        self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.heard.append(self.headers.get("Authorization") or "")
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Leading(http.server.BaseHTTPRequestHandler):
    """A registry that asks for a login, and leads elsewhere for blobs and uploads."""

    elsewhere: ClassVar[str] = ""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization")
        self.send_response({"GET": 307, "POST": 202, "HEAD": 404}[self.command] if known else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Location", f"{self.elsewhere}/there")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET  # noqa: N815 - the server's names

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_nobody_but_the_registry_is_told_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(_Elsewhere) as elsewhere, serving(_Leading) as port:
        monkeypatch.setattr(_Elsewhere, "heard", [])
        monkeypatch.setattr(_Leading, "elsewhere", f"http://localhost:{elsewhere}")
        name = ImageName(f"127.0.0.1:{port}", "x")
        registry = Registry(credentials=lambda _: ("me", "secret"), retries=0)
        with pytest.raises(BuildError, match="CG481"):
            registry.get_blob(name, "sha256:" + "0" * 64)
        registry.put_blob(name, b"x")
        assert _Elsewhere.heard == ["", ""]


class _Unencrypted(requests.adapters.BaseAdapter):
    """A registry behind TLS that wants the login sent to where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked.append(str(request.url))
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 401, request, str(request.url)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="http://login.example/token"'
        answer.raw = io.BytesIO()
        return answer

    def close(self) -> None:
        pass


def test_a_login_is_not_sent_unencrypted_for_a_registry_that_is_encrypted() -> None:
    registry, line = Registry(credentials=lambda _: ("me", "secret"), retries=0), _Unencrypted()
    for scheme in ("http://", "https://"):
        registry._session.mount(scheme, line)
    with pytest.raises(BuildError, match="unencrypted"):
        registry.get_blob(ImageName("registry.example", "x"), "sha256:" + "0" * 64)
    assert [url.partition("/v2/")[0] for url in line.asked] == ["https://registry.example"]
