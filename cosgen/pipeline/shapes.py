"""Shapes: how building is spread over jobs.

- `static`: a job a package, with exact needs; people read the graph in the provider's page.
- `chunks`: a job a group of packages, at most so many jobs (`graph/schedule.py` does the grouping).
- `workers`: a file of constant size; the plan says how many workers there are, and they share the work.
- `child`: GitLab alone; the plan job writes a child pipeline with exact needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cosgen.manifest.platform import Variant
from cosgen.pipeline.commands import Variable, Word
from cosgen.pipeline.model import (
    Access,
    Call,
    Condition,
    Context,
    Download,
    Job,
    Parameter,
    Place,
    Runner,
    Step,
    Upload,
    Value,
    When,
    frozen,
)
from cosgen.pipeline.publishing import logins
from cosgen.pipeline.scene import Provider, Scene, Shape, slug
from cosgen.pipeline.stages import (
    LIGHT_MINUTES,
    PLAN_FILE,
    READ,
    Tells,
    arches_of,
    hooks,
    machine_steps,
    prepare,
)

AUTO_STATIC = 60  # nodes up to which `auto` gives every package its job
WAVES = 3  # the first builds; the others take what it had no time for, and are skipped when that is nothing
_NAMED = 8  # packages up to which a condition names them; larger chunks start whenever there is work
# Characters of the output that names what is to be built; GitHub takes about 500,000 of all outputs of a job,
# and cuts nothing: the job fails.
MAX_TODO = 400_000
_AROUND_NAME = 60  # of a package's two entries: variant twice, version, blanks
_STOP_EARLY = 50  # minutes before a hosted runner is taken away: no new package is begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One job's worth of packages of one variant; in `static`, one package."""

    key: str  # "<variant>:<category>/<name>[@version]", or the name of a chunk
    title: str  # what it builds, for people, without the variant
    variant: Variant
    packages: tuple[str, ...]  # category/name[@version]
    needs: tuple[str, ...]  # keys of units, sorted
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The jobs of a shape, the templates they are made from, and the ids the collector waits for."""

    jobs: tuple[Job, ...]
    templates: Mapping[str, Job]
    last: tuple[str, ...]
    tells: Tells = Tells.WORK  # what the jobs read of the plan


def choose_shape(asked: str, provider: Provider, nodes: int) -> Shape:
    """Return the shape to emit; `auto` is `child` on GitLab, else by the number of packages.

    `child` is GitLab's alone: a project for both forges that asks for it gets `auto` on GitHub.
    """
    if asked != "auto" and (asked != Shape.CHILD or provider is Provider.GITLAB):
        return Shape(asked)
    if provider is Provider.GITLAB:
        return Shape.CHILD
    return Shape.STATIC if nodes <= AUTO_STATIC else Shape.WORKERS


def hands_on(scene: Scene, *, request: bool) -> bool:
    """Tell whether build jobs may hand their work on to others of the run: trusted, and there is a cache."""
    return scene.has_cache and not request


def build_steps(
    scene: Scene, runner: Runner, call: Call, *, request: bool, suffix: Sequence[Value]
) -> tuple[Step, ...]:
    """Return the steps of a build job around its one call."""
    hook = scene.config.ci.hooks
    keep_artifacts = not hands_on(scene, request=request)
    days = scene.config.ci.artifact_days
    unique = (*suffix, Context.ATTEMPT)
    return (
        *machine_steps(runner),
        *prepare(scene),
        Download(name="plan", path="."),
        *(logins(scene) if not request or _reads_cache(scene) else ()),
        *hooks("before build", hook.before_build),
        call,
        *hooks("after build", hook.after_build),
        Upload(name="result", paths=("results",), days=days, always=True, suffix=unique),
        *(
            (Upload(name="artifacts", paths=("artifacts",), days=days, suffix=unique),)
            if keep_artifacts
            else ()
        ),
    )


def _reads_cache(scene: Scene) -> bool:
    return scene.has_cache and not scene.login_needs_environment


def hand_on_options(scene: Scene, *, request: bool) -> tuple[tuple[str, str], ...]:
    """Return --pull and --push as far as the job may."""
    if not scene.has_cache:
        return ()
    return (("--pull", ""),) if request else (("--pull", ""), ("--push", ""))


def build_permissions(scene: Scene, *, request: bool) -> Mapping[str, tuple[Access, str]]:
    """Return the permissions of a build job."""
    access = Access.READ if request else Access.WRITE
    return frozen({**READ, **scene.registry_permissions(access)})


def _template(
    scene: Scene, name: str, arch: str, call: Call, *, request: bool, suffix: Sequence[Value]
) -> Job:
    runner = scene.request_runner(arch) if request else scene.runner(arch)
    return Job(
        id=name,
        title="build",
        stage="build",
        steps=build_steps(scene, runner, call, request=request, suffix=suffix),
        runner=runner,
        timeout=scene.config.ci.timeout_minutes,
        permissions=build_permissions(scene, request=request),
        environment="" if request else scene.login_needs_environment,
        interruptible=request,
        trusted=not request,
    )


# --- static and chunks ------------------------------------------------------------------------------


def unit_template(scene: Scene, arch: str, *, request: bool = False, planned: bool = True) -> Job:
    """Return the template of the jobs that build named packages.

    Args:
        scene: The settings.
        arch: Of the machines.
        request: It is for a pull request.
        planned: Pass over what the plan keeps; a child pipeline has no job for that.
    """
    options: tuple[tuple[str, Word | Place], ...] = (
        ("--packages", Variable("PACKAGES")),
        *((("--plan", PLAN_FILE),) if planned else ()),
        *((("--flavor", Variable("FLAVOR")),) if scene.config.flavors else ()),
        ("--arch", arch),
        ("--output", "artifacts"),
        ("--results", "results"),
        *hand_on_options(scene, request=request),
    )
    env: dict[str, Value] = {"PACKAGES": Parameter("packages")}
    if scene.config.flavors:
        env["FLAVOR"] = Parameter("flavor")
    call = Call(title="Build", words="build", options=options, env=frozen(env))
    name = f"_cosgen-build-{slug(arch)}"
    return _template(scene, name, arch, call, request=request, suffix=(Parameter("job"),))


def unit_jobs(scene: Scene, units: Sequence[Unit], *, request: bool = False, planned: bool = True) -> Built:
    """Return a job a unit, with exact needs."""
    named = sum(2 * len(package) + _AROUND_NAME for unit in units for package in unit.packages) <= MAX_TODO
    several = len({unit.variant for unit in units}) > 1
    ids = unit_ids(units, several=several)
    made = [
        unit_template(scene, arch, request=request, planned=planned)
        for arch in arches_of(unit.variant for unit in units)
    ]
    templates = {template.id: template for template in made}
    jobs = tuple(
        _unit_job(
            unit,
            ids,
            templates[f"_cosgen-build-{slug(unit.variant.arch)}"],
            title=f"{unit.title} ({unit.variant.key})" if several else unit.title,
            named=named,
        )
        for unit in units
    )
    return Built(
        jobs=jobs,
        templates=frozen(templates),
        last=tuple(job.id for job in jobs),
        tells=Tells.TODO if named else Tells.WORK,
    )


def _unit_job(unit: Unit, ids: Mapping[str, str], template: Job, *, title: str, named: bool) -> Job:
    parameters: dict[str, Value] = {"job": ids[unit.key], "packages": " ".join(unit.packages)}
    if unit.variant.flavor:
        parameters["flavor"] = unit.variant.flavor
    todo = tuple(f"{unit.variant.key}:{package}" for package in unit.packages)
    return Job(
        id=ids[unit.key],
        title=title,
        stage="build",
        template=template.id,
        parameters=frozen(parameters),
        needs=("plan", *(ids[key] for key in unit.needs)),
        condition=Condition(todo=todo) if named and len(todo) <= _NAMED else Condition(work=True),
        runner=template.runner,
        timeout=template.timeout,
        permissions=template.permissions,
        environment=template.environment,
        builds=todo,
        interruptible=template.interruptible,
        trusted=template.trusted,
    )


def unit_ids(units: Sequence[Unit], *, several: bool) -> dict[str, str]:
    """Return a job id for each unit: short, readable, unique, and the same from run to run."""
    names = {unit.key: _unit_name(unit, several=several) for unit in units}
    taken: dict[str, int] = {}
    for name in names.values():
        taken[name.lower()] = taken.get(name.lower(), 0) + 1
    return {
        key: name if taken[name.lower()] == 1 else f"{name}-{sha256(key.encode()).hexdigest()[:6]}"
        for key, name in names.items()
    }


def _unit_name(unit: Unit, *, several: bool) -> str:
    name = slug(unit.title)
    name = f"{name}--{slug(unit.variant.key)}" if several else name
    reserved = ("plan", "check", "drift", "collect", "gate", "publish", "site")
    return f"p-{name}" if not name[:1].isalpha() or name in reserved else name


# --- workers ----------------------------------------------------------------------------------------


def worker_template(scene: Scene, arch: str, *, request: bool) -> Job:
    """Return the template of the jobs that take a share of the plan."""
    share = not hands_on(scene, request=request)
    minutes = max(scene.config.ci.timeout_minutes - _STOP_EARLY, scene.config.ci.timeout_minutes // 2)
    options: tuple[tuple[str, Word | Place], ...] = (
        ("--plan", PLAN_FILE),
        ("--index", Variable("WORKER")),
        ("--count", Variable("WORKERS")),
        ("--arch", arch),
        ("--wave", Variable("WAVE")),
        *((("--components", ""),) if share else ()),
        ("--minutes", str(minutes)),
        ("--output", "artifacts"),
        ("--results", "results"),
        *hand_on_options(scene, request=request),
    )
    env: dict[str, Value] = {
        "WORKER": Parameter("worker"),
        "WORKERS": Parameter("workers"),
        "WAVE": Parameter("wave"),
    }
    call = Call(title="Work", words="worker", options=options, env=frozen(env))
    name = f"_cosgen-{'request' if request else 'worker'}-{slug(arch)}"
    suffix = (slug(arch), Parameter("wave"), Parameter("worker"))
    return _template(scene, name, arch, call, request=request, suffix=suffix)


def worker_jobs(scene: Scene, variants: Sequence[Variant], *, request: bool) -> Built:
    """Return workers for each arch, in waves: a later one takes what an earlier had no time for."""
    waves = WAVES if scene.provider is Provider.GITHUB and not request else 1
    templates = [worker_template(scene, arch, request=request) for arch in arches_of(variants)]
    sift = _sift_template(scene)
    jobs: list[Job] = []
    for wave in range(1, waves + 1):
        previous = tuple(job.id for job in jobs)
        if wave > 1:
            jobs.append(_sift_job(sift, wave, previous))
        ready = (jobs[-1].id,) if wave > 1 else ()
        jobs += [
            _worker_job(scene, arch, template, wave, ready)
            for arch, template in zip(arches_of(variants), templates, strict=True)
        ]
    return Built(
        jobs=tuple(jobs),
        templates=frozen({item.id: item for item in (*templates, *((sift,) if waves > 1 else ()))}),
        last=tuple(job.id for job in jobs if job.workers_of),
        tells=Tells.WORKERS,
    )


def _worker_job(scene: Scene, arch: str, template: Job, wave: int, ready: tuple[str, ...]) -> Job:
    parameters: dict[str, Value] = {
        "worker": Context.WORKER,
        "workers": Context.WORKERS,
        "wave": str(wave),
    }
    several = len({variant.arch for variant in scene.variants}) > 1
    name = f"build-{slug(arch)}" if several else "build"
    title = f"build {arch}" if several else "build"
    return Job(
        id=name if wave == 1 else f"{name}-{wave}",
        title=title if wave == 1 else f"{title}, wave {wave}",
        stage="build",
        template=template.id,
        parameters=frozen(parameters),
        needs=("plan", *ready),
        condition=Condition(
            when=When.ENDED if ready else When.NEEDS_GOOD,
            workers=slug(arch),
            left=ready[0] if ready else "",
        ),
        runner=template.runner,
        timeout=template.timeout,
        permissions=template.permissions,
        environment=template.environment,
        workers_of=slug(arch),
        workers=scene.worker_count(),
        interruptible=template.interruptible,
        trusted=template.trusted,
    )


def _sift_template(scene: Scene) -> Job:
    call = Call(
        title="Look what is left",
        id="left",
        words="ci left",
        options=(("--plan", PLAN_FILE), ("--results", "results"), ("--to", Place.OUTPUTS)),
    )
    return Job(
        id="_cosgen-left",
        title="left",
        stage="build",
        steps=(
            *prepare(scene),
            Download(name="plan", path="."),
            Download(name="result-", path="results", many=True),
            call,
        ),
        runner=scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=READ,
        outputs=(("left", "left"),),
    )


def _sift_job(template: Job, wave: int, previous: tuple[str, ...]) -> Job:
    """Return the job that decides whether there is another wave."""
    return Job(
        id=f"left-{wave}",
        title=f"left for wave {wave}",
        stage="build",
        template=template.id,
        needs=("plan", *previous),
        condition=Condition(when=When.ENDED, work=True, left=f"left-{wave - 1}" if wave > 2 else ""),
        runner=template.runner,
        timeout=template.timeout,
        permissions=template.permissions,
    )
