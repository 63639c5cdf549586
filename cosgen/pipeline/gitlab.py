"""Writes pipelines for GitLab: a root file that includes one file a pipeline, and child pipelines.

Jobs `extend` hidden ones, since GitLab counts the memory of the whole configuration and not its bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cosgen.graph.chunk import Join, limit_needs
from cosgen.pipeline.gitlab_steps import (
    artifacts_of,
    id_tokens_of,
    script_of,
    value_text,
    variables_of,
)
from cosgen.pipeline.model import (
    Checkout,
    Condition,
    Job,
    OnManual,
    OnPullRequest,
    OnPush,
    OnSchedule,
    OnTag,
    Pages,
    Pipeline,
    Runner,
    Trigger,
    When,
)
from cosgen.pipeline.yaml_text import Flow, FlowMap, print_yaml

ROOT = ".gitlab-ci.yml"
FOLDER = ".gitlab/cosgen"
STAGES = ("check", "plan", "build", "collect", "gate", "publish", "site")
MAX_NEEDS = 50
# Failures that are the machinery's and not the build's; the classes of GitLab 19.
RETRY_WHEN = (
    "runner_system_failure",
    "stuck_or_timeout_failure",
    "scheduler_failure",
    "data_integrity_failure",
    "api_failure",
)

_EXPRESSION = {"*": ".*", **{char: f"\\{char}" for char in ".+?()[]{}|^$/"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLabWriter:
    """What is the same in all files of one run."""

    variables: Mapping[str, str]
    retries: int

    def write(self, pipelines: Sequence[Pipeline], header: tuple[str, ...]) -> dict[str, str]:
        """Return path -> text of all files, sorted by path."""
        files = {
            f"{FOLDER}/{pipeline.name}.yml": print_yaml(self.included(pipeline), header)
            for pipeline in pipelines
        }
        files[ROOT] = print_yaml(self.root(pipelines), header)
        return dict(sorted(files.items()))

    def root(self, pipelines: Sequence[Pipeline]) -> dict[str, object]:
        """Return the root file: when there is a pipeline at all, and where its jobs are."""
        starts = [{"if": text} for pipeline in pipelines for text in starts_of(pipeline)]
        result: dict[str, object] = {
            "stages": list(STAGES),
            "workflow": {"rules": [*starts, {"when": "never"}]},
            "default": {"interruptible": False, "retry": self._retry()},
        }
        if self.variables:
            result["variables"] = dict(self.variables)
        result["include"] = [{"local": f"{FOLDER}/{pipeline.name}.yml"} for pipeline in pipelines]
        return result

    def included(self, pipeline: Pipeline) -> dict[str, object]:
        """Return the file of one pipeline: hidden jobs with its rules, templates, then its jobs."""
        prefix = pipeline.name.removeprefix("cosgen-")
        base = f".cosgen-{prefix}"
        result: dict[str, object] = {base: {"rules": _rules(pipeline, "")}}
        for when in sorted({_when(job) for job in pipeline.jobs} - {""}):
            result[f"{base}-{when}"] = {"rules": _rules(pipeline, when)}
        for task in sorted({job.condition.task for job in pipeline.jobs} - {""}):
            result[f"{base}-{task}"] = {"rules": [{"if": _task_rule(task)}]}
        for template in pipeline.templates.values():
            result[f".{prefix}{template.id}"] = self.job(template, pipeline, prefix)
        for job in fan_in(pipeline.jobs):
            extends = [_rules_name(job, base)]
            if job.template:
                extends.append(f".{prefix}{job.template}")
            result[f"{prefix}:{job.id}"] = {"extends": _one(extends), **self.job(job, pipeline, prefix)}
        return result

    def job(self, job: Job, pipeline: Pipeline, prefix: str) -> dict[str, object]:
        """Return one job, without what it extends."""
        if job.child:
            return self._trigger(job, prefix)
        result: dict[str, object] = {}
        if job.id not in pipeline.templates:
            result["stage"] = job.stage
            result |= self._needs(job, prefix)
        if job.template:
            result["variables"] = {name.upper(): value_text(value) for name, value in job.parameters.items()}
            return result | _parallel(job)
        return result | self.job_body(job) | _parallel(job)

    def job_body(self, job: Job) -> dict[str, object]:
        """Return what a job does and where, without its stage, needs and rules."""
        result = _machine(job.runner)
        result["timeout"] = f"{job.timeout} minutes"
        if job.interruptible:
            result["interruptible"] = True
        if not any(isinstance(step, Checkout) for step in job.steps):
            result["variables"] = {"GIT_STRATEGY": "none"}
        if variables := variables_of(job):
            result["variables"] = {**_mapping(result.get("variables")), **variables}
        if tokens := id_tokens_of(job):
            result["id_tokens"] = tokens
        if job.environment:
            result["environment"] = {"name": job.environment}
        if job.concurrency:
            result["resource_group"] = job.concurrency.group
        if job.allow_failure:
            result["allow_failure"] = True
        result["script"] = script_of(job)
        if artifacts := artifacts_of(job):
            result["artifacts"] = artifacts
        if any(isinstance(step, Pages) for step in job.steps):
            result["pages"] = True
        return result

    def _needs(self, job: Job, prefix: str) -> dict[str, object]:
        if job.condition.when is When.ENDED and job.stage == "collect":
            return {}  # everything of the stages before, whatever came of it
        light = {"plan", "child"}
        whole = job.stage != "build"
        return {
            "needs": [
                f"{prefix}:{need}"
                if whole or need in light
                else FlowMap({"job": f"{prefix}:{need}", "artifacts": False})
                for need in job.needs
            ]
        }

    def _trigger(self, job: Job, prefix: str) -> dict[str, object]:
        include = [{"artifact": job.child, "job": f"{prefix}:child"}]
        return {
            "stage": job.stage,
            "needs": [f"{prefix}:{need}" for need in job.needs],
            "variables": {"COSGEN_PARENT": "$CI_PIPELINE_ID"},
            "trigger": {"include": include, "strategy": "depend"},
        }

    def _retry(self) -> dict[str, object]:
        return {"max": min(self.retries, 2), "when": list(RETRY_WHEN)}


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _one(names: list[str]) -> object:
    return names[0] if len(names) == 1 else Flow(names)


def _when(job: Job) -> str:
    if job.by_hand:
        return "manual"
    if job.condition.when is When.ALWAYS or (job.condition.when is When.ENDED and job.stage == "collect"):
        return "always"
    return ""


def _rules_name(job: Job, base: str) -> str:
    suffix = job.condition.task or _when(job)
    return f"{base}-{suffix}" if suffix else base


def _rules(pipeline: Pipeline, when: str) -> list[dict[str, object]]:
    extra: dict[str, object] = {"when": when} if when else {}
    rules: list[dict[str, object]] = []
    for trigger in pipeline.triggers:
        paths = trigger.paths if isinstance(trigger, OnPush | OnPullRequest) else ()
        changes: dict[str, object] = {"changes": list(paths)} if paths else {}
        rules.append({"if": _start(trigger, pipeline), **changes, **extra})
    return rules


def starts_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the conditions under which a pipeline runs, each once."""
    return tuple(dict.fromkeys(_start(trigger, pipeline) for trigger in pipeline.triggers))


