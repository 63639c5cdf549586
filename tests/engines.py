"""Real engines for the tests: Docker, a registry, S3 servers, Node.js tools, a browser.

In a test, ask for a fixture of `tests/conftest.py`; each is made once per session (per xdist worker):

    docker_engine   DockerEngine: `.host` for DOCKER_HOST, `.client()` (docker SDK), `.environment()`
    registry        Registry: `.address` such as "127.0.0.1:41234" (plain HTTP, deletes allowed)
    seaweedfs, moto_s3, rclone_s3
                    S3Server: `.endpoint`, `.environment()` (AWS_* variables), `.client()` (boto3), `.new_bucket()`
    busybox_image   "cosgen/busybox:test" in the engine: a shell, 2 MB, no network needed
    debian_image    a Debian bookworm reference in the engine in which `apt-get` works with host networking
    node_tool       node_tool("gitlab-ci-local") -> argument list to run it; see NODE_TOOLS
    chromium        path of a Chromium for playwright (`launch(executable_path=..., args=["--no-sandbox"])`)

A test that breaks its engine (kills it, fills its disk) starts its own, with the context managers below:

    with start_docker(tmp_path) as engine, start_registry(tmp_path / "registry", port=port) as registry: ...

What cannot run here raises `MissingEngine`: the fixture skips, or fails when COSGEN_REQUIRE_ENGINES=1. An
engine that already answers at DOCKER_HOST or the default socket is used and left alone. Whatever is started
here listens on loopback and is ended by its own process id.

From a shell, `python -m tests.engine_setup install` sets up what is missing (apt as root on Debian and its kin, npm),
and `python -m tests.engine_setup with docker registry seaweedfs -- COMMAND` runs a command beside engines, telling it
where they are by DOCKER_HOST, COSGEN_TEST_REGISTRY and AWS_*.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".engines"  # git-ignored: Node.js tools
SCRATCH_PREFIX = "cosgen-engine-"  # short paths under the temporary folder: Unix sockets allow 107 bytes
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PR_SET_PDEATHSIG = 1  # prctl(2): a signal for the child when its parent dies


class MissingEngine(Exception):  # noqa: N818 (it is a fact about the machine, not an error)
    """An engine cannot run on this machine; the text says why and what would help."""


# --- Processes -----------------------------------------------------------------------------------------


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_program(name: str) -> str:
    """Find a program beside this Python, then on PATH and in the system folders."""
    places = (Path(sys.executable).parent, *os.get_exec_path(), "/usr/sbin", "/usr/bin")
    found = shutil.which(name, path=os.pathsep.join(str(place) for place in places))
    if not found:
        raise MissingEngine(f"{name} is not installed (`python -m tests.engine_setup install` as root)")
    return found


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    patience: float = STOP_SECONDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it is ended by its process id, and with us when we are killed.

    Args:
        arguments: The command line.
        log: File that takes what it prints.
        is_ready: Asked until it says yes, for START_SECONDS at most.
        environment: Variables on top of ours.
        patience: Seconds that it gets to end by itself; 0 for servers whose data is thrown away.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ) | dict(environment or {}),
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (one prctl call, safe between fork and exec)
        )
    try:
        _wait_until_ready(process, is_ready, log)
        yield process
    finally:
        stop(process, patience)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise MissingEngine(f"{process.args!r} did not start:\n{tail}")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], patience: float = STOP_SECONDS) -> None:
    """End one process: politely, then by force."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers, with whatever status."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a short-named folder, removed at the end with whatever an engine left mounted in it."""
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
    try:
        yield folder
    finally:
        remove_engine_folder(folder)


def remove_engine_folder(folder: Path) -> None:
    """Unmount what is mounted beneath a folder, then remove it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


# --- Docker --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A Docker engine that answers at `host`; `pid` and `data` are None when it is not ours."""

    host: str
    pid: int | None = None
    data: Path | None = None

    def client(self) -> Any:
        """Return a client of the docker SDK."""
        import docker

        return docker.DockerClient(base_url=self.host, timeout=600)

    def environment(self) -> dict[str, str]:
        """Return the variables by which programs find this engine."""
        return {"DOCKER_HOST": self.host}

    def run(self, *arguments: str) -> str:
        """Run the docker command line against this engine and return what it printed."""
        command = [find_docker_cli(), *arguments]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | self.environment()
        )
        return done.stdout


def find_docker_cli() -> str:
    """Find a docker command line that can talk to BuildKit: Debian's own knows how without a plugin."""
    return "/usr/bin/docker" if Path("/usr/bin/docker").exists() else find_program("docker")


