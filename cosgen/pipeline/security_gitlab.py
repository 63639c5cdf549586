"""The security rules for GitLab's files."""

import re
from collections.abc import Iterator, Mapping

from cosgen.errors import Origin, Problem
from cosgen.pipeline.parsed import as_list, as_map, texts_in
from cosgen.pipeline.rules import report

_PIPED = re.compile(r"\|\s*(sudo\s+)?(ba|z|da)?sh\b|bash\s+<\(|eval\s+\"?\$\(curl")
_WRITES = re.compile(
    r"^cosgen (publish|image push|key|release|channel promote|channel rollback|repo gc|lock)\b|\s--push\b"
)
_SECRET = re.compile(
    r"\$(COSGEN_SIGNING_KEY|COSGEN_BOT_TOKEN|AWS_SECRET_ACCESS_KEY|COSGEN_REGISTRY_PASSWORD)"
)
_CREDENTIAL = re.compile(r"AKIA[0-9A-Z]{16}|glpat-[\w-]{20}|-----BEGIN [A-Z ]*PRIVATE KEY")
_PUBLISH = re.compile(r"^cosgen (publish|channel promote|key refresh|repo gc)\b")
_GLOBAL = {"stages", "workflow", "default", "variables", "include"}


def check_gitlab(documents: Mapping[str, Mapping[str, object]]) -> Iterator[Problem]:
    """Yield every rule that emitted files break."""
    for path, document in documents.items():
        at = Origin(path)
        yield from _root(path, document, at)
        request = path.endswith("cosgen-request.yml")
        for name, value in document.items():
            if str(name) not in _GLOBAL:
                yield from _job(str(name), as_map(value), at, request=request)


def _root(path: str, document: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    for entry in as_list(document.get("include")):
        if set(as_map(entry)) != {"local"}:
            yield report("CG302", f"{path} includes {entry}", at)
    if "stages" in document and path == ".gitlab-ci.yml":
        rules = as_list(as_map(document.get("workflow")).get("rules"))
        if not rules or as_map(rules[-1]).get("when") != "never":
            yield report("CG309", f"{path} does not end its workflow rules with never", at)
    for place, text in texts_in(document):
        if _CREDENTIAL.search(text):
            yield report("CG111", f"{place} looks like a credential", at)


def _job(name: str, job: Mapping[str, object], at: Origin, *, request: bool) -> Iterator[Problem]:
    script = [str(line) for line in as_list(job.get("script"))]
    image = job.get("image")
    reference = str(image if isinstance(image, str) else as_map(image).get("name", ""))
    if reference and "@sha256:" not in reference:
        yield report("CG304", f"job {name} uses the image {reference}", at)
    if script and not job.get("timeout"):
        yield report("CG308", f"job {name} has no time limit", at)
    if job.get("id_tokens") and not job.get("environment"):
        yield report("CG306", f"job {name} may prove who it is, and has no environment", at)
    for line in script:
        if _PIPED.search(line):
            yield report("CG303", f"job {name} runs {line[:60]!r}", at)
        if request and _WRITES.search(line):
            yield report("CG301", f"job {name} of a merge request runs {line[:60]!r}", at)
        if _PUBLISH.search(line) and (not job.get("resource_group") or "$" in str(job["resource_group"])):
            yield report("CG305", f"job {name} runs {line[:60]!r} without a group of its own", at)
    if request and any(_SECRET.search(text) for _, text in texts_in(job)):
        yield report("CG307", f"job {name} of a merge request sees a secret", at)
