"""Questions both writers ask of steps."""

from collections.abc import Iterator, Mapping

from cosgen.pipeline.actions import BINFMT
from cosgen.pipeline.model import (
    AssumeRole,
    Call,
    Emulate,
    Job,
    Login,
    Parameter,
    Secret,
    Shell,
    Step,
    Upload,
    Value,
)


def emulate_line(step: Emulate) -> str:
    """Return the command that lets a machine run programs of another architecture."""
    return f"docker run --privileged --rm {BINFMT} --install {step.arch}"


def values_of(step: Step) -> Iterator[Value]:
    """Yield every value from outside that a step sees."""
    match step:
        case Call(env=env) | Shell(env=env):
            yield from env.values()
        case Login(user=user, password=password):
            yield from (user, password)
        case AssumeRole(role=role, region=region):
            yield from (role, region)
        case Upload(suffix=suffix):
            yield from suffix
        case _:
            return


def env_of(step: Step) -> Mapping[str, Value]:
    """Return the variables a step sets."""
    return step.env if isinstance(step, Call | Shell) else {}


def parameters_of(job: Job) -> tuple[str, ...]:
    """Return the names of the parameters of a template, in the order of their first use."""
    values = (value for step in job.steps for value in values_of(step))
    return tuple(dict.fromkeys(value.name for value in values if isinstance(value, Parameter)))


def secrets_of(job: Job) -> tuple[str, ...]:
    """Return the names of the secrets a job sees, sorted."""
    values = (value for step in job.steps for value in values_of(step))
    return tuple(sorted({value.name for value in values if isinstance(value, Secret)}))
