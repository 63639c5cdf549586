"""Patience: how long to wait for a store, and how often to ask it again."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Protocol, TypeVar

from cosgen.storage.port import (
    ALWAYS,
    PLAIN,
    Blob,
    Condition,
    Headers,
    Outcome,
    Payload,
    Stat,
    Store,
    UncertainError,
    Upload,
)

T = TypeVar("T")


class Clock(Protocol):
    """Time as a value, so that tests turn it."""

    def now(self) -> float:
        """Seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits double from `first` to `longest` seconds, each shortened by chance so that crowds spread out."""

    attempts: int = 8
    first: float = 0.1
    longest: float = 8.0
    chance: Callable[[], float] = field(default=SystemRandom().random)

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number `attempt`, counted from 0."""
        return min(self.longest, self.first * 2.0**attempt) * (0.5 + self.chance() / 2)


@dataclass(frozen=True, slots=True)
class PatientStore:
    """A store that asks again when an answer is uncertain. Only for requests that may be repeated safely.

    A create-only `put` whose first attempt landed unnoticed ends as "exists"; callers compare what is there.
    """

    store: Store
    clock: Clock
    patience: Patience = field(default_factory=Patience)

    @property
    def url(self) -> str:
        """The url of the store within."""
        return self.store.url

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        return self._again(lambda: self.store.get(key, start=start, length=length))

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object."""
        return self._again(lambda: self.store.head(key))

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object."""
        return self._again(lambda: self.store.put(key, payload, headers=headers, condition=condition))

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects; those of uncertain outcome are sent again, together."""
        waiting = uploads
        for attempt in range(self.patience.attempts):
            last = attempt + 1 == self.patience.attempts
            uncertain: list[Upload] = []
            for upload, outcome in self.store.put_new(waiting):
                if outcome is Outcome.UNCERTAIN and not last:
                    uncertain.append(upload)
                else:
                    yield upload, outcome
            if not uncertain:
                return
            self.clock.sleep(self.patience.wait(attempt))
            waiting = uncertain

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield objects by key; after a break it goes on behind the last one."""
        attempt = 0
        while True:
            try:
                for stat in self.store.list(prefix, after=after):
                    yield stat
                    after, attempt = stat.key, 0
            except UncertainError:
                attempt += 1
                if attempt >= self.patience.attempts:
                    raise
                self.clock.sleep(self.patience.wait(attempt))
            else:
                return

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._again(lambda: self.store.delete(key))

    def _again(self, request: Callable[[], T]) -> T:
        attempt = 0
        while True:
            try:
                return request()
            except UncertainError:
                attempt += 1
                if attempt >= self.patience.attempts:
                    raise
                self.clock.sleep(self.patience.wait(attempt - 1))
