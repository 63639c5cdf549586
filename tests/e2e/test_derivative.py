"""A derivative on a published foundation, from `cosgen init --from` to a container that follows its channel.

Real are the registry, the S3 server, the engine, act and gitlab-ci-local. Stood in for is what the forge itself does: its artifact
actions are files on the disk, logins and the installation of cosgen do nothing.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry as Client
from cosgen.pipeline.actions import shipped_pins
from cosgen.repository.reader import open_repository
from cosgen.storage.open import open_store
from tests.e2e.recorded import BIN, FAKES, require_act
from tests.engines import DockerEngine, Registry
from tests.s3_engines import S3Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NodeTool = Callable[[str], tuple[str, ...]]
ON_BASE = '[{name: base, category: distro, version: ">=0"}]'


@dataclass(frozen=True)
class World:
    """A bucket, a registry, an engine, and where projects lie."""

    root: Path
    engine: DockerEngine
    registry: str
    s3: S3Server
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.engine.environment(),
            **self.s3.environment(),
            "COSGEN_BUILD_NETWORK": "host",
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "SOURCE_DATE_EPOCH": "1767225600",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "GITHUB_ACTIONS": "",
        }

    def forget(self, repository: str) -> None:
        """Take all images of a repository out of the engine."""
        listed = self.engine.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).split()
        named = [name for name in listed if not name.endswith(":<none>")]
        if named:
            self.engine.run("image", "rm", "--force", *named)

    def url(self, name: str) -> str:
        return f"{self.s3.endpoint}/{self.bucket}/{name}"


class Project:
    """A project in a folder, and its commands."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.root = world, name, world.root / name
        self.images = f"{world.registry}/{name}/os"

    def run(self, *words: str, code: int = 0) -> str:
        """Run cosgen in the project; return what it printed."""
        self.root.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(BIN / "cosgen"), *words],
            cwd=self.root,
            env=self.world.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def package(
        self, name: str, category: str, build: str, definition: str = "", version: str = "1.0"
    ) -> None:
        folder = self.root / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "definition.yaml").write_text(
            f'name: {name}\ncategory: {category}\nversion: "{version}"\n{definition}'
        )
        (folder / "build.yaml").write_text(build)

    def build(self) -> tuple[dict[str, str], set[str]]:
        """Build everything; return what became of each package, and whose images were built."""
        self.run("build", "--all", "--pull", "--push", "--summary", "build/summary.json")
        summary = json.loads((self.root / "build" / "summary.json").read_text())
        report = summary["variants"][0] if "variants" in summary else summary
        packages = {item["human"]: item["status"] for item in report["packages"]}
        return packages, {item["package"] for item in report["images"] if item["how"] == "built"}

    def publish(self, note: str) -> None:
        variant = next(path for path in (self.root / "build").iterdir() if path.is_dir())
        self.run("publish", str(variant), "--channel", "testing", "--note", note)

    def tag(self, tag: str) -> str | None:
        return Client().find_digest(parse_name(self.images)[0], tag)

    def in_container(self, tag: str, *words: str) -> str:
        """Run a command in a container of an image of the project."""
        self.world.engine.run("pull", "--quiet", f"{self.images}:{tag}")
        return self.world.engine.run("run", "--rm", "--network=none", f"{self.images}:{tag}", *words)


@pytest.fixture
def world(
    tmp_path: Path, docker_engine: DockerEngine, registry: Registry, seaweedfs: S3Server, busybox_image: str
) -> Iterator[World]:
    seed = f"{registry.address}/derive/busybox:1"
    docker_engine.run("tag", busybox_image, seed)
    docker_engine.run("push", "--quiet", seed)
    made = World(tmp_path, docker_engine, registry.address, seaweedfs, seaweedfs.new_bucket())
    yield made
    for name in ("cos", "acme"):
        made.forget(f"{made.registry}/{name}/cache")
        made.forget(f"{made.registry}/{name}/os")


@pytest.fixture
def foundation(world: World) -> Project:
    """A foundation, built, published and forgotten by the engine."""
    project = Project(world, "cos")
    project.root.mkdir()
    cache = f"{world.registry}/cos/cache"
    (project.root / "cosgen.yaml").write_text(
        f"version: 1\nname: cos\nregistry: {{cache: {cache}}}\nupgrade: {{package: system/os}}\n"
        f"repository: {{storage: 's3://{world.bucket}/cos', url: '{world.url('cos')}'}}\n"
        "channels: {testing: {on: {branch: main}}}\n"
    )
    project.package(
        "base",
        "distro",
        f"image: {world.registry}/derive/busybox:1\nsteps: [echo base > /etc/base]\nunpack: true\n",
    )
    for name in ("lib", "release"):
        steps = f"[mkdir -p /output/etc, echo {name} of cos > /output/etc/{name}]"
        build = f"requires: {ON_BASE}\nsteps: {steps}\npackage_dir: /output\n"
        project.package(name, "system", build, f"requires: {ON_BASE}\n")
    joined = "".join(
        f'  - {{name: {name}, category: {category}, version: ">=0"}}\n'
        for name, category in (("base", "distro"), ("lib", "system"), ("release", "system"))
    )
    project.package("os", "system", f"requires_final_images: true\nrequires:\n{joined}unpack: true\n")
    project.run("lock")
    packages, built = project.build()
    assert built == {"distro/base", "system/lib", "system/release", "system/os"}, packages
    project.publish("the foundation")
    world.forget(cache)
    return project


