"""Containers of the engine, as `docker commit` sees them: what changed in one, and its whole file system."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests

from cosgen.build.rules import problem
from cosgen.errors import BuildError

_KINDS = {0: "changed", 1: "added", 2: "deleted"}  # numbers of the engine's API


# What engines accept as a name or id. Anything else would be read as a part of an address.
_NAME = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """How a container runs, as far as an image would keep it."""

    environment: tuple[str, ...]  # NAME=value: the image's, and what was given when it was made
    entrypoint: tuple[str, ...]  # of its image
    command: tuple[str, ...]  # of its image


class Containers:
    """The containers of one engine; made by `Engine.containers`."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - the SDK's client has no types
        self._api = api

    def container_platform(self, container: str) -> str:
        """Return the platform, os/arch[/variant], of the image that a container runs."""
        with _calls(container):
            image = self._api.inspect_image(self._api.inspect_container(container)["Image"])
        parts = (image.get("Os") or "linux", image.get("Architecture") or "", image.get("Variant") or "")
        return "/".join(part for part in parts if part)

    def container_image(self, container: str) -> str:
        """Return the reference of the image that a container was made from."""
        with _calls(container):
            return str(self._api.inspect_container(container)["Config"]["Image"])

    def container_settings(self, container: str) -> ContainerSettings:
        """Return environment and the image's start command, whatever the container ran instead."""
        with _calls(container):
            found = self._api.inspect_container(container)
            image = self._api.inspect_image(found["Image"]).get("Config") or {}
        return ContainerSettings(
            tuple(map(str, found["Config"].get("Env") or ())),
            tuple(map(str, image.get("Entrypoint") or ())),
            tuple(map(str, image.get("Cmd") or ())),
        )

    @contextmanager
    def frozen(self, container: str) -> Iterator[None]:
        """Let nothing in a container run, so that its files stay as they are; what stands still stays so."""
        with _calls(container):
            state = self._api.inspect_container(container)["State"]
            running = bool(state.get("Running")) and not state.get("Paused")
            if running:
                self._api.pause(container)
        try:
            yield
        finally:
            if running:
                with _calls(container):
                    self._api.unpause(container)

    def container_diff(self, container: str) -> Mapping[str, str]:
        """Return absolute path → "added", "changed" or "deleted", against the image."""
        with _calls(container):
            changes = self._api.diff(container) or ()
        return {str(change["Path"]): _KINDS[change["Kind"]] for change in changes}

    def export_container(self, container: str) -> Iterator[bytes]:
        """Yield a container's merged file system as an uncompressed tar."""
        with _calls(container):
            yield from self._api.export(container)


@contextmanager
def _calls(container: str) -> Iterator[None]:
    if not _NAME.fullmatch(container):
        raise BuildError(problem("CG496", f"{container!r} is no name or id of a container"))
    try:
        yield
    except docker.errors.NotFound as error:
        raise BuildError(problem("CG496", f"the engine has no container {container!r}")) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise BuildError(
            problem("CG450", f"the engine failed on container {container!r}: {error}")
        ) from error
