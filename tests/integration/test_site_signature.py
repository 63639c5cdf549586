"""What the site says of signatures is true: verified, unsigned, wrong, expired; an outage is none of these."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cosgen.cli.main import cosgen
from cosgen.errors import CosgenError, Problem
from cosgen.repository.reader import open_repository
from cosgen.repository.session import Session
from cosgen.site.collect import SiteOptions, collect_site
from cosgen.site.model import Channel
from cosgen.storage.local import FolderStore
from cosgen.storage.port import Blob, StoreError
from tests.fakes.artifacts import make_artifact


def run(*arguments: object) -> None:
    cosgen.main(args=[str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make keys and a signed repository in `repository/`; return what publishes a version to `stable`."""
    (tmp_path / "cosgen.yaml").write_text(
        "version: 1\nname: acme\ntrees: [packages]\narches: [x86_64]\nchannels: {stable: {on: {branch: main}}}\n"
        "repository: {storage: repository, url: 'https://repo.example.org'}\n"
    )
    (tmp_path / "packages").mkdir()
    run("key", "new", "--output", tmp_path / "keys", "--project", tmp_path)
    files = [tmp_path / f"keys/tuf/1.{role}.json" for role in ("root", "targets")]
    run("key", "publish", *files, "--project", tmp_path)
    online = (tmp_path / "keys/online.pem").read_bytes()
    monkeypatch.setenv("COSGEN_SIGNING_KEY", base64.b64encode(online).decode())

    def one(version: str) -> None:
        make_artifact(tmp_path / version, "tool", version)
        run("publish", tmp_path / version, "--channel", "stable", "--project", tmp_path)

    one("1.0")
    return one


def stable(root: Path) -> Channel:
    session = Session(store=FolderStore(root / "repository"))
    return collect_site(open_repository(session.store, session), SiteOptions()).channels[0]


def test_a_right_signature_is_verified_and_the_page_tells_its_root(
    publish: Callable[[str], None], tmp_path: Path
) -> None:
    assert stable(tmp_path).signature == "verified"
    run("site", "build", "--project", tmp_path, "--output", tmp_path / "site")
    page = (tmp_path / "site/c/stable/index.html").read_text()
    assert "signed, verified" in page
    assert stable(tmp_path).root_digest.removeprefix("sha256:") in page
    assert "signed, verified" in (tmp_path / "site/index.html").read_text()
    assert json.loads((tmp_path / "site/api/v1/c/stable.json").read_text())["signature"] == "verified"


def test_metadata_of_an_older_snapshot_is_wrong(publish: Callable[[str], None], tmp_path: Path) -> None:
    timestamp = tmp_path / "repository/tuf/timestamp.json"
    old = timestamp.read_bytes()
    publish("1.1")
    assert stable(tmp_path).signature == "verified"
    timestamp.write_bytes(old)
    channel = stable(tmp_path)
    assert channel.signature == "wrong"
    assert "another snapshot" in channel.signature_note


def test_metadata_that_somebody_else_signed_is_wrong(publish: Callable[[str], None], tmp_path: Path) -> None:
    timestamp = tmp_path / "repository/tuf/timestamp.json"
    changed = json.loads(timestamp.read_text())
    changed["signed"]["version"] += 1
    timestamp.write_text(json.dumps(changed))
    assert stable(tmp_path).signature == "wrong"
    run("site", "build", "--project", tmp_path, "--output", tmp_path / "site")
    assert "signature wrong" in (tmp_path / "site/index.html").read_text()


def test_a_signature_that_ran_out_is_expired(
    publish: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    from tuf.ngclient._internal import trusted_metadata_set as trusted

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Later":
            return cls(2090, 1, 1, tzinfo=tz)

    monkeypatch.setattr(trusted.datetime, "datetime", Later)
    assert stable(tmp_path).signature == "expired"


def test_a_repository_without_keys_is_unsigned(tmp_path: Path) -> None:
    make_artifact(tmp_path / "one", "tool")
    run(
        "publish",
        tmp_path / "one",
        "--channel",
        "stable",
        "--storage",
        tmp_path / "repository",
        "--project",
        tmp_path,
    )
    assert stable(tmp_path).signature == "unsigned"


def test_a_store_that_does_not_answer_is_no_wrong_signature(
    publish: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FolderStore.get

    def get(self: FolderStore, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        if key.startswith("tuf/") and "snapshot" in key:
            raise StoreError(Problem(what="503", fix="wait", id="CG506"))
        return real(self, key, start=start, length=length)

    monkeypatch.setattr(FolderStore, "get", get)
    with pytest.raises(CosgenError, match="CG601"):
        stable(tmp_path)


def test_a_site_is_not_made_of_a_log_that_somebody_else_wrote(
    publish: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tmp_path / "repository/tuf", tmp_path / "tuf")
    shutil.rmtree(tmp_path / "repository")
    (tmp_path / "repository").mkdir()
    monkeypatch.delenv("COSGEN_SIGNING_KEY")
    make_artifact(tmp_path / "evil", "tool", "9.9")
    run("publish", tmp_path / "evil", "--channel", "stable", "--project", tmp_path)
    shutil.copytree(tmp_path / "tuf", tmp_path / "repository/tuf")
    for hint in tmp_path.glob("repository/_log/HEAD"):
        hint.unlink()
    with pytest.raises(CosgenError, match="not signed"):
        run("site", "build", "--project", tmp_path, "--output", tmp_path / "site")
    assert not (tmp_path / "site").exists()
