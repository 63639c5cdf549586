"""A store behind any web server, for reading only."""

import contextlib
import email.utils
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import NoReturn

from cosgen.errors import Problem
from cosgen.storage.port import (
    ALWAYS,
    PLAIN,
    Blob,
    Condition,
    Headers,
    Outcome,
    Payload,
    Stat,
    StoreError,
    UncertainError,
    Upload,
    check_key,
)

_MOST = 1 << 30  # bytes of an object that is read whole; nothing that is has so many
_ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(slots=True)
class HttpStore:
    """Objects below a URL. Cannot list or write."""

    url: str  # no "/" at the end
    timeout: float = 30.0  # seconds
    _answered: bool = field(default=False)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        span = {} if start == 0 and length is None else {"Range": _range(start, length)}
        answer = self._ask("GET", key, span, most=_MOST if length is None else start + length)
        if answer is None:
            return None
        stat, status, data = answer
        if span and status == HTTPStatus.OK:  # a server that does not know ranges sends everything
            data = data[start:]
        return Blob(stat, data if length is None else data[:length])

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object."""
        answer = self._ask("HEAD", key, {})
        return answer[0] if answer else None

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Refuse: a web server is not written to."""
        del payload, headers, condition
        self._refuse(key)

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Refuse: a web server is not written to."""
        for upload in uploads:
            self._refuse(upload.key)
        return iter(())

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Refuse: web servers have no listing."""
        del after
        self._refuse(prefix)

    def delete(self, key: str) -> None:
        """Refuse: a web server is not written to."""
        self._refuse(key)

    def _ask(
        self, method: str, key: str, headers: dict[str, str], most: int = 0
    ) -> tuple[Stat, int, bytes] | None:
        """Ask for an object; of one that never ends no more is read than `most` bytes."""
        address = f"{self.url}/{check_key(key)}"
        # open_store lets only http and https in
        request = urllib.request.Request(  # noqa: S310
            address, method=method, headers={"Accept-Encoding": "identity"} | headers
        )  # open_store lets only http(s) in
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310  # as above
                data = _body(response, most)
                if len(data) >= _MOST:
                    raise StoreError(_unreachable(address, f"it has {_MOST >> 20} MiB or more"))
                self._answered = True
                return _stat(key, response.headers, len(data)), response.status, data
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                self._check_absent(address, error.code)
                return None
        except (OSError, http.client.HTTPException) as error:
            raise UncertainError(_unreachable(address, str(error))) from error

    def _check_absent(self, address: str, status: int) -> None:
        # S3 answers 403 for what is not there when listing is forbidden; before the first answer it
        # means "no access".
        if status in _ABSENT or (status == HTTPStatus.FORBIDDEN and self._answered):
            return
        kind = UncertainError if status in _PASSING else StoreError
        raise kind(_unreachable(address, f"the server answers {status}"))

    def _refuse(self, key: str) -> NoReturn:
        raise StoreError(
            Problem(
                what=f"{self.url} is a web server, so {key or 'it'} cannot be written or listed there",
                fix="give the place behind it: s3://bucket/prefix or a folder",
                id="CG505",
            )
        )


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Read an answer. One that tells its length is read whole, so that a cut one is noticed."""
    told = response.length
    return response.read() if told is not None and told <= most else response.read(most)


def _range(start: int, length: int | None) -> str:
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"


def _stat(key: str, headers: Message, received: int) -> Stat:
    total = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return Stat(
        key=key,
        size=int(total) if total.isascii() and total.isdigit() else received,
        etag=headers.get("ETag", ""),
        modified=_seconds(headers.get("Last-Modified")) or 0.0,
        headers=Headers(headers.get("Content-Type", ""), headers.get("Cache-Control", "")),
        served_at=_seconds(headers.get("Date")),
    )


def _seconds(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None


def _unreachable(address: str, why: str) -> Problem:
    return Problem(
        what=f"{address} cannot be read: {why}",
        fix="check the address and the network; nothing was changed",
        id="CG506",
    )
