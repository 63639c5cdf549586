"""Registry logins: from the environment, docker's configuration file, and its credential helpers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker.auth
import docker.errors

_DEFAULT_HOST = "docker.io"


@dataclass(frozen=True, slots=True)
class Login:
    """A user and the password or token that proves it. Never printed."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ***)"


class Credentials:
    """Finds the login of a registry.

    COSGEN_REGISTRY_USER and COSGEN_REGISTRY_PASSWORD count for the cache registry's host only; everything
    else is as `docker login` left it (DOCKER_CONFIG names the folder).
    """

    def __init__(self, environment: Mapping[str, str], cache_host: str = "") -> None:
        self._environment = environment
        self._cache_host = cache_host

    def __call__(self, host: str) -> tuple[str, str] | None:
        """Return user and password for the registry client, or None."""
        login = self.find(host)
        return (login.user or "<token>", login.password) if login else None

    def find(self, host: str) -> Login | None:
        """Return the login for a host, or None when it is to be asked without one."""
        user = self._environment.get("COSGEN_REGISTRY_USER", "")
        if user and host == self._cache_host:
            return Login(user, self._environment.get("COSGEN_REGISTRY_PASSWORD", ""))
        try:
            found = docker.auth.resolve_authconfig(self._docker, None if host == _DEFAULT_HOST else host)
        except docker.errors.DockerException:
            return None
        if not found:
            return None
        name = found.get("Username") or found.get("username") or ""
        password = found.get("Password") or found.get("password") or found.get("IdentityToken") or ""
        return Login(name, password) if password else None

    @cached_property
    def _docker(self) -> Any:  # noqa: ANN401 - the SDK's AuthConfig has no types
        folder = self._environment.get("DOCKER_CONFIG", "")
        path = f"{folder}/config.json" if folder else None
        return docker.auth.load_config(config_path=path, credstore_env=dict(self._environment))


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in parts."""

    host: str  # "ghcr.io", "127.0.0.1:5000"; "docker.io" when none is written
    name: str  # "acme/cache"
    tag: str  # "" when none is written
    digest: str  # "" when none is written

    @property
    def repository(self) -> str:
        """Host and name, without a tag."""
        return self.name if self.host == _DEFAULT_HOST else f"{self.host}/{self.name}"


def parse_reference(text: str) -> Reference:
    """Take an image reference apart.

    >>> parse_reference("127.0.0.1:5000/acme/cache:in-0")
    Reference(host='127.0.0.1:5000', name='acme/cache', tag='in-0', digest='')
    >>> parse_reference("debian@sha256:ab")
    Reference(host='docker.io', name='library/debian', tag='', digest='sha256:ab')
    """
    name, _, digest = text.partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{folder}{slash}{last}"
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return Reference(host, rest, tag, digest)
    return Reference(_DEFAULT_HOST, name if slash else f"library/{name}", tag, digest)
