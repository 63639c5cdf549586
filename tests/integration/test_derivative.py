"""A derivative: trees laid over each other, a manifest that extends another, overlays, values, channels; told by the CLI."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cosgen.manifest.loader import load_project
from cosgen.manifest.platform import Variant
from cosgen.repository.client_address import (
    ChannelAddress,
    Mode,
    client_url,
    docker_repository,
    image_repository,
)
from tests.fakes.command_line import run, succeed

FILES = {
    "cosgen.yaml": """\
version: 1
name: acme
manifest: manifest.yaml
trees: [foundation, packages]
values: [values/base.yaml, "values/{flavor}-{arch}.yaml"]
flavors: [green]
arches: [x86_64]
overlays: [{packages: [system/base], files: over}]
registry: {images: ghcr.io/acme/os, packages: ghcr.io/acme/packages}
repository: {url: https://repo.acme.example}
channels: {stable: {description: What machines follow.}}
upgrade: {package: system/os, docker_type: true}
""",
    "manifest.yaml": "extends: foundation/manifest.yaml\n"
    "packages: {rootfs: {add: [system/extra], remove: [system/base]}}\n",
    "foundation/manifest.yaml": "packages: {rootfs: [system/base, system/os]}\n",
    "foundation/base/definition.yaml": 'name: base\ncategory: system\nversion: "1.0"\n',
    "foundation/base/build.yaml": "image: scratch\npackage_dir: /out\n",
    "foundation/base/conf": "foundation\n",
    "foundation/os/definition.yaml": 'name: os\ncategory: system\nversion: "1.0"\n',
    "foundation/os/build.yaml": "image: old\npackage_dir: /out\n",
    "packages/os/definition.yaml": 'name: os\ncategory: system\nversion: "1.1"\noverride: true\n',
    "packages/os/build.yaml": "image: {{ .Values.seed }}\nsteps:\n"
    "- echo {{ .Values.cosgen.channels.stable.url }}/{{ .Values.cosgen.channels.stable.reference }}\n",
    "packages/extra/definition.yaml": 'name: extra\ncategory: system\nversion: "1.0"\n',
    "packages/extra/build.yaml": "image: x\npackage_dir: /out\n",
    "over/conf": "derivative\n",
    "values/base.yaml": "seed: debian\nmirror: one\n",
    "values/green-x86_64.yaml": "mirror: two\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def digests(project: Path) -> dict[str, str]:
    done = succeed("tree", "list", "--json", "--project", project)
    return {item["name"]: item["input_digest"] for item in json.loads(done.out)["packages"]}


def test_what_is_overridden_is_told(project: Path) -> None:
    done = succeed("tree", "list", "--project", project)
    assert "overridden: system/os@1.0 of foundation/os/definition.yaml:1:1" in done.err
    assert "system/os@1.1" in done.out
    assert "system/os@1.0" not in done.out
    page = succeed("tree", "show", "system/os", "--project", project).out
    assert "overrides     system/os@1.0 of foundation/os/definition.yaml:1:1" in page
    listed = json.loads(succeed("tree", "list", "--json", "--project", project).out)["overridden"]
    assert listed == [{"package": "system/os@1.0", "place": "foundation/os/definition.yaml:1:1"}]


def test_an_override_without_the_word_is_refused(project: Path) -> None:
    write(project, {"packages/os/definition.yaml": 'name: os\ncategory: system\nversion: "1.0"\n'})
    done = run("check", "--project", project)
    assert done.code == 3
    assert "CG040" in done.ids


def test_a_manifest_extends_another_by_adding_and_removing(project: Path) -> None:
    write(project, {"cosgen.yaml": FILES["cosgen.yaml"] + "select: manifest\n"})
    assert load_project(project).selected == ("system/extra", "system/os")


def test_an_overlay_is_in_the_build_and_in_its_digest(project: Path) -> None:
    before = digests(project)
    write(project, {"over/conf": "derivative, changed\n"})
    after = digests(project)
    assert [name for name in before if before[name] != after[name]] == ["base"]
    write(project, {"foundation/base/conf": "the foundation's own no longer counts\n"})
    assert digests(project) == after


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("seed", '"debian"', "values/base.yaml"),
        ("mirror", '"two"', "values/green-x86_64.yaml"),
        ("version", '"1.1"', "packages/os/definition.yaml"),
        ("cosgen.channels.stable.name", '"acme-stable-green-x86_64"', "cosgen.yaml"),
    ],
)
def test_a_value_is_traced_to_where_it_was_set(project: Path, key: str, value: str, place: str) -> None:
    done = succeed("tree", "show", "system/os", "--why", key, "--project", project)
    assert done.out == f"{key} = {value}  from {place}\n"


def test_templates_get_names_and_addresses_of_channels_as_clients_do(project: Path) -> None:
    rendered = succeed("tree", "show", "system/os", "--rendered", "--project", project).out
    assert "https://repo.acme.example/r/stable-green-x86_64-repository.yaml" in rendered
    variant = Variant("green", "x86_64")
    address = ChannelAddress(
        project="acme",
        channel="stable",
        variant=variant,
        url=client_url("https://repo.acme.example"),
        registry=docker_repository("ghcr.io/acme/packages", *("green", "x86_64")),
        image=image_repository("ghcr.io/acme/os", "green"),
    )
    expected = {
        "name": address.name,
        "reference": address.reference(Mode.ROLLING),
        "url": address.url,
        "registry": address.registry,
        "image": address.image_reference(Mode.IMAGE_TAG),
        "description": "What machines follow.",
    }
    for key, value in expected.items():
        told = succeed(
            "tree", "show", "system/os", "--why", f"cosgen.channels.stable.{key}", "--project", project
        )
        assert json.loads(re.sub(r".* = (.*)  from .*\n", r"\1", told.out)) == value


def test_only_packages_that_name_a_channel_are_built_again_when_its_address_moves(project: Path) -> None:
    before = digests(project)
    moved = FILES["cosgen.yaml"].replace("repo.acme.example", "repo.acme.test")
    write(project, {"cosgen.yaml": moved})
    after = digests(project)
    assert [name for name in before if before[name] != after[name]] == ["os"]
