"""Writes steps for GitHub: actions by pinned commit, cosgen calls as one-line `run`s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from cosgen.pipeline.actions import Pin
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
from cosgen.pipeline.steps import emulate_line
from cosgen.pipeline.yaml_text import Tagged

PLACES: Mapping[Place, Word] = {
    Place.OUTPUTS: Variable("GITHUB_OUTPUT"),
    Place.SUMMARY: Variable("GITHUB_STEP_SUMMARY"),
}
_CONTEXT: Mapping[Context, str] = {
    Context.REVISION: "github.sha",
    Context.BASE_REVISION: "github.event.pull_request.base.sha || github.event.merge_group.base_sha",
    Context.TAG: "github.ref_name",
    Context.ATTEMPT: "github.run_attempt",
    Context.TOKEN: "github.token",
    Context.ACTOR: "github.actor",
    Context.WORKER: "matrix.worker",
    Context.WORKERS: "strategy.job-total",
}
_UNUSED = "/usr/local/lib/android /usr/share/dotnet /opt/ghc /usr/local/.ghcup /opt/hostedtoolcache/CodeQL"


def value_text(value: Value) -> str:
    """Return a value as GitHub writes it."""
    match value:
        case str():
            return value
        case Context():
            return f"${{{{ {_CONTEXT[value]} }}}}"
        case Secret(name):
            return f"${{{{ secrets.{name} }}}}"
        case Setting(name):
            return f"${{{{ vars.{name} }}}}"
        case Parameter(name):
            return f"${{{{ inputs.{name} }}}}"
        case _:
            assert_never(value)


@dataclass(frozen=True, slots=True)
class StepWriter:
    """Writes steps with the pins and the Python version of a project."""

    pins: Mapping[str, Pin]
    python: str

    def steps(self, step: Step) -> list[dict[str, object]]:
        """Return the step or steps that one step of the model becomes."""
        match step:
            case Install(line=line):
                setup = self._use("Set up Python", "actions/setup-python", {"python-version": self.python})
                return [setup, {"name": "Install cosgen", "run": line}]
            case Call() | Shell() | Purge() | Emulate() | Fail():
                return [_command(step)]
            case _:
                return [self._action(step)]

    def _action(self, step: Checkout | Login | AssumeRole | Upload | Download | Pages) -> dict[str, object]:
        match step:
            case Checkout():
                return self._checkout(step)
            case Login():
                return self._login(step)
            case AssumeRole():
                return self._assume(step)
            case Upload():
                return self._upload(step)
            case Download():
                return self._download(step)
            case Pages():
                deploy = self._use("Deploy", "actions/deploy-pages", {})
                return {"name": deploy["name"], "id": "deployment", "uses": deploy["uses"]}
            case _:
                assert_never(step)

    def environment(self, job: Job) -> object:
        """Return the environment of a job, with its address where there is one."""
        if any(isinstance(step, Pages) for step in job.steps):
            return {"name": job.environment, "url": "${{ steps.deployment.outputs.page_url }}"}
        return {"name": job.environment}

    def _use(self, title: str, action: str, inputs: Mapping[str, object]) -> dict[str, object]:
        pin = self.pins[action]
        result: dict[str, object] = {"name": title, "uses": Tagged(pin.uses, pin.tag)}
        if inputs:
            result["with"] = dict(inputs)
        return result

    def _checkout(self, step: Checkout) -> dict[str, object]:
        inputs: dict[str, object] = {"persist-credentials": False}
        if step.history:
            inputs["fetch-depth"] = 0
        return self._use("Check out", "actions/checkout", inputs)

    def _login(self, step: Login) -> dict[str, object]:
        inputs = {
            "registry": step.host,
            "username": value_text(step.user),
            "password": value_text(step.password),
        }
        return self._use(f"Log in to {step.host}", "docker/login-action", inputs)

    def _assume(self, step: AssumeRole) -> dict[str, object]:
        inputs = {
            "role-to-assume": value_text(step.role),
            "aws-region": value_text(step.region),
            "audience": step.audience,
        }
        return self._use("Take the role on AWS", "aws-actions/configure-aws-credentials", inputs)

    def _upload(self, step: Upload) -> dict[str, object]:
        if step.pages:
            inputs: dict[str, object] = {"path": step.paths[0]}
            return self._use("Hand the site to Pages", "actions/upload-pages-artifact", inputs)
        name = "-".join([step.name, *(value_text(value) for value in step.suffix)])
        inputs = {
            "name": name,
            "path": "\n".join(step.paths),
            "retention-days": step.days,
            "if-no-files-found": "ignore" if step.suffix else "error",
        }
        if not step.suffix:
            inputs["overwrite"] = True
        used = self._use(f"Keep {step.name}", "actions/upload-artifact", inputs)
        if step.always:
            return {"name": used["name"], "if": "${{ !cancelled() }}", "uses": used["uses"], "with": inputs}
        return used

    def _download(self, step: Download) -> dict[str, object]:
        inputs: dict[str, object] = {"pattern": f"{step.name}*"} if step.many else {"name": step.name}
        if step.path != ".":
            inputs["path"] = step.path
        if step.merge:
            inputs["merge-multiple"] = True
        return self._use(f"Fetch {step.name.removesuffix('-')}", "actions/download-artifact", inputs)


def _command(step: Call | Shell | Purge | Emulate | Fail) -> dict[str, object]:
    match step:
        case Call():
            head: dict[str, object] = {"name": step.title}
            head |= {"id": step.id} if step.id else {}
            return _run(head, step.env, step.line(PLACES))
        case Shell():
            return _run({"name": step.title}, step.env, step.line)
        case Purge():
            return {"name": "Make room on the disk", "run": f"sudo rm -rf {_UNUSED}"}
        case Emulate(arch=arch):
            return {"name": f"Emulate {arch}", "run": emulate_line(step)}
        case Fail():
            return _fail(step)
        case _:
            assert_never(step)


def _run(head: dict[str, object], env: Mapping[str, Value], line: str) -> dict[str, object]:
    result = dict(head)
    if env:
        result["env"] = {name: value_text(value) for name, value in env.items()}
    result["run"] = line
    return result


def _fail(step: Fail) -> dict[str, object]:
    bad = [f"needs.{name}.result != 'success'" for name in step.good]
    if step.verdict in step.good:
        bad.append(f"needs.{step.verdict}.outputs.verdict != 'green'")
    return {
        "name": "Red when anything required is",
        "if": f"${{{{ {' || '.join(bad)} }}}}",
        "env": {"COSGEN_MESSAGE": step.text},
        "run": 'echo "::error::$COSGEN_MESSAGE" && exit 1',
    }
