"""What emitted files must never do, checked on their text read back: one rule a risk."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cosgen.errors import Origin, Problem
from cosgen.manifest.config import ProjectConfig
from cosgen.pipeline.commands import COMMANDS
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.parsed import as_list, as_map, parse, texts_in
from cosgen.pipeline.patterns import CREDENTIAL, MOVES, PIPED, WRITES
from cosgen.pipeline.rules import report
from cosgen.pipeline.scene import Provider
from cosgen.pipeline.security_gitlab import check_gitlab

TRIGGERS = frozenset(
    {"pull_request", "merge_group", "push", "schedule", "workflow_dispatch", "workflow_call"}
)
_PIN = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_OWN = re.compile(r"(\./|\$/)\.github/workflows/[\w.-]+\.yml")
_ACTOR = re.compile(r"github\.(actor|triggering_actor)\s*[=!]=")
_HOSTED = re.compile(r"(?:ubuntu|windows|macos)-[\w.-]+")
_RANK = {"none": 0, "read": 1, "write": 2}


def check_security(
    files: Sequence[GeneratedFile], provider: Provider, config: ProjectConfig
) -> tuple[Problem, ...]:
    """Return every rule that emitted files break.

    Args:
        files: All files of one provider, since workflows call each other.
        provider: Whose they are.
        config: The settings, for the machines that requests may use.
    """
    documents = {file.path: parse(file.text) for file in files}
    if provider is Provider.GITLAB:
        return tuple(check_gitlab(documents, config))
    called = {path: _asked(document) for path, document in documents.items()}
    fleet = frozenset(
        runner.labels
        for runner in config.ci.runners.values()
        if runner.ephemeral or not (runner.self_hosted or "self-hosted" in runner.labels)
    )
    return tuple(
        problem
        for path, document in documents.items()
        for problem in _workflow(path, document, _Around(called=called, fleet=fleet))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What is around a workflow: what each one asks for, and the labels that requests may name."""

    called: Mapping[str, Mapping[str, str]]
    fleet: frozenset[tuple[str, ...]]


def _asked(document: Mapping[str, object]) -> dict[str, str]:
    asked: dict[str, str] = {}
    for job in as_map(document.get("jobs")).values():
        for scope, access in as_map(as_map(job).get("permissions")).items():
            asked[str(scope)] = max(str(access), asked.get(str(scope), "none"), key=lambda text: _RANK[text])
    return asked


def _workflow(path: str, document: Mapping[str, object], around: _Around) -> Iterator[Problem]:
    at = Origin(path)
    triggers = as_map(document.get("on"))
    if bad := sorted(set(map(str, triggers)) - TRIGGERS):
        yield report("CG102", f"{path} is started by {bad[0]}", at)
    if document.get("permissions") != {}:
        yield report("CG119", f"{path} does not begin with `permissions: {{}}`", at)
    request = "pull_request" in triggers or "merge_group" in triggers or "-request-" in path
    yield from _texts(document, at, request=request)
    for name, job in as_map(document.get("jobs")).items():
        yield from _job(str(name), as_map(job), at, around, request=request)
    if any(_moves(as_map(job)) for job in as_map(document.get("jobs")).values()):
        yield from _group(path, as_map(document.get("concurrency")), at)


def _moves(job: Mapping[str, object]) -> bool:
    return any(MOVES.search(str(as_map(step).get("run", ""))) for step in as_list(job.get("steps")))


def _texts(document: Mapping[str, object], at: Origin, *, request: bool) -> Iterator[Problem]:
    for place, text in texts_in(document):
        if CREDENTIAL.search(text):
            yield report("CG111", f"{place} looks like a credential", at)
        if _ACTOR.search(text):
            yield report("CG114", f"{place} compares github.actor", at)
        if request and "${{ secrets." in text:
            yield report("CG110", f"{place}: a pull request sees a secret", at)
        if "type=gha" in text:
            yield report("CG107", f"{place} uses the forge's cache for images", at)
        if place.endswith(".if") and not (
            text.startswith("${{ ") and text.endswith(" }}") and text.count("${{") == 1
        ):
            yield report("CG115", f"{place} is not one expression", at)
        if "always()" in text and not place.startswith("jobs.gate."):
            yield report("CG115", f"{place} runs always, which is for the gate alone", at)


