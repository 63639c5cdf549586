"""A store in memory: the model that the other stores are compared with, and what tests run on."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from cosgen.errors import Problem
from cosgen.storage.port import (
    ALWAYS,
    PLAIN,
    Blob,
    Condition,
    ConditionFailedError,
    Headers,
    Outcome,
    Payload,
    Stat,
    StoreError,
    Upload,
    check_key,
    digest_of,
    put_each,
)


@dataclass(slots=True)
class MemoryStore:
    """Objects in a dictionary. Safe to share between threads; class A."""

    now: Callable[[], float] = time.time
    url: str = "memory:"
    objects: dict[str, Blob] = field(default_factory=dict)
    _writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        blob = self.objects.get(check_key(key))
        if blob is None:
            return None
        end = None if length is None else start + length
        return Blob(self._served(blob), blob.data[start:end])

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object."""
        blob = self.objects.get(check_key(key))
        return self._served(blob) if blob else None

    def _served(self, blob: Blob) -> Stat:
        return replace(blob.stat, served_at=self.now())

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object, after checking its digest and the condition."""
        with payload.open() as stream:
            data = stream.read()
        if digest_of(data) != payload.digest:
            raise StoreError(wrong_bytes(self.url, key))
        with self._lock:
            current = self.objects.get(check_key(key))
            _check(self.url, key, current, condition)
            self._writes += 1
            stat = Stat(
                key=key,
                size=len(data),
                etag=f'"{self._writes}"',
                modified=self.now(),
                digest=payload.digest,
                headers=headers,
            )
            self.objects[key] = Blob(stat, data)
            return stat.etag

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects."""
        return put_each(self, uploads)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield objects by key."""
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > after:
                yield self.objects[key].stat

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._lock:
            self.objects.pop(check_key(key), None)


def _check(url: str, key: str, current: Blob | None, condition: Condition) -> None:
    if condition.create and current is not None:
        raise ConditionFailedError(condition_failed(url, key))
    if condition.match is not None and (current is None or current.stat.etag != condition.match):
        raise ConditionFailedError(condition_failed(url, key))


def condition_failed(url: str, key: str) -> Problem:
    """Say that somebody else wrote first."""
    return Problem(
        what=f"{url}: {key} was written by somebody else meanwhile",
        fix="run the command again; nothing was overwritten",
        id="CG502",
    )


def wrong_bytes(url: str, key: str) -> Problem:
    """Say that a store got other bytes than announced."""
    return Problem(
        what=f"{url}: the bytes sent for {key} are not those of its digest",
        fix="the file changed after it was built, or the network harmed it: build or fetch it again",
        id="CG503",
    )
