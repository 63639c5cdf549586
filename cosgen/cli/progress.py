"""Progress of long work, on stderr: bars on a terminal, folded groups in CI logs, else plain lines."""

import re
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from typing import TextIO

_MOST_LOG = 200_000  # characters of one log that go into a CI log
_TAIL = 30  # lines of a failed log on a terminal


class PlainProgress:
    """One line per event, for logs that nobody folds."""

    def __init__(self, stream: TextIO, *, verbose: bool = False, quiet: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._quiet = quiet
        self._started: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, total: int) -> None:
        """Learn how many pieces of work there are."""

    def step(self, name: str) -> None:
        """Start a named piece of work."""
        self._started[name] = time.monotonic()
        if self._verbose:
            self._say(f"  {name} …")

    def note(self, text: str) -> None:
        """Say one line."""
        self._say(text)

    def detail(self, text: str) -> None:
        """Say one line to whoever asked for all."""
        if self._verbose:
            self._say(text)

    def done(self, name: str, *, ok: bool = True) -> None:
        """End a named piece of work."""
        seconds = time.monotonic() - self._started.pop(name, time.monotonic())
        self._say(f"{'✓' if ok else '✗'} {name} ({seconds:.1f} s)")

    def log(self, name: str, text: str, *, ok: bool) -> None:
        """Take the whole log of a piece of work."""
        if self._verbose:
            self._say(text.rstrip("\n"))
        elif not ok:
            self._say("\n".join([f"--- end of the log of {name}", *text.splitlines()[-_TAIL:], "---"]))

    def close(self) -> None:
        """Nothing is held open."""

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        with self._lock:
            print(text, file=self._stream, flush=True)


class GithubProgress(PlainProgress):
    """Each log is a group that can be unfolded.

    What builds print may look like a workflow command; commands are switched off around it, by a word that
    a build cannot guess.
    """

    def log(self, name: str, text: str, *, ok: bool) -> None:
        """Print a folded log."""
        word = secrets.token_hex(16)
        flat = " ".join(name.split())
        group = f"::group::{flat}{'' if ok else ' (failed)'}"
        self._say(f"{group}\n::stop-commands::{word}\n{_shorten(text)}\n::{word}::\n::endgroup::")


class GitlabProgress(PlainProgress):
    """Each log is a collapsed section."""

    def log(self, name: str, text: str, *, ok: bool) -> None:
        """Print a folded log; sections that a build's output pretends to open are taken apart."""
        section = re.sub(r"[^a-z0-9_.-]+", "_", name.lower())
        now = int(time.time())
        title = f"{name}{'' if ok else ' (failed)'}"
        body = (
            _shorten(text).replace("section_start:", "section-start:").replace("section_end:", "section-end:")
        )
        fold = "[collapsed=true]" if ok else ""
        self._say(
            f"\x1b[0Ksection_start:{now}:{section}{fold}\r\x1b[0K{title}\n{body}\n"
            f"\x1b[0Ksection_end:{now}:{section}\r\x1b[0K"
        )


class TerminalProgress(PlainProgress):
    """A bar over all the work, and a line for each piece under way."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to import, for terminals only
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

        super().__init__(stream, verbose=verbose)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._all = self._bars.add_task("building", total=None)
        self._tasks: dict[str, object] = {}
        self._bars.start()

    def begin(self, total: int) -> None:
        """Set the length of the bar."""
        self._bars.update(self._all, total=total)

    def step(self, name: str) -> None:
        """Add a line."""
        super().step(name)
        self._tasks[name] = self._bars.add_task(f"  {name}", total=1)

    def done(self, name: str, *, ok: bool = True) -> None:
        """Turn a line into a result above the bar."""
        task = self._tasks.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)  # type: ignore[arg-type]  # TaskID
        self._bars.advance(self._all)
        super().done(name, ok=ok)

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()

    def _say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)


def make_progress(
    environment: Mapping[str, str], *, verbose: bool = False, quiet: bool = False
) -> PlainProgress:
    """Return the progress that fits where standard error goes."""
    stream = sys.stderr
    if quiet:
        return PlainProgress(stream, quiet=True)
    if environment.get("GITHUB_ACTIONS") == "true":
        return GithubProgress(stream, verbose=verbose)
    if environment.get("GITLAB_CI") == "true":
        return GitlabProgress(stream, verbose=verbose)
    if stream.isatty() and environment.get("TERM", "") != "dumb":
        return TerminalProgress(stream, verbose=verbose)
    return PlainProgress(stream, verbose=verbose)


def _shorten(text: str) -> str:
    text = text.rstrip("\n")
    if len(text) <= _MOST_LOG:
        return text
    half = _MOST_LOG // 2
    return f"{text[:half]}\n… {len(text) - _MOST_LOG} characters left out …\n{text[-half:]}"
