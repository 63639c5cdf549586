"""Writes pipelines for GitLab: a root file that includes one file a pipeline, and child pipelines.

Jobs `extend` hidden ones, since GitLab counts the memory of the whole configuration and not its bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cosgen.graph.chunk import Join, limit_needs
from cosgen.pipeline.gitlab_steps import (
    arguments_of,
    artifacts_of,
    id_tokens_of,
    script_of,
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
from cosgen.pipeline.yaml_text import Flow, Line, print_yaml

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

_LITERAL = {char: f"\\{char}" for char in ".+?()[]{}|^$/*\\"}
_EXPRESSION = {**_LITERAL, "*": ".*"}


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
            "default": {"interruptible": False, "retry": self.retry()},
        }
        if variables := {**_asked(pipelines), **self.variables}:
            result["variables"] = variables
        result["include"] = [{"local": f"{FOLDER}/{pipeline.name}.yml"} for pipeline in pipelines]
        return result

    def included(self, pipeline: Pipeline) -> dict[str, object]:
        """Return the file of one pipeline: hidden jobs with its rules, templates, then its jobs."""
        prefix = pipeline.name.removeprefix("cosgen-")
        base = f".cosgen-{prefix}"
        jobs = fan_in(pipeline.jobs)
        starts = _starts_of_jobs(jobs)
        result: dict[str, object] = {
            f"{base}{start.suffix}": {"rules": _rules(pipeline, start)}
            for start in sorted(set(starts.values()))
        }
        for template in pipeline.templates.values():
            result[f".{prefix}{template.id}"] = {"extends": base, **self.job(template, pipeline, prefix)}
        for job in jobs:
            extends = f".{prefix}{job.template}" if job.template else f"{base}{starts[job.id].suffix}"
            result[f"{prefix}:{job.id}"] = {"extends": extends, **self.job(job, pipeline, prefix)}
        return result

    def job(self, job: Job, pipeline: Pipeline, prefix: str) -> dict[str, object]:
        """Return one job, without what it extends."""
        if job.child:
            return self._trigger(job, prefix)
        result: dict[str, object] = {}
        if not job.template:
            result["stage"] = job.stage
        if job.id in pipeline.templates:
            result["dependencies"] = Flow([f"{prefix}:plan"])  # and not what other builds keep
        else:
            result |= self._needs(job, prefix)
        if not job.steps and not job.template:
            result["dependencies"] = Flow()
        if job.template:
            result["variables"] = arguments_of(job, pipeline.templates[job.template])
            return result | _parallel(job)
        return result | self.job_body(job) | _parallel(job)

    def job_body(self, job: Job) -> dict[str, object]:
        """Return what a job does and where, without its stage, needs and rules."""
        result = machine_of(job.runner)
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
            result["environment"] = {"name": job.environment, **({} if job.deploys else {"action": "access"})}
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
        return {"needs": Flow(f"{prefix}:{need}" for need in job.needs)}

    def _trigger(self, job: Job, prefix: str) -> dict[str, object]:
        include = [{"artifact": job.child, "job": f"{prefix}:child"}]
        return {
            "stage": job.stage,
            "needs": Flow(f"{prefix}:{need}" for need in job.needs),
            **({"interruptible": True} if job.interruptible else {}),
            "variables": {"COSGEN_PARENT": "$CI_PIPELINE_ID"},
            "trigger": {"include": include, "strategy": "depend"},
        }

    def retry(self) -> dict[str, object]:
        """Return how often, and after which failures of the machinery, a job is tried again."""
        return {"max": min(self.retries, 2), "when": list(RETRY_WHEN)}


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _when(job: Job) -> str:
    if job.by_hand:
        return "manual"
    if job.condition.when is When.ALWAYS or (job.condition.when is When.ENDED and job.stage == "collect"):
        return "always"
    return ""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class _Start:
    """What jobs of one pipeline have in common about when they are there."""

    task: str = ""
    tag: bool = False  # only when a tag started the pipeline
    when: str = ""  # GitLab's word; "" for on_success

    @property
    def suffix(self) -> str:
        """What tells the hidden job with these rules from the others of its pipeline."""
        parts = (self.task, "tag" if self.tag else "", self.when)
        return "".join(f"-{part}" for part in parts if part)


def _starts_of_jobs(jobs: Iterable[Job]) -> dict[str, _Start]:
    """Return when each job is there: never without those it needs, since GitLab refuses such a pipeline."""
    found: dict[str, _Start] = {}
    for job in jobs:
        before = [found[need] for need in job.needs]
        task = job.condition.task or next((start.task for start in before if start.task), "")
        tag = job.condition.tag or any(start.tag for start in before)
        found[job.id] = _Start(task=task, tag=tag, when=_when(job))
    return found


def _rules(pipeline: Pipeline, start: _Start) -> list[dict[str, object]]:
    rules: dict[str, dict[str, object]] = {}
    for trigger in pipeline.triggers:
        if start.tag and not isinstance(trigger, OnTag):
            continue
        paths = trigger.paths if isinstance(trigger, OnPush | OnPullRequest) else ()
        text = _start(trigger, pipeline, start.task)
        rule: dict[str, object] = {"if": text}
        if paths:
            rule["changes"] = list(paths)
        if start.when:
            rule["when"] = start.when
        rules[text] = rule
    return list(rules.values())


def starts_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the conditions under which a pipeline runs, each once."""
    return tuple(dict.fromkeys(_start(trigger, pipeline) for trigger in pipeline.triggers))


