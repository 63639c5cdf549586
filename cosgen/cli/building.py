"""What `cosgen build` and `cosgen worker` share: reading the project, requests, results and summaries."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cosgen import __version__
from cosgen.build.archive import Compression
from cosgen.build.engine import Engine, connect
from cosgen.build.provenance import Builder
from cosgen.build.request import LOCAL_REPOSITORY, BuildReport, BuildRequest, PackageResult, Status
from cosgen.build.rules import problem
from cosgen.build.summary import summary_json, summary_markdown, totals
from cosgen.build.tools import Tools
from cosgen.cli.context import ProjectOptions, source_date_epoch, tell_problems
from cosgen.cli.foundations import Grounded, load_grounded
from cosgen.cli.progress import PlainProgress, make_progress
from cosgen.errors import BuildError, ManifestError, Problem, Severity
from cosgen.graph.graph import think_variant
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.graph.plan_model import PlanNode, package_key
from cosgen.manifest.loader import load_tree
from cosgen.manifest.lock import Lock
from cosgen.manifest.platform import Variant, find_arch
from cosgen.manifest.project import Project
from cosgen.pipeline.results import RESULT_SUFFIX, Result, State

_MOST_SUMMARY = 900 << 10  # bytes
_STATES = {
    Status.BUILT: State.BUILT,
    Status.EXTRACTED: State.BUILT,
    Status.PULLED: State.KEPT,
    Status.KEPT: State.KEPT,
    Status.FAILED: State.FAILED,
    Status.BLOCKED: State.BLOCKED,
    Status.STOPPED: State.MISSING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """The options both commands have."""

    output: Path | None
    results: Path | None
    summary: Path | None
    pull: bool
    push: bool
    jobs: int
    network: str
    engine: str  # "auto", "buildkit" or "classic"
    verbose: bool
    quiet: bool
    rebuild: bool = False
    keep_going: bool = True
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A project read and thought through, and the tools to build it with."""

    grounded: Grounded
    graphs: Mapping[str, Graph]  # by Variant.key
    options: BuildOptions
    tools: Tools
    progress: PlainProgress
    builder: Builder

    @property
    def project(self) -> Project:
        """The project."""
        return self.grounded.project

    @property
    def lock(self) -> Lock:
        """What pins it."""
        return self.grounded.lock

    def close(self) -> None:
        """End bars and connections."""
        self.progress.close()
        self.tools.close()


