"""Unit tests for cosgen.repository.description: what pages can tell of a project without its tree."""

from pathlib import Path

from cosgen.manifest.loader import load_project
from cosgen.repository.codec import canonical, decode, mapping
from cosgen.repository.description import SETTING, Description, describe, read_description


def project(root: Path) -> Description:
    (root / "packages").mkdir()
    (root / "values").mkdir()
    (root / "values/green-x86_64.yaml").write_text(
        "image: debian:12\ncount: 3\nlive: true\nlist: [a]\nlong: >-\n  " + "word " * 80 + "\n"
    )
    (root / "manifest.yaml").write_text(
        "iso:\n  rootfs: [system/os]\n  image: ['channel:system/grub2@2.06', 'docker:quay.io/x/y:1']\n"
    )
    (root / "cosgen.yaml").write_text(
        "version: 1\nname: acme\nmanifest: manifest.yaml\ntrees: [packages]\nflavors: [green]\narches: [x86_64]\n"
        "values: ['values/{flavor}-{arch}.yaml']\nregistry: {cache: ghcr.io/acme/cache}\n"
        "channels:\n  testing: {on: {branch: main}, description: Merged.}\n"
        "  stable: {on: {tag: 'v*'}, from: testing}\nupgrade: {package: system/os, client: D}\n"
    )
    return describe(load_project(root))


def test_a_description_tells_manifest_channels_and_values(tmp_path: Path) -> None:
    told = project(tmp_path)
    assert told.media == {"image": ("system/grub2",), "rootfs": ("system/os",)}
    assert told.channels["testing"].triggers == ("branch main",)
    assert told.channels["testing"].description == "Merged."
    assert (told.channels["stable"].source, told.channels["stable"].triggers) == ("testing", ("tag v*",))
    values = told.values["green-x86_64"]
    assert (values["image"], values["count"], values["live"]) == ("debian:12", "3", "true")
    assert "list" not in values
    assert len(values["long"]) == 120
    assert (told.cache, told.package, told.client) == ("ghcr.io/acme/cache", "system/os", "D")


def test_it_comes_back_from_the_log_as_it_was(tmp_path: Path) -> None:
    told = project(tmp_path)
    settings = mapping(decode(canonical({SETTING: told.to_json()})))
    assert read_description(settings) == told


def test_a_log_that_tells_nothing_gives_an_empty_one() -> None:
    assert read_description({}) == Description()
