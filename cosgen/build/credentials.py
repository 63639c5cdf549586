"""Registry logins: from the environment, docker's configuration file, and its credential helpers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker.auth
import docker.errors

from cosgen.build.reference import DEFAULT_HOST, HUB_HOST


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
        index = None if host in (DEFAULT_HOST, HUB_HOST) else host
        try:
            found = docker.auth.resolve_authconfig(self._docker, index)
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
