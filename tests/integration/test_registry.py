"""cosgen.build.registry against a real registry."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
