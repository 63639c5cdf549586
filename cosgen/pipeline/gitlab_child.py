"""Writes the map of a GitLab child pipeline: build jobs that extend one hidden job an arch, collect, gate."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from cosgen.pipeline.gitlab import GitLabWriter, machine_of
from cosgen.pipeline.gitlab_steps import arguments_of
from cosgen.pipeline.model import Job
from cosgen.pipeline.scene import Scene
from cosgen.pipeline.shapes import Unit, unit_jobs
from cosgen.pipeline.stages import collect_job, gate_job
from cosgen.pipeline.yaml_text import Flow, FlowMap


def child_map(
    scene: Scene,
    writer: GitLabWriter,
    units: Sequence[Unit],
    *,
    channel: str,
    request: bool,
    join: Callable[[Iterable[Job]], tuple[Job, ...]],
) -> dict[str, object]:
    """Return the child pipeline as a map.

    Args:
        scene: The settings.
        writer: Of the provider.
        units: The jobs to make, needs first.
        channel: For which channel; "" for a merge request.
        request: It is a merge request: nothing is pushed.
        join: Puts jobs between a job and more needs than GitLab takes.
    """
    plan_job = f"{channel or 'request'}:plan"
    result: dict[str, object] = {
        # Without rules of its own, GitLab would leave all jobs out of the child of a merge request.
        "workflow": {"rules": [{"when": "always"}]},
        "stages": Flow(["build", "collect", "gate"]),
        "default": {"retry": writer.retry()},  # that of the parent does not reach here
    }
    light = machine_of(scene.request_runner("control") if request else scene.runner("control"))
    light |= {"timeout": "5 minutes"}
    if request:
        light |= {"interruptible": True}
    if not units:
        return result | {"nothing": {"stage": "build", **light, "script": ["echo nothing to build"]}}
    # The plan of the parent, kept again here, since collect takes everything of this pipeline.
    result["plan"] = {
        "stage": "build",
        "needs": [FlowMap({"pipeline": "$COSGEN_PARENT", "job": plan_job})],
        **light,
        "variables": {"GIT_STRATEGY": "none"},
        "script": ["test -s plan.json"],
        "artifacts": {"paths": Flow(["plan.json"]), "expire_in": "1 day"},
    }
    built = unit_jobs(scene, units, request=request, planned=False)
    for template in built.templates.values():
        result[f".{template.id}"] = {"stage": "build", "dependencies": Flow(), **writer.job_body(template)}
    for job in join(_without_plan(job) for job in built.jobs):
        entry: dict[str, object] = {"needs": Flow(job.needs)}
        if job.template:
            variables = arguments_of(job, built.templates[job.template])
            entry = {"extends": f".{job.template}", **entry, "variables": variables}
        else:
            entry = {
                "stage": "build",
                **entry,
                "dependencies": Flow(),
                **light,
                "variables": {"GIT_STRATEGY": "none"},
                "script": ["echo joined"],
            }
        result[job.id] = entry
    result["collect"] = {
        "stage": "collect",
        "when": "always",
        **writer.job_body(collect_job(scene, (), request=request)),
    }
    gate = gate_job(scene, ("collect",), request=request)
    result["gate"] = {"stage": "gate", "needs": Flow(["collect"]), **writer.job_body(gate)}
    return result


def _without_plan(job: Job) -> Job:
    return replace(job, needs=tuple(need for need in job.needs if need != "plan"))