def _job(
    name: str,
    job: Mapping[str, object],
    at: Origin,
    around: _Around,
    *,
    request: bool,
) -> Iterator[Problem]:
    granted = {str(scope): str(access) for scope, access in as_map(job.get("permissions")).items()}
    if "permissions" not in job:
        yield report("CG119", f"job {name} does not say its permissions", at)
    uses = str(job.get("uses", ""))
    if uses:
        yield from _call(name, job, uses, granted, at, around.called)
        return
    if not job.get("timeout-minutes"):
        yield report("CG117", f"job {name} has no time limit", at)
    if granted.get("id-token") == "write" and not job.get("environment"):
        yield report("CG112", f"job {name} may prove who it is, and has no environment", at)
    secret = any("${{ secrets." in text for _, text in texts_in(job))
    if secret and not job.get("environment"):
        yield report("CG110", f"job {name} sees a secret, and has no environment", at)
    if request and any(access == "write" for access in granted.values()):
        yield report("CG109", f"job {name} of a pull request may write", at)
    if request and not _may_take_requests(job.get("runs-on"), around.fleet):
        yield report("CG113", f"job {name} runs a pull request on an own machine", at)
    for image in _images(job):
        if "@sha256:" not in image:
            yield report("CG106", f"job {name} uses the image {image}", at)
    if job.get("concurrency") or _moves(job):
        yield from _group(name, as_map(job.get("concurrency")), at)
    for step in as_list(job.get("steps")):
        yield from _step(name, as_map(step), at, request=request)


def _may_take_requests(machines: object, fleet: frozenset[tuple[str, ...]]) -> bool:
    """Tell whether machines are the forge's own, or said to be fresh for each job."""
    labels = as_map(machines).get("labels", machines) if isinstance(machines, dict) else machines
    names = tuple(map(str, labels)) if isinstance(labels, list) else (str(labels),)
    return names in fleet or (len(names) == 1 and _HOSTED.fullmatch(names[0]) is not None)


def _images(job: Mapping[str, object]) -> Iterator[str]:
    services = [as_map(service) for service in as_map(job.get("services")).values()]
    container = job.get("container")
    named = [container if isinstance(container, str) else as_map(container).get("image")]
    for image in [*named, *(service.get("image") for service in services)]:
        if image:
            yield str(image)


def _call(
    name: str,
    job: Mapping[str, object],
    uses: str,
    granted: Mapping[str, str],
    at: Origin,
    called: Mapping[str, Mapping[str, str]],
) -> Iterator[Problem]:
    if not _OWN.fullmatch(uses):
        yield report("CG105", f"job {name} calls {uses}", at)
    if job.get("secrets") == "inherit":
        yield report("CG110", f"job {name} hands on all secrets", at)
    for scope, access in called.get(uses[2:], {}).items():
        if _RANK[granted.get(scope, "none")] < _RANK[access]:
            yield report("CG103", f"job {name} calls {uses}, which asks {scope}: {access}", at)


def _step(name: str, step: Mapping[str, object], at: Origin, *, request: bool) -> Iterator[Problem]:
    uses, inputs = str(step.get("uses", "")), as_map(step.get("with"))
    run = str(step.get("run", ""))
    if "${{" in run:
        yield report("CG101", f"job {name} pastes a value into {run[:60]!r}", at)
    if PIPED.search(run) or "ACTIONS_ALLOW_UNSECURE_COMMANDS" in str(step.get("env", "")):
        yield report("CG118", f"job {name} runs {run[:60]!r}", at)
    if uses and not _PIN.fullmatch(uses):
        yield report("CG105", f"job {name} uses {uses}", at)
    if uses.startswith("actions/checkout@") and inputs.get("persist-credentials") != "false":
        yield report("CG104", f"job {name} leaves the token in the checkout", at)
    if "upload-artifact@" in uses and str(inputs.get("path", "")).strip() in (".", "./", ""):
        yield report("CG104", f"job {name} keeps the whole checkout", at)
    if uses.startswith("actions/cache"):
        yield report("CG107", f"job {name} uses the forge's cache", at)
    if "download-artifact@" in uses and ({"run-id", "repository", "github-token"} & set(inputs)):
        yield report("CG108", f"job {name} takes files of another run", at)
    if request and WRITES.search(run):
        yield report("CG109", f"job {name} of a pull request runs {run[:60]!r}", at)
    yield from _known(name, run, at)


def _known(name: str, run: str, at: Origin) -> Iterator[Problem]:
    for line in run.splitlines():
        words = line.split()
        if not words or words[0] != "cosgen":
            continue
        two = " ".join(words[1:3])
        command = COMMANDS.get(two) or COMMANDS.get(words[1] if len(words) > 1 else "")
        options = [word for word in words if word.startswith("--")]
        if command is None or any(command.find_option(word) is None for word in options):
            yield report("CG120", f"job {name} runs {line[:60]!r}", at)


def _group(name: str, group: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    text = str(group.get("group", ""))
    good = (
        text
        and "${{" not in text
        and group.get("cancel-in-progress") == "false"
        and group.get("queue") == "max"
    )
    if not good:
        yield report("CG116", f"{name}: the group {text!r} may lose or double a publish", at)
