"""The one door to container registries: manifests and blobs by exact bytes, over the distribution API.

Source: OCI distribution spec 1.1 (pull, push, referrers); the bearer scheme is that of the
Docker registry token specification. Logins come from where docker keeps them (config file,
credential helpers and stores), read through the docker SDK.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cosgen.build.reference import ImageName, is_loopback, origin
from cosgen.build.rules import problem
from cosgen.errors import BuildError, VerificationError

_CHUNK = 1 << 20  # bytes
_TIMEOUT = (10, 300)  # seconds: to connect, between two bytes
_MOST_MANIFEST = 4 << 20  # bytes; what the specification lets registries refuse
_MOST_BLOB = 64 << 20  # bytes of a blob that is held in memory
_ACCEPTED = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index as the registry holds it."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """`sha256:` + 64 hex of the bytes."""
        return _digest(self.data)


class CredentialSource(Protocol):
    """Finds the login for a registry host."""

    def __call__(self, host: str) -> tuple[str, str] | None:
        """Return user name and password (or token), or None."""


def docker_credentials(host: str) -> tuple[str, str] | None:
    """Find a login where `docker login` put it: config file, credential helper or store."""
    from cosgen.build.credentials import Credentials  # noqa: PLC0415 - slow to import, seldom needed

    login = Credentials(os.environ).find(host)
    return (login.user, login.password) if login else None


class Registry:
    """Reads and writes images of any registry host. One object may be used by one thread at a time."""

    def __init__(
        self, *, insecure: bool = False, credentials: CredentialSource = docker_credentials, retries: int = 3
    ) -> None:
        """Make a client.

        Args:
            insecure: Speak plain HTTP also to hosts that are not loopback.
            credentials: Where logins come from.
            retries: How often a request is tried again after 5xx or a cut line.
        """
        self._insecure = insecure
        self._credentials = credentials
        self._tokens: dict[tuple[str, str], str] = {}
        self._session = requests.Session()
        policy = Retry(
            total=retries,
            backoff_factor=0.3,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET", "HEAD", "POST", "PUT"),  # a POST begins an upload, or asks for a token
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=policy))

    def find_manifest(self, name: ImageName, reference: str) -> Manifest | None:
        """Return a manifest by tag or digest, or None when there is none.

        Raises:
            BuildError: The registry cannot be read (CG480) or refuses (CG481).
            VerificationError: The bytes do not have the digest asked for, or are too many (CG482).
        """
        response = self._request(
            "GET", name, f"manifests/{reference}", headers={"Accept": ", ".join(_ACCEPTED)}, stream=True
        )
        if response.status_code == requests.codes.not_found:
            return None
        self._expect(response, name, requests.codes.ok)
        data = b"".join(_bounded(response, name, _MOST_MANIFEST, f"the manifest {reference}"))
        manifest = Manifest(data, response.headers.get("Content-Type", "").partition(";")[0])
        if _DIGEST.fullmatch(reference) and manifest.digest != reference:
            raise _not_the_bytes(name, reference, manifest.digest)
        return manifest

    def find_digest(self, name: ImageName, reference: str) -> str | None:
        """Return the digest a tag points at, or None; one HEAD request."""
        response = self._request(
            "HEAD", name, f"manifests/{reference}", headers={"Accept": ", ".join(_ACCEPTED)}
        )
        if response.status_code == requests.codes.not_found:
            return None
        self._expect(response, name, requests.codes.ok)
        digest = response.headers.get("Docker-Content-Digest", "")
        if _DIGEST.fullmatch(digest):
            return digest
        manifest = self.find_manifest(name, reference)
        return manifest.digest if manifest else None

    def has_blob(self, name: ImageName, digest: str) -> bool:
        """Tell whether the repository holds a blob."""
        response = self._request("HEAD", name, f"blobs/{digest}")
        if response.status_code == requests.codes.not_found:
            return False
        self._expect(response, name, requests.codes.ok)
        return True

    def iter_blob(self, name: ImageName, digest: str, size: int | None = None) -> Iterator[bytes]:
        """Yield a blob in chunks; after the last one the digest is known to be right.

        Args:
            name: The repository.
            digest: Of the blob.
            size: Bytes it may have at most; None for any number.

        Raises:
            BuildError: The blob is not there (CG483) or cannot be read (CG480).
            VerificationError: Its bytes have another digest, or are more than `size` (CG482).
        """
        response = self._request("GET", name, f"blobs/{digest}", stream=True)
        if response.status_code == requests.codes.not_found:
            raise BuildError(problem("CG483", f"{name} has no blob {digest}"))
        self._expect(response, name, requests.codes.ok)
        sha256 = hashlib.sha256()
        for chunk in _bounded(response, name, size, f"the blob {digest}"):
            sha256.update(chunk)
            yield chunk
        if f"sha256:{sha256.hexdigest()}" != digest:
            raise _not_the_bytes(name, digest, f"sha256:{sha256.hexdigest()}")

    def get_blob(self, name: ImageName, digest: str, size: int = _MOST_BLOB) -> bytes:
        """Return a small blob whole; raises as `iter_blob`."""
        return b"".join(self.iter_blob(name, digest, min(size, _MOST_BLOB)))

    def put_blob(self, name: ImageName, content: bytes | Path, digest: str | None = None) -> str:
        """Upload a blob unless it is there, and return its digest.

        Args:
            name: The repository.
            content: Bytes, or a file that is streamed.
            digest: Its digest when known; else it is computed.
        """
        digest = digest or (_digest(content) if isinstance(content, bytes) else _file_digest(content))
        if isinstance(content, Path) and not content.stat().st_size:
            content = b""  # an empty stream would be sent in chunks, which nobody waits for
        if self.has_blob(name, digest):
            return digest
        begun = self._request("POST", name, "blobs/uploads/", actions="pull,push")
        self._expect(begun, name, requests.codes.accepted)
        location = urljoin(begun.url, begun.headers["Location"])
        location += ("&" if urlsplit(location).query else "?") + f"digest={digest.replace(':', '%3A')}"
        headers = {"Content-Type": "application/octet-stream"}
        if isinstance(content, bytes) or not content.stat().st_size:  # the library sends no empty file
            data = content if isinstance(content, bytes) else b""
            done = self._send("PUT", name, location, data=lambda: data, headers=headers)
        else:
            with content.open("rb") as file:

                def rewound() -> object:
                    file.seek(0)
                    return file

                headers["Content-Length"] = str(content.stat().st_size)
                done = self._send("PUT", name, location, data=rewound, headers=headers)
        # When the answer to an upload was lost, the second one finds it ended; the blob is there then.
        if done.status_code != requests.codes.not_found or not self.has_blob(name, digest):
            self._expect(done, name, requests.codes.created)
        return digest

    def put_manifest(self, name: ImageName, reference: str, manifest: Manifest) -> str:
        """Write a manifest under a tag or its digest, and return its digest. Blobs must be there before."""
        response = self._request(
            "PUT",
            name,
            f"manifests/{reference}",
            data=manifest.data,
            headers={"Content-Type": manifest.media_type},
            actions="pull,push",
        )
        self._expect(response, name, requests.codes.created)
        return manifest.digest

    def delete_manifest(self, name: ImageName, digest: str) -> None:
        """Delete a manifest by digest; absent is fine. Many registries do not allow it (CG480)."""
        response = self._request("DELETE", name, f"manifests/{digest}", actions="pull,delete")
        if response.status_code != requests.codes.not_found:
            self._expect(response, name, requests.codes.accepted)

    def list_tags(self, name: ImageName) -> tuple[str, ...]:
        """Return all tags, sorted; () when the repository does not exist. For people and tests: costly."""
        tags: list[str] = []
        url: str | None = self._url(name, "tags/list?n=1000")
        while url:
            response = self._send("GET", name, url)
            if response.status_code == requests.codes.not_found:
                return ()
            self._expect(response, name, requests.codes.ok)
            tags.extend(_json(response, name).get("tags") or [])
            following = response.links.get("next", {}).get("url")
            url = urljoin(response.url, following) if following else None
        return tuple(sorted(tags))

    def _url(self, name: ImageName, tail: str) -> str:
        return f"{self._scheme(name)}://{name.host}/v2/{name.path}/{tail}"

    def _scheme(self, name: ImageName) -> str:
        return "http" if self._insecure or is_loopback(name.host) else "https"

    def _is_own(self, url: str, name: ImageName) -> bool:
        """Tell whether an address is the registry's own; what is elsewhere gets no login of it."""
        return origin(url) == origin(self._url(name, ""))

    def _request(
        self,
        method: str,
        name: ImageName,
        tail: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        actions: str = "pull",
        stream: bool = False,
    ) -> requests.Response:
        body = (lambda: data) if data is not None else None
        return self._send(
            method, name, self._url(name, tail), data=body, headers=headers, actions=actions, stream=stream
        )

    def _send(
        self,
        method: str,
        name: ImageName,
        url: str,
        *,
        data: Callable[[], object] | None = None,
        headers: Mapping[str, str] | None = None,
        actions: str = "pull,push",
        stream: bool = False,
    ) -> requests.Response:
        """Send a request; when the registry asks who we are, answer and send it again.

        Nobody else gets an answer: not where an upload is sent to, nor where a blob's address leads to.
        """
        response: requests.Response | None = None
        for attempt in range(2):
            sent = dict(headers or {})
            token = self._tokens.get((name.host, name.path))
            if token and self._is_own(url, name):
                sent["Authorization"] = token
            try:
                response = self._session.request(
                    method,
                    url,
                    data=data() if data else None,  # type: ignore[arg-type]  # bytes or a file
                    headers=sent,
                    stream=stream,
                    timeout=_TIMEOUT,
                )
            except requests.RequestException as error:
                raise _unreachable(name, error) from error
            unknown = response.status_code == requests.codes.unauthorized
            if not unknown or attempt or not self._is_own(response.url, name):
                break
            self._tokens[name.host, name.path] = self._answer(response, name, actions)
        if response is None:
            raise AssertionError("a request was sent at least once")
        return response

    def _answer(self, refused: requests.Response, name: ImageName, actions: str) -> str:
        scheme, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        login = self._credentials(name.host)
        if scheme.lower() == "basic" and login:
            return "Basic " + _basic(login)
        if scheme.lower() != "bearer":
            raise _refused(name, refused)
        challenge = dict(re.findall(r'([a-z_]+)="([^"]*)"', rest))
        scope = challenge.get("scope") or f"repository:{name.path}:{actions}"
        params = {"service": challenge.get("service", ""), "scope": scope}
        realm = challenge.get("realm", "")
        if login and self._scheme(name) == "https" and urlsplit(realm).scheme != "https":
            what = f"the registry {name.host} wants the login sent unencrypted, to {realm!r}"
            raise BuildError(problem("CG481", what, fix="tell its owner; nothing was sent"))
        try:
            if login and login[0] == "<token>":
                form = params | {
                    "grant_type": "refresh_token",
                    "refresh_token": login[1],
                    "client_id": "cosgen",
                }
                # A redirection would carry the form, and the token in it, to wherever it leads.
                answer = self._session.post(realm, data=form, timeout=_TIMEOUT, allow_redirects=False)
            else:
                answer = self._session.get(realm, params=params, auth=login, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise _unreachable(name, error) from error
        if answer.status_code != requests.codes.ok:
            raise _refused(name, answer)
        body = _json(answer, name)
        return "Bearer " + str(body.get("token") or body.get("access_token") or "")

    def _expect(self, response: requests.Response, name: ImageName, code: int) -> None:
        if response.status_code == code:
            return
        if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise _refused(name, response)
        what = (
            f"{name} answered {response.status_code} to {response.request.method} "
            f"{urlsplit(response.url).path}: {_beginning(response)}"
        )
        raise BuildError(problem("CG480", what))


def _basic(login: tuple[str, str]) -> str:
    header = requests.auth._basic_auth_str(*login)  # noqa: SLF001 - no public twin
    return str(header).removeprefix("Basic ")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _bounded(response: requests.Response, name: ImageName, size: int | None, what: str) -> Iterator[bytes]:
    """Yield the body of an answer; more than `size` bytes are refused as soon as they come."""
    read = 0
    try:
        for chunk in response.iter_content(_CHUNK):
            read += len(chunk)
            if size is not None and read > size:
                raise VerificationError(problem("CG482", f"{what} of {name} is larger than {size} bytes"))
            yield chunk
    except requests.RequestException as error:
        raise _unreachable(name, error) from error
    finally:
        response.close()


def _json(response: requests.Response, name: ImageName) -> dict[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError) as error:
        raise BuildError(problem("CG480", f"{name.host} did not answer with JSON")) from error
    return found if isinstance(found, dict) else {}


def _beginning(response: requests.Response) -> str:
    """Return what an answer begins with, for a message."""
    try:
        return next(response.iter_content(200), b"").decode("utf-8", "replace").strip()
    except requests.RequestException:
        return ""


def _unreachable(name: ImageName, error: Exception) -> BuildError:
    return BuildError(problem("CG480", f"the registry {name.host} cannot be reached: {error}"))


def _refused(name: ImageName, response: requests.Response) -> BuildError:
    method, code = response.request.method, response.status_code
    fix = f"log in with `docker login {name.host}` as somebody who may"
    what = f"the registry {name.host} refuses {method} on {name.path} ({code})"
    return BuildError(problem("CG481", what, fix=fix))


def _not_the_bytes(name: ImageName, wanted: str, got: str) -> VerificationError:
    return VerificationError(problem("CG482", f"{name} gave bytes of digest {got} for {wanted}"))
