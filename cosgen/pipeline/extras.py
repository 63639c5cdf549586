"""The project's own jobs (ISO, VM tests, cloud images), the site, and the jobs that come with time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cosgen.manifest.config import ChannelConfig, JobConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.commands import Variable
from cosgen.pipeline.model import (
    Access,
    Call,
    Condition,
    Context,
    Job,
    OnManual,
    OnSchedule,
    Pages,
    Pipeline,
    Shell,
    Step,
    Upload,
    Value,
    When,
    frozen,
)
from cosgen.pipeline.model import Concurrency as Group
from cosgen.pipeline.publishing import identity_steps, logins, writer_env, writer_permissions
from cosgen.pipeline.scene import Provider, Scene, slug
from cosgen.pipeline.stages import LIGHT_MINUTES, LONG_MINUTES, READ, hooks, machine_steps, prepare

NIGHTLY = "23 3 * * *"
WEEKLY = "47 4 * * 1"
MAINTENANCE = "cosgen-maintenance"  # the environment of what writes without moving a channel
_SITE = "public"
_SITE_GROUP = Group(group="cosgen-site", queue=True)


# --- own jobs ---------------------------------------------------------------------------------------


def own_job_ids(scene: Scene, config: JobConfig, name: str, variants: Sequence[Variant]) -> tuple[str, ...]:
    """Return the ids of the jobs one entry of `ci.jobs` becomes."""
    if not config.per_variant or len(scene.variants) == 1:
        return (f"job-{slug(name)}",)
    return tuple(f"job-{slug(name)}--{slug(variant.key)}" for variant in variants)


def _is_wanted(scene: Scene, channel: ChannelConfig, name: str, *, request: bool, gates: bool) -> bool:
    config = scene.config.ci.jobs[name]
    if request:
        return config.pull_requests
    needed = name in _with_needs(scene.config.ci.jobs, channel.gates)
    return needed or (not gates and (not config.channels or channel.name in config.channels))


def _with_needs(jobs: Mapping[str, JobConfig], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    left = [name for name in names if name in jobs]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [need for need in jobs[name].needs if need in jobs]
    return found


def own_jobs(
    scene: Scene,
    channel: ChannelConfig,
    variants: Sequence[Variant],
    *,
    after: Sequence[str],
    stages: Mapping[str, tuple[str, ...]],
    request: bool,
    gates: bool = False,
    earlier: Sequence[Job] = (),
) -> tuple[Job, ...]:
    """Return the project's own jobs of a channel's pipeline that follow one of these stages.

    Args:
        scene: The settings.
        channel: Whose pipeline it is.
        variants: What the pipeline builds.
        after: Stages asked for.
        stages: Ids of the jobs that end each stage.
        request: It is a pull request: only jobs that say so, without secrets.
        gates: Only the gates of the channel, and what those need.
        earlier: Own jobs of earlier stages of the pipeline. A job that needs one which is not in this
            channel's pipeline is not in it either.
    """
    jobs: list[Job] = []
    for name, config in scene.config.ci.jobs.items():
        if config.after not in after or not _is_wanted(scene, channel, name, request=request, gates=gates):
            continue
        ids = own_job_ids(scene, config, name, variants)
        for index, job_id in enumerate(ids):
            variant = variants[index] if len(ids) > 1 else variants[0]
            jobs.append(_own_job(scene, name, config, variant, variants, job_id, stages, request=request))
    known = {job.id for job in earlier} | {job_id for ids in stages.values() for job_id in ids}
    return tuple(_in_order(jobs, known))


def gate_jobs(scene: Scene, channel: ChannelConfig, variants: Sequence[Variant]) -> tuple[Job, ...]:
    """Return the gates of a channel that is promoted; those that follow its publishing are none."""
    before = ("plan", "build", "gate")
    jobs = own_jobs(
        scene, channel, variants, after=before, stages=dict.fromkeys(before, ()), request=False, gates=True
    )
    return tuple(replace(job, stage="gate") for job in jobs)


def _in_order(jobs: Sequence[Job], known: set[str]) -> list[Job]:
    done: dict[str, Job] = {}
    while ready := [
        job for job in jobs if job.id not in done and all(need in done or need in known for need in job.needs)
    ]:
        done.update((job.id, job) for job in ready)
    return list(done.values())


def _others(scene: Scene, need: str, suffix: str, variants: Sequence[Variant]) -> tuple[str, ...]:
    """Return the ids of another own job that is waited for: that of the same variant, or those of all."""
    ids = own_job_ids(scene, scene.config.ci.jobs[need], need, variants)
    same = tuple(job_id for job_id in ids if suffix and job_id.endswith(f"--{suffix}"))
    return same or ids


def _own_job(
    scene: Scene,
    name: str,
    config: JobConfig,
    variant: Variant,
    variants: Sequence[Variant],
    job_id: str,
    stages: Mapping[str, tuple[str, ...]],
    *,
    request: bool,
) -> Job:
    env: dict[str, Value] = {"COSGEN_FLAVOR": variant.flavor, "COSGEN_ARCH": variant.arch}
    if not request:
        env.update((secret, scene.secret(secret)) for secret in config.secrets)
    where = config.runner or variant.arch
    runner = scene.request_runner(where) if request else scene.runner(where)
    suffix = job_id.partition("--")[2]
    others = [other for need in config.needs for other in _others(scene, need, suffix, variants)]
    ends = stages[config.after]
    judge: tuple[Step, ...] = ()
    if "collect" in ends and scene.provider is Provider.GITLAB:
        judge = (Call(title="Judge", words="ci gate", options=(("--outcome", "outcome.json"),)),)
    get: tuple[Step, ...] = ()
    if config.packages and not request and scene.has_cache:
        options = [("--flavor", variant.flavor)] if variant.flavor else []
        options += [("--arch", variant.arch), ("--output", "packages"), ("--pull", "")]
        get = (
            *logins(scene),
            Call(title="Fetch packages", words="build", arguments=config.packages, options=tuple(options)),
        )
    keep = (Upload(name=job_id, paths=config.artifacts, days=scene.config.ci.artifact_days),)
    return Job(
        id=job_id,
        title=f"{name} {variant.key}" if suffix else name,
        stage={"plan": "build", "build": "gate", "gate": "publish"}.get(config.after, "site"),
        steps=(
            *machine_steps(runner),
            *prepare(scene),
            *judge,
            *get,
            *(
                Shell(title=f"{name} {number}", line=line, env=frozen(env))
                for number, line in enumerate(config.run, 1)
            ),
            *(keep if config.artifacts else ()),
        ),
        needs=(*ends, *others),
        condition=Condition(
            when=When.ENDED, good=(*ends, *others), verdict="collect" if "collect" in ends else ""
        ),
        runner=runner,
        timeout=config.timeout_minutes,
        permissions=frozen({**READ, **(scene.registry_permissions(Access.READ) if get else {})}),
        environment="" if request else config.environment or (scene.login_needs_environment if get else ""),
        allow_failure=not config.required,
        trusted=not request,
    )


# --- site and release -------------------------------------------------------------------------------


def site_jobs(scene: Scene, needs: str) -> tuple[Job, ...]:
    """Return the jobs that make the site and put it where it is read."""
    where = scene.config.ci.site
    if where == "none" or not scene.publishes:
        return ()
    if where == "storage":
        return (_stored_site(scene, needs),)
    on_github = scene.provider is Provider.GITHUB
    target = Upload(name="github-pages", paths=(_SITE,), pages=True) if on_github else Pages(path=_SITE)
    site = _site_job(scene, needs, (*_site_steps(scene), target))
    if on_github:
        return (site, _pages_job(scene))
    return (replace(site, concurrency=_SITE_GROUP),)


def _site_steps(
    scene: Scene, options: Sequence[tuple[str, str]] = (), env: Mapping[str, Value] | None = None
) -> tuple[Step, ...]:
    hook = scene.config.ci.hooks
    build = Call(
        title="Build the site",
        words="site build",
        options=(("--output", _SITE), *options),
        env=frozen(env),
    )
    return (*hooks("before site", hook.before_site), build, *hooks("after site", hook.after_site))


def _site_job(scene: Scene, needs: str, steps: Sequence[Step]) -> Job:
    return Job(
        id="site",
        title="site",
        stage="site",
        steps=(*prepare(scene), *steps),
        needs=(needs,),
        condition=Condition(when=When.ENDED, good=(needs,)),
        runner=scene.runner("control"),
        timeout=LONG_MINUTES,
        permissions=READ,
        trusted=True,
    )


def _stored_site(scene: Scene, needs: str) -> Job:
    """Return the job that puts the site beside the repository; it writes there, and nobody must approve."""
    env = {name: value for name, value in writer_env(scene).items() if name.startswith("AWS_")}
    steps = (*identity_steps(scene, None), *_site_steps(scene, (("--to", "storage"),), env))
    return replace(
        _site_job(scene, needs, steps),
        permissions=writer_permissions(scene),
        environment=MAINTENANCE,
        concurrency=_SITE_GROUP,
    )


def _pages_job(scene: Scene) -> Job:
    return Job(
        id="pages",
        title="pages",
        stage="site",
        steps=(Pages(path=_SITE),),
        needs=("site",),
        condition=Condition(when=When.ENDED, good=("site",)),
        runner=scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=frozen(
            {
                "pages": (Access.WRITE, "put the site on Pages"),
                "id-token": (Access.WRITE, "prove to Pages where the site comes from"),
            }
        ),
        environment="github-pages",
        deploys=True,
        concurrency=_SITE_GROUP,
        trusted=True,
    )


def release_job(scene: Scene, channel: ChannelConfig, needs: str) -> Job:
    """Return the job that makes the forge's release of a tag."""
    call = Call(
        title="Make the release",
        words="release",
        options=(("--tag", Variable("COSGEN_TAG")), ("--channel", channel.name)),
        env=frozen({"COSGEN_TAG": Context.TAG, token_name(scene): Context.TOKEN}),
    )
    return Job(
        id="release",
        title="release",
        stage="site",
        steps=(*prepare(scene), call),
        needs=(needs,),
        condition=Condition(when=When.ENDED, good=(needs,), tag=True),
        runner=scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=frozen({"contents": (Access.WRITE, "make the release of the tag")}),
        trusted=True,
    )