@contextmanager
def workshop_of(project_options: ProjectOptions, options: BuildOptions) -> Iterator[Workshop]:
    """Have a workshop, closed at the end. SIGTERM, by which CI cancels, ends a build in order as Ctrl-C does.

    Raises:
        ManifestError: As `open_workshop`.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        workshop = open_workshop(project_options, options)
        try:
            yield workshop
        finally:
            workshop.close()
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def open_workshop(project_options: ProjectOptions, options: BuildOptions) -> Workshop:
    """Read the project and think its variants through.

    Raises:
        ManifestError: The settings have errors; packages with errors only fail when they are built.
    """
    grounded = load_grounded(
        project_options.project,
        trees=project_options.trees,
        values=project_options.values,
        environment=dict(os.environ),
    )
    project, lock = grounded.project, grounded.lock
    if errors := [item for item in grounded.problems if item.severity is Severity.ERROR]:
        raise ManifestError(*errors)
    registry = project.config.registry
    progress = make_progress(os.environ, verbose=options.verbose, quiet=options.quiet)
    tools = Tools(
        lambda: _connect(options, progress),
        os.environ,
        repository=registry.cache,
        insecure=registry.insecure,
    )
    pull = options.pull and bool(registry.cache)
    if pull and not options.push and not tools.can_read_cache():  # a request's job has no login
        progress.note(f"{registry.cache} asks for a login and there is none: nothing is taken from it")
        pull = False
    return Workshop(
        grounded=grounded,
        graphs={
            variant.key: _think(project, variant, lock)
            for variant in project_options.select_variants(project.variants)
        },
        options=replace(options, pull=pull, push=options.push and bool(registry.cache)),
        tools=tools,
        progress=progress,
        builder=find_builder(os.environ, Path(project.root)),
    )


def make_request(
    workshop: Workshop, graph: Graph, targets: Iterable[Fingerprint], output: Path
) -> BuildRequest:
    """Return the request to build some packages of a variant."""
    project, options = workshop.project, workshop.options
    registry, variant = project.config.registry, graph.tree.variant
    platform = platform_of(variant)
    compression = project.config.repository.compression
    return BuildRequest(
        root=Path(project.root),
        graph=graph,
        targets=tuple(targets),
        output=output,
        cache_folder=cache_folder(os.environ),
        platform=platform,
        repository=registry.cache or LOCAL_REPOSITORY,
        has_registry=options.pull or options.push,
        pull=options.pull,
        push=options.push,
        rebuild=options.rebuild,
        luet_tags=registry.luet_tags,
        caches=tuple(item.images for item in project.config.foundations if item.images),
        seeds=workshop.lock.seed_digests(platform),
        jobs=options.jobs,
        keep_going=options.keep_going,
        deadline=options.deadline,
        compression=Compression(format=compression.format, level=compression.level),
        epoch=source_date_epoch(),
        foundation=workshop.grounded.fetcher(variant),
        network=options.network,
        builder=workshop.builder,
    )


def output_folder(workshop: Workshop, variant: str) -> Path:
    """Return where artifacts of a variant go: --output itself for one variant, else a folder each."""
    if workshop.options.output is None:
        return Path(workshop.project.root) / "build" / variant
    return workshop.options.output if len(workshop.graphs) == 1 else workshop.options.output / variant


def select_targets(
    workshop: Workshop, graph: Graph, words: Sequence[str]
) -> tuple[tuple[Fingerprint, ...], list[Problem]]:
    """Return the packages that words name in a variant, and a problem for each word that names none."""
    found: dict[Fingerprint, None] = {}
    problems = []
    for word in words:
        human, _, version = word.partition("@")
        nodes = [node for node in graph.nodes.values() if node.package.human == human]
        theirs = next((node.foundation for node in nodes if node.foundation), "")
        nodes = [node for node in nodes if not node.foundation]
        if version:
            nodes = [node for node in nodes if node.package.definition.version == version]
        if theirs and not nodes:
            what = f"{word} is a package of the foundation {theirs}, and is not built here"
            problems.append(problem("CG491", what, fix="leave it out; what needs it takes it from there"))
        elif not nodes:
            problems.append(problem("CG491", f"there is no package {word!r} in {graph.tree.variant.key}"))
        elif len(nodes) > 1:
            versions = ", ".join(node.package.definition.version for node in nodes)
            problems.append(problem("CG493", f"{word} has the versions {versions}"))
        elif workshop.project.skipped(graph.tree.variant, human) is None:
            found[nodes[0].fingerprint] = None
    return tuple(found), problems


def all_targets(workshop: Workshop, graph: Graph) -> tuple[Fingerprint, ...]:
    """Return the packages the project selects in a variant, without those it skips there."""
    selected = workshop.project.selected
    return tuple(
        fingerprint
        for fingerprint in graph.order
        if (human := graph.nodes[fingerprint].package.human)
        and not graph.nodes[fingerprint].foundation
        and (selected is None or human in selected)
        and workshop.project.skipped(graph.tree.variant, human) is None
    )


def broken(graph: Graph, targets: Iterable[Fingerprint]) -> dict[Fingerprint, tuple[Problem, ...]]:
    """Return the targets that cannot be built as they are written, or need such a one, with the reasons."""
    found: dict[Fingerprint, tuple[Problem, ...]] = {}
    for fingerprint in graph.order:
        node = graph.nodes[fingerprint]
        errors = tuple(
            item for item in (*node.package.problems, *node.problems) if item.severity is Severity.ERROR
        )
        culprit = next((need for need in node.needs if need in found), None)
        if errors or not node.input_digest:
            found[fingerprint] = errors or (problem("CG452", f"{node.package.human} cannot be resolved"),)
        elif culprit is not None:
            found[fingerprint] = (problem("CG452", f"{node.package.human} needs {culprit}"),)
    wanted = set(targets)
    return {fingerprint: problems for fingerprint, problems in found.items() if fingerprint in wanted}


def unbuildable(node: Node, problems: tuple[Problem, ...]) -> PackageResult:
    """Return the result of a package that was not even tried."""
    return PackageResult(
        fingerprint=node.fingerprint,
        human=node.package.human,
        version=node.package.definition.version,
        input_digest=node.input_digest,
        status=Status.BLOCKED if problems[0].id == "CG452" else Status.FAILED,
        problems=problems,
    )


def write_results(workshop: Workshop, report: BuildReport, output: Path) -> None:
    """Write a result record for each package, and the log of each that failed."""
    if workshop.options.results is None:
        return
    folder = workshop.options.results / report.variant
    folder.mkdir(parents=True, exist_ok=True)
    for item in report.packages:
        state = _STATES[item.status]
        if state is State.MISSING:
            continue
        log = ""
        if state is State.FAILED and item.log and (output / item.log).is_file():
            log = f"{item.fingerprint}.log"
            shutil.copyfile(output / item.log, folder / log)
        result = Result(
            key=package_key(report.variant, item.human, item.version),
            input_digest=item.input_digest,
            state=state,
            seconds=item.seconds,
            reason=item.problems[0].what if item.problems else "",
            log=log,
        )
        (folder / f"{item.fingerprint}{RESULT_SUFFIX}").write_text(result.to_json(), encoding="utf-8")


def write_found(workshop: Workshop, node: PlanNode) -> None:
    """Write the result record of a package that others built: they may have died before they could tell."""
    if workshop.options.results is None:
        return
    folder = workshop.options.results / node.variant
    folder.mkdir(parents=True, exist_ok=True)
    result = Result(key=node.key, input_digest=node.input_digest, state=State.KEPT)
    (folder / f"{node.fingerprint}{RESULT_SUFFIX}").write_text(result.to_json(), encoding="utf-8")


def finish(workshop: Workshop, reports: Sequence[BuildReport]) -> None:
    """Tell what was done, write the summary, and fail when a package failed.

    Raises:
        BuildError: With what every failed package told.
    """
    workshop.progress.close()
    warnings = [item for report in reports for package in report.packages for item in package.warnings]
    if not workshop.options.quiet:
        tell_problems(warnings, "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text")
        for report in reports:
            print(f"{report.variant}: {totals(report)}", file=sys.stderr)
    if workshop.options.summary is not None:
        _write_summary(workshop.options.summary, reports)
    failed = [package for report in reports for package in report.failed]
    if failed:
        problems = dict.fromkeys(item for package in failed for item in package.problems)
        names = ", ".join(f"{package.human} ({package.status})" for package in failed)
        whole = problem("CG451", f"no artifact of {names}", fix="see above")
        raise BuildError(*problems, whole)


def _write_summary(path: Path, reports: Sequence[BuildReport]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(summary_json(reports), encoding="utf-8")
        return
    text = summary_markdown(reports).encode("utf-8")[:_MOST_SUMMARY].decode("utf-8", "ignore")
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def _connect(options: BuildOptions, progress: PlainProgress) -> Engine:
    builder = {"auto": "", "buildkit": "BuildKit", "classic": "classic"}[options.engine]
    engine = connect(os.environ, builder=builder)
    info = engine.info
    progress.detail(f"engine: {info.name} {info.version} at {info.url}, layers kept as {info.storage}")
    progress.detail(f"images: built with {info.builder}: {info.reason}")
    return engine


def _think(project: Project, variant: Variant, lock: Lock) -> Graph:
    tree = load_tree(project, variant, source_date_epoch=source_date_epoch())
    return think_variant(project, tree, lock)


def platform_of(variant: Variant) -> str:
    """Return the OCI platform of a variant."""
    arch = find_arch(variant.arch)
    return arch.oci if arch else f"linux/{variant.arch}"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where path indexes are kept: `$XDG_CACHE_HOME/cosgen`, by default `~/.cache/cosgen`."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "cosgen"


def find_builder(environment: Mapping[str, str], root: Path) -> Builder:
    """Return who builds, for the provenance: the CI workflow, or a person at the checkout's commit."""
    if environment.get("GITHUB_ACTIONS") == "true":
        server = environment.get("GITHUB_SERVER_URL", "https://github.com")
        source = f"{server}/{environment.get('GITHUB_REPOSITORY', '')}"
        return Builder(
            id=f"{server}/{environment.get('GITHUB_WORKFLOW_REF', '')}",
            version=__version__,
            invocation=f"{source}/actions/runs/{environment.get('GITHUB_RUN_ID', '')}",
            source=source,
            revision=environment.get("GITHUB_SHA", ""),
        )
    if environment.get("GITLAB_CI") == "true":
        return Builder(
            id=f"https://{environment.get('CI_CONFIG_REF_URI', '')}",
            version=__version__,
            invocation=environment.get("CI_PIPELINE_URL", ""),
            source=environment.get("CI_PROJECT_URL", ""),
            revision=environment.get("CI_COMMIT_SHA", ""),
        )
    return Builder(version=__version__, revision=git_words(root, "rev-parse", "--verify", "--quiet", "HEAD"))


def git_words(root: Path, *words: str) -> str:
    """Return what git prints, stripped; "" when there is no git or it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def deadline_of(minutes: float | None) -> float | None:
    """Return the monotonic time so many minutes from now, or None."""
    return None if minutes is None else time.monotonic() + minutes * 60
