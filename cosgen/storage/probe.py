"""Find out what a store really does: many answer 200 to a conditional write and overwrite all the same."""

import contextlib
from dataclasses import dataclass
from enum import StrEnum

from cosgen.errors import Problem
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    Condition,
    ConditionFailedError,
    Headers,
    Store,
    StoreError,
    UncertainError,
    digest_of,
)

MAX_SKEW = 600.0  # seconds between the store's clock and ours, before `repo doctor` warns
_READS = 4  # attempts at bytes that come back wrong
_FIRST, _SECOND = b"cosgen probe: one\n", b"cosgen probe: two, of another size\n"
_PROBE_HEADERS = Headers("text/plain", "max-age=31, public")


class StoreClass(StrEnum):
    """Which conditions a store keeps."""

    A = "A"  # create-only and If-Match
    B = "B"  # create-only
    C = "C"  # none: two writers destroy each other's work


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a probe found."""

    store_class: StoreClass
    checks_bodies: bool  # refuses bytes that do not have the announced digest
    keeps_headers: bool | None = None  # None when the store does not tell headers
    skew: float | None = None  # seconds that the store's clock is ahead of ours
    deletes: bool = True  # these credentials may delete; only garbage collection needs it


def probe(store: Store, token: str, *, now: float) -> Capabilities:
    """Try each condition on a key of its own, `_probe/<token>`, and remove it.

    Raises:
        StoreError: The store cannot be written at all.
    """
    key = f"_probe/{token}"
    try:
        store.put(key, BytesPayload(_FIRST), headers=_PROBE_HEADERS, condition=CREATE)
    except ConditionFailedError:
        if not _reads(store, key, _FIRST):  # else it was our own first attempt, whose answer got lost
            raise
    try:
        creates = _refuses(store, key, CREATE)
        matches = _refuses(store, key, Condition(match='"00000000000000000000000000000000"'))
        if creates and matches:
            matches = _replaces(store, key)
        stat = store.head(key)
        checks = _refuses_wrong_bytes(store, key)
    finally:
        deletes = _deletes(store, key)
    return Capabilities(
        store_class=StoreClass.A if creates and matches else StoreClass.B if creates else StoreClass.C,
        checks_bodies=checks,
        keeps_headers=_keeps_headers(stat.headers if stat else None),
        skew=None if stat is None or stat.served_at is None else stat.served_at - now,
        deletes=deletes,
    )


def _refuses(store: Store, key: str, condition: Condition) -> bool:
    try:
        store.put(key, BytesPayload(_SECOND), headers=_PROBE_HEADERS, condition=condition)
    except ConditionFailedError:
        return _reads(store, key, _FIRST)
    except UncertainError:
        raise
    except StoreError:
        return False  # does not know the header at all
    return False


def _replaces(store: Store, key: str) -> bool:
    stat = store.head(key)
    if stat is None or not stat.etag:
        return False
    # When it is refused it may have been our own first attempt, whose answer got lost: the bytes tell.
    with contextlib.suppress(ConditionFailedError):
        store.put(key, BytesPayload(_SECOND), headers=_PROBE_HEADERS, condition=Condition(match=stat.etag))
    return _reads(store, key, _SECOND)


def _refuses_wrong_bytes(store: Store, key: str) -> bool:
    lie = BytesPayload(_FIRST, digest_of(_SECOND))
    try:
        store.put(key, lie)
    except UncertainError:
        raise
    except StoreError:
        return True
    return False


def _reads(store: Store, key: str, data: bytes) -> bool:
    for _ in range(_READS):
        blob = store.get(key)
        if blob is not None and blob.data == data:
            return True
    return False


def _deletes(store: Store, key: str) -> bool:
    try:
        store.delete(key)
    except StoreError:
        return False
    return True


def _keeps_headers(headers: Headers | None) -> bool | None:
    return None if headers is None else headers.cache_control == _PROBE_HEADERS.cache_control


def refuse_class_c(url: str) -> Problem:
    """Say why a store cannot have two publishers."""
    return Problem(
        what=f"{url} answers 200 to create-only writes and overwrites all the same (class C), "
        "so two publishers would destroy each other's work",
        fix="use a store that keeps If-None-Match, or promise with --single-writer to be the only one",
        id="CG509",
    )
