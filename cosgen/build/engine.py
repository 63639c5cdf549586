"""The one door to the container engine: Docker, or Podman through its compatible socket."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import docker
import docker.errors
import requests

from cosgen.build.buildkit import BuildkitProcess
from cosgen.build.classic import BROKEN_LINES, ClassicBuild
from cosgen.build.container import Containers
from cosgen.build.credentials import Credentials
from cosgen.build.engine_info import EngineInfo, ImageInfo, engine_info, image_info
from cosgen.build.reference import DEFAULT_HOST, parse_reference
from cosgen.build.rules import problem
from cosgen.errors import BuildError, MissingToolError

# Marks every image we make; only what carries it is ever pruned.
LABEL = "org.cosgen.input-digest"
_PING_SECONDS = 5
_CALL_SECONDS = 24 * 3600
_IMAGE_ID = re.compile(r'"(?:sha256:)?([0-9a-f]{64})')
_SETTLE_SECONDS = 10  # for the engine to end a build that was stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageJob:
    """One image to build. `context` is a tar that holds the Dockerfile under `dockerfile`."""

    tag: str
    dockerfile: str
    context: Callable[[], IO[bytes]]
    arguments: Mapping[str, str]  # build arguments
    labels: Mapping[str, str]
    platform: str = ""
    network: str = ""
    no_cache: bool = False


Log = Callable[[str], None]


class Engine:
    """A connection to an engine. Methods may be called from several threads."""

    def __init__(self, client: docker.DockerClient, info: EngineInfo, environment: Mapping[str, str]) -> None:
        self._client = client
        self._api: Any = client.api  # the SDK's types lack half of its methods
        self._environment = dict(environment)
        self._running: set[BuildkitProcess | ClassicBuild] = set()
        self._made: set[str] = set()  # input digests of what was built
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.info = info

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def containers(self) -> Containers:
        """Return the engine's containers."""
        return Containers(self._api)

    def stop(self) -> None:
        """End every build under way; calls in other threads raise soon after."""
        self._stopped.set()
        with self._lock:
            running = tuple(self._running)
        for build in running:
            build.stop()

    def tags(self, repository: str) -> dict[str, str]:
        """Return the local tags of a repository with their image ids, in one request."""
        found: dict[str, str] = {}
        with _calls("list images"):
            for image in self._api.images(name=repository):
                for name in image.get("RepoTags") or ():
                    owner, _, tag = name.rpartition(":")
                    if _short(owner) == _short(repository):
                        found[tag] = image["Id"]
        return found

    def find_image(self, reference: str) -> ImageInfo | None:
        """Return what is known of a local image, or None."""
        try:
            with _calls(f"look at {reference}"):
                found = self._api.inspect_image(reference)
        except _NotFoundError:
            return None
        return image_info(found)

    def build(self, job: ImageJob, log: Log) -> str:
        """Build and tag an image; return its id.

        Raises:
            BuildError: The build failed, or was stopped.
        """
        if self._stopped.is_set():
            raise BuildError(problem("CG492", f"{job.tag} was not built: stopped"))
        self._made.add(job.labels.get(LABEL, ""))
        if self.info.builder == "BuildKit":
            process = BuildkitProcess(self.info.command, job, self.info.url, self._environment)
            self._run(process, job, log)
        else:
            self._run(ClassicBuild(self._api, job), job, log)
        image = self.find_image(job.tag)
        if image is None:
            raise BuildError(problem("CG451", f"the engine built {job.tag} and does not have it"))
        return image.id

    def pull(self, reference: str, credentials: Credentials, platform: str = "") -> bool:
        """Pull an image; False when the registry does not have it.

        Raises:
            BuildError: The registry does not answer or refuses.
        """
        parts = parse_reference(reference)
        try:
            with _calls(f"pull {reference}"):
                for line in self._api.pull(
                    parts.repository,
                    tag=parts.digest or parts.tag or "latest",
                    stream=True,
                    decode=True,
                    auth_config=_auth(credentials, parts.host),
                    platform=platform or None,
                ):
                    _raise_error(line, reference)
        except _NotFoundError:
            return False
        return True

    def push(self, reference: str, credentials: Credentials) -> None:
        """Push a tag.

        Raises:
            BuildError: The registry does not answer or refuses.
        """
        parts = parse_reference(reference)
        with _calls(f"push {reference}"):
            for line in self._api.push(
                parts.repository,
                tag=parts.tag,
                stream=True,
                decode=True,
                auth_config=_auth(credentials, parts.host),
            ):
                _raise_error(line, reference)

    def tag(self, source: str, reference: str) -> None:
        """Give an image one more name."""
        parts = parse_reference(reference)
        with _calls(f"tag {reference}"):
            self._api.tag(source, parts.repository, parts.tag)

    def untag(self, reference: str) -> None:
        """Take a name from an image, and the image away when it was the last; absent is well."""
        try:
            with _calls(f"remove {reference}"):
                self._api.remove_image(reference)
        except _NotFoundError:
            return

    def import_tar(
        self, chunks: Iterable[bytes], reference: str, labels: Mapping[str, str], platform: str
    ) -> str:
        """Make a one-layer image of a tar stream; return its id."""
        parts = parse_reference(reference)
        changes = [f'LABEL "{key}"="{value}"' for key, value in sorted(labels.items())]
        parameters = {
            "fromSrc": "-",
            "repo": parts.repository,
            "tag": parts.tag,
            "changes": changes,
            "platform": platform,
        }
        with _calls(f"import {reference}"):
            response = self._api._post(  # noqa: SLF001 - the SDK's own import has no platform
                self._api._url("/images/create"),  # noqa: SLF001 - as above
                data=chunks,
                params={key: value for key, value in parameters.items() if value},
                headers={"Content-Type": "application/tar"},
            )
            text = self._api._result(response)  # noqa: SLF001 - as above
        if '"errorDetail"' in text:
            raise BuildError(problem("CG451", f"the engine did not import {reference}: {text.strip()}"))
        image = self.find_image(reference) or self._name_imported(text, reference)
        if image is None:
            raise BuildError(problem("CG451", f"the engine imported {reference} and does not have it"))
        return image.id

    def _name_imported(self, answer: str, reference: str) -> ImageInfo | None:
        """Give an imported image its tag: Podman names it `latest`, whatever was asked for."""
        found = _IMAGE_ID.findall(answer)
        if not found:
            return None
        self.tag(found[-1], reference)
        self.untag(f"{parse_reference(reference).repository}:latest")
        return self.find_image(reference)

    def save(self, reference: str) -> Iterator[bytes]:
        """Stream an image with all its layers, as `docker save` does."""
        with _calls(f"save {reference}"):
            yield from self._api.get_image(reference, chunk_size=1 << 20)

    def prune(self) -> None:
        """Remove what builds of ours left: stopped containers and images without a name.

        Others may build at the same time, and what looks left over is in use there. So only images of input
        digests are touched that were built here, or of which there is one with a name: killed builds left
        those. The engine takes a moment to end a build that was stopped.
        """
        until = time.monotonic() + (_SETTLE_SECONDS if self._stopped.is_set() else 0)
        with _calls("prune"):
            while self._prune_containers() and time.monotonic() < until:
                time.sleep(0.1)
            images = self._api.images(filters={"label": [LABEL]})
        named = {_digest_of(image) for image in images if _has_name(image)}
        for image in images:
            if not _has_name(image) and _digest_of(image) in self._made | named:
                self._remove(image["Id"])

    def _prune_containers(self) -> bool:
        """Remove containers that builds of ours left; tell whether some are there still."""
        found = self._api.containers(all=True, filters={"label": [LABEL]})
        mine = [item for item in found if _digest_of(item) in self._made]
        for item in mine:
            if item.get("State") != "running":
                with contextlib.suppress(docker.errors.APIError):  # it was just removed by the engine
                    self._api.remove_container(item["Id"])
        return bool(mine)

    def _remove(self, image: str) -> None:
        with contextlib.suppress(docker.errors.APIError):  # gone, or somebody's after all
            self._api.remove_image(image)

    def _run(self, build: BuildkitProcess | ClassicBuild, job: ImageJob, log: Log) -> None:
        with self._lock:
            self._running.add(build)
        try:
            with _calls(f"build {job.tag}"):
                code = build.run(log)
        finally:
            with self._lock:
                self._running.discard(build)
        if self._stopped.is_set():
            raise BuildError(problem("CG492", f"{job.tag} was not built: stopped"))
        if code:
            with _calls(f"build {job.tag}"):
                self._api.ping()  # when nothing answers, that is what is wrong
            raise BuildError(problem("CG451", f"{job.tag}: the build ended with code {code}"))


