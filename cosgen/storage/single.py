"""Conditions for stores that ignore them, kept by looking first: right for one writer, and only for one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cosgen.storage.memory import condition_failed
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
    Store,
    Upload,
    put_each,
)


@dataclass(frozen=True, slots=True)
class SingleWriterStore:
    """A class C store for the one process that writes to it: it reads before it writes."""

    store: Store

    @property
    def url(self) -> str:
        """The url of the store within, marked: what a probe finds here holds for one writer only."""
        return f"{self.store.url} (single writer)"

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        return self.store.get(key, start=start, length=length)

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object."""
        return self.store.head(key)

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object if what is there now fits the condition."""
        if condition != ALWAYS:
            current = self.store.head(key)
            fits = (
                current is None
                if condition.create
                else current is not None and current.etag == condition.match
            )
            if not fits:
                raise ConditionFailedError(condition_failed(self.url, key))
        return self.store.put(key, payload, headers=headers)

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects."""
        return put_each(self, uploads)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield objects by key."""
        return self.store.list(prefix, after=after)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.store.delete(key)
