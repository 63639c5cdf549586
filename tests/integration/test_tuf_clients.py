"""Keys by the command line, and tuf-js, which shares no code with us, as the judge."""

import functools
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.cli.key import command
from cosgen.cli.repo_luet import mirror_channel
from cosgen.repository.commit import Change, append, make_commit, read_tail
from cosgen.repository.log import ChannelState, State
from cosgen.repository.session import Session
from cosgen.repository.views import roll_forward
from cosgen.storage.local import FolderStore
from tests.engines import MissingEngine, node_tool
from tests.fakes.repository_records import put_snapshot, record


@dataclass
class Repository:
    folder: Path
    keys: Path

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(
            command,
            [*arguments, *(() if arguments[0] in ("new", "sign") else ("--storage", str(self.folder)))],
        )
        assert result.exit_code == 0, f"{result.output}\n{result.exception}"
        return result.stdout

    def start(self) -> None:
        """Publish a first commit, unsigned."""
        session = Session(store=FolderStore(self.folder))
        ref = put_snapshot(session.store, [record("hello")])  # type: ignore[arg-type]  # any store will do
        channel = ChannelState(snapshot=ref, seq=0, time=session.now(), origin=0)
        tail = read_tail(session)
        state = State(channels={"stable": channel}, settings={"name": "acme"})
        commit = make_commit(session, tail, Change(op="publish", state=state, txn="t", details={}))
        assert append(session, commit)
        roll_forward(session, read_tail(session))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "store", tmp_path / "keys")
    (tmp_path / "store").mkdir()
    found.start()
    found.run("new", "--output", str(found.keys))
    found.run(
        "publish",
        *(str(found.keys / f"tuf/1.{role}.json") for role in ("root", "targets")),
        f"--key=file:{found.keys}/online.pem",
    )
    return found


def test_keys_are_private_and_not_written_over(repository: Repository) -> None:
    assert {path.stat().st_mode & 0o777 for path in repository.keys.glob("*.pem")} == {0o600}
    result = CliRunner().invoke(command, ["new", "--output", str(repository.keys)])
    assert result.exit_code == 1
    assert "is there already" in result.output


def test_a_channel_is_mirrored_by_the_command_line(repository: Repository, tmp_path: Path) -> None:
    arguments = [
        str(tmp_path / "mirror"),
        "--verify",
        "--channel",
        "stable",
        "--storage",
        str(repository.folder),
    ]
    result = CliRunner().invoke(
        mirror_channel, [*arguments, "--root", str(repository.keys / "tuf/1.root.json")]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mirror/repository.yaml").is_file()


def test_online_keys_are_rotated_by_the_command_line(repository: Repository, tmp_path: Path) -> None:
    new = tmp_path / "new"
    sources = [f"--key=file:{repository.keys}/{name}.pem" for name in ("root-1", "root-3", "targets")]
    repository.run("rotate", "online", *sources, "--output", str(new))
    both = [f"--key=file:{folder}/online.pem" for folder in (repository.keys, new)]
    repository.run("publish", str(new / "tuf/2.root.json"), str(new / "tuf/2.targets.json"), *both)
    assert "timestamp\tversion 3" in repository.run("status")
    repository.run("refresh", "--key", f"file:{new}/online.pem")


def test_a_root_that_lacks_signatures_is_completed_by_another_holder(
    repository: Repository, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    repository.run(
        "rotate", "root", "--renew", f"--key=file:{repository.keys}/root-1.pem", "--output", str(new)
    )
    file = str(new / "tuf/2.root.json")
    online = f"--key=file:{repository.keys}/online.pem"
    refused = CliRunner().invoke(command, ["publish", file, online, "--storage", str(repository.folder)])
    assert "root lacks 1 signatures" in str(refused.exception)
    repository.run("sign", file, "--key", f"file:{repository.keys}/root-2.pem")
    assert repository.run("publish", file, online) == "tuf/2.root.json\ncommit 2: signed by them\n"


@pytest.fixture
def url(repository: Repository) -> Iterator[str]:
    handler = functools.partial(
        type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}),
        directory=str(repository.folder),
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def tuf_js(url: str, folder: Path, root: Path) -> subprocess.CompletedProcess[str]:
    try:
        program = node_tool("tuf-client")
    except MissingEngine as missing:
        pytest.skip(str(missing))
    options = {
        "root": root,
        "metadata-url": f"{url}/tuf/",
        "target-url": f"{url}/tuf/targets/",
        "folder": folder,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return subprocess.run(
        [*program, *words, "channels/stable.json"], check=False, capture_output=True, text=True
    )


@pytest.mark.node
def test_tuf_js_follows_from_every_root_and_refuses_what_is_old(
    repository: Repository, url: str, tmp_path: Path
) -> None:
    first = repository.keys / "tuf/1.root.json"
    known = tmp_path / "known"
    result = tuf_js(url, known, first)
    assert result.returncode == 0, result.stderr
    before = (repository.folder / "tuf/timestamp.json").read_bytes()
    test_online_keys_are_rotated_by_the_command_line(repository, tmp_path)
    assert json.loads(tuf_js(url, known, first).stdout)["version"] == 4
    for root in (first, tmp_path / "new/tuf/2.root.json"):
        found = json.loads(tuf_js(url, tmp_path / root.name, root).stdout)
        assert json.loads(Path(found["targets"]["channels/stable.json"]).read_text())["seq"] == 0
    (repository.folder / "tuf/timestamp.json").write_bytes(before)
    refused = tuf_js(url, known, first)
    assert refused.returncode == 1
    target = next(iter((repository.folder / "tuf/targets/channels").glob("*.stable.json")))
    assert target.is_file()
