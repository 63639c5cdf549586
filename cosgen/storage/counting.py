"""Counts of the requests and bytes that a command cost; reports and tests show them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    Upload,
)

_KEYS_PER_PAGE = 1000  # of S3's ListObjectsV2


@dataclass(slots=True)
class CountingStore:
    """A store that counts what is asked of it, by kind: get, head, put, list (pages), delete."""

    store: Store
    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0  # bytes
    received: int = 0  # bytes

    @property
    def url(self) -> str:
        """The url of the store within."""
        return self.store.url

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read an object or a span of it."""
        self.requests["get"] += 1
        blob = self.store.get(key, start=start, length=length)
        self.received += len(blob.data) if blob else 0
        return blob

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object."""
        self.requests["head"] += 1
        return self.store.head(key)

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write an object."""
        self.requests["put"] += 1
        self.sent += payload.size
        return self.store.put(key, payload, headers=headers, condition=condition)

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many objects."""
        for upload, outcome in self.store.put_new(uploads):
            self.requests["put"] += 1
            self.sent += upload.payload.size
            yield upload, outcome

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield objects by key; a page of a thousand counts as one request."""
        self.requests["list"] += 1
        for count, stat in enumerate(self.store.list(prefix, after=after)):
            if count and count % _KEYS_PER_PAGE == 0:
                self.requests["list"] += 1
            yield stat

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.requests["delete"] += 1
        self.store.delete(key)
