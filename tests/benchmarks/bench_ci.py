"""`cosgen ci` as a whole process: a tree of cOS's size, 3,000 packages cold and unchanged, memory, output size."""

import os
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Run, best_of, row, run_cosgen
from tests.benchmarks.trees import write_project

MIB = 1 << 20


def main() -> None:
    """Print the rows of `cosgen ci`."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch) / "cache")
        os.environ.pop("CI", None)  # in CI nothing is remembered
        small, large, huge = (Path(scratch) / name for name in ("small", "large", "huge"))
        write_project(small, 73)
        write_project(large, 3000)
        write_project(huge, 10_000)

        small_cold = best_of(3, lambda: _cold(small))
        row("cosgen ci, 73 packages, cold", small_cold.seconds, "s", target=0.8)
        cold = _cold(large)
        row("cosgen ci, 3,000 packages, cold", cold.seconds, "s", target=6.0)
        row("cosgen ci, 3,000 packages, cold: peak memory", cold.memory / MIB, "MiB", target=400)
        warm = best_of(2, lambda: run_cosgen("ci", cwd=large))
        row("cosgen ci, 3,000 packages, unchanged", warm.seconds, "s", target=1.5)
        row("cosgen ci, 3,000 packages, unchanged: peak memory", warm.memory / MIB, "MiB", target=400)
        run_cosgen("ci", "--shape", "workers", cwd=huge)
        size = max(path.stat().st_size for path in _emitted(huge))
        row("largest file emitted for 10,000 packages, shape workers", size / 1000, "kB", target=10)


def _cold(project: Path) -> Run:
    """Run with nothing left of earlier runs."""
    caches = (
        Path(os.environ["XDG_CACHE_HOME"]),
        *(project / name for name in (".cosgen", ".github", ".gitlab")),
    )
    for folder in caches:
        shutil.rmtree(folder, ignore_errors=True)
    return run_cosgen("ci", cwd=project)


def _emitted(project: Path) -> list[Path]:
    return [
        path
        for path in (*project.glob(".github/**/*.yml"), *project.glob(".github/**/*.yaml"))
        if path.is_file()
    ]


if __name__ == "__main__":
    main()
