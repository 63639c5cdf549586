"""Names of images: a registry host, a repository in it, a tag or a digest."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cosgen.build.rules import problem
from cosgen.errors import Problem

DEFAULT_HOST = "docker.io"
HUB_HOST = "registry-1.docker.io"  # where docker.io answers the distribution API
_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?/)?{_NAME}(?:/{_NAME})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


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
        return self.name if self.host == DEFAULT_HOST else f"{self.host}/{self.name}"


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
    return Reference(DEFAULT_HOST, name if slash else f"library/{name}", tag, digest)


@dataclass(frozen=True, slots=True)
class ImageName:
    """A repository in a registry, without tag or digest."""

    host: str  # host[:port]
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def parse_name(text: str) -> tuple[ImageName, str]:
    """Split an image reference into the repository to ask for, and a tag or digest.

    Returns:
        The repository, and the digest if there is one, else the tag, else "latest".

    >>> parse_name("ghcr.io/acme/os:1.0")
    (ImageName(host='ghcr.io', path='acme/os'), '1.0')
    >>> parse_name("debian")
    (ImageName(host='registry-1.docker.io', path='library/debian'), 'latest')
    """
    parts = parse_reference(text)
    host = HUB_HOST if parts.host in (DEFAULT_HOST, "index.docker.io") else parts.host
    return ImageName(host, parts.name), parts.digest or parts.tag or "latest"


def reference_problem(reference: str) -> Problem | None:
    """Return what is wrong with a reference of an image, or None."""
    if _REFERENCE.fullmatch(reference):
        return None
    fix = "write [host/]name[:tag], names in small letters"
    return problem("CG453", f"{reference!r} cannot be a reference of an image", fix=fix)


def tag_problem(tag: str) -> Problem | None:
    """Return what is wrong with a tag, or None."""
    if _TAG.fullmatch(tag):
        return None
    return problem("CG484", f"{tag!r} cannot be a tag of an image")


def origin(url: str) -> tuple[str, str]:
    """Return the scheme and `host[:port]` of a URL: who answers it.

    >>> origin("https://User@GHCR.io:443/v2/") == origin("https://ghcr.io")
    True
    """
    parts = urlsplit(url)
    host = parts.netloc.lower().rpartition("@")[2]
    return parts.scheme, host.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ""))


def is_loopback(host: str) -> bool:
    """Tell whether a `host[:port]` is this machine, which needs no encryption.

    >>> is_loopback("127.0.0.1:5000"), is_loopback("[::1]"), is_loopback("ghcr.io")
    (True, True, False)
    """
    bare = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
