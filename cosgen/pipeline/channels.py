"""Channels become pipelines: one for pull requests, one a channel, one for what comes with time."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cosgen.manifest.config import ChannelConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.child_jobs import child_jobs
from cosgen.pipeline.extras import gate_jobs, maintenance_pipeline, own_jobs, release_job, site_jobs
from cosgen.pipeline.model import (
    Concurrency,
    Job,
    OnManual,
    OnPullRequest,
    OnPush,
    OnSchedule,
    OnTag,
    Pipeline,
    Trigger,
)
from cosgen.pipeline.publishing import promote_job, publish_job
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.shapes import Built, Unit, unit_jobs, worker_jobs
from cosgen.pipeline.stages import check_job, collect_job, drift_job, gate_job, hands_on_components, plan_job

Units = Callable[[Sequence[Variant], Shape], tuple[Unit, ...]]


def pipelines_of(scene: Scene, shape: Shape, units: Units) -> tuple[Pipeline, ...]:
    """Return all pipelines of a project for one provider.

    Args:
        scene: The settings.
        shape: How building is spread over jobs.
        units: Returns the packages, grouped as the shape asks, of some variants.
    """
    channels = scene.channels
    base = _request_base(scene, channels)
    requests = (request_pipeline(scene, base),) if scene.config.ci.pull_requests.enabled else ()
    made = tuple(
        promote_pipeline(scene, channel) if channel.from_ else channel_pipeline(scene, channel, shape, units)
        for channel in channels
    )
    return (*requests, *made, maintenance_pipeline(scene))


def _request_base(scene: Scene, channels: Sequence[ChannelConfig]) -> ChannelConfig:
    """Return the channel that requests are planned against: the one their branch feeds, else the first."""
    branch = scene.config.ci.default_branch
    return next((channel for channel in channels if channel.on.branch == branch), channels[0])


def request_pipeline(scene: Scene, base: ChannelConfig) -> Pipeline:
    """Return the pipeline of pull and merge requests: it writes nothing and sees no secret.

    Its shape does not depend on the tree, and workers share nothing, since nothing they could share
    through may be written.
    """
    variants = scene.request_variants
    config = scene.config.ci.pull_requests
    if scene.provider is Provider.GITLAB:
        built = child_jobs(scene, "", request=True)
    else:
        built = worker_jobs(scene, variants, request=True)
    plan = plan_job(scene, base, variants, request=True, tells=built.tells, components=True)
    collect = () if _child(built) else (collect_job(scene, built.last, request=True),)
    stages = {"plan": ("plan",), "build": ("collect",) if collect else built.last}
    own = own_jobs(scene, base, variants, after=("plan", "build"), stages=stages, request=True)
    required = _required(("check", "drift", "plan"), built, collect, own)
    jobs = (
        check_job(scene),
        drift_job(scene),
        plan,
        *built.jobs,
        *collect,
        *own,
        gate_job(scene, required, request=True),
    )
    return Pipeline(
        name="cosgen-request",
        title=f"{scene.name}: request",
        triggers=(OnPullRequest(queue=config.merge_queue, paths=config.paths, labels=config.labels),),
        jobs=jobs,
        templates=built.templates,
        concurrency=Concurrency(group="cosgen-request", per_request=True, cancel=True),
    )


def channel_pipeline(scene: Scene, channel: ChannelConfig, shape: Shape, units: Units) -> Pipeline:
    """Return the pipeline of a channel that is built: plan, build, collect, gate, publish, site."""
    variants = scene.variants_of(channel)
    built = _built(scene, channel, shape, variants, units)
    shares = hands_on_components(scene)
    plan = plan_job(scene, channel, variants, request=False, tells=built.tells, components=shares)
    collect = () if _child(built) else (collect_job(scene, built.last, request=False),)
    stages = {"plan": ("plan",), "build": ("collect",) if collect else built.last, "gate": ("gate",)}
    before = own_jobs(scene, channel, variants, after=("plan", "build"), stages=stages, request=False)
    required = _required(("plan",), built, collect, before)
    gate = gate_job(scene, required, request=False)
    behind = own_jobs(scene, channel, variants, after=("gate",), stages=stages, request=False, earlier=before)
    ending = _ending(scene, channel, variants, before, behind)
    jobs = (plan, *built.jobs, *collect, *before, gate, *behind, *ending)
    return Pipeline(
        name=f"cosgen-{channel.name}",
        title=f"{scene.name}: {channel.name}",
        triggers=triggers_of(channel),
        jobs=jobs,
        templates=built.templates,
        concurrency=Concurrency(group=f"cosgen-channel-{channel.name}", queue=True),
        trusted=True,
    )


def _built(
    scene: Scene, channel: ChannelConfig, shape: Shape, variants: Sequence[Variant], units: Units
) -> Built:
    if shape is Shape.CHILD:
        return child_jobs(scene, channel.name, request=False)
    if shape is Shape.WORKERS:
        return worker_jobs(scene, variants, request=False)
    return unit_jobs(scene, units(variants, shape))


def _child(built: Built) -> bool:
    return any(job.child for job in built.jobs)


def _required(
    first: Sequence[str], built: Built, collect: Sequence[Job], own: Sequence[Job]
) -> tuple[str, ...]:
    builds = () if collect else built.last
    ids = [*first, *builds, *(job.id for job in collect), *(job.id for job in own if not job.allow_failure)]
    return tuple(dict.fromkeys(ids))


def _ending(
    scene: Scene,
    channel: ChannelConfig,
    variants: Sequence[Variant],
    before: Sequence[Job],
    behind: Sequence[Job],
) -> tuple[Job, ...]:
    if not scene.publishes:
        return ()
    gates = tuple(job.id for job in behind if not job.allow_failure)
    publish = publish_job(scene, channel, ("plan", "gate", *gates))
    publish = replace(publish, condition=replace(publish.condition, good=("gate", *gates)))
    return (publish, *_after(scene, channel, variants, "publish", (*before, *behind)))


def _after(
    scene: Scene, channel: ChannelConfig, variants: Sequence[Variant], last: str, earlier: Sequence[Job]
) -> tuple[Job, ...]:
    site = site_jobs(scene, last)
    ends = {"publish": (last,), "site": ("site",) if site else (last,)}
    own = own_jobs(
        scene, channel, variants, after=("publish", "site"), stages=ends, request=False, earlier=earlier
    )
    release = (release_job(scene, channel, last),) if channel.on.tag else ()
    return (*site, *release, *own)


def promote_pipeline(scene: Scene, channel: ChannelConfig) -> Pipeline:
    """Return the pipeline of a channel that is promoted from another; a person approves where asked.

    The channel's gates run first. Nothing is planned or built here, so whatever stage they follow elsewhere
    they wait for nothing but each other.
    """
    variants = scene.variants_of(channel)
    tagged = bool(channel.on.tag)
    gates = gate_jobs(scene, channel, variants)
    required = tuple(job.id for job in gates if not job.allow_failure)
    promote = promote_job(scene, channel, required, tagged=tagged)
    return Pipeline(
        name=f"cosgen-{channel.name}",
        title=f"{scene.name}: {channel.name}",
        triggers=triggers_of(channel),
        jobs=(*gates, promote, *_after(scene, channel, variants, "promote", gates)),
        concurrency=Concurrency(group=f"cosgen-channel-{channel.name}", queue=True),
        trusted=True,
    )


def triggers_of(channel: ChannelConfig) -> tuple[Trigger, ...]:
    """Return what starts a channel's pipeline; without anything else a person does."""
    on = channel.on
    found: list[Trigger] = []
    if on.branch:
        found.append(OnPush(tuple(on.branch.split(",")), on.paths))
    if on.tag:
        found.append(OnTag((on.tag,)))
    if on.schedule:
        found.append(OnSchedule(on.schedule))
    if on.manual or not found:
        found.append(OnManual())
    return tuple(found)
