"""Put a built site into a store: what changed is sent, stale pages are deleted, nothing is listed.

`_site/files.json.zst` in the store names every page and its digest, and the commit of the log that the pages
show. It is written twice: before the pages, where all that is under way has no digest, and after them. So
a deployment that was interrupted is finished by the next one, whatever it left behind; a site never goes
back to an older commit; and two that meet tell so instead of mixing their pages unnoticed.

The pages lie beside the repository's own folders, whose names no page may take.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from cosgen.errors import Problem, PublishError
from cosgen.repository import pool
from cosgen.repository.codec import DecodeError, decode, mapping, unpack, whole
from cosgen.site.media import content_type
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    Condition,
    ConditionFailedError,
    FilePayload,
    Headers,
    Store,
    StoreError,
    UncertainError,
    check_key,
)

INDEX = "_site/files.json.zst"
_SCHEMA = 1
_TAKEN = ("r", "x", "a", "_log", "tuf", "_site")  # folders of the repository, and our own
_GONE = "404.html"
_SENDERS = 8
_MOST_BYTES = 256 << 20  # of the index
_TRIES = 5
_ENTRIES = frozenset({"index.html", "packages/index.html", "search-index.json", "feed.xml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployReport:
    """What was done in the store."""

    sent: int  # files
    sent_bytes: int
    deleted: int
    left: int = 0  # stale pages that could not be deleted, and tell now that they are gone
    kept: int  # files that were there already
    newer: bool = False  # a site of a later commit is there, and was left alone


@dataclass(frozen=True, slots=True)
class _Index:
    """What lies in the store; a digest of "" is a file under way."""

    seq: int = -1
    files: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None  # None when there is none yet

    def encode(self) -> bytes:
        data = {"schema": _SCHEMA, "seq": self.seq, "files": self.files}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return zstandard.ZstdCompressor(level=3).compress(text.encode())


def deploy_site(folder: Path, store: Store, seq: int, *, conditions: bool = True) -> DeployReport:
    """Bring a store to the state of a built site.

    Args:
        folder: The site, as `build_site` wrote it.
        store: Where it goes; asked again by itself when an answer is uncertain.
        seq: The commit of the log that the pages show.
        conditions: The store keeps If-Match; else the caller sees to it that nobody else deploys.

    Raises:
        PublishError: A page's name cannot be stored (CG610); another deployment came between (CG611).
    """
    files = _read_site(folder)
    for _ in range(_TRIES):
        before = _read_index(store)
        if before.seq > seq:
            return DeployReport(sent=0, sent_bytes=0, deleted=0, kept=len(before.files), newer=True)
        changed = [path for path, file in files.items() if before.files.get(path) != file.digest]
        stale = [path for path in before.files if path not in files]
        if before.seq == seq and not changed and not stale:
            return DeployReport(sent=0, sent_bytes=0, deleted=0, kept=len(files))
        under_way = _Index(seq, {**before.files, **dict.fromkeys(changed, "")}, before.etag)
        try:
            etag = _write_index(store, under_way, conditions=conditions)
        except ConditionFailedError:
            continue
        _send(store, {path: files[path] for path in changed})
        left = [path for path in stale if not _delete(store, path, files.get(_GONE))]
        now = {path: file.digest for path, file in files.items()} | dict.fromkeys(left, "")
        _finish(store, _Index(seq, now, etag), changed, conditions=conditions)
        size = sum(files[path].size for path in changed)
        return DeployReport(
            sent=len(changed),
            sent_bytes=size,
            deleted=len(stale) - len(left),
            left=len(left),
            kept=len(files) - len(changed),
        )
    raise PublishError(_overtaken(store))


def _read_site(folder: Path) -> dict[str, FilePayload]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    shown = {name: path for name, path in sorted(paths.items()) if not name.startswith(".")}
    problems = [_bad_name(name, why) for name in shown if (why := _refusal(name))]
    if problems:
        raise PublishError(*problems)
    return {name: FilePayload(path, path.stat().st_size, _digest(path)) for name, path in shown.items()}


def _finish(store: Store, index: _Index, sent: Iterable[str], *, conditions: bool) -> None:
    try:
        _write_index(store, index, conditions=conditions)
    except ConditionFailedError as error:
        _disown(store, sent)
        raise PublishError(_overtaken(store)) from error


def _refusal(path: str) -> str:
    if path.partition("/")[0] in _TAKEN:
        return "the repository's own files are in that folder"
    try:
        check_key(path)
    except ValueError:
        return "object stores and web servers do not agree on its characters"
    return ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _read_index(store: Store) -> _Index:
    blob = store.get(INDEX)
    if blob is None:
        return _Index()
    try:
        data = decode(unpack(blob.data, _MOST_BYTES))
        files = {path: str(digest) for path, digest in mapping(data.get("files")).items()}
        return _Index(whole(data.get("seq")), files, blob.stat.etag)
    except DecodeError as error:
        what = f"{store.url}: {INDEX} cannot be read: {error}"
        raise PublishError(Problem(what=what, fix=f"delete {INDEX} and deploy again", id="CG612")) from error


def _write_index(store: Store, index: _Index, *, conditions: bool) -> str:
    condition = CREATE if index.etag is None else Condition(match=index.etag) if conditions else Condition()
    headers = Headers("application/zstd", pool.FRESH)
    return store.put(INDEX, BytesPayload(index.encode()), headers=headers, condition=condition)


def _send(store: Store, files: Mapping[str, FilePayload]) -> None:
    """Send pages first and what leads to them last, so that no link points at a page still to come."""

    def send(path: str) -> None:
        store.put(path, files[path], headers=Headers(content_type(path), pool.VIEW))

    with ThreadPoolExecutor(_SENDERS) as senders:
        for last in (False, True):
            for _ in senders.map(send, [path for path in files if (path in _ENTRIES) is last]):
                pass


def _delete(store: Store, path: str, gone: FilePayload | None) -> bool:
    """Delete a page; where that is refused, as to publishers it may be, let it say that it is gone."""
    try:
        store.delete(path)
    except UncertainError:
        raise
    except StoreError:
        if gone is not None and path.endswith(".html"):
            store.put(path, gone, headers=Headers(content_type(path), pool.VIEW))
        return False
    return True


def _disown(store: Store, paths: Iterable[str]) -> None:
    """Mark pages that went over a later deployment's, so that the next one sends its own again."""
    for _ in range(_TRIES):
        there = _read_index(store)
        marked = {**there.files, **dict.fromkeys(paths, "")}
        try:
            _write_index(store, _Index(there.seq, marked, there.etag), conditions=True)
        except ConditionFailedError:
            continue
        return


def _bad_name(path: str, why: str) -> Problem:
    return Problem(what=f"the page {path} cannot be put beside the repository: {why}",
                   fix="rename it in the --docs folder", id="CG610")  # fmt: skip


def _overtaken(store: Store) -> Problem:
    what = f"{store.url}: another deployment of the site came between"
    return Problem(what=what, fix="run the command again; it sends what is not right", id="CG611")
