"""What benchmarks share: a whole process measured from outside, and one form for the lines they print.

A benchmark is a module `bench_*.py` with a `main()` that prints rows; `make bench` runs them one after another, each
in a process of its own. Figures are compared within one run on one machine: as ratios to a target or to a rival.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COSGEN = Path(sys.executable).with_name("cosgen")


@dataclass(frozen=True, slots=True)
class Run:
    """How one process went."""

    seconds: float  # wall clock
    cpu: float  # seconds of user and system time, children that were waited for included
    memory: int  # peak resident bytes of the process itself
    output: bytes  # standard output


def run_process(
    command: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Run:
    """Run a process to its end and measure it.

    Raises:
        RuntimeError: It did not end with code 0.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, stdout=output, stderr=errors, env=os.environ | dict(environment or {})
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (output, errors):
            stream.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}: {errors.read()[-2000:]!r}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.read())


def run_cosgen(*arguments: str, cwd: Path | None = None) -> Run:
    """Run the installed command in a process of its own."""
    return run_process([COSGEN, *arguments], cwd=cwd)


def best_of(times: int, measure: Callable[[], Run]) -> Run:
    """Measure several times and return the quickest: the one that other work disturbed least."""
    return min((measure() for _ in range(times)), key=lambda run: run.seconds)


def row(name: str, value: float, unit: str, *, target: float | None = None) -> None:
    """Print one figure, and how it stands to its target (1.00 = at the target, less is better)."""
    ratio = "" if target is None else f"{value / target:8.2f} of target {target:g} {unit}"
    print(f"  {name:64} {value:10.3f} {unit:4}{ratio}", flush=True)


def compare(name: str, ours: float, theirs: float, unit: str, *, target: float) -> None:
    """Print our figure as a share of a rival's, and of the share that is the target."""
    share = ours / theirs
    print(
        f"  {name:64} {ours:10.3f} {unit:4}{share:8.3f} of the other's {theirs:.3f} {unit}; "
        f"{share / target:.2f} of target {target:g}",
        flush=True,
    )
