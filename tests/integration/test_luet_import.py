"""Taking over what luet wrote, and the real luet where it is installed."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.build.artifact import ArtifactRecord
from cosgen.cli.repo_luet import import_luet
from cosgen.errors import PublishError, VerificationError
from cosgen.manifest.platform import Variant
from cosgen.repository.import_luet import import_repository
from cosgen.repository.luet import RepositoryView, luet_files, repository_yaml
from tests.fakes.repository_records import archive_of, record

INDEX_ENTRY = """- checksums:
    sha256: {sha256}
  compilationspec:
    build_options: null
    package:
      buildtimestamp: 2026-11-23 01:10:45.770751453 +0000 UTC m=+0.009735128
      category: {category}
      conflicts: []
      id: 0
      name: {name}
      requires: null
      version: {version}
  compressiontype: gzip
  files:
  - usr/share/{name}
  path: /build/host/{archive}
"""


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def repository(folder: Path) -> None:
    """A repository as create-repo writes it, with one package in the tree only and one in the index only."""
    folder.mkdir(exist_ok=True)
    entries, tree = [], {}
    for name, version in (("hello", "1.0+2"), ("y", "0.10"), ("gone", "1")):
        data = archive_of(name, version)
        archive = f"{name}-apps-{version}.package.tar.gz"
        (folder / archive).write_bytes(data)
        quoted = {"name": f'"{name}"', "version": f'"{version}"', "category": "apps"}
        entries.append(
            INDEX_ENTRY.format(sha256=hashlib.sha256(data).hexdigest(), archive=archive, **quoted)
            .replace('share/"', "share/")
            .replace('"\n  path', "\n  path")
        )
        text = f'category: apps\nconflicts: null\nid: 0\nname: "{name}"\npath: /src/x\nrequires:\n- category: libs\n  name: a\n  version: ">=0"\nversion: "{version}"\n'
        tree[f"apps/{name}/{version}/definition.yaml"] = text.encode()
    tree["apps/hello/1.0+2/finalize.yaml"] = b"install:\n- depmod -a\n"
    del tree["apps/gone/1/definition.yaml"]
    files = {
        "tree.tar.gz": tar_of(tree),
        "repository.meta.yaml.tar": tar_of(
            {"./repository.meta.yaml": ("index:\n" + "".join(entries)).encode()}
        ),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    (folder / "repository.yaml").write_text(
        "name: old\nindex: []\nurls: null\nrevision: 1\nrepo_files:\n"
        + "".join(
            f"  {kind}:\n    checksums:\n      sha256: {sums[name]}\n    filename: {name}\n"
            for kind, name in (("tree", "tree.tar.gz"), ("meta", "repository.meta.yaml.tar"))
        )
    )


def test_a_repository_of_luet_becomes_artifacts(tmp_path: Path) -> None:
    repository(tmp_path / "old")
    arguments = [
        str(tmp_path / "old"),
        "--arch",
        "x86_64",
        "--flavor",
        "green",
        "--output",
        str(tmp_path / "new"),
    ]
    result = CliRunner().invoke(import_luet, arguments)
    assert result.exit_code == 0, result.output
    assert "gone-apps-1 is in the index but not in the tree" in result.stderr
    assert result.stdout.startswith("2 packages in ")
    text = (tmp_path / "new/hello-apps-1.0+2.artifact.json").read_text()
    assert '"version": "1.0+2"' in text
    assert "depmod -a" in text
    assert "/src/x" not in text
    assert {path.name for path in (tmp_path / "new").glob("*.artifact.json")} == {
        "hello-apps-1.0+2.artifact.json",
        "y-apps-0.10.artifact.json",
    }


def test_artifacts_that_were_imported_are_read_back(tmp_path: Path) -> None:
    try:
        from cosgen.build.artifact import read_records
    except ImportError:
        pytest.skip("read_records is not there yet")
    repository(tmp_path)
    import_repository(fetch(tmp_path), tmp_path / "new", Variant("", "x86_64"), origin="old")
    found: tuple[ArtifactRecord, ...] = tuple(read_records(tmp_path / "new"))
    assert [item.fingerprint for item in found] == ["hello-apps-1.0+2", "y-apps-0.10"]


def fetch(folder: Path):  # type: ignore[no-untyped-def]
    return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None


def test_a_swapped_archive_is_refused_and_the_rest_is_kept(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "y-apps-0.10.package.tar.gz").write_bytes(archive_of("y", "6.66"))
    with pytest.raises(VerificationError, match="does not have the checksum of the index"):
        import_repository(fetch(tmp_path), tmp_path / "new", Variant("", "x86_64"), origin="old")
    assert (tmp_path / "new/hello-apps-1.0+2.artifact.json").exists()


def test_a_package_cannot_be_written_outside_of_the_folder(tmp_path: Path) -> None:
    repository(tmp_path)
    document = {"name": "../../evil", "category": "a", "version": "1"}
    tree = tar_of({"x/definition.yaml": json.dumps(document).encode()})
    entry = {"path": "e.tar", "compilationspec": {"package": document}}
    meta = tar_of({"repository.meta.yaml": json.dumps({"index": [entry]}).encode()})
    (tmp_path / "t").write_bytes(tree)
    (tmp_path / "m").write_bytes(meta)
    view = {"name": "x", "repo_files": {"tree": {"filename": "t"}, "meta": {"filename": "m"}}}
    (tmp_path / "repository.yaml").write_text(json.dumps(view))
    with pytest.raises(VerificationError, match="cannot be a file name"):
        import_repository(fetch(tmp_path), tmp_path / "new", Variant("", "x86_64"), origin="old")


def test_a_torn_upload_is_told(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "tree.tar.gz").write_bytes(b"new")
    with pytest.raises(VerificationError, match="middle of an upload"):
        import_repository(fetch(tmp_path), tmp_path / "new", Variant("", "x86_64"), origin="old")


@pytest.mark.parametrize("text", ["<html>", "name: x\n", "a: [", ""])
def test_an_error_page_is_no_repository(text: str, tmp_path: Path) -> None:
    (tmp_path / "repository.yaml").write_text(text)
    with pytest.raises(PublishError):
        import_repository(fetch(tmp_path), tmp_path / "new", Variant("", "x86_64"), origin="old")


@pytest.mark.skipif(shutil.which("luet") is None, reason="luet is not on PATH")
def test_the_real_luet_installs_what_we_write(tmp_path: Path) -> None:
    records = [record("hello", "1.0+2")]
    files = luet_files(records)
    served = tmp_path / "r"
    for file in files.all():
        (served / file.key).parent.mkdir(parents=True, exist_ok=True)
        (served / file.key).write_bytes(file.data)
    (served / records[0].archive_name).write_bytes(archive_of("hello", "1.0+2"))
    view = RepositoryView(
        name="acme",
        description="",
        urls=(),
        revision=1,
        last_update=1,
        tree=files.tree.ref,
        meta=files.meta.ref,
    )
    (served / "stable-x86_64-repository.yaml").write_bytes(repository_yaml(view))
    config = tmp_path / "luet.yaml"
    config.write_text(
        f'system:\n  rootfs: "{tmp_path}/root"\n  database_path: "/db"\n  database_engine: "boltdb"\nrepositories:\n'
        f'- name: "acme"\n  type: "disk"\n  enable: true\n  cached: true\n  reference: "stable-x86_64-repository.yaml"\n  urls: ["{served}"]\n'
    )
    (tmp_path / "root").mkdir()
    subprocess.run(
        ["luet", "--config", str(config), "install", "-y", "apps/hello"],
        check=True,
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "LUET_NOLOCK": "true",
            "TMPDIR": str(tmp_path),
            "HOME": str(tmp_path),
        },
    )
    assert (tmp_path / "root/usr/share/hello").read_text() == "1.0+2"
