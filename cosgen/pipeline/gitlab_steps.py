"""Writes steps for GitLab: one script a job, values through `variables`."""

from collections.abc import Mapping
from typing import assert_never

from cosgen.pipeline.commands import Variable, Word
from cosgen.pipeline.model import (
    AssumeRole,
    Call,
    Checkout,
    Context,
    Download,
    Emulate,
    Fail,
    Install,
    Job,
    Login,
    Pages,
    Parameter,
    Place,
    Purge,
    Secret,
    Setting,
    Shell,
    Step,
    Upload,
    Value,
)
from cosgen.pipeline.steps import emulate_line, env_of
from cosgen.pipeline.yaml_text import Flow

SUMMARY = "summary.md"
PLACES: Mapping[Place, Word] = {Place.OUTPUTS: "outputs.env", Place.SUMMARY: SUMMARY}
TOKEN_VARIABLE = "COSGEN_AWS_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE = ".cosgen-aws-token"  # noqa: S105 - the name of a file
_CONTEXT: Mapping[Context, str] = {
    Context.REVISION: "$CI_COMMIT_SHA",
    Context.BASE_REVISION: "$CI_MERGE_REQUEST_DIFF_BASE_SHA",
    Context.TAG: "$CI_COMMIT_TAG",
    Context.ATTEMPT: "$CI_JOB_ID",
    Context.TOKEN: "$CI_JOB_TOKEN",
    Context.ACTOR: "$GITLAB_USER_LOGIN",
    Context.WORKER: "$WORKER",
    Context.WORKERS: "$CI_NODE_TOTAL",
}


def value_text(value: Value) -> str:
    """Return a value as GitLab writes it."""
    match value:
        case str():
            return value
        case Context():
            return _CONTEXT[value]
        case Secret(name) | Setting(name):
            return f"${name}"
        case Parameter(name):
            return f"${name.upper()}"
        case _:
            assert_never(value)


def arguments_of(job: Job, template: Job) -> dict[str, object]:
    """Return the variables by which a job says what its template is to do.

    Those that only name artifacts are left out, and those that the provider sets under their name.
    """
    read = {value for step in template.steps for value in env_of(step).values()}
    found = {
        name.upper(): value_text(value) for name, value in job.parameters.items() if Parameter(name) in read
    }
    return {name: text for name, text in found.items() if text != f"${name}"}


def variables_of(job: Job) -> dict[str, object]:
    """Return the variables a job sets; those that have their name already are left out."""
    result: dict[str, object] = {}
    for step in job.steps:
        for name, value in env_of(step).items():
            text = value_text(value)
            if text != f"${name}":
                result[name] = text
        if isinstance(step, AssumeRole):
            result["AWS_ROLE_ARN"] = value_text(step.role)
            result["AWS_REGION"] = value_text(step.region)
            result["AWS_WEB_IDENTITY_TOKEN_FILE"] = TOKEN_FILE
        if isinstance(step, Checkout) and step.history:
            result["GIT_DEPTH"] = "0"
    return result


def id_tokens_of(job: Job) -> dict[str, object]:
    """Return the identity tokens a job asks for."""
    roles = [step for step in job.steps if isinstance(step, AssumeRole)]
    return {TOKEN_VARIABLE: {"aud": roles[0].audience}} if roles else {}


def script_of(job: Job) -> list[object]:
    """Return the lines of a job's script; a job that does nothing says so."""
    lines = [line for step in job.steps for line in _lines(step)]
    return list(lines) or ["echo joined"]


def _lines(step: Step) -> list[str]:
    match step:
        case Checkout() | Upload() | Download() | Pages() | Call(words="ci outputs"):
            return []  # by other keys of the job; nothing reads outputs here
        case Install(line=line) | Shell(line=line):
            return [line]
        case Purge():
            return ["docker image prune --all --force"]
        case Emulate():
            return [emulate_line(step)]
        case Login():
            return [_login(step)]
        case AssumeRole():
            return [f"(umask 077 && printf '%s' \"${TOKEN_VARIABLE}\" > {TOKEN_FILE})"]
        case Call():
            return [_call(step)]
        case Fail():
            return ["echo all that is required is there"]
        case _:
            assert_never(step)


def _call(step: Call) -> str:
    kept = tuple((name, word) for name, word in step.options if word is not Place.OUTPUTS)
    plain = Call(title=step.title, words=step.words, arguments=step.arguments, options=kept)
    return plain.line(PLACES)


def _login(step: Login) -> str:
    user, password = (Variable(value_text(value).removeprefix("$")) for value in (step.user, step.password))
    return f"printf '%s' {password} | docker login --username {user} --password-stdin {step.host}"


def artifacts_of(job: Job) -> dict[str, object]:
    """Return the artifacts of a job: what its uploads keep, and the summary."""
    uploads = [step for step in job.steps if isinstance(step, Upload)]
    paths = [path for upload in uploads for path in upload.paths]
    pages = [step.path for step in job.steps if isinstance(step, Pages)]
    summary = any(
        word is Place.SUMMARY for step in job.steps if isinstance(step, Call) for _, word in step.options
    )
    if not paths and not pages:
        return {}
    listed = [*paths, *pages, *([SUMMARY] if summary else [])]
    result: dict[str, object] = {"paths": Flow(listed)}
    if any(upload.always for upload in uploads):
        result["when"] = "always"
    days = max((upload.days for upload in uploads), default=1)
    result["expire_in"] = _days(days)
    return result


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
