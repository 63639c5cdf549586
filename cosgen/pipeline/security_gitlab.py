"""The security rules for GitLab's files."""

import re
from collections.abc import Iterator, Mapping

from cosgen.errors import Origin, Problem
from cosgen.manifest.config import ProjectConfig
from cosgen.pipeline.parsed import as_list, as_map, texts_in
from cosgen.pipeline.patterns import CREDENTIAL, MOVES, PIPED, WRITES
from cosgen.pipeline.rules import report

_SECRETS = ("COSGEN_SIGNING_KEY", "COSGEN_BOT_TOKEN", "AWS_SECRET_ACCESS_KEY", "COSGEN_REGISTRY_PASSWORD")
_GLOBAL = {"stages", "workflow", "default", "variables", "include"}


def check_gitlab(documents: Mapping[str, Mapping[str, object]], config: ProjectConfig) -> Iterator[Problem]:
    """Yield every rule that emitted files break; the settings say how the secrets are named."""
    jobs = (name for job in config.ci.jobs.values() for name in job.secrets)
    names = sorted({*_SECRETS, *config.ci.secrets, *config.ci.secrets.values(), *jobs})
    secret = re.compile(rf"\$\{{?({'|'.join(map(re.escape, names))})\b")
    for path, document in documents.items():
        at = Origin(path)
        yield from _root(path, document, at)
        request = path.endswith("cosgen-request.yml")
        for name, value in document.items():
            if str(name) not in _GLOBAL:
                yield from _job(str(name), as_map(value), at, secret if request else None)


def _root(path: str, document: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    for entry in as_list(document.get("include")):
        if set(as_map(entry)) != {"local"}:
            yield report("CG302", f"{path} includes {entry}", at)
    if "stages" in document and path == ".gitlab-ci.yml":
        rules = as_list(as_map(document.get("workflow")).get("rules"))
        if not rules or as_map(rules[-1]).get("when") != "never":
            yield report("CG309", f"{path} does not end its workflow rules with never", at)
    for place, text in texts_in(document):
        if CREDENTIAL.search(text):
            yield report("CG111", f"{place} looks like a credential", at)


def _job(
    name: str, job: Mapping[str, object], at: Origin, secret: re.Pattern[str] | None
) -> Iterator[Problem]:
    """Check one job; `secret` finds secrets in those of requests, and is None for the others."""
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
        if PIPED.search(line):
            yield report("CG303", f"job {name} runs {line[:60]!r}", at)
        if secret and WRITES.search(line):
            yield report("CG301", f"job {name} of a merge request runs {line[:60]!r}", at)
        if MOVES.search(line) and (not job.get("resource_group") or "$" in str(job["resource_group"])):
            yield report("CG305", f"job {name} runs {line[:60]!r} without a group of its own", at)
    if secret and any(secret.search(text) for _, text in texts_in(job)):
        yield report("CG307", f"job {name} of a merge request sees a secret", at)
