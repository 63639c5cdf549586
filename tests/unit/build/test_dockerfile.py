"""Unit tests of cosgen.build.dockerfile and context."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from cosgen.build.buildkit import build_words
from cosgen.build.context import find_retrieved, write_context
from cosgen.build.dockerfile import check_lines, render_builder, render_package
from cosgen.build.engine import ImageJob
from cosgen.errors import BuildError
from cosgen.manifest.build_spec import BuildSpec, CopyField
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import ContextFile

PACKAGE = Definition(name="copier", category="test", version="1.0")


def test_instructions_come_in_luets_order() -> None:
    spec = BuildSpec(
        prelude=("make",),
        steps=("cp /copied /copied2",),
        env=('A="b c"',),
        retrieve=("x.tar",),
        copy=(CopyField(image="bb:1", source="/etc/passwd", destination="/copied"),),
    )
    assert render_package(PACKAGE, spec).splitlines() == [
        "ARG COSGEN_BASE=scratch",
        "ARG COSGEN_COPY_0=scratch",
        "FROM ${COSGEN_COPY_0} AS cosgen-copy-0",
        "FROM ${COSGEN_BASE}",
        "COPY . /luetbuild",
        "WORKDIR /luetbuild",
        "ENV PACKAGE_NAME=copier",
        "ENV PACKAGE_VERSION=1.0",
        "ENV PACKAGE_CATEGORY=test",
        "ADD x.tar /luetbuild/",
        "COPY --from=cosgen-copy-0 /etc/passwd /copied",
        'ENV A="b c"',
        "RUN cp /copied /copied2",
    ]
    assert render_builder(PACKAGE, spec).splitlines()[-1] == "RUN make"


@pytest.mark.parametrize("name", ["a b", "a\nRUN id", "$(id)", 'a"b', "a;b", "a`id`"])
def test_names_that_would_change_a_dockerfile_are_told(name: str) -> None:
    found = check_lines(Definition(name=name, category="c", version="1"), BuildSpec())
    assert [item.id for item in found] == ["CG455"]


@pytest.mark.parametrize("value", ["A=1\nUSER 0", "A=1\r\nRUN id", "A=\n\nFROM x\n"])
def test_values_that_would_begin_an_instruction_are_told(value: str) -> None:
    specs = (
        BuildSpec(env=(value,)),
        BuildSpec(retrieve=(value,)),
        BuildSpec(copy=(CopyField(image="x", source=value, destination="/"),)),
        BuildSpec(copy=(CopyField(image="x", source="/", destination=value),)),
    )
    assert [[item.id for item in check_lines(PACKAGE, spec)] for spec in specs] == [["CG455"]] * 4


def test_values_may_go_on_after_a_backslash_and_end_their_line() -> None:
    assert check_lines(PACKAGE, BuildSpec(env=('A="b" \\\n C=d', "E=f\n"), steps=("a\nb",))) == ()


def test_values_reach_the_command_as_single_arguments() -> None:
    job = ImageJob(
        tag="x:1",
        dockerfile="d",
        context=lambda: pytest.fail("not read"),
        arguments={"A": "$(id); b"},
        labels={"l": "`id`"},
    )
    words = build_words("docker", job)
    assert "A=$(id); b" in words
    assert "l=`id`" in words


def context_file(root: Path, name: str, data: bytes, mode: int = 0o644) -> ContextFile:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    return ContextFile(
        name=name, digest=hashlib.sha256(data).hexdigest(), mode=mode, size=len(data), source=name
    )


def test_contexts_are_the_same_bytes_whenever_they_are_made(tmp_path: Path) -> None:
    files = [context_file(tmp_path, "b/run", b"#!", 0o755), context_file(tmp_path, "ä\nb", b"x")]
    files.append(ContextFile(name="l", digest="", mode=0o777, size=0, link="b/run"))
    one, other = (write_context(tmp_path, files, {"f.dockerfile": "FROM x\n"}).read() for _ in range(2))
    assert one == other
    with tarfile.open(fileobj=write_context(tmp_path, files, {})) as tar:
        found = {info.name: info for info in tar}
    assert list(found) == ["b", "b/run", "ä\nb", "l"]
    assert found["b/run"].mode == 0o755
    assert found["l"].linkname == "b/run"


def test_a_file_that_changed_since_it_was_hashed_stops_the_build(tmp_path: Path) -> None:
    file = context_file(tmp_path, "a", b"one")
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(BuildError) as caught:
        write_context(tmp_path, [file], {})
    assert caught.value.problems[0].id == "CG456"


def test_retrieve_takes_files_of_the_output_folder_and_leaves_urls(tmp_path: Path) -> None:
    for name in ("a.tar", "b.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_retrieved(tmp_path, ["*.tar", "https://example.org/*"])] == ["a.tar"]
