"""Where a project is on a forge, from what a job's environment says or from git's remotes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[\w.~-]+/[\w./~-]+)")  # git@host:owner/name
HOSTS: Mapping[str, str] = {"github": "github.com", "gitlab": "gitlab.com"}
_VARIABLES: Mapping[str, tuple[str, str]] = {
    "github": ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL"),
    "gitlab": ("CI_PROJECT_PATH", "CI_SERVER_URL"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """A project on a forge. `host` may have a port and a folder; `path` is owner/name, without `.git`."""

    host: str
    path: str


def find_address(
    provider: str, environment: Mapping[str, str], remotes: Iterable[str] = ()
) -> Address | None:
    """Return where a project is, or None when nothing tells.

    Args:
        provider: `github` or `gitlab`.
        environment: Of a job of the forge, or what somebody set like it.
        remotes: Addresses that git fetches from, the one to trust most first; one on another forge's host
            is passed over.
    """
    path, server = _VARIABLES[provider]
    host = _host(environment.get(server, ""))
    if environment.get(path):
        return Address(host or HOSTS[provider], environment[path])
    for remote in remotes:
        found = address_of(remote)
        if found and (found.host == host or (not host and provider in found.host)):
            return found
    return None


def address_of(remote: str) -> Address | None:
    """Return the address of a git remote, or None when it is a folder.

    >>> address_of("git@gitlab.example.org:group/sub/os.git")
    Address(host='gitlab.example.org', path='group/sub/os')
    >>> address_of("https://token@github.com/acme/os")
    Address(host='github.com', path='acme/os')
    """
    if "://" in remote:
        parts = urlsplit(remote)
        host, path = parts.hostname or "", parts.path.strip("/")
        if parts.scheme.startswith("http") and parts.port:
            host = f"{host}:{parts.port}"
    else:
        match = _SCP.fullmatch(remote)
        host, path = (match["host"], match["path"]) if match else ("", "")
    path = path.removesuffix("/").removesuffix(".git")
    return Address(host, path) if host and "/" in path else None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.rstrip('/')}"