def connect(environment: Mapping[str, str], *, builder: str = "") -> Engine:
    """Connect to the first engine that answers.

    Args:
        environment: DOCKER_HOST (and DOCKER_TLS_VERIFY, DOCKER_CERT_PATH) are honored; else the usual
            sockets of Docker and Podman are tried.
        builder: "BuildKit" or "classic" to insist on one; "" for the best there is.

    Raises:
        MissingToolError: None answers; the message tells what was tried.
    """
    tried: list[str] = []
    for url in engine_urls(environment):
        found = dict(environment) | {"DOCKER_HOST": url}
        try:
            client = docker.DockerClient.from_env(environment=found, timeout=_PING_SECONDS)
            client.ping()
            info = engine_info(client, url, environment, builder)
        except (docker.errors.DockerException, requests.RequestException) as error:
            tried.append(f"{url} ({str(error).splitlines()[0][:160]})")
            continue
        cast("Any", client.api).timeout = _CALL_SECONDS
        return Engine(client, info, environment)
    raise MissingToolError(problem("CG450", f"no container engine answers; tried {', '.join(tried)}"))


def engine_urls(environment: Mapping[str, str]) -> Sequence[str]:
    """Return where engines are looked for, best first."""
    if environment.get("DOCKER_HOST"):
        return (environment["DOCKER_HOST"],)
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    sockets = ["/var/run/docker.sock"]
    sockets += [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"] if runtime else []
    return tuple(f"unix://{path}" for path in (*sockets, "/run/podman/podman.sock"))


def _digest_of(item: Mapping[str, Any]) -> str:
    """Return the input digest that an image or a container was made for."""
    return str((item.get("Labels") or {}).get(LABEL, ""))


def _has_name(image: Mapping[str, Any]) -> bool:
    """Tell whether an image has a tag, or was pulled by its digest."""
    names = (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ()))
    return any(not name.startswith("<none>") for name in names)


