"""Remembers what `cosgen ci` made and from what, so that nothing is rendered again for an unchanged project.

A record holds digests only: of every input the result depends on, and of the files that came out. It is
looked up by the request (options, versions, `SOURCE_DATE_EPOCH`); when the inputs and the files on disk still
have these digests, there is nothing to do. So a record can never put text into a pipeline. It lies outside
the project, may be deleted at any time, and one that cannot be read counts as none.

What is read is hashed again in each run, bytes and all: no time stamp is trusted. Time stamps only keep a
record from being written when something changed while it was made.
"""

import hashlib
import json
import os
import stat
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosgen import __version__

if TYPE_CHECKING:
    from cosgen.manifest.project import Project

SCHEMA = 1
MOST_RECORDS = 200  # older ones are removed
# looked for without being named
_SETTINGS = ("cosgen.yaml", "cosgen.lock", "manifest.yaml", "packages", "values")
_FINE = 20_000_000  # nanoseconds that clocks of file systems lag behind, as Linux's does
_COARSE = 2_000_000_000  # the same where times are whole seconds

Outputs = Mapping[str, Mapping[str, str]]  # provider -> path -> text


@dataclass(frozen=True, slots=True)
class Record:
    """What one run was made from, and what it made."""

    inputs: tuple[str, ...]  # files and folders, relative to the project root, whether they are there or not
    digest: str  # of them
    outputs: Mapping[str, Mapping[str, str]]  # provider -> path -> SHA-256 of its text


@dataclass(frozen=True, slots=True)
class State:
    """How inputs are at one moment."""

    digest: str
    changed: int  # when the last of them changed, in nanoseconds since 1970

    def is_older_than(self, moment: int) -> bool:
        """Tell whether nothing can have changed since a moment, in nanoseconds since 1970."""
        lag = _FINE if self.changed % 1_000_000_000 else _COARSE
        return self.changed + lag < moment


