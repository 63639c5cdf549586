"""BuildKit through the `docker` command: the SDK has no door to it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from cosgen.build.engine import ImageJob

_PROBE_SECONDS = 20
_GRACE_SECONDS = 5
# From this version on the command needs the buildx plugin for BuildKit; before, it is built in.
_PLUGIN_MAJOR = 23
_OLDEST_MAJOR = 18
_FURTHER_PLACES = ("/usr/bin/docker", "/usr/local/bin/docker")


def find_buildkit(environment: Mapping[str, str], url: str) -> tuple[str, str]:
    """Return the docker command that can drive BuildKit ("" when none) and why it is, or is not, used."""
    reasons = []
    for path in _candidates(environment):
        reason = _why_not(path, environment, url)
        if not reason:
            return path, f"{path} drives it"
        reasons.append(reason)
    return "", "; ".join(reasons) or "there is no docker command"


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    seen = set()
    for path in (shutil.which("docker", path=environment.get("PATH")), *_FURTHER_PLACES):
        if path and os.access(path, os.X_OK) and path not in seen:
            seen.add(path)
            yield path


def _why_not(path: str, environment: Mapping[str, str], url: str) -> str:
    text = _output([path, "version", "--format", "{{json .}}"], environment, url)
    try:
        found = json.loads(text)
        client = int(found["Client"]["Version"].split(".")[0])
        server = int(found["Server"]["Version"].split(".")[0])
    except (ValueError, KeyError, TypeError):
        return f"{path} does not tell its version"
    if min(client, server) < _OLDEST_MAJOR:
        return f"{path} or its engine is too old"
    if client >= _PLUGIN_MAJOR and not _output([path, "buildx", "version"], environment, url):
        return f"{path} lacks the buildx plugin"
    return ""


def _output(words: list[str], environment: Mapping[str, str], url: str) -> str:
    try:
        done = subprocess.run(
            words,
            env=dict(environment) | {"DOCKER_HOST": url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


class BuildkitProcess:
    """One `docker build` under way."""

    def __init__(self, command: str, job: "ImageJob", url: str, environment: Mapping[str, str]) -> None:
        self._words = build_words(command, job)
        self._job = job
        self._environment = dict(environment) | {
            "DOCKER_HOST": url,
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, log: Callable[[str], None]) -> int:
        """Build, tell every line of output, and return the exit code."""
        # A session of its own: Ctrl-C reaches us alone, and we end the build in order.
        with subprocess.Popen(
            self._words,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            self._process = process
            if self._stopped:
                self.stop()
            feeder = threading.Thread(target=self._feed, args=(process,), daemon=True)
            feeder.start()
            try:
                for line in _lines(process):
                    log(line)
            finally:
                if process.poll() is None and self._stopped:
                    process.kill()
                feeder.join()
        return process.returncode

    def stop(self) -> None:
        """Ask the build to end; the engine drops it when the command goes."""
        self._stopped = True
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            threading.Timer(_GRACE_SECONDS, _kill, (process,)).start()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        stdin: IO[bytes] | None = process.stdin
        if stdin is None:
            return
        with contextlib.suppress(BrokenPipeError, OSError), self._job.context() as context:
            shutil.copyfileobj(context, stdin, 1 << 20)
        with contextlib.suppress(BrokenPipeError, OSError):
            stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    if process.stdout is None:
        return
    for line in process.stdout:
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def build_words(command: str, job: "ImageJob") -> list[str]:
    """Return the argument list of a build; the context comes through standard input."""
    words = [command, "build", "--file", job.dockerfile, "--tag", job.tag]
    for name, value in sorted(job.arguments.items()):
        words += ["--build-arg", f"{name}={value}"]
    for name, value in sorted(job.labels.items()):
        words += ["--label", f"{name}={value}"]
    if job.platform:
        words += ["--platform", job.platform]
    if job.network:
        words += ["--network", job.network]
    if job.no_cache:
        words.append("--no-cache")
    return [*words, "-"]
