"""A project on a repository that luet wrote: pinned by its index, joined and built upon, never rebuilt."""

import functools
import hashlib
import http.server
import json
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosgen.build.join import JoinPart
from cosgen.cli import lock, plan
from cosgen.cli.foundations import load_grounded
from cosgen.errors import CosgenError, PublishError, VerificationError
from cosgen.graph.model import Fingerprint
from cosgen.manifest.lock import LOCK_PATH, read_lock
from tests.fakes.repository_records import archive_of
from tests.integration.test_luet_import import repository, tar_of

JOIN = 'requires_final_images: true\nrequires: [{name: hello, category: apps, version: ">=0"}]\nsteps: [x]\n'


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    repository(tmp_path / "old")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/old"
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    write(folder, "os", JOIN)
    write(folder, "a", "image: x@sha256:" + "0" * 64 + "\nsteps: [x]\n", category="libs")
    (folder / "cosgen.yaml").write_text(
        f"version: 1\nname: own\nfoundations: [{{name: old, url: '{url}'}}]\n"
    )
    return folder


def write(root: Path, name: str, build: str, *, category: str = "a") -> None:
    folder = root / "packages" / name
    folder.mkdir(parents=True)
    (folder / "definition.yaml").write_text(f'name: {name}\ncategory: {category}\nversion: "1.0"\n')
    (folder / "build.yaml").write_text(build)


def run(project: Path, command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--project", str(project), *arguments])  # type: ignore[arg-type]  # a command


def planned(project: Path) -> dict[str, str]:
    done = run(project, plan.command, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return {node["human"]: node["action"] for node in json.loads(done.stdout)["nodes"]}


def refused(done: Result, kind: type[CosgenError], id_: str) -> str:
    error = done.exception
    assert isinstance(error, kind), (done.output, error)
    assert [problem.id for problem in error.problems] == [id_], str(error)
    return error.problems[0].what


def archive(project: Path) -> JoinPart:
    grounded = load_grounded(project, environment={"XDG_CACHE_HOME": str(project.parent / "cache")})
    return grounded.fetcher(grounded.project.variants[0])(Fingerprint("hello-apps-1.0+2"))


def test_its_packages_are_joined_from_their_archives(project: Path, url: str) -> None:
    done = run(project, lock.command)
    assert done.exit_code == 0, (done.output, done.exception)
    pinned = read_lock((project / LOCK_PATH).read_text(), []).foundations[0]
    assert (pinned.kind, pinned.commit, pinned.address) == ("luet", 1, url)
    found = planned(project)
    assert found == {"a/os": "build", "apps/hello": "keep", "libs/a": "build"}, "it requires one of ours"
    part = archive(project)
    assert part.compression == "gzip"
    assert part.path.read_bytes() == archive_of("hello", "1.0+2"), "`+` in a name is no blank"


def test_what_was_read_is_kept_and_what_is_rewritten_is_told(project: Path, tmp_path: Path) -> None:
    run(project, lock.command)
    planned(project)
    index = tmp_path / "old" / "repository.yaml"
    index.write_text(index.read_text().replace("revision: 1", "revision: 2"))
    assert planned(project)["apps/hello"] == "keep", "it was read before"
    shutil.rmtree(tmp_path / "cache")
    assert "repository.yaml" in refused(run(project, plan.command), VerificationError, "CG691")
    done = run(project, lock.command, "--update")
    assert done.exit_code == 0, (done.output, done.exception)
    assert planned(project)["apps/hello"] == "keep"
    index.write_text(index.read_text().replace("revision: 2", "revision: 1"))
    assert "is 1, was 2" in refused(run(project, lock.command, "--update"), VerificationError, "CG687")


def test_an_archive_with_other_bytes_is_refused(project: Path, tmp_path: Path) -> None:
    run(project, lock.command)
    (tmp_path / "old" / "hello-apps-1.0+2.package.tar.gz").write_bytes(b"other")
    with pytest.raises(VerificationError, match="CG691"):
        archive(project)


def test_an_index_without_checksums_is_refused(project: Path, tmp_path: Path) -> None:
    index = tmp_path / "old" / "repository.yaml"
    index.write_text(index.read_text().replace("sha256:", "crc:"))
    refused(run(project, lock.command), VerificationError, "CG688")


def test_its_images_are_built_upon_by_their_tag(project: Path) -> None:
    config = project / "cosgen.yaml"
    config.write_text(config.read_text().replace("}]", ", images: 127.0.0.1:1/r/old}]"))
    write(project, "app", 'requires: [{name: hello, category: apps, version: ">=0"}]\nsteps: [x]\n')
    error = run(project, lock.command).exception
    assert isinstance(error, CosgenError)
    assert "127.0.0.1:1" in str(error), "the image is asked for, to be pinned"
    assert not (project / LOCK_PATH).exists()


def test_a_project_of_several_architectures_is_refused(project: Path) -> None:
    config = project / "cosgen.yaml"
    config.write_text(config.read_text() + "arches: [x86_64, arm64]\n")
    refused(run(project, lock.command), PublishError, "CG690")


def test_a_checksum_that_is_none_leads_to_no_file_outside_of_the_cache(project: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the machine")
    packed = tmp_path / "old" / "repository.meta.yaml.tar"
    with tarfile.open(packed) as tar:
        meta = tar.extractfile("./repository.meta.yaml").read().decode()  # type: ignore[union-attr]  # it is there
    before = hashlib.sha256(packed.read_bytes()).hexdigest()
    packed.write_bytes(
        tar_of({"repository.meta.yaml": re.sub("sha256: [0-9a-f]{64}", f"sha256: {secret}", meta).encode()})
    )
    index = tmp_path / "old" / "repository.yaml"
    index.write_text(index.read_text().replace(before, hashlib.sha256(packed.read_bytes()).hexdigest()))
    run(project, lock.command)
    with pytest.raises((KeyError, CosgenError)):
        assert archive(project).path != secret
