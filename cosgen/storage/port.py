"""The one door to where a repository lies: seven requests that every store answers.

A store holds objects: bytes under a key, written whole. `put` is create-only, or replaces one known
version, or replaces whatever is there. Each call is one attempt: waiting and trying again is
`retry.py`'s, because the call that commits must not be repeated blindly (its first attempt may have landed).

Source: RFC 9110 section 13 (conditional requests); Amazon S3 API, PutObject.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from cosgen.errors import Problem, PublishError

# What a key may be made of. No "+", blank or "%": S3 reads "+" in a URL path as a blank, and every proxy
# has its own opinion on escapes. No empty, "." or ".." segment, and nothing hidden: such names are the
# store's own.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class StoreError(PublishError):
    """A store refused a request or answered nonsense; trying again would not help."""


class ConditionFailedError(StoreError):
    """The object is there already (create-only), or is not the version that was to be replaced."""


class UncertainError(StoreError):
    """Nobody knows whether the request took effect: a time-out, a lost connection, a 5xx, a 409."""


class Outcome(StrEnum):
    """What became of one upload of `put_new`."""

    CREATED = "created"
    EXISTS = "exists"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a `put` may take effect: always, only when the key is free, or only over one version."""

    create: bool = False
    match: str | None = None  # an etag as the store gave it


ALWAYS = Condition()
CREATE = Condition(create=True)


@dataclass(frozen=True, slots=True)
class Headers:
    """What a static web server says about an object; stores that cannot keep it leave it to `repo policy`."""

    content_type: str = "application/octet-stream"
    cache_control: str = ""


PLAIN = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """One object without its bytes."""

    key: str
    size: int  # bytes
    etag: str  # names this version to `Condition.match`; opaque, never an identity of content
    modified: float  # seconds since 1970
    digest: str | None = None  # "sha256:" + 64 hex when the store itself checked it
    headers: Headers | None = None  # None when the store does not say
    served_at: float | None = None  # the store's clock, seconds since 1970, when it tells


@dataclass(frozen=True, slots=True)
class Blob:
    """An object, or the span of it that was asked for."""

    stat: Stat
    data: bytes = field(repr=False)


class Payload(Protocol):
    """Bytes to be stored, known by size and digest before they are read."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def digest(self) -> str:
        """`sha256:` + 64 hex; a store that can check it refuses other bytes."""

    def open(self) -> BinaryIO:
        """Open the bytes for reading from the start."""


@dataclass(frozen=True, slots=True)
class BytesPayload:
    """Bytes in memory."""

    data: bytes = field(repr=False)
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(self.data))

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Open the bytes."""
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class FilePayload:
    """A file whose size and digest were recorded when it was made."""

    path: Path
    size: int
    digest: str

    def open(self) -> BinaryIO:
        """Open the file."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class Upload:
    """One object to be created."""

    key: str
    payload: Payload
    headers: Headers = PLAIN


class Store(Protocol):
    """Where a repository lies. Keys are checked by `check_key`; all errors are `StoreError`s."""

    @property
    def url(self) -> str:
        """How messages and caches name this store; never holds a secret."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object, or `length` bytes of it from `start`; None when there is none of that key."""

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object without reading it; None when there is none of that key."""

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object whole, durably, and return its new etag.

        Raises:
            ConditionFailedError: `condition` does not hold; nothing was written.
            UncertainError: It may or may not have been written.
        """

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects, each create-only, in parallel where that pays; yields each as it ends.

        Raises:
            StoreError: One of them cannot be stored; what was yielded before stands.
        """

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose key starts with `prefix` and sorts behind `after`, sorted by key."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""


def check_key(key: str) -> str:
    """Return `key`.

    Raises:
        ValueError: A segment is empty, hidden, or has a character that is not safe in every URL and file
        system.
    """
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def is_key(key: str) -> bool:
    """Tell whether every segment is one that is safe in every URL and file system."""
    return all(_SEGMENT.fullmatch(segment) for segment in key.split("/"))


def is_digest(text: str) -> bool:
    """Tell whether a text is `sha256:` + 64 hex."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Return `sha256:` + 64 hex of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def put_each(store: Store, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
    """Serve `put_new` one object after the other."""
    for upload in uploads:
        try:
            store.put(upload.key, upload.payload, headers=upload.headers, condition=CREATE)
        except ConditionFailedError:
            yield upload, Outcome.EXISTS
        except UncertainError:
            yield upload, Outcome.UNCERTAIN
        else:
            yield upload, Outcome.CREATED


def read_chunks(store: Store, key: str, size: int, *, chunk: int = 8 << 20) -> Iterator[bytes]:
    """Yield an object of known size piece by piece, so that large ones never lie in memory whole.

    Raises:
        StoreError: The object is gone or shorter than `size`.
    """
    position = 0
    while position < size:
        blob = store.get(key, start=position, length=min(chunk, size - position))
        if blob is None or not blob.data:
            raise StoreError(short_object(store.url, key, position, size))
        yield blob.data
        position += len(blob.data)


def short_object(url: str, key: str, got: int, want: int) -> Problem:
    """Say that an object ends too early."""
    return Problem(
        what=f"{url}: {key} has {got} bytes where {want} were written",
        fix="run `cosgen repo fsck --deep`, then publish the package again",
        id="CG501",
    )
