"""`cosgen repo` by the command line: compare, list, look at the store, print policies, and write client files."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosgen.repository.luet_tar import decompress
from tests.fakes.artifacts import make_artifact
from tests.fakes.command_line import Done, run, succeed
from tests.fakes.strict_luet_reader import read


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two snapshots: `stable` has the first, `testing` the second, and a pin keeps the first."""
    (tmp_path / "cosgen.yaml").write_text(
        "version: 1\nname: acme\narches: [x86_64]\n"
        "repository: {storage: store, url: 'https://repo.acme.example'}\n"
        "registry: {images: registry.acme.example/os}\n"
        "channels: {testing: {on: {branch: main}}, stable: {from: testing}}\n"
    )
    (tmp_path / "packages").mkdir()
    make_artifact(tmp_path / "one", "edit", "1.0")
    make_artifact(tmp_path / "one", "gone", "1.0")
    do(tmp_path, "publish", tmp_path / "one", "--channel", "testing", "--tag", "v1")
    do(tmp_path, "channel", "promote", "testing", "stable")
    do(tmp_path, "channel", "pin", "stable", "first")
    make_artifact(tmp_path / "two", "edit", "2.0")
    make_artifact(tmp_path / "two", "new", "1.0")
    do(tmp_path, "publish", tmp_path / "two", "--channel", "testing", "--policy", "replace")
    return tmp_path


def do(project: Path, *words: object) -> Done:
    return succeed(*words, "--project", project)


@pytest.mark.parametrize("names", [("stable", "testing"), ("first", "testing"), ("v1", "s3"), ("0", "3")])
def test_diff_compares_channels_pins_releases_and_commits(names: tuple[str, str], store: Path) -> None:
    found = json.loads(do(store, "repo", "diff", *names, "--json").out)["x86_64"]
    assert [item["package"] for item in found["added"]] == ["apps/new"]
    assert [item["package"] for item in found["removed"]] == ["apps/gone"]
    assert [item["package"] for item in found["changed"]] == ["apps/edit"]


def test_diff_is_markdown_for_people(store: Path) -> None:
    text = do(store, "repo", "diff", "stable", "testing").out
    assert text.startswith("## x86_64\n")
    for word in ("apps/new", "apps/gone", "1.0", "2.0"):
        assert word in text


def test_diff_of_the_same_has_nothing(store: Path) -> None:
    found = json.loads(do(store, "repo", "diff", "stable", "first", "--json").out)["x86_64"]
    assert not any(found[what] for what in ("added", "removed", "changed"))


def test_an_unknown_snapshot_is_told_with_what_there_is(store: Path) -> None:
    refused = run("repo", "diff", "stable", "never", "--project", store)
    assert (refused.code, refused.ids) == (5, ["CG524"])
    assert "stable, testing, first" in refused.err


def test_ls_show_and_log(store: Path) -> None:
    assert do(store, "repo", "ls", "stable").out.split("\t")[:2] == ["x86_64", "apps/edit@1.0"]
    rows = [json.loads(line) for line in do(store, "repo", "ls", "testing", "--json").out.splitlines()]
    assert {row["fingerprint"] for row in rows} == {"edit-apps-2.0", "new-apps-1.0"}
    (shown,) = json.loads(do(store, "repo", "show", "testing", "apps/edit").out)
    assert shown["definition"]["version"] == "2.0"
    log = [json.loads(line) for line in do(store, "repo", "log").out.splitlines()]
    assert [entry["op"] for entry in log] == ["publish", "pin", "promote", "publish"]


def test_client_files_follow_the_channel_in_every_generation(store: Path) -> None:
    do(store, "repo", "client", "stable", "--output", store / "clients")
    files = sorted((store / "clients").iterdir())
    assert len(files) > 4
    text = "\n".join(path.read_text() for path in files)
    assert "stable-x86_64-repository.yaml" in text
    assert "https://repo.acme.example" in text
    only = store / "only"
    do(store, "repo", "client", "stable", "--output", only, "--generation", "A")
    assert 0 < len(list(only.iterdir())) < len(files)
    for path in files:
        if path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text())