def token_name(scene: Scene) -> str:
    """Return the variable by which cosgen gets the forge's token."""
    return "GITHUB_TOKEN" if scene.provider is Provider.GITHUB else "GITLAB_TOKEN"


# --- with time --------------------------------------------------------------------------------------


def maintenance_pipeline(scene: Scene) -> Pipeline:
    """Return the jobs of every night and week: signatures, garbage, site; the lock."""
    jobs: list[Job] = []
    if scene.publishes:
        if scene.config.signing.channels.keys or scene.config.signing.required:
            call = Call(title="Refresh the signatures", words="key refresh", env=writer_env(scene))
            jobs.append(_writer_job(scene, "refresh", call, ()))
        call = Call(
            title="Collect garbage", words="repo gc", options=(("--apply", ""),), env=writer_env(scene)
        )
        jobs.append(_writer_job(scene, "gc", call, tuple(job.id for job in jobs)))
        jobs.extend(site_jobs(scene, "gc"))
    jobs.append(_lock_job(scene))
    return Pipeline(
        name="cosgen-maintenance",
        title=f"{scene.name}: maintenance",
        triggers=(
            OnSchedule(NIGHTLY),
            OnSchedule(WEEKLY),
            OnManual((("task", "What to do", ("nightly", "weekly")),)),
        ),
        jobs=tuple(jobs),
        concurrency=Group(group="cosgen-maintenance", queue=True),
        trusted=True,
    )


def _writer_job(scene: Scene, name: str, call: Call, needs: tuple[str, ...]) -> Job:
    return Job(
        id=name,
        title=call.title.lower(),
        stage="publish",
        steps=(*prepare(scene), *identity_steps(scene, None), call),
        needs=needs,
        condition=Condition(when=When.ENDED if needs else When.NEEDS_GOOD, good=needs, task="nightly"),
        runner=scene.runner("control"),
        timeout=LONG_MINUTES,
        permissions=writer_permissions(scene),
        environment=MAINTENANCE,
        concurrency=Group(group=f"cosgen-maintenance-{name}", queue=True),
        trusted=True,
    )


def _lock_job(scene: Scene) -> Job:
    call = Call(
        title="Renew the pins",
        words="lock",
        options=(("--update", ""), ("--open-pr", "")),
        env=frozen({token_name(scene): scene.secret("COSGEN_BOT_TOKEN")}),
    )
    return Job(
        id="lock",
        title="renew the pins",
        stage="publish",
        steps=(*prepare(scene), *logins(scene), call),
        condition=Condition(task="weekly"),
        runner=scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=frozen({**READ, **scene.registry_permissions(Access.READ)}),
        environment="cosgen-bot",
        trusted=True,
    )
