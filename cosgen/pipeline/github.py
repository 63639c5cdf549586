"""Writes pipelines as GitHub workflows: one file a pipeline, one a template, one that lists the actions.

Values come into `run` only through `env`; the only expressions are those of this module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from cosgen.pipeline.actions import PROXY_PATH, Pin
from cosgen.pipeline.github_steps import StepWriter, value_text
from cosgen.pipeline.model import (
    Concurrency,
    Condition,
    Context,
    Job,
    OnManual,
    OnPullRequest,
    OnPush,
    OnSchedule,
    OnTag,
    Pipeline,
    Runner,
    Trigger,
    When,
)
from cosgen.pipeline.steps import parameters_of
from cosgen.pipeline.yaml_text import Flow, FlowMap, Tagged, print_yaml

FOLDER = ".github/workflows"
# What the parameters and outputs of templates mean.
_MEANING: Mapping[str, str] = {
    "job": "Id of the calling job, for the names of what it keeps",
    "packages": "Packages to build, as category/name[@version], with blanks between",
    "flavor": "Flavor of the packages",
    "worker": "Which worker this is, from 0",
    "workers": "Of how many",
    "wave": "Which wave this is, from 1",
    "left": "Whether there is something that nobody has built or tried",
}
# What these ask for, or must have to be safe, even where they never run.
_PROXY_INPUTS: Mapping[str, Mapping[str, object]] = {
    "actions/checkout": {"with": {"persist-credentials": False}},
    "actions/upload-artifact": {"with": {"path": "plan.json"}},
    "actions/upload-pages-artifact": {"with": {"path": "public"}},
    "aws-actions/configure-aws-credentials": {"with": {"aws-region": "eu-central-1"}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubWriter:
    """What is the same in all files of one run."""

    pins: Mapping[str, Pin]
    python: str
    variables: Mapping[str, str]
    tasks: Mapping[str, str]  # task -> cron line
    self_repository: bool = False

    def write(self, pipelines: Iterable[Pipeline], header: tuple[str, ...]) -> dict[str, str]:
        """Return path -> text of all files, sorted by path."""
        files: dict[str, str] = {}
        for pipeline in pipelines:
            files[f"{FOLDER}/{pipeline.name}.yml"] = print_yaml(self.workflow(pipeline), header)
            for name, template in pipeline.templates.items():
                files[f"{FOLDER}/{name}.yml"] = print_yaml(self.template(template), header)
        files[PROXY_PATH] = print_yaml(self.proxy(), header)
        return dict(sorted(files.items()))

    def workflow(self, pipeline: Pipeline) -> dict[str, object]:
        """Return a pipeline as the map of its workflow file."""
        labels = next((on.labels for on in pipeline.triggers if isinstance(on, OnPullRequest)), ())
        result: dict[str, object] = {
            "name": pipeline.title,
            "on": _triggers(pipeline.triggers),
            "permissions": FlowMap(),
        }
        if pipeline.concurrency:
            result["concurrency"] = _concurrency(pipeline.concurrency)
        if self.variables:
            result["env"] = dict(self.variables)
        result["jobs"] = {job.id: self.job(job, labels) for job in pipeline.jobs}
        return result

    def template(self, template: Job) -> dict[str, object]:
        """Return a template as the map of a reusable workflow."""
        inputs = {
            name: {"description": _MEANING[name], "type": "string", "required": True}
            for name in parameters_of(template)
        }
        outputs = {
            name: {"description": _MEANING[name], "value": f"${{{{ jobs.{template.title}.outputs.{name} }}}}"}
            for name, _ in template.outputs
        }
        call = {name: value for name, value in (("inputs", inputs), ("outputs", outputs)) if value}
        result: dict[str, object] = {
            "name": template.id.removeprefix("_"),
            "on": {"workflow_call": call},
            "permissions": FlowMap(),
        }
        if self.variables:
            result["env"] = dict(self.variables)
        result["jobs"] = {template.title: self._own(template, {"name": template.title})}
        return result

    def proxy(self) -> dict[str, object]:
        """Return the workflow that never runs, where bots see and renew every action."""
        steps = [
            {"name": pin.name, "uses": Tagged(pin.uses, pin.tag), **_PROXY_INPUTS.get(pin.name, {})}
            for pin in self.pins.values()
        ]
        job = {
            "name": "actions",
            "if": "${{ github.event_name == 'never' }}",
            "runs-on": "ubuntu-24.04",
            "timeout-minutes": 1,
            "permissions": FlowMap(),
            "steps": steps,
        }
        return {
            "name": "cosgen: the actions in use",
            "on": {"workflow_dispatch": FlowMap()},
            "permissions": FlowMap(),
            "concurrency": {"group": "cosgen-actions", "cancel-in-progress": True},
            "jobs": {"actions": job},
        }

    def job(self, job: Job, labels: tuple[str, ...] = ()) -> dict[str, object]:
        """Return one job."""
        result: dict[str, object] = {"name": job.title}
        if job.needs:
            result["needs"] = Flow(job.needs)
        if condition := self._condition(job, labels):
            result["if"] = condition
        if job.workers_of:
            workers = f"${{{{ fromJSON(needs.plan.outputs.workers_{job.workers_of}) }}}}"
            result["strategy"] = {
                "fail-fast": False,
                "max-parallel": job.workers,
                "matrix": {"worker": workers},
            }
        return self._called(job, result) if job.template else self._own(job, result)

    def _called(self, job: Job, result: dict[str, object]) -> dict[str, object]:
        prefix = "$/" if self.self_repository else "./"
        result["permissions"] = _permissions(job)
        result["uses"] = f"{prefix}{FOLDER}/{job.template}.yml"
        count = f"${{{{ needs.plan.outputs.count_{job.workers_of} }}}}"
        if job.parameters:
            result["with"] = {
                name: count if value is Context.WORKERS else value_text(value)
                for name, value in job.parameters.items()
            }
        return result

    def _own(self, job: Job, result: dict[str, object]) -> dict[str, object]:
        result["runs-on"] = _runs_on(job.runner)
        result["timeout-minutes"] = job.timeout
        result["permissions"] = _permissions(job)
        writer = StepWriter(self.pins, self.python)
        if job.environment:
            result["environment"] = writer.environment(job)
        if job.concurrency:
            result["concurrency"] = _concurrency(job.concurrency)
        if job.allow_failure:
            result["continue-on-error"] = True
        if job.outputs:
            result["outputs"] = {
                name: f"${{{{ steps.{step}.outputs.{name} }}}}" for name, step in job.outputs
            }
        result["steps"] = [item for step in job.steps for item in writer.steps(step)]
        return result

    def _condition(self, job: Job, labels: tuple[str, ...]) -> str:
        parts = _condition_parts(job.condition, self.tasks)
        alone = job.condition == Condition()
        if labels and (not job.needs or job.condition.when is When.ALWAYS):
            names = " || ".join(
                f"contains(github.event.pull_request.labels.*.name, '{name}')" for name in labels
            )
            parts.append(f"(github.event_name != 'pull_request' || {names})")
            alone = False
        if alone and not job.needs:
            return ""
        status = {When.NEEDS_GOOD: "!cancelled() && !failure()", When.ENDED: "!cancelled()"}
        first = status.get(job.condition.when, "always()")
        if not job.needs:
            return f"${{{{ {' && '.join(parts)} }}}}" if parts else ""
        return f"${{{{ {' && '.join([first, *parts])} }}}}"


def _condition_parts(condition: Condition, tasks: Mapping[str, str]) -> list[str]:
    parts = [f"needs.{name}.result == 'success'" for name in condition.good]
    if condition.verdict:
        parts.append(f"needs.{condition.verdict}.outputs.verdict == 'green'")
    if condition.work or condition.workers:
        parts.append("needs.plan.outputs.work == 'true'")
    if condition.workers:
        parts.append(f"contains(needs.plan.outputs.workers_{condition.workers}, '0')")  # one is numbered 0
    if condition.left:
        parts.append(f"needs.{condition.left}.outputs.left == 'true'")
    if condition.todo:
        wanted = [f"contains(needs.plan.outputs.todo, ' {_literal(key)} ')" for key in condition.todo]
        parts.append(wanted[0] if len(wanted) == 1 else f"({' || '.join(wanted)})")
    if condition.task:
        cron = tasks[condition.task]
        asked = f"github.event.schedule == '{cron}' || inputs.task == '{condition.task}'"
        parts.append(asked if condition == Condition(task=condition.task) else f"({asked})")
    if condition.tag:
        parts.append("github.ref_type == 'tag'")
    return parts


def _literal(text: str) -> str:
    if "'" in text or "$" in text:
        raise ValueError(f"not for an expression: {text!r}")
    return text


def _triggers(triggers: Iterable[Trigger]) -> dict[str, object]:
    result: dict[str, object] = {}
    for trigger in triggers:
        match trigger:
            case OnPush(branches, paths):
                push = result.setdefault("push", {})
                assert isinstance(push, dict)  # noqa: S101 - set one line above
                push["branches"] = list(branches)
                if paths:
                    push["paths"] = list(paths)
            case OnTag(patterns):
                push = result.setdefault("push", {})
                assert isinstance(push, dict)  # noqa: S101 - set one line above
                push["tags"] = list(patterns)
            case OnSchedule(cron):
                crons = result.setdefault("schedule", [])
                assert isinstance(crons, list)  # noqa: S101 - set one line above
                crons.append({"cron": cron})
            case OnManual(inputs):
                result["workflow_dispatch"] = _inputs(inputs) if inputs else FlowMap()
            case OnPullRequest():
                result.update(_request(trigger))
            case _:
                assert_never(trigger)
    return result


def _inputs(inputs: Iterable[tuple[str, str, tuple[str, ...]]]) -> dict[str, object]:
    return {
        "inputs": {
            name: {"description": meaning, "type": "choice", "required": True, "options": list(choices)}
            for name, meaning, choices in inputs
        }
    }


def _request(trigger: OnPullRequest) -> dict[str, object]:
    request: dict[str, object] = {}
    if trigger.labels:
        request["types"] = Flow(["opened", "synchronize", "reopened", "labeled"])
    if trigger.paths:
        request["paths"] = list(trigger.paths)
    result: dict[str, object] = {"pull_request": request or FlowMap()}
    if trigger.queue:
        result["merge_group"] = FlowMap()
    return result


def _concurrency(group: Concurrency) -> dict[str, object]:
    name = group.group
    if group.per_request:
        name = f"{name}-${{{{ github.event.pull_request.number || github.ref }}}}"
    result: dict[str, object] = {"group": name, "cancel-in-progress": group.cancel}
    if group.queue:
        result["queue"] = "max"
    return result


def _permissions(job: Job) -> dict[str, object]:
    if not job.permissions:
        return FlowMap()
    return {scope: Tagged(str(access), why) for scope, (access, why) in job.permissions.items()}


def _runs_on(runner: Runner) -> object:
    labels: object = runner.labels[0] if len(runner.labels) == 1 else Flow(runner.labels)
    if runner.group:
        return {"group": runner.group, "labels": labels}
    return labels