def test_doctor_tells_what_a_folder_can(store: Path) -> None:
    done = do(store, "repo", "doctor")
    assert "class\tA" in done.out
    assert not list((store / "store").glob("_probe/*"))


@pytest.mark.s3
def test_doctor_refuses_a_store_that_ignores_conditions(
    rclone_s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rclone_s3.environment().items():
        monkeypatch.setenv(name, value)
    place = f"s3://{rclone_s3.new_bucket()}?endpoint={rclone_s3.endpoint}&style=path"
    refused = run("repo", "doctor", "--storage", place, "--project", tmp_path)
    assert refused.code == 5
    assert "class\tC" in refused.out
    assert refused.ids == ["CG509"]
    assert run("repo", "doctor", "--storage", place, "--project", tmp_path, "--single-writer").code == 0


@pytest.mark.parametrize("kind", ["bucket", "publisher", "collector", "cors", "lifecycle", "headers"])
def test_policies_are_json_for_the_bucket_of_the_storage(kind: str, tmp_path: Path) -> None:
    words = ("repo", "policy", "--format", kind, "--storage", "s3://acme-os/repo", "--project", tmp_path)
    document = json.loads(succeed(*words).out)
    assert document
    if kind in {"bucket", "publisher", "collector"}:
        assert "arn:aws:s3:::acme-os/repo" in json.dumps(document)


def test_publishers_may_not_delete_and_nobody_may_overwrite(tmp_path: Path) -> None:
    def statements(kind: str) -> list[dict[str, Any]]:
        words = ("repo", "policy", "--format", kind, "--storage", "s3://acme-os", "--project", tmp_path)
        found: list[dict[str, Any]] = json.loads(succeed(*words).out)["Statement"]
        return found

    allowed = json.dumps([item for item in statements("publisher") if item["Effect"] == "Allow"])
    assert "DeleteObject" not in allowed
    assert "DeleteObject" in json.dumps(statements("collector"))
    assert any(
        item["Effect"] == "Deny" and "if-none-match" in json.dumps(item) for item in statements("bucket")
    )


def test_policies_need_a_bucket(tmp_path: Path) -> None:
    refused = run("repo", "policy", "--storage", tmp_path / "folder", "--project", tmp_path)
    assert (refused.code, refused.ids) == (5, ["CG542"])


def members(store: Path, view: str) -> set[str]:
    found = yaml.safe_load((store / f"store/r/{view}").read_text())["repo_files"].get("compilertree")
    if found is None:
        return set()
    data = decompress((store / "store/r" / found["filename"]).read_bytes(), "the compiler tree")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return set(archive.getnames())


def test_source_trees_are_published_when_the_project_asks(store: Path) -> None:
    view = "testing-x86_64-repository.yaml"
    (store / "packages/tool").mkdir()
    (store / "packages/tool/build.yaml").write_text("image: scratch\n")
    (store / "packages/.git").mkdir()
    (store / "packages/.git/HEAD").write_text("x")
    settings = store / "cosgen.yaml"
    plain = settings.read_text()

    def publish() -> str:
        return do(store, "publish", store / "two", "--channel", "testing").out

    assert "has everything already" in publish()
    assert members(store, view) == set()
    settings.write_text(plain.replace("{storage: store,", "{storage: store, sources: true,"))
    assert "is at commit 4" in publish()
    assert members(store, view) == {"packages/tool/build.yaml"}
    assert "has everything already" in publish()
    (store / "packages/tool/definition.yaml").write_text("name: tool\n")
    publish()
    do(store, "channel", "yank", "testing", "apps/new")
    assert members(store, view) == {"packages/tool/build.yaml", "packages/tool/definition.yaml"}
    assert set(read(lambda name: (store / "store/r" / name).read_bytes(), view).packages) == {"edit-apps-2.0"}
    do(store, "repo", "fsck", "--deep")
    settings.write_text(plain)
    publish()
    assert members(store, view) == set()
    assert members(store, "stable-x86_64-repository.yaml") == set()
