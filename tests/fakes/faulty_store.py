"""A store over memory that fails on purpose: at one chosen request, or by chance, and lets others run between."""

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from cosgen.errors import Problem
from cosgen.storage.memory import MemoryStore
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
    put_each,
)

T = TypeVar("T")


class Fault(StrEnum):
    """What may happen to a request."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    ERROR_500 = "500"
    SLOW_DOWN = "503"
    LOST_RESPONSE = "lost response"
    DUPLICATE = "duplicate"
    DELAYED = "delayed"
    TRUNCATED = "truncated"
    WRONG_BYTES = "wrong bytes"


class Crashed(BaseException):
    """The process that asked is dead; nothing may catch this."""


@dataclass(slots=True)
class World:
    """Time, the objects, and what is still on its way to them."""

    store: MemoryStore
    time: float = 1_700_000_000.0
    late: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    @classmethod
    def new(cls) -> "World":
        """Make an empty world whose store runs on its time."""
        world = cls(MemoryStore())
        world.store.now = lambda: world.time
        return world

    def now(self) -> float:
        """Seconds since 1970."""
        return self.time

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and late requests arrive."""
        self.time += seconds
        due = [act for at, act in self.late if at <= self.time]
        self.late = [(at, act) for at, act in self.late if at > self.time]
        for act in due:
            with contextlib.suppress(StoreError):
                act()


@dataclass(slots=True)
class FaultyStore:
    """One client's way to the world's store."""

    world: World
    choose: Callable[[str, str], Fault | None]  # kind and key of a request -> what happens to it
    step: Callable[[], None] = lambda: None  # lets others run
    requests: list[tuple[str, str]] = field(default_factory=list)
    writes: int = 0
    delay: float = 400.0  # seconds that a delayed request is late

    @property
    def url(self) -> str:
        return "memory:"

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        fault = self._begin("get", key)
        blob = self._do(fault, lambda: self.world.store.get(key, start=start, length=length), write=False)
        if blob is None:
            return None
        if fault is Fault.TRUNCATED:
            return Blob(blob.stat, blob.data[: len(blob.data) // 2])
        if fault is Fault.WRONG_BYTES:
            return Blob(blob.stat, bytes(byte ^ 1 for byte in blob.data))
        return blob

    def head(self, key: str) -> Stat | None:
        return self._do(self._begin("head", key), lambda: self.world.store.head(key), write=False)

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        fault = self._begin("put", key)
        self.writes += 1
        if fault in {Fault.TRUNCATED, Fault.WRONG_BYTES}:  # the store checks the digest and refuses
            raise UncertainError(_problem("400 the body is not the one announced"))
        return self._do(
            fault,
            lambda: self.world.store.put(key, payload, headers=headers, condition=condition),
            write=True,
        )

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        return put_each(self, uploads)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        fault = self._begin("list", prefix)
        found = self._do(fault, lambda: list(self.world.store.list(prefix, after=after)), write=False)
        if fault in {Fault.TRUNCATED, Fault.WRONG_BYTES, Fault.DELAYED}:
            found = found[: len(found) // 2]  # an eventual listing: some objects are missing from it
        return iter(found)

    def delete(self, key: str) -> None:
        fault = self._begin("delete", key)
        self.writes += 1
        self._do(fault, lambda: self.world.store.delete(key), write=True)

    def _begin(self, kind: str, key: str) -> Fault | None:
        self.step()
        self.requests.append((kind, key))
        return self.choose(kind, key)

    def _do(self, fault: Fault | None, act: Callable[[], T], *, write: bool) -> T:
        match fault:
            case Fault.CRASH_BEFORE:
                raise Crashed
            case Fault.ERROR_500 | Fault.SLOW_DOWN:
                raise UncertainError(_problem(str(fault)))
            case Fault.DELAYED if write:
                self.world.late.append((self.world.time + self.delay, act))
                raise UncertainError(_problem("time-out"))
            case Fault.CRASH_AFTER | Fault.LOST_RESPONSE:
                with contextlib.suppress(StoreError):
                    act()
                if fault is Fault.CRASH_AFTER:
                    raise Crashed
                raise UncertainError(_problem("connection lost"))
            case Fault.DUPLICATE if write:
                result = act()
                with contextlib.suppress(StoreError):
                    act()
                return result
            case _:
                return act()


@dataclass(slots=True)
class Chance:
    """Faults by chance, from a seed."""

    random: random.Random
    rate: float = 0.06

    def __call__(self, kind: str, key: str) -> Fault | None:
        if self.random.random() >= self.rate:
            return None
        return self.random.choice(tuple(Fault))


def _problem(what: str) -> Problem:
    return Problem(what=what, fix="ask again", id="CG506")
