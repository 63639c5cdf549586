"""A small derivative whose emitted pipelines run with the real cosgen, and the machines they run on.

Real are cosgen, git, the Docker engine, a registry that asks for a login, and an S3 server. Stood in for are, on
GitHub, what the forge itself does: `actions/upload-artifact`, `upload-pages-artifact` and `download-artifact` (files
on the disk of the test), `docker/login-action` (`docker login` for one job), `setup-python` and `deploy-pages`
(nothing: cosgen is on PATH, and there are no Pages). act knows no `concurrency.queue`, so it runs a copy without
that line. On GitLab nothing is stood in for but the identity token, which a variable holds.
"""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cosgen import __version__
from cosgen.build.archive import open_archive
from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry as RegistryClient
from cosgen.pipeline.actions import shipped_pins
from cosgen.repository.reader import open_repository
from cosgen.storage.open import open_store
from tests.engines import DockerEngine, Registry
from tests.fakes.strict_luet_reader import fetch_package, read
from tests.s3_engines import S3Server

FAKES = Path(__file__).parents[1] / "fakes"
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SOURCE = "https://github.com/acme/my-os"
ROLE = "arn:aws:iam::123456789012:role/publisher"
PATIENCE = 300  # seconds a pipeline may take, before it is killed

# folder -> what it needs, and what its build.yaml says besides
PACKAGES: Mapping[str, tuple[str, str]] = {
    "foundation/packages/base": ("", 'image: "{{ .Values.image }}"\nunpack: true\n'),
    "foundation/packages/toolchain": ("base", "package_dir: /output\n"),
    "foundation/packages/kernel": ("base", "package_dir: /output\n"),
    "packages/library": ("toolchain", "package_dir: /output\n"),
    "packages/app": ("library", "package_dir: /output\n"),
    "packages/branding": ("base", "package_dir: /output\n"),
    "packages/os": ("base kernel app branding", "requires_final_images: true\nunpack: true\n"),
}
NAMES = frozenset(Path(path).name for path in PACKAGES)

CONFIG = """\
version: 1
name: my-os
trees: [foundation/packages, packages]
values: ["values/{{flavor}}-{{arch}}.yaml"]
flavors: [standard]
arches: [x86_64]
registry: {{cache: "{registry}/{name}/cache", images: "{registry}/{name}/os"}}
repository: {{storage: "s3://{bucket}/repo", url: "{endpoint}/{bucket}/repo/r", endpoint: "{endpoint}"}}
channels:
  testing: {{on: {{branch: main}}, keep: {{last: 10}}}}
  stable: {{from: testing, approve: true}}
upgrade: {{package: system/os, client: C}}
signing: {{required: true}}
ci:
  providers: [github, gitlab]
  shape: {shape}
  site: {site}
  workers: 2
  variables: {{COSGEN_BUILD_NETWORK: host, COSGEN_WORKER_PATIENCE: "6", AWS_ENDPOINT_URL_STS: "{endpoint}"}}
  oidc: {{{oidc}}}
site: {{title: My OS}}
"""


class Bell:
    """Every build rings it, so what the engine really runs is counted; it can make one build wait."""

    def __init__(self) -> None:
        """Listen on loopback."""
        self.rung: Counter[str] = Counter()
        self.held = ""
        self.reached = threading.Event()
        self.go = threading.Event()
        bell = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                bell.rung[name] += 1
                if name == bell.held:
                    bell.reached.set()
                    bell.go.wait(PATIENCE)
                with contextlib.suppress(OSError):
                    self.send_response(204)
                    self.end_headers()

            def log_message(self, *arguments: object) -> None:
                del arguments

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def hold(self, name: str) -> None:
        """Make the next build of a package wait until `go` is set."""
        self.held = name
        self.reached.clear()
        self.go.clear()

    def close(self) -> None:
        """End."""
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True, slots=True)
class Machines:
    """What the jobs of a forge reach: an engine, a registry that asks who one is, S3, and the bell."""

    engine: DockerEngine
    registry: Registry
    s3: S3Server
    bell: Bell
    seed: str  # reference of busybox in a registry


