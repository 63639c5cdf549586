"""`make bench`: run every benchmark, or those whose names hold a word given (`make bench BENCH=ci`).

A benchmark is a script `bench_*.py`, or tests `test_*.py` that print their figures and hold them to bounds.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FULL = {"COSGEN_BENCH_BASES": "100,500,1000"}  # what tests measure in part, to be quick


def main(words: list[str]) -> int:
    """Run the benchmarks in order of name; return 1 when one failed to run."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.name.startswith(("bench_", "test_")))
    chosen = [name for name in names if not words or any(word in name for word in words)]
    if not chosen:
        print(f"no benchmark is named like {words}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}")
    failed = []
    for name in chosen:
        kind, _, title = name.partition("_")
        print(f"\n{title.replace('_', ' ')}", flush=True)
        module = ["pytest", "-q", "-s", str(FOLDER / f"{name}.py")]
        if kind == "bench":
            module = [f"tests.benchmarks.{name}"]
        if subprocess.run([sys.executable, "-m", *module], check=False, env=FULL | os.environ).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