def start(world: World, foundation: Project) -> Project:
    """Start a derivative, add two packages, override one, take the rest."""
    own = Project(world, "acme")
    foundation.run(
        *("init", str(own.root), "--from", world.url("cos"), "--registry", f"{world.registry}/acme"),
        *("--storage", f"s3://{world.bucket}/acme", "--url", world.url("acme")),
    )
    config = (own.root / "cosgen.yaml").read_text()
    assert f"cache: {world.registry}/acme/cache" in config
    (own.root / "cosgen.yaml").write_text(
        config.replace(f"images: {world.registry}/acme ", f"images: {own.images} ")
        .replace("shape: auto", "shape: static")
        .replace(
            "providers: [github, gitlab]",
            "providers: [github, gitlab]\n  variables: {COSGEN_BUILD_NETWORK: host}",
        )
    )
    above = 'requires: [{name: lib, category: system, version: ">=0"}]\n'
    steps = "steps: [mkdir -p /output/etc, cat /etc/base > /output/etc/tool, echo tool >> /output/etc/tool]\n"
    own.package("tool", "apps", f"requires: {ON_BASE}\n{steps}package_dir: /output\n", above)
    steps = "steps: [mkdir -p /output/etc, echo release of acme > /output/etc/release]\n"
    build = f"requires: {ON_BASE}\n{steps}package_dir: /output\n"
    own.package("release", "system", build, f"override: true\nrequires: {ON_BASE}\n", version="2.0")
    system = own.root / "packages" / "os" / "build.yaml"
    wanted = yaml.safe_load(system.read_text())
    wanted["requires"] = [
        {"name": name, "category": category, "version": ">=0"}
        for name, category in (("hello", "apps"), ("tool", "apps"), ("release", "system"))
    ]
    system.write_text(yaml.safe_dump(wanted))
    own.run("lock")
    own.run("check", "--strict")
    own.run("ci")
    return own


