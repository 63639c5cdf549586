"""Unit tests for cosgen.manifest.cos_config."""

import io
from typing import Any

from ruamel.yaml import YAML

from cosgen.errors import Problem
from cosgen.manifest.config_decode import decode_config
from cosgen.manifest.cos_config import OldFile, import_cos_config

MASTER = """\
pipeline: master
organization: quay.io/acme
repository: releases
cache_repository: build
on:
  push:
    branches: [main]
flavors:
  green: &green
    arches:
      x86_64: &x86
        local_runner: true
        runs_on: [self-hosted, fast]
        push_cache: true
      arm64:
        <<: *x86
        runs_on: ubuntu-24.04-arm
        build_raw_image: true
  blue: *green
"""
RELEASE = (
    "pipeline: releases\non: {push: {tags: ['v*']}, release: {types: [created]}}\nskip_images_packer: true\n"
)
NIGHTLY = "on:\n  schedule:\n  - cron: '0 20 * * *'\n  pull_request: {paths: [packages/**]}\nbogus: 1\n"


def run(**texts: str) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    files = [OldFile(path=f".github/config/{name}.yaml", text=text) for name, text in texts.items()]
    imported = import_cos_config(files, name="acme", values_pattern="values/{flavor}-{arch}.yaml")
    return dict(imported.settings), imported.notes


def test_flavors_arches_runners_and_registry_are_carried_over() -> None:
    settings, _ = run(master=MASTER)
    assert settings["flavors"] == ["green", "blue"]
    assert settings["arches"] == ["x86_64", "arm64"]
    assert settings["registry"] == {"cache": "quay.io/acme/build", "luet_tags": True}
    assert settings["ci"] == {
        "providers": ["github"],
        "runners": {
            "x86_64": {"labels": ["self-hosted", "fast"], "self_hosted": True},
            "aarch64": {"labels": ["ubuntu-24.04-arm"], "self_hosted": True},
        },
    }


def test_triggers_become_channels() -> None:
    settings, _ = run(master=MASTER, nightly=NIGHTLY, release=RELEASE)
    assert list(settings["channels"]) == ["nightly", "testing", "stable"]
    assert settings["channels"]["stable"]["on"] == {"tag": "v*"}
    assert settings["ci"]["pull_requests"] == {"paths": ["packages/**"]}


def test_what_has_no_place_is_told_where_it_stands() -> None:
    _, notes = run(master=MASTER, nightly=NIGHTLY, release=RELEASE)
    told = {str(note.origin): note.what for note in notes}
    assert "the raw image" in told[".github/config/master.yaml:18:26"]
    assert "`bogus` is not known" in told[".github/config/nightly.yaml:5:8"]
    assert "`release`" in told[".github/config/release.yaml:2:37"]
    assert len(notes) == 3


def test_the_settings_are_a_valid_project() -> None:
    settings, _ = run(master=MASTER, nightly=NIGHTLY, release=RELEASE)
    buffer = io.StringIO()
    YAML().dump(settings, buffer)
    problems: list[Problem] = []
    decode_config(buffer.getvalue(), "cosgen.yaml", problems)
    assert problems == []
