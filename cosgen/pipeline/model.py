"""Pipelines as values: what the writers of each provider print, and what the rules are about.

Nothing here knows a provider. Values from outside reach a job only through `env` (a `Value`), never
through the text of a command; conditions are a closed set, so that writers need no string glue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TypeVar

from cosgen.pipeline.commands import Word, build_line

K = TypeVar("K")
V = TypeVar("V")


def frozen(mapping: Mapping[K, V] | None = None) -> Mapping[K, V]:
    """Return a read-only copy."""
    return MappingProxyType(dict(mapping or {}))


# --- triggers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnPush:
    """A push to one of these branches (patterns as both providers read them)."""

    branches: tuple[str, ...]
    paths: tuple[str, ...] = ()  # only when one of these changes


@dataclass(frozen=True, slots=True)
class OnTag:
    """A tag of one of these patterns."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """A cron line of five fields, UTC."""

    cron: str


@dataclass(frozen=True, slots=True)
class OnManual:
    """A person starts it; each input has a name, a meaning, and the choices ("" first: none made)."""

    inputs: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class OnPullRequest:
    """A pull or merge request, and the queue it waits in before it is merged."""

    queue: bool = True
    paths: tuple[str, ...] = ()  # only when one of these changes
    labels: tuple[str, ...] = ()  # only with one of these labels


Trigger = OnPush | OnTag | OnSchedule | OnManual | OnPullRequest


# --- values and conditions --------------------------------------------------------------------------


class Context(Enum):
    """What a provider knows of a run."""

    REVISION = "revision"
    BASE_REVISION = "base revision"  # what a pull request is against
    TAG = "tag"
    ATTEMPT = "attempt"
    TOKEN = "token"  # noqa: S105  # the run's own short-lived token of the forge
    ACTOR = "actor"
    WORKER = "worker"  # from 0, in a job with workers
    WORKERS = "workers"  # how many of them


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of the job's environment."""

    name: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable of the forge that is no secret."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the template a job is made from."""

    name: str


Value = str | Context | Secret | Setting | Parameter


class Place(StrEnum):
    """Files that a provider gives a job; words of a command line."""

    OUTPUTS = "outputs"
    SUMMARY = "summary"


class When(Enum):
    """Whether a job runs, by how the jobs it needs ended."""

    NEEDS_GOOD = "needs good"  # all it needs succeeded or were skipped for being kept
    ENDED = "ended"  # whatever came of them, unless the run is canceled
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When a job runs; all parts must hold."""

    when: When = When.NEEDS_GOOD
    work: bool = False  # the plan has something to build
    todo: tuple[str, ...] = ()  # one of these packages (`variant:category/name[@version]`) is to be built
    workers: str = ""  # the plan has workers for this arch
    left: str = ""  # the job of this id found something left over
    good: tuple[str, ...] = ()  # ids of jobs that must have succeeded, not been skipped
    verdict: str = ""  # the collector of this id found everything that is required
    task: str = ""  # the schedule or the person asked for this task (maintenance)
    tag: bool = False  # a tag started the pipeline


# --- steps ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """The repository at the run's revision, without credentials left behind."""

    history: bool = False  # all of it, for `--since`
    nothing: bool = False  # GitLab: do not clone at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """cosgen itself, by a line of the project's configuration."""

    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Log in to a container registry."""

    host: str
    user: Value
    password: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumeRole:
    """Trade the run's identity for a role of AWS."""

    role: Value
    region: Value
    audience: str = "sts.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One cosgen command line of the table in `commands.py`."""

    title: str
    words: str
    arguments: tuple[Word, ...] = ()
    options: tuple[tuple[str, Word | Place], ...] = ()
    env: Mapping[str, Value] = field(default_factory=frozen)
    id: str = ""  # when other jobs read its outputs

    def line(self, places: Mapping[Place, Word]) -> str:
        """Return the text of the call, with the provider's places filled in."""
        options = [(name, places[word] if isinstance(word, Place) else word) for name, word in self.options]
        return build_line(self.words, *self.arguments, options=options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A line the project's maintainers wrote (hooks, extra jobs), printed as it is."""

    title: str
    line: str
    env: Mapping[str, Value] = field(default_factory=frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Make room on the disk of a hosted runner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulate:
    """Let the machine run programs of another architecture."""

    arch: str  # Go's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Keep files as a CI artifact of this run. `suffix` makes the name unique among jobs and attempts."""

    name: str
    paths: tuple[str, ...]
    days: int = 7
    always: bool = False  # also when the job failed
    suffix: tuple[Value, ...] = ()
    pages: bool = False  # as the forge's pages want it


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Fetch CI artifacts of this very run: one by name, or all that begin with `name` (`many`)."""

    name: str
    path: str
    many: bool = False
    merge: bool = False  # lay them over each other; else each gets a folder of its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Put a folder on the forge's pages."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Fail, with a word for people, when one of these jobs did not succeed or the verdict is not green."""

    text: str
    good: tuple[str, ...]  # ids of jobs
    verdict: str = ""  # id of the job with output `verdict`


Step = (
    Checkout
    | Install
    | Login
    | AssumeRole
    | Call
    | Shell
    | Purge
    | Emulate
    | Upload
    | Download
    | Pages
    | Fail
)


# --- jobs -------------------------------------------------------------------------------------------


class Access(StrEnum):
    """How far a permission goes."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Machines that may take a job."""

    labels: tuple[str, ...]
    self_hosted: bool = False
    ephemeral: bool = False  # a fresh machine for every job
    purge: bool = False  # make room on its disk first
    emulates: str = ""  # Go's name of the architecture that it builds for without being it
    group: str = ""  # GitHub runner group
    image: str = ""  # GitLab: container the job runs in, by digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most one at a time of a group. `queue`: all others wait in order, none is dropped."""

    group: str
    per_request: bool = False  # one group a pull request
    cancel: bool = False  # a newer one cancels the running one
    queue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A unit that gets a runner. Either it has steps, or it is made from a template of the pipeline."""

    id: str  # unique in its pipeline; [a-z0-9_-]
    title: str  # what people read
    stage: str
    steps: tuple[Step, ...] = ()
    template: str = ""  # name of a template
    parameters: Mapping[str, Value] = field(default_factory=frozen)
    needs: tuple[str, ...] = ()  # job ids, sorted as given
    condition: Condition = field(default_factory=Condition)
    runner: Runner
    timeout: int  # minutes
    permissions: Mapping[str, tuple[Access, str]] = field(default_factory=frozen)  # scope -> access, why
    environment: str = ""
    deploys: bool = False  # moves what the environment stands for; else only reads its secrets
    concurrency: Concurrency | None = None
    outputs: tuple[tuple[str, str], ...] = ()  # (output, id of the call that has it)
    workers_of: str = ""  # arch whose worker list of the plan this job repeats over
    workers: int = 0  # at most
    builds: tuple[str, ...] = ()  # keys this job builds, for static shapes
    child: str = ""  # GitLab: file with the child pipeline to run
    interruptible: bool = False
    by_hand: bool = False  # a person starts this job
    allow_failure: bool = False
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One graph of jobs and what starts it."""

    name: str  # of its file, without suffix
    title: str
    triggers: tuple[Trigger, ...]
    jobs: tuple[Job, ...]  # needs before their dependents
    templates: Mapping[str, Job] = field(default_factory=frozen)
    concurrency: Concurrency | None = None
    trusted: bool = False  # runs only what was merged; may write

    def get_job(self, name: str) -> Job:
        """Return the job of that id.

        Raises:
            KeyError: There is none.
        """
        for job in self.jobs:
            if job.id == name:
                return job
        raise KeyError(name)
