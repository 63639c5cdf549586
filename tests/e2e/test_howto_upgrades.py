"""The pages on upgrades, as they are written: their settings, then their commands one after the other."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.base_images import busybox_tar
from tests.engines import ROOT, DockerEngine
from tests.engines import Registry as Server
from tests.fakes.artifacts import make_artifact

pytestmark = pytest.mark.e2e

BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONFIG = {
    "version": 1,
    "name": "acme",
    "arches": ["x86_64"],
    "channels": {"testing": {}, "stable": {"from": "testing"}},
}


class Page:
    """A page whose registry is ours, and a folder in which its commands are typed."""

    def __init__(self, name: str, folder: Path, registry: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.registry = registry
        self.environment = {**os.environ, **environment}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{self.environment['PATH']}"
        text = (ROOT / "site" / "docs" / "howto" / f"{name}.md").read_text()
        self.blocks = BLOCK.findall(text.replace("ghcr.io/acme", registry))
        settings = yaml.safe_load("".join(block for kind, block in self.blocks if kind == "yaml"))
        repository = {"storage": "repository", **settings.pop("repository", {})}
        config = {**CONFIG, "repository": repository, **settings}
        (folder / "cosgen.yaml").write_text(yaml.safe_dump(config))
        (folder / "packages").mkdir()
        make_artifact(folder / "build" / "x86_64", "os", "1.0", category="system", tar=busybox_tar())

    def type_all(self) -> dict[str, str]:
        """Type every command; return what each said."""
        lines = [line for kind, block in self.blocks if kind == "console" for line in block.splitlines()]
        return {line[2:]: self._type(line[2:]) for line in lines if line.startswith("$ ")}

    def _type(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", line.replace("docker run ", "docker run --network=none ")],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def page(
    tmp_path: Path, registry: Server, docker_engine: DockerEngine, request: pytest.FixtureRequest
) -> Iterator[Page]:
    name = request.param
    yield Page(name, tmp_path, f"{registry.address}/{name}", docker_engine.environment())
    client = docker_engine.client()
    for container in client.containers.list(
        all=True, filters={"ancestor": f"{registry.address}/{name}/os:testing"}
    ):
        container.remove(force=True)  # what a failure left
    client.close()


@pytest.mark.parametrize("page", ["upgrade-by-image"], indirect=True)
def test_upgrading_by_image_works_as_it_is_written(page: Page) -> None:
    said = page.type_all()
    images = f"{page.registry}/os"
    config = yaml.safe_load(said[f"docker run --rm {images}:stable cat /etc/elemental/config.yaml"])
    assert config["upgrade"]["system"]["uri"] == f"oci:{images}:stable"
    assert said[f"docker run --rm {images}:stable ls /system/oem"] == "03_acme-stable-x86_64.yaml\n"
    assert "s0 1.0 testing" in said["cosgen image push --channel testing"]
    assert f"{images}:testing is sha256:" in said["cosgen image verify --channel testing"]


@pytest.mark.parametrize("page", ["upgrade-by-channel"], indirect=True)
def test_upgrading_by_channel_works_as_it_is_written(page: Page) -> None:
    said = page.type_all()
    conf = f"docker run --rm {page.registry}/os:stable cat /etc/luet/repos.conf.d/acme-stable-x86_64.yaml"
    assert said[conf] == said["cat client/acme-stable-x86_64-c-http-rolling-repos-conf.yaml"]
    oem = "03_acme-stable-x86_64.yaml\n03_acme-stable-x86_64_keep.yaml\n"
    assert said[f"docker run --rm {page.registry}/os:stable ls /system/oem"] == oem
    assert said["ls system/x86_64/system/oem"] == oem
    assert f"{page.registry}/packages-x86_64: pushed" in said["cosgen repo push --channel stable"]
