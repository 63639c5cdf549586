"""Install what `tests/engines.py` starts: Debian packages when root, Node.js tools from their registry.

What cannot be installed is said and passed over; the tests that need it skip (or fail, COSGEN_REQUIRE_ENGINES=1).
Addresses of mirrors and registries come from the machine's own apt and npm settings; none is written here.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests import s3_engines
from tests.engines import (
    ROOT,
    WORK,
    MissingEngine,
    find_chromium,
    find_docker,
    find_or_start_docker,
    find_program,
    start_registry,
)

APT_PACKAGES = {  # program -> Debian package
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
    "rsync": "rsync",
    "busybox": "busybox-static",
    "node": "nodejs",
    "npm": "npm",
    "chromium": "chromium",
}
NODE_SOURCES = ROOT / "tests" / "node"
NODE_BUNDLES = {"workflow-parser.mjs": "workflow-parser.cjs", "tuf-client.mjs": "tuf-client.cjs"}


def install() -> None:
    """Install everything that is missing and can be had."""
    _install_debian_packages(_missing_packages())
    _install_node_tools(WORK / "node")


def _missing_packages() -> list[str]:
    return [package for program, package in APT_PACKAGES.items() if not _is_there(program)]


def _is_there(program: str) -> bool:
    if program == "dockerd" and find_docker():
        return True
    try:
        if program == "chromium":
            find_chromium()
        else:
            find_program(program)
    except MissingEngine:
        return False
    return True


def _install_debian_packages(packages: Sequence[str]) -> None:
    if not packages:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        _say(f"not installed: {' '.join(packages)} (needs root and apt); tests that use them will skip")
        return
    _say(f"installing {' '.join(packages)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    quiet = ("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0")
    subprocess.run([*quiet, "update"], check=False, env=environment, stdout=sys.stderr)
    command = [*quiet, "install", "--yes", "--no-install-recommends", *packages]
    if subprocess.run(command, check=False, env=environment, stdout=sys.stderr).returncode:
        _say(f"apt could not install {' '.join(packages)}; tests that use them will skip")


def _install_node_tools(folder: Path) -> None:
    stamp, wanted = folder / "installed", _digest_of(NODE_SOURCES)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    npm = shutil.which("npm")
    if not npm:
        _say("npm is missing; tests that use Node.js tools will skip")
        return
    _say("installing Node.js tools")
    folder.mkdir(parents=True, exist_ok=True)
    for source in NODE_SOURCES.iterdir():
        shutil.copy(source, folder / source.name)
    command = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--omit=dev",
        "--loglevel=error",
    ]
    if subprocess.run(command, cwd=folder, check=False, stdout=sys.stderr).returncode:
        _say("npm failed; tests that use Node.js tools will skip")
        return
    for script, bundle in NODE_BUNDLES.items():
        _bundle(folder, script, bundle)
    stamp.write_text(wanted)


def _bundle(folder: Path, script: str, bundle: str) -> None:
    """Make one file of a script and what it imports: Node.js 20 cannot import JSON out of packages unbundled."""
    wrapper = f"--banner:js=/* bundled from tests/node/{script} */"
    command = [
        *(str(folder / "node_modules" / ".bin" / "esbuild"), script, "--bundle", "--platform=node"),
        *("--format=cjs", "--target=node20", "--log-level=error", wrapper, f"--outfile={bundle}"),
    ]
    subprocess.run(command, cwd=folder, check=True)


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


STARTERS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "docker": find_or_start_docker,
    "registry": start_registry,
    "seaweedfs": s3_engines.start_seaweedfs,
    "rclone": s3_engines.start_rclone,
}


def run_with(names: Sequence[str], command: Sequence[str]) -> int:
    """Run a command beside engines, which it finds by its environment; return its exit code."""
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        for name in names:
            engine = stack.enter_context(STARTERS[name]())
            if name == "registry":
                environment["COSGEN_TEST_REGISTRY"] = engine.address
            else:
                environment |= engine.environment()
        return subprocess.run(command, check=False, env=environment).returncode


def main(arguments: Sequence[str]) -> int:
    """Run `install`, or `with ENGINE... -- COMMAND...`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine_setup", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    commands.add_parser("install", help="install what is missing")
    beside = commands.add_parser("with", help="run a command beside engines")
    beside.add_argument("engines", nargs="+", choices=sorted(STARTERS))
    cut = list(arguments).index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:cut])
    if options.action == "install":
        install()
        return 0
    command = arguments[cut + 1 :]
    if not command:
        parser.error("give the command after --")
    return run_with(options.engines, command)


def _say(text: str) -> None:
    print(f"engines: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