@dataclass(slots=True)
class Run:
    """How a run of a pipeline ended."""

    code: int
    text: str
    jobs: dict[str, str] = field(default_factory=dict)  # job id -> what it printed
    built: tuple[str, ...] = ()  # names of packages, as the result records say
    rung: Counter[str] = field(default_factory=Counter)

    def check(self) -> "Run":
        """Fail with everything that was printed when the run is red."""
        assert self.code == 0, self.text[-20_000:]
        return self


class Derivative:
    """The project in its own folder, with its keys and its forge."""

    def __init__(
        self,
        root: Path,
        machines: Machines,
        *,
        name: str,
        shape: str,
        site: str = "pages",
        by_role: bool = False,
    ) -> None:
        """Write it, make and publish its keys, emit its pipelines, commit.

        Args:
            root: An empty folder.
            machines: What its jobs reach.
            name: Of its place in the registry; the same name never twice, or caches mix.
            shape: Of the pipelines.
            site: Where its release documentation goes.
            by_role: Jobs take a role of AWS by their identity, in place of keys.
        """
        self.machines = machines
        self.name = name
        self.by_role = by_role
        self.root, self.state = root / "project", root / "state"
        self.keys = root / "keys"
        self.bucket = machines.s3.new_bucket()
        for folder in (self.root, self.state / "artifacts", self.state / "home"):
            folder.mkdir(parents=True)
        self._write(shape, site)
        self._write_pip()
        if by_role:
            self._set_policy()
        self.cosgen("key", "new", "--output", str(self.keys))
        self.cosgen(
            "key", "publish", *(str(self.keys / "tuf" / f"1.{role}.json") for role in ("root", "targets"))
        )
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", f"{SOURCE}.git")
        self.commit("Start")

    # --- the project -----------------------------------------------------------------------------------

    def _write(self, shape: str, site: str) -> None:
        machines = self.machines
        self.write(
            "cosgen.yaml",
            CONFIG.format(
                registry=machines.registry.address,
                endpoint=machines.s3.endpoint,
                bucket=self.bucket,
                name=self.name,
                shape=shape,
                site=site,
                oidc=f'role: "{ROLE}", region: us-east-1' if self.by_role else "",
            ),
        )
        self.write("values/standard-x86_64.yaml", f"image: {machines.seed}\nbell: {machines.bell.url}\n")
        for folder, (needs, text) in PACKAGES.items():
            self.write_package(folder, needs.split(), text)
        self.write(".gitignore", "".join(f"/{name}\n" for name in ("build", ".gitlab-ci-local")))

    def _set_policy(self) -> None:
        """Let anybody read, as the printed policy says; moto knows no conditions, so nothing is denied."""
        policy = json.loads(self.cosgen("repo", "policy", "--format", "bucket"))
        policy["Statement"] = [item for item in policy["Statement"] if item["Effect"] == "Allow"]
        self.machines.s3.client().put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def _write_pip(self) -> None:
        """Stand in for pip: the version that jobs ask for is there already."""
        pip = self.state / "bin" / "pip"
        pip.parent.mkdir()
        pip.write_text(f'#!/bin/sh\ntest "$*" = "install cosgen=={__version__}" && exec cosgen --version\n')
        pip.chmod(0o755)

    def write_package(self, folder: str, needs: Sequence[str], text: str, version: str = "1.0") -> None:
        """Write a package that rings the bell when it is built, and holds a file of its version."""
        name = Path(folder).name
        requires = "".join(f"  - {{name: {need}, category: system, version: '>=0'}}\n" for need in needs)
        where = "/output" if "package_dir" in text else ""
        steps = (
            f"  - wget -q -O /dev/null {{{{ .Values.bell }}}}/{name}\n"
            f"  - mkdir -p {where}/etc/parts\n"
            f"  - cp part.txt {where}/etc/parts/{name}\n"
        )
        requires = f"requires:\n{requires}" if requires else ""
        self.write(f"{folder}/definition.yaml", f'name: {name}\ncategory: system\nversion: "{version}"\n')
        self.write(f"{folder}/build.yaml", f"{text}{requires}steps:\n{steps}")
        self.write(f"{folder}/part.txt", f"{self.name} {name} {version}\n")

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def commit(self, message: str) -> None:
        """Emit the pipelines, and commit everything."""
        self.cosgen("ci")
        self.git("add", "--all")
        self.git("commit", "-qm", message)
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

    def git(self, *words: str) -> str:
        """Run git in the project."""
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
        done = subprocess.run(
            command, cwd=self.root, check=True, capture_output=True, text=True, env=self.environment
        )
        return done.stdout

    def cosgen(self, *words: str, trusted: bool = True) -> str:
        """Run cosgen as a maintainer does, with the secrets, or as anybody."""
        secrets = self.secrets | self._s3_keys if trusted else {}
        done = subprocess.run(
            [str(BIN / "cosgen"), *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment | secrets,
        )
        assert done.returncode == 0, (
            f"{done.returncode}: cosgen {' '.join(words)}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    # --- what jobs see ---------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What every machine has: programs and an engine. No login, no secret, nothing of this one."""
        return {
            "PATH": f"{self.state / 'bin'}:{BIN}:{os.environ['PATH']}",
            "HOME": str(self.state / "home"),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            **self.machines.engine.environment(),
        }

    @property
    def secrets(self) -> dict[str, str]:
        """What the forge keeps secret: keys of S3 only where jobs do not take a role."""
        user, password = self.machines.registry.login or ("", "")
        secrets = {"COSGEN_REGISTRY_USER": user, "COSGEN_REGISTRY_PASSWORD": password}
        if (key := self.keys / "online.pem").exists():
            secrets["COSGEN_SIGNING_KEY"] = base64.b64encode(key.read_bytes()).decode()
        return secrets | ({} if self.by_role else self._s3_keys)

    @property
    def _s3_keys(self) -> dict[str, str]:
        s3 = self.machines.s3
        return {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}

    # --- GitHub ----------------------------------------------------------------------------------------

    def act(
        self,
        event: str,
        workflow: str,
        *,
        inline: bool = False,
        payload: Mapping[str, object] | None = None,
    ) -> Run:
        """Run a workflow on GitHub, that is act on this machine.

        Args:
            event: What starts it.
            workflow: Name of its file.
            inline: A called workflow will fail; see `_for_act`.
            payload: Of the event.
        """
        self._fresh()
        workflows = self.root / ".github" / "workflows"
        (self.state / f"{workflow}.yml").write_text(_for_act(workflows / f"{workflow}.yml", inline=inline))
        (self.state / "event.json").write_text(json.dumps(payload or {}))
        pins = shipped_pins()
        stands = dict.fromkeys(pins, FAKES / "no_action")
        stands["actions/upload-artifact"] = FAKES / "upload_artifact"
        stands["actions/upload-pages-artifact"] = FAKES / "upload_artifact"
        stands["actions/download-artifact"] = FAKES / "download_artifact"
        stands["docker/login-action"] = FAKES / "registry_login"
        del stands["actions/checkout"]
        command = [str(BIN / "act"), event, "-W", str(self.state / f"{workflow}.yml"), "--no-cache-server"]
        command += ["-P", "ubuntu-24.04=-self-hosted", "--action-cache-path", str(self.state / "cache")]
        command += ["--concurrent-jobs", "4", "--json", "-e", str(self.state / "event.json")]
        for name, folder in stands.items():
            command += ["--local-repository", f"{pins[name].uses}={folder}"]
        ref = f"acme/my-os/.github/workflows/{workflow}.yml@refs/heads/main"
        given = self.environment | {
            "COSGEN_TEST_ARTIFACTS": str(self.state / "artifacts"),
            "GITHUB_WORKFLOW_REF": ref,
        }
        for name, value in given.items():
            command += ["--env", f"{name}={value}"]
        told = {} if event == "pull_request" else self.secrets
        (self.state / "secrets").write_text("".join(f'{name}="{value}"\n' for name, value in told.items()))
        command += ["--secret-file", str(self.state / "secrets")]
        done = self._run(command)
        return self._finish(done, _jobs_of_act(done.stdout))

    # --- GitLab ----------------------------------------------------------------------------------------

    def gitlab(self, tool: Sequence[str], *words: str, **variables: str) -> Run:
        """Run the pipeline on GitLab, that is gitlab-ci-local on this machine."""
        self._fresh()
        shutil.rmtree(self.root / ".gitlab-ci-local", ignore_errors=True)
        command = [*tool, "--force-shell-executor", "--shell-isolation", "--no-color", *words]
        command += ["--no-artifacts-to-source", "--concurrency", "4"]
        given = {
            **self.secrets,
            "DOCKER_CONFIG": ".docker",  # in the folder of the job, so each has only its own login
            "CI_CONFIG_REF_URI": "gitlab.example.org/acme/my-os//.gitlab-ci.yml@refs/heads/main",
            "CI_PROJECT_URL": "https://gitlab.example.org/acme/my-os",
            "GITLAB_CI": "true",
            "COSGEN_AWS_TOKEN": "identity",  # what GitLab gives for `id_tokens`
            **variables,
        }
        for name, value in given.items():
            command += ["--variable", f"{name}={value}"]
        done = self._run(command)
        output = self.root / ".gitlab-ci-local" / "output"
        jobs = (
            {path.stem: path.read_text() for path in sorted(output.glob("*.log"))} if output.is_dir() else {}
        )
        return self._finish(done, jobs)

    # --- both ------------------------------------------------------------------------------------------

    def _fresh(self) -> None:
        """Begin as on machines that nobody used: no images of ours, no kept files; nothing rung yet."""
        shutil.rmtree(self.state / "artifacts", ignore_errors=True)
        (self.state / "artifacts").mkdir()
        prefix = f"{self.machines.registry.address}/{self.name}/"
        with contextlib.closing(self.machines.engine.client()) as client:
            tags = {tag for image in client.images.list() for tag in image.tags if tag.startswith(prefix)}
            for tag in sorted(tags):
                client.images.remove(tag, force=True)
        self.machines.bell.rung.clear()

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["timeout", "-s", "KILL", str(PATIENCE), *command],
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def _finish(self, done: subprocess.CompletedProcess[str], jobs: dict[str, str]) -> Run:
        text = "\n".join(f"── {name}\n{said}" for name, said in jobs.items()) or done.stdout
        places = (self.state / "artifacts", self.root / ".gitlab-ci-local" / "artifacts")
        built = sorted(
            json.loads(path.read_text())["key"].partition("/")[2].partition("@")[0]
            for place in places
            for path in place.rglob("*.result.json")
            if json.loads(path.read_text())["state"] == "built"
        )
        return Run(done.returncode, text, jobs, tuple(built), Counter(self.machines.bell.rung))

    # --- what anybody sees -----------------------------------------------------------------------------

    @property
    def public(self) -> str:
        """Where anybody reads the repository."""
        return f"{self.machines.s3.endpoint}/{self.bucket}/repo"

    def stored_page(self, path: str) -> str:
        """Return a page of the site that lies beside the repository."""
        page = self.machines.s3.client().get_object(Bucket=self.bucket, Key=f"repo/{path}")
        assert page["ContentType"] == "text/html; charset=utf-8"
        return str(page["Body"].read(), "utf-8")

    def state_of(self) -> tuple[int, dict[str, str]]:
        """Return the number of the last commit, and the snapshot of each channel."""
        commit = open_repository(open_store(self.public)).commit
        return commit.seq, {name: channel.snapshot.digest for name, channel in commit.state.channels.items()}

    def tags(self) -> tuple[str, ...]:
        """Return what the cache registry holds."""
        login = self.machines.registry.login
        client = RegistryClient(credentials=lambda _: login)
        return client.list_tags(parse_name(f"{self.machines.registry.address}/{self.name}/cache")[0])

    def installed(self, channel: str) -> dict[str, str]:
        """Return what a client of a channel gets, every byte checked: package -> what its file says."""

        def fetch(name: str) -> bytes:
            with urllib.request.urlopen(f"{self.public}/r/{name}", timeout=30) as answer:
                return bytes(answer.read())

        found = {}
        for package in read(fetch, f"{channel}-standard-x86_64-repository.yaml").packages.values():
            name = str(package.definition["name"])
            with open_archive(io.BytesIO(fetch_package(fetch, package)), "zstd") as tar:
                found[name] = next(
                    _text(tar, info) for info in tar if info.name.endswith(f"etc/parts/{name}")
                )
        return found

    def mirror(self, channel: str) -> None:
        """Copy a channel as a machine does that trusts the root and nothing else."""
        root = str(self.keys / "tuf" / "1.root.json")
        copy = str(self.state / "mirror")
        self.cosgen(
            *("repo", "mirror", copy, "--channel", channel, "--root", root, "--storage", self.public),
            trusted=False,
        )


def _text(tar: tarfile.TarFile, info: tarfile.TarInfo) -> str:
    file = tar.extractfile(info)
    assert file is not None
    return file.read().decode()


def _for_act(path: Path, *, inline: bool) -> str:
    """Return a workflow as act can run it.

    act knows no `concurrency.queue`, and no environments: the secrets of a called workflow's environment
    come by `secrets: inherit`, which only those get whose job has an environment. It ends everything when a
    called workflow fails: `inline` puts the called job in place of the call.
    """
    yaml = YAML(typ="safe", pure=True)
    workflow = yaml.load(path)
    for place in (workflow, *workflow["jobs"].values()):
        place.get("concurrency", {}).pop("queue", None)
    for name, job in workflow["jobs"].items():
        if "uses" not in job:
            continue
        (called,) = yaml.load(path.parent / Path(job["uses"]).name)["jobs"].values()
        if inline:
            workflow["jobs"][name] = _in_place(job, called)
        elif "environment" in called:
            job["secrets"] = "inherit"
    return json.dumps(workflow, indent=1)


def _in_place(call: Mapping[str, Any], called: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(called)
    for name, value in call.get("with", {}).items():
        text = text.replace(f"${{{{ inputs.{name} }}}}", value)
    kept = {key: value for key, value in call.items() if key in ("name", "needs", "if", "strategy")}
    return {**json.loads(text), **kept}


def _jobs_of_act(output: str) -> dict[str, str]:
    """Sort the lines of `act --json` by job; what a job printed and how its steps ended."""
    jobs: dict[str, list[str]] = {}
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            jobs.setdefault("act", []).append(line)
            continue
        jobs.setdefault(event.get("job", "act"), []).append(str(event.get("msg", "")).rstrip("\n"))
    return {name: "\n".join(lines) for name, lines in jobs.items()}


def kill_worker(index: int) -> Path:
    """Kill one worker and all it started with SIGKILL, as a machine that dies; return where it worked."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for pid, words in _processes():
            if "worker" in words and words[words.index("--index") + 1 :][:1] == [str(index)]:
                home = Path(f"/proc/{pid}/cwd").readlink()
                for victim in (pid, *_children(pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                return home
        time.sleep(0.05)
    raise AssertionError(f"no worker {index}")


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode("utf-8", "replace").split("\0")
            if any(word.endswith("/cosgen") for word in words[:2]) and "--index" in words:
                yield int(path.parent.name), words


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *_children(child)]
    return found