def _short(repository: str) -> str:
    """Return a repository without the host that Podman puts before names that have none."""
    return repository.removeprefix("localhost/").removeprefix(f"{DEFAULT_HOST}/")


class _NotFoundError(Exception):
    """The engine or a registry does not have what was asked for."""


def _raise_error(line: Mapping[str, Any], reference: str, rule: str = "CG480") -> None:
    error = line.get("error")
    if not error:
        return
    text = str(error)
    if "manifest unknown" in text or "not found" in text:
        raise _NotFoundError(text)
    denied = any(word in text for word in ("unauthorized", "denied", "authentication", "no basic auth"))
    raise BuildError(problem("CG481" if denied else rule, f"{reference}: {text}"))


@contextmanager
def _calls(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except docker.errors.NotFound as error:
        raise _NotFoundError(str(error)) from error
    except docker.errors.DockerException as error:
        rule = "CG480" if what.startswith(("pull ", "push ")) else "CG451"
        _raise_error({"error": str(getattr(error, "explanation", "") or error)}, what, rule)
    except BROKEN_LINES as error:
        raise BuildError(problem("CG450", f"the engine went away while it was to {what}: {error}")) from error


def _auth(credentials: Credentials, host: str) -> dict[str, str] | None:
    login = credentials.find(host)
    if login is None:
        return None
    if login.user in ("", "<token>"):
        return {"identitytoken": login.password, "serveraddress": host}
    return {"username": login.user, "password": login.password, "serveraddress": host}