class Memory:
    """The record of one request."""

    def __init__(self, folder: Path, root: Path, request: Mapping[str, object]) -> None:
        """Name the record of a request.

        Args:
            folder: Where records lie; it need not be there yet.
            root: The project's root.
            request: What was asked for, and under which settings; values that JSON knows.
        """
        words = [SCHEMA, str(root), os.path.realpath(root), tool_digest(), sorted(request.items())]
        key = hashlib.sha256(json.dumps(words).encode()).hexdigest()
        self.root = root
        self.path = folder / f"{key}.json"
        self.began = time.time_ns()
        self._inputs: tuple[str, ...] = ()
        self._digest = ""

    def recall(self) -> Record | None:
        """Return the record if the project's inputs are as they were, else None."""
        record = _read(self.path)
        if record is None or inspect(self.root, record.inputs).digest != record.digest:
            return None
        return record

    def survey(self, project: "Project", others: Sequence[str]) -> None:
        """Hash what a project was read from, right after it was read.

        When something changed since this memory was made, nothing is kept: it may have been read before.

        Args:
            project: The project.
            others: Further files that the result depends on, relative to its root.
        """
        inputs = inputs_of(project)
        if inputs is None:
            return
        inputs = tuple(sorted({*inputs, *others}))
        state = inspect(self.root, inputs)
        if state.is_older_than(self.began):
            self._inputs, self._digest = inputs, state.digest

    def keep(self, outputs: Outputs) -> None:
        """Write a record, whole or not at all; a folder that cannot be written to is no fault."""
        if not self._digest:
            return
        document = {
            "inputs": self._inputs,
            "digest": self._digest,
            "outputs": {
                provider: {path: text_digest(text) for path, text in texts.items()}
                for provider, texts in outputs.items()
            },
        }
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_text(json.dumps(document), encoding="ascii")
            part.replace(self.path)
            _remove_oldest(self.path.parent)


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of records, as the XDG base directories say; None where none is wanted.

    CI runs render anew each time: their caches may be shared, and a check must not rest on them.
    """
    if environment.get("CI", "") not in {"", "0", "false"}:
        return None
    base = environment.get("XDG_CACHE_HOME", "")
    home = environment.get("HOME", "")
    if Path(base).is_absolute():
        return Path(base, "cosgen", "ci")
    return Path(home, ".cache", "cosgen", "ci") if Path(home).is_absolute() else None


def inputs_of(project: "Project") -> tuple[str, ...] | None:
    """Name every file and folder that the pipelines of a project can depend on; None when that is not all.

    Functions that a project allows its templates can ask the environment, the network or chance.
    """
    config = project.config
    if config.templates.allow_functions:
        return None
    named = {*config.trees, *project.manifest.origins, *project.sources.values, *project.sources.overlays}
    return tuple(sorted({*_SETTINGS, *named} - {""}))


def matches(
    record: Record, present: Callable[[str], Mapping[str, str]], is_ours: Callable[[str], bool]
) -> bool:
    """Tell whether the files on disk are those of a record, with none of ours beside them.

    Args:
        record: What was made.
        present: Returns path -> text of the files that are there, by provider.
        is_ours: Tells of a text whether cosgen made it.
    """
    for provider, wanted in record.outputs.items():
        found = present(provider)
        same = all(path in found and text_digest(found[path]) == digest for path, digest in wanted.items())
        if not same or any(is_ours(text) for path, text in found.items() if path not in wanted):
            return False
    return True


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def tool_digest() -> str:
    """Return what tells this installation from others: code of cosgen, Python, installed packages."""
    folders = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    words: list[object] = [__version__, sys.version, sys.platform]
    for folder in folders:
        with suppress(OSError):
            words.append(sorted(name for name in os.listdir(folder) if name.endswith("-info")))  # noqa: PTH208 - a path for each of some hundred names is slow
    code = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - as above
    words.append([code, sorted(_code(code))])
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _code(folder: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _code(entry.path)
            else:
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns


def inspect(root: Path, inputs: Sequence[str]) -> State:
    """Hash files and folders whole: names, kinds, modes, contents, and where links lead."""
    survey = _Survey()
    survey.add(os.path.realpath(root), "root")
    for name in inputs:
        survey.look(os.path.join(root, name), name)  # noqa: PTH118 - names may be absolute or lead upwards
    return State(survey.digest.hexdigest(), survey.changed)


class _Survey:
    """Feeds one digest with records of four fields; no field holds a NUL, so that none runs into the next."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.changed = 0

    def add(self, *fields: str) -> None:
        """Add a record."""
        line = "\0".join([*fields, *[""] * (4 - len(fields)), ""])
        self.digest.update(line.encode("utf-8", "surrogateescape"))

    def look(self, path: str, name: str) -> None:
        """Add what a path leads to, links followed, and all below it."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - thousands of files: a Path for each is slow
        except OSError as error:
            self.add(name, "none", str(error.errno))
            self._date_parent(path)
            return
        self.add(name, "at", os.path.realpath(path))
        if stat.S_ISDIR(mode):
            self._folder(path, name)
        else:
            self._file(path, name, regular=stat.S_ISREG(mode))

    def _date_parent(self, path: str) -> None:
        while not os.path.isdir(path):  # noqa: PTH112 - as above
            path = os.path.dirname(path) or os.curdir  # noqa: PTH120 - as above
        self._date(path)

    def _date(self, path: str) -> int:
        """Take in when something last changed; call it after reading. Return its mode."""
        status = os.stat(path)  # noqa: PTH116 - as above
        self.changed = max(self.changed, status.st_ctime_ns)
        return status.st_mode

    def _folder(self, path: str, name: str) -> None:
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            self.add(name, "folder", f"{self._date(path):o}")
        except OSError as error:
            self.add(name, "closed", str(error.errno))
            self._date_parent(os.path.dirname(path))  # noqa: PTH120 - as above
            return
        for entry in entries:
            below = f"{name}/{entry.name}"
            if entry.is_symlink():
                self._link(entry.path, below)
            elif entry.is_dir(follow_symlinks=False):
                self._folder(entry.path, below)
            else:
                self._file(entry.path, below, regular=entry.is_file(follow_symlinks=False))

    def _link(self, path: str, name: str) -> None:
        status = os.lstat(path)
        self.changed = max(self.changed, status.st_ctime_ns)
        self.add(name, "link", os.readlink(path), os.path.realpath(path))  # noqa: PTH115 - as above
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - as above
        except OSError as error:
            self.add(name, "broken", str(error.errno))
            return
        if stat.S_ISREG(mode):
            self._file(path, name, regular=True)
        else:
            self.add(name, "to", str(stat.S_IFMT(mode)))

    def _file(self, path: str, name: str, *, regular: bool) -> None:
        content = ""
        try:
            if regular:
                with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - as above
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
            self.add(name, "file" if regular else "other", f"{self._date(path):o}", content)
        except OSError as error:
            self.add(name, "unreadable", str(error.errno))


def _read(path: Path) -> Record | None:
    """Return a record, or None when there is none that can be trusted to be whole."""
    try:
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_size > 1_000_000:
            return None
        document = json.loads(path.read_bytes())
        record = Record(
            inputs=tuple(map(_text, document["inputs"])),
            digest=_text(document["digest"]),
            outputs={
                _text(provider): {_text(name): _text(digest) for name, digest in files.items()}
                for provider, files in document["outputs"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if record.inputs and record.outputs and all(record.outputs.values()) else None


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text")
    return value


def _remove_oldest(folder: Path) -> None:
    records = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in records[: max(len(records) - MOST_RECORDS, 0)]:
        path.unlink(missing_ok=True)
