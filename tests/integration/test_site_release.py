"""`cosgen release` against stand-ins of both forges that speak their HTTP APIs on loopback."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from cosgen.cli.main import cosgen
from cosgen.errors import PublishError
from tests.fakes.artifacts import make_artifact


@dataclass
class Forge:
    """What the stand-in keeps, and every writing request it saw."""

    release: dict[str, object] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    links: list[dict[str, object]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    refuse: bool = False
    url: str = ""


def _handler(forge: Forge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, value: object) -> None:
            data = b"" if status == 204 else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def github_release(self) -> dict[str, object]:
            assert forge.release is not None
            assets = [
                {"id": i, "name": n, "size": len(c), "url": f"{forge.url}/repos/acme/os/releases/assets/{n}"}
                for i, (n, c) in enumerate(forge.files.items())
            ]
            return {**forge.release, "id": 1, "html_url": "https://forge.example/r/1", "url": f"{forge.url}/repos/acme/os/releases/1",
                    "upload_url": f"{forge.url}/up/1/assets{{?name,label}}", "assets": assets}  # fmt: skip

        def handle_any(self) -> None:
            body = self.body()
            path = self.path.split("?")[0]
            if self.command != "GET":
                forge.writes.append(f"{self.command} {path}")
            if forge.refuse:
                self.answer(403, {"message": "Resource not accessible by integration"})
            elif path.startswith("/api/v4"):
                self.gitlab(path, body)
            else:
                self.github(path, body)

        def github(self, path: str, body: bytes) -> None:
            if path == "/repos/acme/os/releases/tags/v1" or (
                path.endswith("/releases/1") and self.command == "GET"
            ):
                self.answer(404, {"message": "Not Found"}) if forge.release is None else self.answer(
                    200, self.github_release()
                )
            elif path == "/repos/acme/os":
                self.answer(200, {"full_name": "acme/os", "url": f"{forge.url}/repos/acme/os"})
            elif path.endswith("/releases") and self.command == "POST":
                forge.release = json.loads(body)
                self.answer(201, self.github_release())
            elif path.endswith("/releases/1/assets"):
                self.answer(200, self.github_release()["assets"])
            elif path.startswith("/up/1/assets"):
                name = re.search(r"name=([^&]+)", self.path)
                assert name
                forge.files[name[1]] = body
                self.answer(201, {"name": name[1], "id": 9, "url": "x"})
            elif "/releases/assets/" in path and self.command == "GET":
                assets = self.github_release()["assets"]
                assert isinstance(assets, list)
                self.answer(200, next(a for a in assets if a["url"].endswith(path)))
            elif self.command == "DELETE":
                forge.files.pop(path.rpartition("/")[2])
                self.answer(204, None)
            elif self.command == "PATCH":
                assert forge.release is not None
                forge.release |= json.loads(body)
                self.answer(200, self.github_release())
            else:
                self.answer(500, {"message": f"stand-in does not know {self.command} {path}"})

        def gitlab(self, path: str, body: bytes) -> None:
            path = path.removeprefix("/api/v4/projects/acme%2Fos")
            shown = {**(forge.release or {}), "_links": {"self": "https://forge.example/r/1"}}
            if path == "/releases/v1" and self.command == "GET":
                self.answer(404, {"message": "404 Not Found"}) if forge.release is None else self.answer(
                    200, shown
                )
            elif path == "/releases" and self.command == "POST":
                forge.release = json.loads(body)
                self.answer(201, forge.release)
            elif path == "/releases/v1" and self.command == "PUT":
                assert forge.release is not None
                forge.release |= json.loads(body)
                self.answer(200, forge.release)
            elif path == "/releases/v1/assets/links" and self.command == "GET":
                self.answer(200, forge.links)
            elif path == "/releases/v1/assets/links":
                forge.links.append({"id": len(forge.links), **json.loads(body)})
                self.answer(201, forge.links[-1])
            elif path.startswith("/packages/generic/release/v1/"):
                forge.files[path.rpartition("/")[2]] = body
                self.answer(201, {"message": "201 Created"})
            else:
                self.answer(500, {"message": f"stand-in does not know {self.command} {path}"})

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  # names are given

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def forge() -> Iterator[Forge]:
    value = Forge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(value))
    value.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield value
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    make_artifact(tmp_path / "out", "tool")
    run(
        "publish",
        tmp_path / "out",
        "--channel",
        "stable",
        "--tag",
        "v1",
        "--storage",
        tmp_path / "repo",
        "--project",
        tmp_path,
    )
    return tmp_path / "repo"


def run(*arguments: object) -> None:
    cosgen.main(args=[str(argument) for argument in arguments], standalone_mode=False)


@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_a_release_is_made_once_and_mended_when_a_file_is_lost(
    provider: str, forge: Forge, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    monkeypatch.setenv("GITLAB_TOKEN", "t")
    command = ("release", "--tag", "v1", "--provider", provider, "--repo", "acme/os", "--url", forge.url,
               "--storage", storage, "--project", storage.parent)  # fmt: skip
    run(*command)
    assert forge.release is not None
    assert "SHA256SUMS" in forge.files
    assert any(name.endswith("-release.json") for name in forge.files)
    sums = {line.split("  ")[1] for line in forge.files["SHA256SUMS"].decode().splitlines()}
    assert sums == set(forge.files) - {"SHA256SUMS"}
    before, count = dict(forge.files), len(forge.writes)
    run(*command)
    assert len(forge.writes) == count, "a second run writes nothing"
    lost = next(iter(forge.files))
    del forge.files[lost]
    forge.links = [link for link in forge.links if link["name"] != lost]
    run(*command)
    assert forge.files == before


def test_a_refusal_says_which_right_is_missing(
    forge: Forge, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    forge.refuse = True
    with pytest.raises(PublishError, match="contents: write"):
        run("release", "--tag", "v1", "--provider", "github", "--repo", "acme/os", "--url", forge.url,
            "--storage", storage, "--project", storage.parent)  # fmt: skip


def test_a_tag_without_a_snapshot_is_refused(storage: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="CG608"):
        run("release", "--tag", "v2", "--output", tmp_path / "r", "--storage", storage, "--project", tmp_path)


def test_the_files_of_a_release_are_the_same_every_time(storage: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(
            "release", "--tag", "v1", "--output", tmp_path / name, "--storage", storage, "--project", tmp_path
        )
    one = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert one == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}


def test_a_release_made_late_is_of_its_own_snapshot_and_not_of_what_the_channel_is_now(
    tmp_path: Path,
) -> None:
    (tmp_path / "cosgen.yaml").write_text(
        "version: 1\nname: acme\ntrees: [packages]\narches: [x86_64]\n"
        "channels: {testing: {on: {branch: main}}, stable: {on: {tag: 'v*'}, from: testing}}\n"
        "repository: {storage: repo, url: 'https://repo.example.org'}\n"
    )
    (tmp_path / "packages").mkdir()
    project = ("--project", tmp_path)
    for version in ("1.0", "1.1"):
        make_artifact(tmp_path / version, "tool", version)
        run("publish", tmp_path / version, "--channel", "testing", *project)
        run("channel", "promote", "testing", "stable", "--tag", f"v{version}", *project)
        run("release", "--tag", f"v{version}", "--output", tmp_path / "at-once" / version, *project)
    run("channel", "rollback", "stable", *project)
    pins = {}
    for version in ("1.0", "1.1"):
        run("release", "--tag", f"v{version}", "--output", tmp_path / "late" / version, *project)
        early, late = (
            {path.name: path.read_bytes() for path in (tmp_path / when / version).iterdir()}
            for when in ("at-once", "late")
        )
        assert early == late
        pinned = yaml.safe_load(late[f"acme-v{version}-x86_64-repository.yaml"])
        assert (tmp_path / "repo/r" / pinned["reference"]).is_file()
        assert pinned["reference"].encode() in late["NOTES.md"]
        pins[version] = pinned["reference"]
    assert pins["1.0"] != pins["1.1"]