def _start(trigger: Trigger, pipeline: Pipeline) -> str:
    channel = pipeline.name.removeprefix("cosgen-")
    match trigger:
        case OnPush(branches):
            names = " || ".join(_matches("$CI_COMMIT_BRANCH", branch) for branch in branches)
            names = names if len(branches) == 1 else f"({names})"
            return f'$CI_PIPELINE_SOURCE == "push" && {names}'
        case OnTag(patterns):
            return " || ".join(_matches("$CI_COMMIT_TAG", pattern) for pattern in patterns)
        case OnSchedule():
            what = "$COSGEN_TASK" if channel == "maintenance" else f'$COSGEN_CHANNEL == "{channel}"'
            return f'$CI_PIPELINE_SOURCE == "schedule" && {what}'
        case OnManual():
            what = "$COSGEN_TASK" if channel == "maintenance" else f'$COSGEN_CHANNEL == "{channel}"'
            return f'$CI_PIPELINE_SOURCE == "web" && {what}'
        case OnPullRequest(labels=labels):
            asked = "".join(f" && $CI_MERGE_REQUEST_LABELS =~ /(^|,){label}(,|$)/" for label in labels[:1])
            return f'$CI_PIPELINE_SOURCE == "merge_request_event"{asked}'


def _task_rule(task: str) -> str:
    return f'$COSGEN_TASK == "{task}"'


def _matches(variable: str, pattern: str) -> str:
    if "*" not in pattern:
        return f'{variable} == "{pattern}"'
    expression = "".join(_EXPRESSION.get(char, char) for char in pattern)
    return f"{variable} =~ /^{expression}$/"


def _machine(runner: Runner) -> dict[str, object]:
    result: dict[str, object] = {}
    if runner.labels:
        result["tags"] = Flow(runner.labels)
    if runner.image:
        result["image"] = runner.image
    return result


def _parallel(job: Job) -> dict[str, object]:
    if not job.workers_of:
        return {}
    numbers = Flow([str(number) for number in range(job.workers)])
    return {"parallel": {"matrix": [{"WORKER": numbers}]}}


def fan_in(jobs: Iterable[Job], limit: int = MAX_NEEDS) -> tuple[Job, ...]:
    """Put join jobs between a job and more needs than GitLab takes; the order of jobs stays valid."""
    jobs = tuple(jobs)
    wide = {job.id: job for job in jobs if len(job.needs) > limit and not _collects(job)}
    if not wide:
        return jobs
    bounded, joins = limit_needs({name: _beside_plan(job) for name, job in wide.items()}, limit - 1)
    first = next(iter(wide.values()))
    ids = {join.name: f"{first.id}--{join.name}" for join in joins}  # other pipelines of the file join too
    waiting = {ids[join.name]: _join(first, ids, join) for join in joins}
    result: list[Job] = []
    for job in jobs:
        if job.id in wide:
            job = _with_needs(job, tuple(ids.get(need, need) for need in bounded[job.id]))  # noqa: PLW2901 - the same job
            result.extend(_take(waiting, job.needs))
        result.append(job)
    return tuple(result)


def _collects(job: Job) -> bool:
    return job.condition.when is When.ENDED and job.stage == "collect"


def _take(waiting: dict[str, Job], needs: Iterable[str]) -> Iterator[Job]:
    """Take the joins that some needs name, those beneath them first."""
    for need in needs:
        if join := waiting.pop(need, None):
            yield from _take(waiting, join.needs)
            yield join


def _join(job: Job, ids: Mapping[str, str], join: Join) -> Job:
    return Job(
        id=ids[join.name],
        title="join",
        stage=job.stage,
        needs=tuple(ids.get(need, need) for need in join.needs),
        condition=Condition(),
        runner=job.runner,
        timeout=5,
        interruptible=True,
    )


def _beside_plan(job: Job) -> tuple[str, ...]:
    return tuple(need for need in job.needs if need != "plan")


def _with_needs(job: Job, needs: tuple[str, ...]) -> Job:
    """Replace needs; that of the plan, whose file is asked for, is never behind a join."""
    return replace(job, needs=(*(need for need in job.needs if need == "plan"), *needs))
