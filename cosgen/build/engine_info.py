"""What a container engine tells of itself and of its images, and how images are built with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from cosgen.build.buildkit import find_buildkit
from cosgen.build.rules import problem
from cosgen.errors import MissingToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What answers at the socket, and how images are built with it."""

    url: str
    name: str  # "Docker" or "Podman"
    version: str
    platform: str  # os/arch
    root: str  # folder of the engine's data on its host
    storage: str  # "overlay2", …
    builder: str  # "BuildKit" or "classic"
    reason: str  # why that builder
    command: str = ""  # path of the docker command, for BuildKit


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What the engine tells of an image."""

    id: str  # "sha256:" + 64 hex
    diff_ids: tuple[str, ...]  # bottom first
    platform: str  # os/arch[/variant]
    labels: Mapping[str, str]
    digests: tuple[str, ...]  # repository@sha256:…, as registries know it
    size: int  # bytes
    overlay: tuple[Path, ...]  # one directory per layer, bottom first; () when the driver has none


def engine_info(
    client: docker.DockerClient, url: str, environment: Mapping[str, str], builder: str
) -> EngineInfo:
    """Ask an engine what it is, and choose how images are built with it.

    Raises:
        MissingToolError: BuildKit is asked for, and cannot be had.
    """
    version, info = client.version(), client.info()
    names = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    name = "Podman" if any("Podman" in item for item in names) else "Docker"
    command, reason = ("", "Podman builds through its compatible API")
    if builder == "classic":
        reason = "asked for"
    elif name == "Docker":
        command, reason = find_buildkit(environment, url)
    if builder == "BuildKit" and not command:
        raise MissingToolError(problem("CG450", f"BuildKit is asked for, but {reason}"))
    return EngineInfo(
        url=url,
        name=name,
        version=str(version.get("Version", "")),
        platform=f"{version.get('Os', 'linux')}/{version.get('Arch', '')}",
        root=str(info.get("DockerRootDir", "")),
        storage=str(info.get("Driver", "")),
        builder="BuildKit" if command else "classic",
        reason=reason,
        command=command,
    )


def image_info(found: Mapping[str, Any]) -> ImageInfo:
    """Read what an engine tells of an image."""
    config = found.get("Config") or {}
    layers = tuple((found.get("RootFS") or {}).get("Layers") or ())
    parts = [found.get("Os") or "linux", found.get("Architecture") or "", found.get("Variant") or ""]
    return ImageInfo(
        id=found["Id"] if ":" in found["Id"] else f"sha256:{found['Id']}",
        diff_ids=layers,
        platform="/".join(part for part in parts if part),
        labels=dict(config.get("Labels") or {}),
        digests=tuple(found.get("RepoDigests") or ()),
        size=int(found.get("Size") or 0),
        overlay=_overlay_folders(found.get("GraphDriver") or {}, len(layers)),
    )


def _overlay_folders(driver: Mapping[str, Any], count: int) -> tuple[Path, ...]:
    data = driver.get("Data") or {}
    if driver.get("Name") not in ("overlay2", "overlay") or "UpperDir" not in data:
        return ()
    lower = [part for part in str(data.get("LowerDir") or "").split(":") if part]
    folders = tuple(Path(part) for part in reversed([str(data["UpperDir"]), *lower]))
    return folders if len(folders) == count else ()
