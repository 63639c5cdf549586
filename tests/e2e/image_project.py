"""A project in a folder with a repository beside it and images in a real registry; commands run in it."""

import contextlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from cosgen.build.reference import ImageName, parse_name
from cosgen.build.registry import Registry
from tests.engines import DockerEngine
from tests.fakes.artifacts import make_artifact
from tests.fakes.command_line import run

CONFIG = """\
version: 1
name: acme
{flavors}
registry: {{images: {images}, packages: {images}-packages}}
repository: {{storage: {storage}, url: https://repo.acme.example}}
channels: {{testing: {{}}, stable: {{from: testing}}}}
upgrade: {{package: system/os, {upgrade}}}
"""


class Project:
    """A folder with a cosgen.yaml, in which commands run."""

    def __init__(
        self, folder: Path, images: str, environment: Mapping[str, str], *, flavor: str = ""
    ) -> None:
        self.folder = folder
        self.flavor = flavor
        self.images = images
        self.name: ImageName = parse_name(f"{images}-{flavor}" if flavor else images)[0]
        self.registry = Registry()
        self.environment = dict(environment)
        (folder / "packages").mkdir()
        self.configure()

    def configure(self, upgrade: str = "client: C", images: str = "") -> None:
        """Write the settings; `images` instead of the repository of the images."""
        text = CONFIG.format(
            images=images or self.images,
            storage=self.folder / "repo",
            upgrade=upgrade,
            flavors=f"flavors: [{self.flavor}]\nvalues: []" if self.flavor else "",
        )
        (self.folder / "cosgen.yaml").write_text(text)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command in this process, and return all it printed."""
        with contextlib.chdir(self.folder), mock.patch.dict(os.environ, self.environment):
            done = run(*arguments)
        assert done.code == code, done.out + done.err
        assert "Traceback" not in done.err
        return done.out + done.err

    def publish(
        self, version: str, *, arches: tuple[str, ...] = ("x86_64", "arm64"), tar: bytes = b""
    ) -> None:
        """Publish a version of the system to testing."""
        folder = self.folder / f"artifacts-{version}"
        for arch in arches:
            own = tar or system_tar(version, arch)
            make_artifact(
                folder / arch, "os", version, category="system", arch=arch, flavor=self.flavor, tar=own
            )
        self.run("publish", *map(str, sorted(folder.iterdir())), "--channel", "testing")

    def push(self, channel: str) -> str:
        """Push a channel's images, and return the digest of its tag."""
        self.run("image", "push", "--channel", channel)
        digest = self.digest(channel)
        assert digest is not None
        return digest

    def digest(self, tag: str) -> str | None:
        """Return what a tag points at."""
        return self.registry.find_digest(self.name, tag)

    def commits(self) -> int:
        """Count the commits of the log, and its hint."""
        return len(list((self.folder / "repo" / "_log").iterdir()))


def system_tar(version: str, arch: str) -> bytes:
    """Return a system that differs by version and architecture."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in (("etc/os-release", f"VERSION={version}\n"), ("usr/lib/arch", f"{arch}\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return tar.getvalue()


def export_image(engine: DockerEngine, reference: str, platform: str) -> dict[str, bytes]:
    """Pull an image of a platform, which need not be ours, and return its regular files."""
    engine.run("pull", "--quiet", "--platform", platform, reference)
    container = engine.run("create", "--platform", platform, reference, "none").strip()
    client = engine.client()
    try:
        exported = io.BytesIO(b"".join(client.api.export(container)))
    finally:
        client.api.remove_container(container, force=True)
        client.close()
    with tarfile.open(fileobj=exported) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]
