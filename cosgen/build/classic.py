"""The engine's own builder, through its API: for engines and machines without BuildKit."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import docker.errors
import requests
import urllib3.exceptions

if TYPE_CHECKING:
    from cosgen.build.engine import ImageJob

# What the SDK raises when the line to the engine breaks.
BROKEN_LINES = (requests.RequestException, urllib3.exceptions.HTTPError, docker.errors.StreamParseError)


class ClassicBuild:
    """One build under way. The SDK's own `build` cannot be stopped, so its request is made here."""

    def __init__(self, api: Any, job: "ImageJob") -> None:  # noqa: ANN401 - the SDK's client has no types
        self._api = api
        self._job = job
        self._response: requests.Response | None = None
        self._stopped = threading.Event()

    def run(self, log: Callable[[str], None]) -> int:
        """Build, tell every line of output, and return 0, or 1 when the build failed or was stopped.

        Raises:
            docker.errors.APIError: The engine refuses the request.
            BROKEN_LINES: It went away.
        """
        try:
            with self._job.context() as context:
                self._response = self._post(context)
            if self._stopped.is_set():
                self._hang_up()
            for line in self._api._stream_helper(self._response, decode=True):  # noqa: SLF001 - as in _post
                if not _tell(line, log):
                    return 1
        except BROKEN_LINES:
            if not self._stopped.is_set():
                raise
        return int(self._stopped.is_set())

    def stop(self) -> None:
        """Hang up: the engine ends a build whose client is gone."""
        self._stopped.set()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._response is not None:
            with contextlib.suppress(OSError, AttributeError):
                end = self._api._get_raw_response_socket(self._response)  # noqa: SLF001 - no public way
                getattr(end, "_sock", end).shutdown(socket.SHUT_RDWR)

    def _post(self, context: Any) -> requests.Response:  # noqa: ANN401 - a file
        response: requests.Response = self._api._post(  # noqa: SLF001 - the SDK's build hides its answer
            self._api._url("/build"),  # noqa: SLF001 - as above
            data=context,
            params=_parameters(self._job),
            headers={"Content-Type": "application/tar"},
            stream=True,
        )
        self._api._raise_for_status(response)  # noqa: SLF001 - as above
        return response


def _parameters(job: "ImageJob") -> dict[str, str]:
    found = {
        "dockerfile": job.dockerfile,
        "t": job.tag,
        "buildargs": json.dumps(dict(job.arguments)),
        "labels": json.dumps(dict(job.labels)),
        "platform": job.platform,
        "networkmode": job.network,
        "nocache": "1" if job.no_cache else "",
        "rm": "1",
        "forcerm": "1",
    }
    return {key: value for key, value in found.items() if value}


def _tell(line: Mapping[str, Any], log: Callable[[str], None]) -> bool:
    """Log one message of the engine; tell whether the build goes on."""
    if text := line.get("stream"):
        log(str(text).rstrip("\n"))
    if text := line.get("error"):
        log(str(text))
    return not line.get("error")
