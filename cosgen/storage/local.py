"""A store in a folder: complete files that appear at once, and survive a power cut once they did.

A new object is written to a temporary file, flushed to disk and given its name by link(2), which fails
when the name is taken: create-only and complete in one step. A replacement is renamed into place under a
lock that dies with its process. Any web server can serve the folder; `.cosgen/` in it is the store's own.

Source: POSIX.1-2017, link, rename, fsync; publishing with create-only writes works unchanged on it.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cosgen.errors import Problem
from cosgen.storage.memory import condition_failed, wrong_bytes
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
    put_each,
)

_OWN = ".cosgen"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A folder on a local disk; class A. `durable=False` skips fsync, for throw-away folders."""

    root: Path
    durable: bool = True

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self.root)

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Blob | None:
        """Read a file or a span of it."""
        with _refusals(self.url, key):
            try:
                stream = self._path(key).open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
            with stream:
                stat = _stat(key, os.fstat(stream.fileno()))
                if start:
                    stream.seek(start)
                return Blob(stat, stream.read() if length is None else stream.read(length))

    def head(self, key: str) -> Stat | None:
        """Return size and version of a file."""
        with _refusals(self.url, key):
            try:
                found = self._path(key).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return _stat(key, found)

    def put(
        self, key: str, payload: Payload, *, headers: Headers = PLAIN, condition: Condition = ALWAYS
    ) -> str:
        """Write a file whole and durably; headers are the web server's affair."""
        del headers
        path = self._path(key)
        with _refusals(self.url, key):
            temporary = self._write_temporary(key, payload)
            try:
                self._make_parents(path.parent)
                if condition.create:
                    _link_new(self.url, key, temporary, path)
                else:
                    self._replace(key, temporary, path, condition.match)
                if self.durable:
                    _sync_folder(path.parent)
                return _stat(key, path.stat()).etag
            finally:
                temporary.unlink(missing_ok=True)

    def put_new(self, uploads: Iterable[Upload]) -> Iterator[tuple[Upload, Outcome]]:
        """Create many files."""
        return put_each(self, uploads)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield files by key."""
        folder, _, _ = prefix.rpartition("/")
        for key in sorted(self._walk(folder)):
            if key.startswith(prefix) and key > after:
                stat = self.head(key)
                if stat is not None:
                    yield stat

    def delete(self, key: str) -> None:
        """Remove a file."""
        with _refusals(self.url, key):
            self._path(key).unlink(missing_ok=True)

    def remove_leftovers(self, before: float) -> int:
        """Remove temporary files older than a time (seconds since 1970), left by killed processes."""
        count = 0
        for path in (self.root / _OWN / "tmp").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
        return count

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _walk(self, folder: str) -> Iterator[str]:
        for parent, folders, names in os.walk(self.root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            base = Path(parent).relative_to(self.root).as_posix()
            for name in names:
                if not name.startswith("."):
                    yield name if base == "." else f"{base}/{name}"

    def _write_temporary(self, key: str, payload: Payload) -> Path:
        folder = self.root / _OWN / "tmp"
        self._make_parents(folder)
        temporary = folder / secrets.token_hex(16)
        try:
            with temporary.open("xb") as target, payload.open() as source:
                size, digest = _copy(source, target)
                if self.durable:
                    target.flush()
                    os.fsync(target.fileno())
            _compare(self.url, key, payload, size, digest)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _make_parents(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_parents(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        if self.durable:
            _sync_folder(folder.parent)

    def _replace(self, key: str, temporary: Path, path: Path, match: str | None) -> None:
        with (self.root / _OWN / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it when the process dies
            if match is not None:
                current = self.head(key)
                if current is None or current.etag != match:
                    raise ConditionFailedError(condition_failed(self.url, key))
            temporary.replace(path)


def _link_new(url: str, key: str, temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise ConditionFailedError(condition_failed(url, key)) from error


def _compare(url: str, key: str, payload: Payload, size: int, digest: str) -> None:
    if (size, digest) != (payload.size, payload.digest):
        raise StoreError(wrong_bytes(url, key))


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return size, f"sha256:{digest.hexdigest()}"


def _stat(key: str, found: os.stat_result) -> Stat:
    # The inode number is of use for one moment only, but time and size alone could be the same twice.
    etag = f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
    return Stat(key=key, size=found.st_size, etag=etag, modified=found.st_mtime)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_FIXES = {
    errno.ENOSPC: (
        "there is no space left",
        "free some space, then run the command again: it goes on where it was",
    ),
    errno.EDQUOT: (
        "the quota is used up",
        "free some space, then run the command again: it goes on where it was",
    ),
    errno.EACCES: ("it may not be accessed", "let this user read and write the folder"),
    errno.EPERM: ("the file system does not allow it", "use a file system that has hard links"),
    errno.EROFS: ("the file system is read-only", "mount it for writing, or choose another folder"),
}


@contextlib.contextmanager
def _refusals(url: str, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why, fix = _FIXES.get(error.errno or 0, (str(error), "mend the folder, then run the command again"))
        raise StoreError(Problem(what=f"{url}: {key}: {why}", fix=fix, id="CG504")) from error
