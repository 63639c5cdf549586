"""What emitted files must never do, checked on their text read back: one rule a risk."""

import re
from collections.abc import Iterator, Mapping, Sequence

from cosgen.errors import Origin, Problem
from cosgen.pipeline.commands import COMMANDS
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.parsed import as_list, as_map, parse, texts_in
from cosgen.pipeline.rules import report
from cosgen.pipeline.scene import Provider
from cosgen.pipeline.security_gitlab import check_gitlab

TRIGGERS = frozenset(
    {"pull_request", "merge_group", "push", "schedule", "workflow_dispatch", "workflow_call"}
)
_PIN = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_OWN = re.compile(r"(\./|\$/)\.github/workflows/[\w.-]+\.yml")
_CREDENTIAL = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_PIPED = re.compile(r"\|\s*(sudo\s+)?(ba|z|da)?sh\b|bash\s+<\(|eval\s+\"?\$\(curl")
_ACTOR = re.compile(r"github\.(actor|triggering_actor)\s*[=!]=")
_WRITES = re.compile(
    r"^cosgen (publish|image push|key|release|channel promote|channel rollback|repo gc|lock)\b|\s--push\b"
)
_RANK = {"none": 0, "read": 1, "write": 2}


def check_security(files: Sequence[GeneratedFile], provider: Provider) -> tuple[Problem, ...]:
    """Return every rule that emitted files break."""
    documents = {file.path: parse(file.text) for file in files}
    if provider is Provider.GITLAB:
        return tuple(check_gitlab(documents))
    called = {path: _asked(document) for path, document in documents.items()}
    return tuple(
        problem for path, document in documents.items() for problem in _workflow(path, document, called)
    )


def _asked(document: Mapping[str, object]) -> dict[str, str]:
    asked: dict[str, str] = {}
    for job in as_map(document.get("jobs")).values():
        for scope, access in as_map(as_map(job).get("permissions")).items():
            asked[str(scope)] = max(str(access), asked.get(str(scope), "none"), key=lambda text: _RANK[text])
    return asked


def _workflow(
    path: str, document: Mapping[str, object], called: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    at = Origin(path)
    triggers = as_map(document.get("on"))
    if bad := sorted(set(map(str, triggers)) - TRIGGERS):
        yield report("CG102", f"{path} is started by {bad[0]}", at)
    if document.get("permissions") != {}:
        yield report("CG119", f"{path} does not begin with `permissions: {{}}`", at)
    request = "pull_request" in triggers or "merge_group" in triggers or "-request-" in path
    yield from _texts(path, document, at, request=request)
    for name, job in as_map(document.get("jobs")).items():
        yield from _job(str(name), as_map(job), at, called, request=request)
    if any("publish" in str(as_map(job).get("name", "")) for job in as_map(document.get("jobs")).values()):
        yield from _group(path, as_map(document.get("concurrency")), at)


def _texts(path: str, document: Mapping[str, object], at: Origin, *, request: bool) -> Iterator[Problem]:
    for place, text in texts_in(document):
        if _CREDENTIAL.search(text):
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
    del path


def _job(
    name: str,
    job: Mapping[str, object],
    at: Origin,
    called: Mapping[str, Mapping[str, str]],
    *,
    request: bool,
) -> Iterator[Problem]:
    granted = {str(scope): str(access) for scope, access in as_map(job.get("permissions")).items()}
    if "permissions" not in job:
        yield report("CG119", f"job {name} does not say its permissions", at)
    uses = str(job.get("uses", ""))
    if uses:
        yield from _call(name, job, uses, granted, at, called)
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
    if request and "self-hosted" in str(job.get("runs-on")):
        yield report("CG113", f"job {name} runs a pull request on an own machine", at)
    for image in _images(job):
        if "@sha256:" not in image:
            yield report("CG106", f"job {name} uses the image {image}", at)
    if job.get("concurrency"):
        yield from _group(name, as_map(job.get("concurrency")), at)
    for step in as_list(job.get("steps")):
        yield from _step(name, as_map(step), at, request=request)


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
    if _PIPED.search(run) or "ACTIONS_ALLOW_UNSECURE_COMMANDS" in str(step.get("env", "")):
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
    if request and _WRITES.search(run):
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