def commit(project: Project, message: str) -> None:
    git = ["git", "-C", str(project.root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    if not (project.root / ".git").exists():
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "remote", "add", "origin", "https://github.com/acme/os.git"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", message], check=True)


def act(project: Project, event: str, workflow: str) -> str:
    """Run one of the project's workflows; return what it printed."""
    state = project.world.root / "state"
    (state / "artifacts").mkdir(parents=True, exist_ok=True)
    path = project.root / ".github" / "workflows" / f"{workflow}.yml"
    copy = state / f"{workflow}.yml"
    copy.write_text("".join(line for line in path.open() if line.strip() != "queue: max"))
    pins = shipped_pins()
    stands = dict.fromkeys(pins, FAKES / "no_action")
    stands["actions/upload-artifact"] = stands["actions/upload-pages-artifact"] = FAKES / "upload_artifact"
    stands["actions/download-artifact"] = FAKES / "download_artifact"
    del stands["actions/checkout"]
    environment = pipeline_environment(project) | {"COSGEN_TEST_ARTIFACTS": str(state / "artifacts")}
    command = [str(BIN / "act"), event, "-W", str(copy), "--no-cache-server"]
    command += ["-P", "ubuntu-24.04=-self-hosted", "--action-cache-path", str(state / "actions")]
    for name, folder in stands.items():
        command += ["--local-repository", f"{pins[name].uses}={folder}"]
    told = ("PATH", "XDG_CACHE_HOME", "COSGEN_TEST_ARTIFACTS", *project.world.s3.environment(), "DOCKER_HOST")
    for name in told:
        command += ["--env", f"{name}={environment[name]}"]
    reference = f"acme/os/.github/workflows/{workflow}.yml@refs/heads/main"  # act does not tell it
    command += ["--env", f"GITHUB_WORKFLOW_REF={reference}"]
    return run_bounded(project, command, environment)


def gitlab(project: Project, tool: Sequence[str]) -> str:
    """Run what a push starts on GitLab; return what the jobs printed."""
    command = [*tool, "--force-shell-executor", "--shell-isolation", "--no-color", "--no-artifacts-to-source"]
    given = {
        **project.world.s3.environment(),
        "CI_PIPELINE_SOURCE": "push",
        "CI_CONFIG_REF_URI": "gitlab.example.org/acme/os//.gitlab-ci.yml@refs/heads/main",
        "CI_PROJECT_URL": "https://gitlab.example.org/acme/os",
        "GITLAB_CI": "true",
        "DOCKER_CONFIG": ".docker",
        "COSGEN_REGISTRY_USER": "anybody",
        "COSGEN_REGISTRY_PASSWORD": "any",
    }
    for name, value in given.items():
        command += ["--variable", f"{name}={value}"]
    return run_bounded(project, command, pipeline_environment(project))


def images_made(world: World) -> set[str]:
    """Return the packages whose images the engine has in the derivative's cache."""
    label = '{{index .Config.Labels "org.cosgen.package"}}'
    images = world.engine.run("image", "ls", "--quiet", f"{world.registry}/acme/cache").split()
    told = (world.engine.run("image", "inspect", "--format", label, image) for image in images)
    return {human.strip().partition("@")[0] for human in told}


def pipeline_environment(project: Project) -> dict[str, str]:
    """Return the environment of a forge's machine, where cosgen is installed already."""
    fakes = project.world.root / "bin"
    fakes.mkdir(exist_ok=True)
    (fakes / "pip").write_text("#!/bin/sh\nexit 0\n")
    (fakes / "pip").chmod(0o755)
    environment = project.world.environment
    del environment["GITHUB_ACTIONS"]
    return environment | {"PATH": f"{fakes}:{environment['PATH']}"}


def run_bounded(project: Project, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a pipeline for at most two minutes; return what it printed."""
    done = subprocess.run(
        ["timeout", "-s", "KILL", "120", *command],
        cwd=project.root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    return done.stdout


def test_a_derivative_takes_what_the_foundation_built(
    world: World, foundation: Project, node_tool: NodeTool
) -> None:
    require_act()
    gitlab_ci_local = node_tool("gitlab-ci-local")
    own = start(world, foundation)
    assert "requires_final_images" not in (own.root / "packages/hello/build.yaml").read_text()
    seeds = json.loads((own.root / "cosgen.lock").read_text())["seeds"]
    assert {seed.partition(":in-")[0] for seed in seeds} == {f"{world.registry}/cos/cache"}
    plan = json.loads(own.run("plan", "--json"))
    assert {node["human"]: node["action"] for node in plan["nodes"]} == {
        "apps/hello": "build",
        "apps/tool": "build",
        "system/release": "build",
        "system/acme": "build",
        "distro/base": "keep",
        "system/lib": "keep",
        "system/os": "keep",
    }

    # its pipeline builds what is its own, publishes it and pushes the image
    commit(own, "Start")
    log = act(own, "push", "cosgen-testing")
    told = open_repository(open_store(world.url("acme")))
    names = {record.name for record in told.packages(told.snapshot("testing"), "x86_64")}
    assert names == {"hello", "tool", "release", "acme"}, log[-5000:]
    packages, built = own.build()
    assert set(packages) == {"apps/hello", "apps/tool", "system/release", "system/acme"}
    assert built == set(), "all that the pipeline built is found again"
    labels = world.engine.run(
        *("image", "ls", "--filter", "label=org.cosgen.package", "--format", "{{.Repository}}")
    )
    assert f"{world.registry}/acme/cache" in labels
    assert images_made(world) <= {*packages, ""}, "an image of the foundation was built here"

    # a container of the image has everything, the override in place of the foundation's, its own channel
    first = own.tag("testing")
    assert first is not None
    assert own.in_container("testing", "/usr/bin/hello") == "hello from acme\n"
    said = own.in_container("testing", "cat", "/etc/base", "/etc/lib", "/etc/release", "/etc/tool")
    assert said == "base\nlib of cos\nrelease of acme\nbase\ntool\n"
    files = own.in_container("testing", "sh", "-c", "cat /etc/luet/repos.conf.d/acme-testing-x86_64.yaml")
    assert yaml.safe_load(files)["urls"] == [f"{world.url('acme')}/r"]
    beside = own.in_container(
        "testing", "sh", "-c", "cat /etc/luet/repos.conf.d/acme-testing-x86_64-cos.yaml"
    )
    assert yaml.safe_load(beside)["urls"] == [f"{world.url('cos')}/r"]
    assert yaml.safe_load(beside)["reference"] == "testing-x86_64-repository.yaml"

    # promoted, renewed, promoted, rolled back: the tag goes along
    own.run("channel", "promote", "testing", "stable")
    own.run("image", "push", "--channel", "stable")
    old = own.tag("stable")
    own.package("hello", "apps", (own.root / "packages/hello/build.yaml").read_text(), version="0.2.0")
    definition = own.root / "packages" / "os" / "definition.yaml"
    definition.write_text(definition.read_text().replace("0.1.0", "0.2.0"))
    commit(own, "Renew hello")
    world.forget(f"{world.registry}/acme/cache")
    before = own.tag("testing")
    log = gitlab(own, gitlab_ci_local)
    assert own.tag("testing") != before, log[-5000:]
    assert images_made(world) == {"apps/hello", "system/acme"}, "on GitLab only what changed is built"
    assert own.build()[1] == set(), "all that the pipeline built is found again"
    own.run("channel", "promote", "testing", "stable")
    own.run("image", "push", "--channel", "stable")
    assert own.tag("stable") not in {None, old}
    own.run("channel", "rollback", "stable")
    own.run("image", "push", "--channel", "stable")
    assert own.tag("stable") == old
    own.run("image", "verify", "--channel", "stable")
