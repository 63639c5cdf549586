"""The jobs around building: check, drift, plan, collect and gate."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from cosgen.manifest.config import ChannelConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.commands import Variable
from cosgen.pipeline.model import (
    Access,
    Call,
    Checkout,
    Condition,
    Context,
    Download,
    Emulate,
    Fail,
    Install,
    Job,
    Place,
    Purge,
    Runner,
    Shell,
    Step,
    Upload,
    Value,
    When,
    frozen,
)
from cosgen.pipeline.scene import Provider, Scene, slug


class Tells(Enum):
    """What the jobs that build read of a plan, besides whether there is work."""

    WORK = "nothing else"
    TODO = "what is to be built"
    WORKERS = "how many workers there are"


READ = frozen({"contents": (Access.READ, "read the repository")})
PLAN_FILE = "plan.json"
LIGHT_MINUTES = 20
LONG_MINUTES = 120


def arches_of(variants: Iterable[Variant]) -> tuple[str, ...]:
    """Return the arches of some variants, each once, sorted."""
    return tuple(sorted({variant.arch for variant in variants}))


def prepare(scene: Scene, *, history: bool = False) -> tuple[Step, ...]:
    """Return the steps every job begins with that calls cosgen."""
    line = scene.config.ci.install.replace("{version}", scene.version)
    return (Checkout(history=history), Install(line=line))


def machine_steps(runner: Runner) -> tuple[Step, ...]:
    """Return what makes a machine fit for building."""
    emulate = (Emulate(arch=runner.emulates),) if runner.emulates else ()
    return (*((Purge(),) if runner.purge else ()), *emulate)


def hooks(name: str, lines: Sequence[str], env: Mapping[str, Value] | None = None) -> tuple[Step, ...]:
    """Return the maintainers' lines around a stage as steps."""
    return tuple(
        Shell(title=f"Hook {name} {number}", line=line, env=frozen(env))
        for number, line in enumerate(lines, 1)
    )


def check_job(scene: Scene) -> Job:
    """Return the job that checks project and trees."""
    form = "github" if scene.provider is Provider.GITHUB else "text"
    call = Call(title="Check the project", words="check", options=(("--format", form),))
    return _light_job(scene, "check", call)


def drift_job(scene: Scene) -> Job:
    """Return the job that compares the pipelines with what would be emitted."""
    call = Call(title="Compare the pipelines", words="ci", options=(("--check", ""),))
    return _light_job(scene, "drift", call)


def _light_job(scene: Scene, name: str, call: Call) -> Job:
    return Job(
        id=name,
        title=name,
        stage="check",
        steps=(*prepare(scene), call),
        runner=scene.request_runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=READ,
        interruptible=True,
    )


def plan_job(
    scene: Scene,
    channel: ChannelConfig,
    variants: Sequence[Variant],
    *,
    request: bool,
    tells: Tells,
    components: bool,
) -> Job:
    """Return the job that decides what is to be built.

    Args:
        scene: The settings.
        channel: Whose published index it is planned against.
        variants: What the pipeline builds.
        request: It is a pull request: only what changed since its base counts.
        tells: What other jobs read of it.
        components: Workers share nothing.
    """
    hook = scene.config.ci.hooks
    since = frozen({"COSGEN_SINCE": Context.BASE_REVISION}) if request else frozen()
    plan = Call(
        title="Plan",
        words="plan",
        options=(
            *((("--channel", channel.name),) if scene.publishes else ()),
            *((("--since", Variable("COSGEN_SINCE")),) if request else ()),
            *variant_options(scene, variants),
            ("--output", PLAN_FILE),
            ("--summary", Place.SUMMARY),
        ),
        env=since,
    )
    arches = [slug(arch) for arch in arches_of(variants)]
    workers = [f"{kind}_{arch}" for arch in arches for kind in ("workers", "count")]
    told = {Tells.WORK: [], Tells.TODO: ["todo"], Tells.WORKERS: workers}[tells]
    return Job(
        id="plan",
        title="plan",
        stage="plan",
        steps=(
            *prepare(scene, history=request),
            *hooks("before plan", hook.before_plan),
            plan,
            outputs_call(scene, tells, components=components),
            *hooks("after plan", hook.after_plan),
            Upload(name="plan", paths=(PLAN_FILE,), days=scene.config.ci.artifact_days),
        ),
        runner=scene.request_runner("control") if request else scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=READ,
        outputs=tuple((name, "outputs") for name in ("work", *told)),
        interruptible=True,
    )


def hands_on_components(scene: Scene) -> bool:
    """Tell whether workers of a trusted pipeline must share nothing: there is no registry to share by."""
    return not scene.has_cache


def variant_options(scene: Scene, variants: Sequence[Variant]) -> tuple[tuple[str, str], ...]:
    """Return --flavor and --arch, when a pipeline is not for all variants."""
    if len(variants) == len(scene.variants):
        return ()
    flavors = sorted({variant.flavor for variant in variants if variant.flavor})
    return (
        *(("--flavor", name) for name in flavors),
        *(("--arch", name) for name in arches_of(variants)),
    )


def outputs_call(scene: Scene, tells: Tells, *, components: bool) -> Call:
    """Return the call that turns the plan into outputs other jobs read."""
    return Call(
        title="Tell the jobs",
        id="outputs",
        words="ci outputs",
        options=(
            ("--plan", PLAN_FILE),
            ("--to", Place.OUTPUTS),
            *((("--todo", ""),) if tells is Tells.TODO else ()),
            *((("--workers", str(scene.worker_count())),) if tells is Tells.WORKERS else ()),
            *((("--components", ""),) if components and tells is Tells.WORKERS else ()),
        ),
    )


def collect_job(scene: Scene, builds: Sequence[str], *, request: bool) -> Job:
    """Return the job that lays results beside the plan and says what came of it."""
    call = Call(
        title="Collect",
        id="collect",
        words="ci collect",
        options=(
            ("--plan", PLAN_FILE),
            ("--results", "results"),
            ("--output", "outcome.json"),
            ("--to", Place.OUTPUTS),
            ("--summary", Place.SUMMARY),
        ),
    )
    return Job(
        id="collect",
        title="collect",
        stage="collect",
        steps=(
            *prepare(scene),
            Download(name="plan", path="."),
            Download(name="result-", path="results", many=True),
            call,
            Upload(name="outcome", paths=("outcome.json",), days=scene.config.ci.artifact_days),
        ),
        needs=("plan", *builds),
        condition=Condition(when=When.ENDED, good=("plan",)),
        runner=scene.request_runner("control") if request else scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=READ,
        outputs=(("verdict", "collect"),),
    )


def gate_job(scene: Scene, required: Sequence[str], *, request: bool) -> Job:
    """Return the one job a branch protection has to ask for: red when anything required is."""
    steps: tuple[Step, ...]
    collected = "collect" in required
    on_github = scene.provider is Provider.GITHUB
    if on_github or not collected:
        text = "Something required failed or is missing; the summary of collect says what."
        steps = (Fail(text=text, good=tuple(required), verdict="collect"),)
    else:
        call = Call(title="Judge", words="ci gate", options=(("--outcome", "outcome.json"),))
        steps = (*prepare(scene), Download(name="outcome", path="."), call)
    return Job(
        id="gate",
        title="gate",
        stage="gate",
        steps=steps,
        needs=tuple(required),
        # On GitLab collecting never fails, and what else is required must have passed.
        condition=Condition(when=When.ALWAYS if collected and on_github else When.NEEDS_GOOD),
        runner=scene.request_runner("control") if request else scene.runner("control"),
        timeout=LIGHT_MINUTES,
    )
