"""What emitted pipelines need in the forge, and the trust policy of the role they take on AWS."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant
from cosgen.pipeline.address import HOSTS, Address
from cosgen.pipeline.emit import pipelines_for
from cosgen.pipeline.extras import MAINTENANCE, NIGHTLY, WEEKLY
from cosgen.pipeline.model import Job, Pages, Setting
from cosgen.pipeline.publishing import environment_of, uses_role
from cosgen.pipeline.scene import Provider, Scene, Shape
from cosgen.pipeline.steps import secrets_of, values_of


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One thing that must be set up in the forge."""

    kind: str  # environment, secret, variable, runner, pages, schedule, check
    name: str
    why: str
    environment: str = ""  # where a secret belongs
    approval: bool = False  # an environment that somebody must approve
    value: str = ""  # of what can be made without asking: a cron line


def forge_needs(
    config: ProjectConfig, variants: Sequence[Variant], provider: str, *, version: str
) -> tuple[Need, ...]:
    """Return what the pipelines of a project need in the forge, sorted."""
    scene = Scene(config=config, variants=tuple(variants), provider=Provider(provider), version=version)
    pipelines = pipelines_for(scene, Shape.WORKERS, ())  # its jobs ask for what those of all shapes ask
    approved = {environment_of(channel) for channel in scene.channels if channel.approve}
    found: set[Need] = {Need("check", "gate", "the one check a branch protection should ask for")}
    for pipeline in pipelines:
        for job in (*pipeline.jobs, *pipeline.templates.values()):
            found |= set(_job_needs(job, pipeline.name, approved))
    if scene.provider is Provider.GITLAB:
        found |= set(_schedules(scene))
    return tuple(sorted(found))


def _job_needs(job: Job, pipeline: str, approved: set[str]) -> Sequence[Need]:
    found: list[Need] = []
    if job.environment and job.environment != "github-pages":
        approval = job.environment in approved
        why = "somebody must approve" if approval else f"keeps the secrets of {pipeline}"
        found.append(Need("environment", job.environment, why, approval=approval))
    found += [
        Need("secret", name, f"in the environment {job.environment or 'of the project'}", job.environment)
        for name in secrets_of(job)
    ]
    settings = {value.name for step in job.steps for value in values_of(step) if isinstance(value, Setting)}
    found += [
        Need("variable", name, f"read by {job.title}")
        for name in sorted(settings)
        if not name.startswith("CI_")
    ]
    if any(isinstance(step, Pages) for step in job.steps):
        found.append(Need("pages", "pages", "the site goes there, made by the pipeline"))
    if job.runner.self_hosted:
        found.append(Need("runner", " ".join(job.runner.labels), f"takes {job.title}"))
    return found


def _schedules(scene: Scene) -> Sequence[Need]:
    found = [Need("schedule", "COSGEN_TASK=nightly", "signatures, garbage, site", value=NIGHTLY)]
    found.append(Need("schedule", "COSGEN_TASK=weekly", "renews the pins", value=WEEKLY))
    found += [
        Need("schedule", f"COSGEN_CHANNEL={channel.name}", "starts the channel", value=channel.on.schedule)
        for channel in scene.channels
        if channel.on.schedule
    ]
    return found


def trust_policy(config: ProjectConfig, provider: str, address: Address | None = None) -> str:
    """Return the trust policy of the publishing role as JSON; "" when no role is used.

    On GitHub both forms of the subject are there: repositories made or renamed since July 2026 have
    numbers behind owner and name.

    Args:
        config: The settings.
        provider: `github` or `gitlab`.
        address: Where the project is; words to replace stand for it when nobody knows.
    """
    address = address or Address(HOSTS[provider], "OWNER/REPOSITORY")
    scene = Scene(config=config, variants=(), provider=Provider(provider), version="")
    if not uses_role(scene):
        return ""
    environments = sorted({environment_of(channel) for channel in scene.channels} | {MAINTENANCE})
    if scene.provider is Provider.GITHUB:
        on_server = address.host != HOSTS[provider]
        host = f"{address.host}/_services/token" if on_server else "token.actions.githubusercontent.com"
        owner, _, name = address.path.partition("/")
        subjects = [f"repo:{owner}/{name}:environment:{item}" for item in environments]
        subjects += [f"repo:{owner}@*/{name}@*:environment:{item}" for item in environments]
    else:
        host = address.host
        pushed = {name for channel in scene.channels for name in channel.on.branch.split(",") if name}
        refs = [f"ref_type:branch:ref:{name}" for name in sorted({config.ci.default_branch, *pushed})]
        refs += [f"ref_type:tag:ref:{channel.on.tag}" for channel in scene.channels if channel.on.tag]
        subjects = [f"project_path:{address.path}:{ref}" for ref in refs]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::ACCOUNT:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{host}:aud": config.ci.oidc.audience},
            "StringLike": {f"{host}:sub": subjects},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2) + "\n"
