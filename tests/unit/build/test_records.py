"""Unit tests of cosgen.build.artifact, summary, join and the CI progress."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cosgen.build.archive import Compression, open_archive, write_archive
from cosgen.build.artifact import ArtifactRecord, FileRef, file_ref, find_record, read_records, store_record
from cosgen.build.join import part_of, stream_join
from cosgen.build.request import BuildReport, PackageResult, Status
from cosgen.build.rules import RULES, problem
from cosgen.build.selection import Content, select
from cosgen.build.summary import summary_json, summary_markdown, totals
from cosgen.cli.progress import GithubProgress, GitlabProgress
from cosgen.errors import VerificationError
from tests.unit.build.layer_data import Entry, file, folder, layer, link, view


def record(folder_: Path, name: str, *entries: Entry) -> ArtifactRecord:
    target = folder_ / f"{name}.package.tar.zst"
    with target.open("wb") as out:
        summary = write_archive(
            select([layer(*entries)], view(), Content()).picked, out, compression=Compression()
        )
    others = []
    for suffix in ("metadata.yaml", "cdx.json", "intoto.json"):
        (folder_ / f"{name}.{suffix}").write_text(suffix)
        others.append(file_ref(folder_ / f"{name}.{suffix}"))
    found = ArtifactRecord(
        fingerprint=name, definition={"name": name}, finalize=None, readme=None, flavor="", arch="x86_64",
        platform="linux/amd64", input_digest="sha256:0", compression="zstd",
        archive=FileRef(name=target.name, digest=summary.digest, size=summary.size), content_digest=summary.content_digest,
        metadata=others[0], sbom=others[1], provenance=others[2], files=("a",), installed_size=1,
    )  # fmt: skip
    store_record(folder_, found)
    return found


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    made = record(tmp_path, "a", file("a", b"x"))
    assert read_records(tmp_path) == (made,)
    assert find_record(tmp_path, "a") == made


def test_every_file_that_is_not_as_its_record_says_is_told(tmp_path: Path) -> None:
    made = record(tmp_path, "a", file("a", b"x"))
    (tmp_path / made.sbom.name).write_text("other")
    (tmp_path / made.metadata.name).unlink()
    with pytest.raises(VerificationError) as caught:
        read_records(tmp_path)
    assert len(caught.value.problems) == 2
    assert find_record(tmp_path, "a") is None


def test_a_record_may_not_name_files_elsewhere(tmp_path: Path) -> None:
    made = record(tmp_path, "a", file("a", b"x"))
    store_record(tmp_path, replace(made, sbom=replace(made.sbom, name="../a.cdx.json")))
    with pytest.raises(VerificationError):
        read_records(tmp_path)


def joined(tmp_path: Path, *records: ArtifactRecord) -> dict[str, bytes | str]:
    data = b"".join(stream_join([part_of(tmp_path, record) for record in records]))
    found: dict[str, bytes | str] = {}
    with open_archive(io.BytesIO(data), "none") as tar:
        for info in tar:
            assert info.name not in found
            content = tar.extractfile(info) if info.isreg() else None
            found[info.name] = content.read() if content else (info.linkname or "dir")
    return found


def test_later_artifacts_hide_earlier_ones_in_a_join(tmp_path: Path) -> None:
    one = record(
        tmp_path, "one", folder("d"), file("d/a", b"1"), file("d/b", b"1"), folder("e"), file("e/x", b"1")
    )
    two = record(tmp_path, "two", folder("d"), file("d/a", b"2"), file("e", b"file now"))
    assert joined(tmp_path, one, two) == {"d/b": b"1", "d": "dir", "d/a": b"2", "e": b"file now"}


def test_a_hard_link_to_a_hidden_file_keeps_its_bytes(tmp_path: Path) -> None:
    one = record(tmp_path, "one", file("a", b"old"), link("b", "a", hard=True), link("c", "a", hard=True))
    two = record(tmp_path, "two", file("a", b"new"))
    assert joined(tmp_path, one, two) == {"b": b"old", "c": "b", "a": b"new"}


def test_a_join_refuses_an_artifact_with_other_bytes(tmp_path: Path) -> None:
    one = record(tmp_path, "one", file("a", b"x"))
    with pytest.raises(VerificationError):
        list(stream_join([replace(part_of(tmp_path, one), digest="sha256:00")]))


def report() -> BuildReport:
    bad = problem("CG451", "it broke | **badly**")
    return BuildReport(
        variant="x86_64",
        engine="",
        packages=(
            PackageResult(fingerprint="a", human="c/a", version="1", input_digest="", status=Status.KEPT),
            PackageResult(
                fingerprint="b",
                human="c/b|",
                version="1",
                input_digest="",
                status=Status.FAILED,
                problems=(bad,),
            ),
        ),
        images=(),
        seconds=61,
    )


def test_summaries_tell_failures_and_cannot_be_broken_by_names() -> None:
    text = summary_markdown([report()])
    assert "1 min 01 s" in text
    assert r"| c/b\| |" in text
    assert r"it broke \| \*\*badly\*\*" in text
    assert totals(report()).startswith("1 unchanged, 1 failed")
    assert json.loads(summary_json([report()]))["variants"][0]["packages"][1]["status"] == "failed"


def test_build_output_cannot_speak_to_github() -> None:
    stream = io.StringIO()
    GithubProgress(stream).log("image a", "::set-env name=PATH::/evil", ok=True)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "::group::image a"
    word = lines[1].removeprefix("::stop-commands::")
    assert lines[2:] == ["::set-env name=PATH::/evil", f"::{word}::", "::endgroup::"]
    assert len(word) == 32


def test_build_output_cannot_open_sections_on_gitlab() -> None:
    stream = io.StringIO()
    GitlabProgress(stream).log("image a/b", "section_end:1:image_a_b", ok=False)
    assert stream.getvalue().count("section_end:") == 1


def test_every_rule_of_this_room_is_told_in_full() -> None:
    assert all(rule.id == key and rule.title and rule.why and rule.fix for key, rule in RULES.items())
    assert all("CG450" <= key <= "CG499" for key in RULES)