def find_docker() -> DockerEngine | None:
    """Return an engine that answers already, at DOCKER_HOST or at the default socket."""
    for host in filter(None, (os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock")):
        if _docker_answers(host):
            return DockerEngine(host)
    return None


def _docker_answers(host: str) -> bool:
    import docker

    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        return False
    try:
        client = docker.DockerClient(base_url=host, timeout=5)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()


@contextlib.contextmanager
def start_docker(data: Path | None = None) -> Iterator[DockerEngine]:
    """Start an engine of our own: own socket, no bridge, no firewall rules (builds use host networking or none).

    Args:
        data: Where its images live; a folder that is kept makes the next start warm. None: removed at the end.
    """
    if os.geteuid() != 0:
        raise MissingEngine("a Docker engine of our own needs root; or set DOCKER_HOST to one that runs")
    program = find_program("dockerd")
    with scratch_folder() as scratch:
        host = f"unix://{scratch}/docker.sock"
        kept = data or scratch / "data"
        kept.mkdir(parents=True, exist_ok=True)
        arguments = [
            *(program, "--iptables=false", "--ip6tables=false", "--bridge=none", "--host", host),
            *("--data-root", str(kept), "--exec-root", str(scratch / "exec")),
            *("--pidfile", str(scratch / "docker.pid"), "--config-file", str(scratch / "none.json")),
        ]
        (scratch / "none.json").write_text("{}")
        with running(arguments, log=scratch / "log", is_ready=lambda: _docker_answers(host)) as process:
            yield DockerEngine(host, process.pid, kept)


@contextlib.contextmanager
def find_or_start_docker(data: Path | None = None) -> Iterator[DockerEngine]:
    """Use an engine that answers already, else start one."""
    found = find_docker()
    if found:
        yield found
        return
    with start_docker(data) as engine:
        yield engine


# --- Registry ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registry:
    """A container registry on loopback, plain HTTP."""

    address: str  # host:port
    folder: Path
    pid: int
    login: tuple[str, str] | None = None  # user and password, when it asks for them

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{self.address}"


REGISTRY_LOGIN = ("robot", "correct horse")
_PASSWORDS = "robot:$2b$04$1n2GtIj6EQhpeam/v76xFe3Eq3sor6KzdeTQldM.Sz.3hHN5HKNEm\n"  # bcrypt of it, cost 4


@contextlib.contextmanager
def start_registry(folder: Path | None = None, *, port: int = 0, locked: bool = False) -> Iterator[Registry]:
    """Start docker-registry; with the same folder and port it comes back as it was.

    Args:
        folder: Where it keeps its blobs; None: removed at the end.
        port: Where it listens; 0 for any.
        locked: It asks for REGISTRY_LOGIN, for reading too.
    """
    program = find_program("docker-registry")
    with scratch_folder() as scratch:
        store = folder or scratch / "registry"
        store.mkdir(parents=True, exist_ok=True)
        address = f"127.0.0.1:{port or free_port()}"
        config = scratch / "registry.yml"
        config.write_text(
            "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n"
            f'storage:\n  filesystem: {{rootdirectory: "{store}"}}\n  delete: {{enabled: true}}\n'
            f'http: {{addr: "{address}"}}\n'
        )
        if locked:
            (scratch / "passwords").write_text(_PASSWORDS)
            with config.open("a") as file:
                file.write(f'auth:\n  htpasswd: {{realm: tests, path: "{scratch}/passwords"}}\n')
        arguments = [program, "serve", str(config)]
        url = f"http://{address}/v2/"
        with running(arguments, log=scratch / "log", is_ready=lambda: answers(url)) as process:
            yield Registry(address, store, process.pid, REGISTRY_LOGIN if locked else None)


# --- Node.js tools and the browser ---------------------------------------------------------------------

NODE_TOOLS = {  # name -> script or file, below .engines/node
    "gitlab-ci-local": "node_modules/gitlab-ci-local/dist/index.js",
    "workflow-parser": "workflow-parser.cjs",  # WORKFLOW... -> JSON {file: [problems]}, exit 1 when there are any
    "tuf-client": "tuf-client.cjs",  # --root --metadata-url --target-url --folder [TARGET...]
    "axe": "node_modules/axe-core/axe.min.js",  # a script to load into a page, not a program
}


@functools.cache
def node_tool(name: str) -> tuple[str, ...]:
    """Return the command that runs a Node.js tool; for "axe", the path of the script."""
    path = WORK / "node" / NODE_TOOLS[name]
    if not path.exists():
        raise MissingEngine(f"{name} is not installed (`python -m tests.engine_setup install`)")
    return (str(path),) if name == "axe" else (find_program("node"), str(path))


def find_chromium() -> str:
    """Find a Chromium or Chrome that is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"):
        with contextlib.suppress(MissingEngine):
            return find_program(name)
    raise MissingEngine("no Chromium is installed (`python -m tests.engine_setup install` as root)")
