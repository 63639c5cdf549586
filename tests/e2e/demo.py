"""`make demo`: a small operating system, from nothing to a published channel and its documentation.

Every line that begins with `$` is a command that anybody can run; the demo adds a Docker engine and a registry
where none answers, and a seed image where none can be pulled. All it makes lies in `.demo/`: the project, the
repository and the site are made anew each time, the engine's and registry's caches are kept, so a second run takes
seconds.
"""

import argparse
import base64
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import base_images, engines
from tests.engines import ROOT, DockerEngine, MissingEngine, Registry

COSGEN = Path(sys.executable).with_name("cosgen")
NAME = "my-os"
OUTPUT = "build/standard-x86_64"
TIME = "1767225600"  # SOURCE_DATE_EPOCH: the same input gives the same bytes
IDENTITY = ("-c", "user.name=demo", "-c", "user.email=demo@example.org")
PAINT = sys.stdout.isatty() and "NO_COLOR" not in os.environ


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays: its folders, and the environment of its commands."""

    folder: Path
    registry: str
    seed: str
    environment: dict[str, str]

    @property
    def project(self) -> Path:
        """Return the folder of the project."""
        return self.folder / NAME

    def run(self, *arguments: str, most: int = 40) -> None:
        """Run one command in the project; print it and the first lines of what it says."""
        command = [str(COSGEN), *arguments[1:]] if arguments[0] == "cosgen" else list(arguments)
        print(paint("1", f"\n$ {shlex.join(arguments)}"), flush=True)
        begin = time.monotonic()
        environment = os.environ | self.environment
        process = subprocess.Popen(
            command,
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        count = 0
        for count, line in enumerate(process.stdout, 1):
            if count <= most:
                print(f"  {line}", end="", flush=True)
        if count > most:
            print(f"  … and {count - most} lines more")
        if process.wait():
            sys.exit(f"`{shlex.join(arguments)}` ended with code {process.returncode}")
        print(paint("2", f"  ({time.monotonic() - begin:.1f} s)"), flush=True)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project, and say so."""
        print(paint("2", f"\n  (edits {path})"), flush=True)
        (self.project / path).write_text(text, encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a word in a file of the project."""
        text = (self.project / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new))

    def commit(self, message: str) -> None:
        """Commit everything in the project."""
        for arguments in (("add", "--all"), ("commit", "--quiet", "--message", message)):
            subprocess.run(["git", *IDENTITY, *arguments], cwd=self.project, check=True, env=self._git())

    def _git(self) -> dict[str, str]:
        date = f"{TIME} +0000"
        return dict(os.environ) | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def paint(code: str, text: str) -> str:
    """Color a text for a terminal."""
    return f"\033[{code}m{text}\033[0m" if PAINT else text


def say(text: str) -> None:
    """Print a heading: what comes next, and why."""
    print(paint("1;36", f"\n── {text}"), flush=True)


@contextlib.contextmanager
def set_stage(folder: Path) -> Iterator[Stage]:
    """Find or start engine and registry, get the seed, and clear what the last run left."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (NAME, "repository", "site", "keys", "client", "mirror"):
        shutil.rmtree(folder / name, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(engines.find_or_start_docker(folder / "engine"))
        registry = stack.enter_context(
            engines.start_registry(folder / "registry", port=kept_port(folder / "port"))
        )
        seed = get_seed(engine, registry)
        print(f"engine {engine.host}, registry {registry.address}, seed {seed}")
        environment = engine.environment() | {"SOURCE_DATE_EPOCH": TIME, "COLUMNS": "110"}
        if engine.pid:  # one of ours has no bridge: commands in builds share the machine's network
            environment["COSGEN_BUILD_NETWORK"] = "host"
        yield Stage(folder, registry.address, seed, environment)


def kept_port(file: Path) -> int:
    """Return the port of the last run, so that references stay the same from run to run."""
    port = int(file.read_text()) if file.exists() else engines.free_port()
    file.write_text(f"{port}\n")
    return port


def get_seed(engine: DockerEngine, registry: Registry) -> str:
    """Return a Debian reference; one made on this machine goes to the registry, where it has a digest."""
    reference = base_images.get_debian(engine)
    if reference == base_images.DEBIAN_PULLED:
        return reference
    print(f"{base_images.DEBIAN_PULLED} cannot be pulled here: the seed is made with debootstrap")
    local = f"{registry.address}/seed/debian:bookworm-slim"
    engine.run("tag", reference, local)
    engine.run("push", "--quiet", local)
    return local


def start(stage: Stage) -> None:
    """From nothing to a checked, drawn and planned project with its pipelines."""
    say("A derivative: a foundation tree, an overlay tree, values, channels")
    stage.project.mkdir()
    stage.run(
        *("cosgen", "init", ".", "--seed", stage.seed, "--storage", "../repository"),
        *("--url", "https://repo.example.org", "--registry", f"{stage.registry}/{NAME}"),
    )
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", "."], cwd=stage.project, check=True)
    stage.commit("Start")
    say("What is wrong with it, all at once")
    stage.run("cosgen", "check")
    say("What is built on what")
    stage.run("cosgen", "tree", "graph")
    say("What would be built, and why")
    stage.run("cosgen", "plan")
    say("Its pipelines, for GitHub and GitLab")
    stage.run("cosgen", "ci")
    stage.commit("Add pipelines")
    stage.run("cosgen", "ci", "--check")


def build(stage: Stage) -> None:
    """Build everything; what is there already is found by its input digest."""
    say("Every package: its image, and the artifact extracted from it")
    stage.run("cosgen", "build", "--all", "--pull", "--push")


def publish(stage: Stage) -> None:
    """Signed, to the testing channel, and from there to stable."""
    say("Keys: root and targets stay with people, the online key signs channels")
    stage.run("cosgen", "key", "new", "--output", "../keys")
    stage.run("cosgen", "key", "publish", *(f"../keys/tuf/1.{role}.json" for role in ("root", "targets")))
    online = (stage.folder / "keys" / "online.pem").read_bytes()
    stage.environment["COSGEN_SIGNING_KEY"] = base64.b64encode(online).decode()
    say("Into the repository: a pool, an index, a snapshot; the channel testing points at it")
    stage.run("cosgen", "publish", OUTPUT, "--channel", "testing", "--note", "the first build")
    say("What was tested becomes stable: the same bytes, another pointer")
    stage.run("cosgen", "channel", "promote", "testing", "stable", "--tag", "v1.0.0")
    stage.run("cosgen", "channel", "ls")


def change(stage: Stage) -> None:
    """Change one package; only what needs it is built."""
    say("A change to one package")
    stage.replace("packages/status/status.sh", "failed units", "units have failed")
    stage.replace("packages/status/definition.yaml", "0.1.0", "0.2.0")
    stage.replace("foundation/packages/os/definition.yaml", "1.0.0", "1.1.0")
    stage.commit("Say it better")
    stage.run("cosgen", "plan", "--channel", "testing")
    stage.run("cosgen", "build", "--all", "--pull", "--push")
    stage.run("cosgen", "publish", OUTPUT, "--channel", "testing", "--note", "status says it better")
    say("What stable will get from testing")
    stage.run("cosgen", "repo", "diff", "stable", "testing")


def regret(stage: Stage) -> None:
    """Promote, regret it, go back."""
    say("Promoted too soon? Back to the snapshot before, in one move")
    stage.run("cosgen", "channel", "promote", "testing", "stable", "--tag", "v1.1.0")
    stage.run("cosgen", "channel", "rollback", "stable", "--note", "the new words confuse people")
    stage.run("cosgen", "channel", "show", "stable")
    stage.run("cosgen", "repo", "fsck")


def deliver(stage: Stage) -> None:
    """Give machines what they follow: an image, client files, a verified copy."""
    say("The system as a container image, for machines that upgrade to images")
    stage.run("cosgen", "image", "push", "--channel", "stable")
    say("The files by which machines follow the channel, whatever their client")
    stage.run("cosgen", "repo", "client", "stable", "--output", "../client", most=6)
    say("A machine's own copy of the channel: every signature and every byte verified")
    stage.run(
        "cosgen", "repo", "mirror", "../mirror", "--channel", "stable", "--root", "../keys/tuf/1.root.json"
    )


def document(stage: Stage) -> None:
    """Build the site."""
    say("The release documentation, from what is published alone")
    stage.run("cosgen", "site", "build", "--output", "../site")


STORY = (start, build, publish, change, regret, deliver, document)


def main() -> None:
    """Play the whole story."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where everything goes")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        with set_stage(options.folder.resolve()) as stage:
            for chapter in STORY:
                chapter(stage)
    except MissingEngine as error:
        sys.exit(f"the demo needs a Docker engine and a registry: {error}")
    print(paint("2", f"\n  ({time.monotonic() - begin:.0f} s in all)"))
    site = options.folder.resolve() / "site"
    print(f"\nThe site: {(site / 'index.html').as_uri()}\nor over HTTP: {COSGEN} serve {site}")


if __name__ == "__main__":
    main()
