"""A luet client of a docker-type repository that forgives nothing: every file is an image, every tag is looked at.

Written from the description of luet's layout and the OCI specifications alone; it shares no code with the writer.
"""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import zstandard

from tests.fakes.strict_luet_reader import LuetBreaksError, StrictPackage, StrictRepository, read

TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.distribution.manifest.v2+json": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@dataclass(frozen=True)
class StrictImage:
    """What a client unpacks of one tag."""

    architecture: str
    members: Mapping[str, tarfile.TarInfo]
    files: Mapping[str, bytes]  # regular files
    annotations: Mapping[str, str]
    tar: bytes


@dataclass(frozen=True)
class DockerClient:
    """A machine of one architecture, with `urls: [url]` and `type: docker`."""

    url: str  # host:port/path, no tag
    architecture: str

    def repository(self, reference: str) -> StrictRepository:
        """Sync the repository."""
        return read(self.fetch, reference)

    def fetch(self, name: str) -> bytes:
        """Get a file: the image of its tag holds it at the root, under its own name, and nothing else."""
        image = self.pull(name)
        if set(image.members) != {name}:
            raise LuetBreaksError(f"{name}: its image holds {sorted(image.members)}")
        return image.files[name]

    def package(self, package: StrictPackage) -> StrictImage:
        """Install a package: its image is its file system."""
        definition = package.definition
        fingerprint = f"{definition['name']}-{definition['category']}-{definition['version']}"
        image = self.pull(fingerprint)
        names = [name for name, info in image.members.items() if not info.isdir()]
        if names != list(package.entry.get("files") or ()):
            raise LuetBreaksError(f"{fingerprint}: the image holds {names}, the index says otherwise")
        return image

    def pull(self, name: str) -> StrictImage:
        """Pull the image of a file name or fingerprint as luet spells tags."""
        tag = name.replace("+", "-")
        if not TAG.fullmatch(tag):
            raise LuetBreaksError(f"{tag!r} is no tag")
        response = self._get(f"manifests/{tag}", {"Accept": ", ".join(MANIFESTS)})
        manifest: Any = response.json()
        kind = response.headers["Content-Type"]
        if kind not in MANIFESTS or manifest.get("mediaType", kind) != kind or manifest["schemaVersion"] != 2:
            raise LuetBreaksError(f"{tag}: a manifest of type {kind}")
        if len(manifest["layers"]) != 1 or manifest["layers"][0]["mediaType"] != MANIFESTS[kind]:
            raise LuetBreaksError(f"{tag}: not one gzip layer")
        config: Any = json.loads(self._blob(manifest["config"]))
        if config["os"] != "linux" or config["architecture"] != self.architecture:
            raise LuetBreaksError(f"{tag} is for {config['os']}/{config['architecture']}")
        plain = gzip.decompress(self._blob(manifest["layers"][0]))
        if config["rootfs"]["diff_ids"] != [f"sha256:{hashlib.sha256(plain).hexdigest()}"]:
            raise LuetBreaksError(f"{tag}: an engine would refuse the layer")
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            members = {info.name: info for info in tar}
            files = {
                name: tar.extractfile(info).read()  # type: ignore[union-attr]
                for name, info in members.items()
                if info.isreg()
            }
        return StrictImage(config["architecture"], members, files, manifest.get("annotations") or {}, plain)

    def tags(self) -> list[str]:
        """List all tags."""
        return sorted(self._get("tags/list", {}).json()["tags"])

    def _blob(self, descriptor: Mapping[str, Any]) -> bytes:
        data = self._get(f"blobs/{descriptor['digest']}", {}).content
        if (
            len(data) != descriptor["size"]
            or f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor["digest"]
        ):
            raise LuetBreaksError(f"{descriptor['digest']}: other bytes")
        return data

    def _get(self, tail: str, headers: Mapping[str, str]) -> requests.Response:
        host, _, path = self.url.partition("/")
        response = requests.get(f"http://{host}/v2/{path}/{tail}", headers=headers, timeout=10)
        if response.status_code != requests.codes.ok:
            raise LuetBreaksError(f"{self.url} {tail}: {response.status_code}")
        return response


def unpacked(archive: bytes) -> bytes:
    """Return the tar of a zstd archive."""
    return zstandard.ZstdDecompressor().decompressobj().decompress(archive)
