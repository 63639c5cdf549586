"""Uploads: immutable objects, each create-only, resumed by a journal, compared with what is there already."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cosgen.errors import Problem, VerificationError
from cosgen.repository.session import Session
from cosgen.storage.port import Outcome, Store, StoreError, UncertainError, Upload, digest_of, read_chunks

_READS = 4  # attempts at an object whose bytes come back wrong
_DAY = 86400.0  # seconds
_SAMPLE = 4  # objects looked at again on stores that check what they get


@dataclass(slots=True)
class Journal:
    """Keys that an earlier run stored completely; a folder's lost journal costs time, never safety.

    One line per key is appended; a torn last line is ignored. An entry counts only for the digest it names.
    """

    path: Path | None = None
    now: float = 0.0  # seconds since 1970, when this run started
    done: dict[str, str] = field(default_factory=dict)  # key -> digest

    @classmethod
    def open(cls, path: Path, now: float) -> "Journal":
        """Read what a journal has; a missing or damaged one is empty, and so are lines older than a day.

        What was stored a day ago and never committed may have been collected since.
        """
        done: dict[str, str] = {}
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):
                    key, digest, since = json.loads(line)
                    if 0 <= now - float(since) < _DAY:
                        done[str(key)] = str(digest)
        return cls(path, now, done)

    def add(self, upload: Upload) -> None:
        """Note that an object is stored; a journal that cannot be written is given up, with no harm."""
        self.done[upload.key] = upload.payload.digest
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([upload.key, upload.payload.digest, self.now]) + "\n")
        except OSError:
            self.path = None

    def has(self, upload: Upload) -> bool:
        """Tell whether exactly these bytes are stored under that key."""
        return self.done.get(upload.key) == upload.payload.digest

    def close(self) -> None:
        """Remove the journal: everything it helped with is committed."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)


def upload_all(
    session: Session,
    uploads: Iterable[Upload],
    journal: Journal,
    *,
    verify_all: bool,
    note: Callable[[Upload], None] = lambda _: None,
) -> int:
    """Store immutable objects, then look whether they are there; returns how many were sent.

    Args:
        session: The surroundings.
        uploads: What to store; keys that the journal has are left out.
        journal: What is stored already.
        verify_all: Look at every object again, for stores that do not check what they get.
        note: Told of each object when it is stored.

    Raises:
        VerificationError: Other bytes are under one of the keys.
        StoreError: The store refuses, forgets, or keeps silent.
    """
    waiting = {upload.key: upload for upload in uploads if not journal.has(upload)}
    stored: list[Upload] = []
    for upload, outcome in session.patient.put_new(list(waiting.values())):
        if outcome is Outcome.UNCERTAIN:
            raise UncertainError(_silent(session.store.url, upload))
        if outcome is Outcome.EXISTS:
            check_stored(session.patient, upload)
        else:
            stored.append(upload)
        journal.add(upload)
        note(upload)
    for upload in stored if verify_all else _sample(stored):
        _check_remembered(session.patient, upload)
    return len(stored)


def check_stored(store: Store, upload: Upload) -> None:
    """Check that what lies under a key already is what we would have stored.

    Raises:
        VerificationError: It is not.
    """
    why = "is gone again"
    for _ in range(_READS):
        stat = store.head(upload.key)
        if stat is None:
            continue
        if stat.size != upload.payload.size:
            why = f"has {stat.size} bytes, not {upload.payload.size}"
            continue
        if (stat.digest or stored_digest(store, upload.key, stat.size)) == upload.payload.digest:
            return
        why = "has other bytes"
    problem = Problem(
        what=f"{store.url}: {upload.key} {why}, though its name says which bytes it has",
        fix="run `cosgen repo fsck --deep`; remove the damaged object by hand, then publish again",
        id="CG518",
    )
    raise VerificationError(problem)


def stored_digest(store: Store, key: str, size: int) -> str:
    """Return the digest of an object by reading it, "" when it ends early."""
    digest = hashlib.sha256()
    try:
        for chunk in read_chunks(store, key, size):
            digest.update(chunk)
    except UncertainError:
        raise
    except StoreError:
        return ""
    return f"sha256:{digest.hexdigest()}"


def _check_remembered(store: Store, upload: Upload) -> None:
    why = "it is not there"
    for _ in range(_READS):
        stat = store.head(upload.key)
        if stat is None:
            continue
        if stat.size == upload.payload.size and stat.digest in {None, upload.payload.digest}:
            return
        why = f"it has {stat.size} bytes, not {upload.payload.size}, or other ones"
    problem = Problem(
        what=f"{store.url} said that it stored {upload.key}, but {why}",
        fix="do not use this store: nothing was committed, and the channel is as before",
        id="CG519",
    )
    raise StoreError(problem)


def _sample(uploads: list[Upload]) -> list[Upload]:
    """Choose a few objects by the digests themselves: the same every time, and not foreseeable by name."""
    return sorted(uploads, key=lambda upload: digest_of(upload.key.encode()))[:_SAMPLE]


def _silent(url: str, upload: Upload) -> Problem:
    return Problem(
        what=f"{url} does not say whether {upload.key} was stored",
        fix="run the command again when the store answers: it goes on where it was",
        id="CG506",
    )


def batches(uploads: Iterable[Upload], size: int = 1000) -> Iterator[list[Upload]]:
    """Yield uploads in groups."""
    group: list[Upload] = []
    for upload in uploads:
        group.append(upload)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