def _asked(pipelines: Iterable[Pipeline]) -> dict[str, object]:
    """Return the variables that schedules set, and people who start a pipeline by hand choose."""
    channels, tasks = [], []
    for pipeline in pipelines:
        for trigger in pipeline.triggers:
            if isinstance(trigger, OnManual):
                tasks += [choice for _, _, choices in trigger.inputs for choice in choices]
                channels += [] if trigger.inputs else [_channel(pipeline)]
    asked = (
        ("COSGEN_CHANNEL", "The channel to build or to promote to", channels),
        ("COSGEN_TASK", "The maintenance to do", tasks),
    )
    return {
        name: {"description": meaning, "value": "", "options": Flow(["", *choices])}
        for name, meaning, choices in asked
        if choices
    }


def _channel(pipeline: Pipeline) -> str:
    return pipeline.name.removeprefix("cosgen-")


def _start(trigger: Trigger, pipeline: Pipeline, task: str = "") -> str:
    channel = _channel(pipeline)
    what = f'$COSGEN_CHANNEL == "{channel}"'
    if channel == "maintenance":
        what = f'$COSGEN_TASK == "{task}"' if task else "$COSGEN_TASK"
    match trigger:
        case OnPush(branches):
            return f'$CI_PIPELINE_SOURCE == "push" && {_one_of("$CI_COMMIT_BRANCH", branches)}'
        case OnTag(patterns):
            return f'$CI_PIPELINE_SOURCE == "push" && {_one_of("$CI_COMMIT_TAG", patterns)}'
        case OnSchedule():
            return f'$CI_PIPELINE_SOURCE == "schedule" && {what}'
        case OnManual():
            return f'$CI_PIPELINE_SOURCE == "web" && {what}'
        case OnPullRequest():
            return _request(trigger)


def _request(trigger: OnPullRequest) -> str:
    parts = ['$CI_PIPELINE_SOURCE == "merge_request_event"']
    if not trigger.queue:
        parts.append('$CI_MERGE_REQUEST_EVENT_TYPE != "merge_train"')
    if trigger.labels:
        names = "|".join("".join(_LITERAL.get(char, char) for char in label) for label in trigger.labels)
        labelled = f"$CI_MERGE_REQUEST_LABELS =~ /(^|,)({names})(,|$)/"
        train = '$CI_MERGE_REQUEST_EVENT_TYPE == "merge_train"'
        parts.append(f"({labelled} || {train})" if trigger.queue else labelled)
    return " && ".join(parts)


def _one_of(variable: str, patterns: Sequence[str]) -> str:
    names = " || ".join(_matches(variable, pattern) for pattern in patterns)
    return names if len(patterns) == 1 else f"({names})"


def _matches(variable: str, pattern: str) -> str:
    if "*" not in pattern:
        return f'{variable} == "{pattern}"'
    expression = "".join(_EXPRESSION.get(char, char) for char in pattern)
    return f"{variable} =~ /^{expression}$/"


def machine_of(runner: Runner) -> dict[str, object]:
    """Return what says on which machines a job may run."""
    result: dict[str, object] = {}
    if runner.labels:
        result["tags"] = Flow(runner.labels)
    if runner.image:
        result["image"] = runner.image
    return result


def _parallel(job: Job) -> dict[str, object]:
    if not job.workers_of:
        return {}
    numbers = Line([str(number) for number in range(job.workers)])
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
