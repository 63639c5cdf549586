"""The one table of the cosgen command lines that emitted jobs call, and the builder of their text.

Emitted pipelines hold no logic: a job calls one of these commands with options of this table and nothing
else. The commands implement what is written here; `build_line` refuses anything that is not in the table,
and the words it prints are either plain (`PLAIN`) or a quoted variable, so nothing a manifest says can be
read as shell.

Values that commands take from the environment instead of options are in `ENVIRONMENT`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")
PACKAGE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, what it takes ("" for a flag), what it means, whether it may be repeated."""

    name: str
    takes: str
    meaning: str
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its words, what it does, what it takes, and what its exit codes tell a job."""

    words: str  # "repo gc"
    does: str
    arguments: str = ""  # how positional arguments are written; "" for none
    options: tuple[Option, ...] = ()
    exits: str = "0 done; else the exit code of the error's kind"

    def find_option(self, name: str) -> Option | None:
        """Return the option of that name, or None."""
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True, slots=True)
class Variable:
    """A word of a command line that is the value of an environment variable at run time."""

    name: str  # [A-Z][A-Z0-9_]*

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", self.name):
            raise ValueError(f"not the name of a variable: {self.name!r}")

    def __str__(self) -> str:
        return f'"${self.name}"'


Word = str | Variable

_FLAVOR = Option("--flavor", "FLAVOR", "Only this flavor.", repeatable=True)
_ARCH = Option("--arch", "ARCH", "Only this arch, in any spelling.", repeatable=True)
_CHANNEL = Option("--channel", "NAME", "A channel of cosgen.yaml.")
_PLAN = Option("--plan", "FILE", "The plan.json that `cosgen plan --output` wrote.")
_SUMMARY = Option("--summary", "FILE", "Append a Markdown summary for people (at most 900 KiB).")
_PULL = Option("--pull", "", "Take finished images and artifacts from the cache registry by input digest.")
_PUSH = Option("--push", "", "Put what was built into the cache registry. Never on pull requests.")
_OUTPUT_DIR = Option("--output", "DIR", "Where artifacts go, laid out as `build/artifact.py` says.")
_RESULTS = Option(
    "--results",
    "DIR",
    "Write one result record a package, `<variant>/<fingerprint>.result.json` (form: `pipeline/results.py`), "
    "and the log of each that failed beside it as `.log`. Written also when the command fails.",
)
_DRY_RUN = Option("--dry-run", "", "Say what would be done, and do nothing.")

COMMAND_TABLE: tuple[Command, ...] = (
    Command(
        words="check",
        does="Tell every problem of the project and its trees.",
        options=(Option("--format", "text|json|github", "How problems are told."),),
        exits="0 no errors; 3 errors",
    ),
    Command(
        words="ci",
        does="Emit the pipelines, or see whether the files are what would be emitted.",
        arguments="[github|gitlab]",
        options=(
            Option("--check", "", "Write nothing; print a unified diff of every file that differs."),
            Option("--stdout", "", "Print the files instead of writing them."),
            Option("--shape", "auto|static|chunks|workers|child", "Instead of `ci.shape`."),
        ),
        exits="0 done, no drift; 3 the project or an emitted file breaks a rule; 8 drift",
    ),
    Command(
        words="ci outputs",
        does="Turn a plan into outputs: `work` (true or false), and what is asked for besides.",
        options=(
            _PLAN,
            Option("--to", "FILE", "Append `name=value` lines, as $GITHUB_OUTPUT and dotenv have them."),
            Option("--todo", "", "Also `todo`: ` variant:category/name `… and the same with `@version`."),
            Option(
                "--workers",
                "N",
                "Also, by arch, `workers_<arch>` (a JSON list) and `count_<arch>`; at most N.",
            ),
            Option("--components", "", "Workers take whole connected components, and share nothing."),
        ),
    ),
    Command(
        words="ci child",
        does="Write the GitLab child pipeline of a plan: a job a package, or chunks where limits ask.",
        options=(
            _PLAN,
            _CHANNEL,
            Option("--output", "FILE", "Where the child's YAML goes."),
            Option("--jobs", "N", "At most so many jobs in the child."),
            Option("--components", "", "A job a connected component, nothing is handed on (merge requests)."),
        ),
    ),
    Command(
        words="ci collect",
        does="Lay result records beside the plan: what is built, failed, blocked, missing; the verdict.",
        options=(
            _PLAN,
            Option("--results", "DIR", "Folder of result records, searched through; built wins over failed."),
            Option("--output", "FILE", "Write the outcome as JSON (`pipeline/results.py`)."),
            Option("--to", "FILE", "Append `verdict=green|red`, `built=N`, `failed=N`, `missing=N`."),
            _SUMMARY,
        ),
        exits="0 also when red: the gate is what fails",
    ),
    Command(
        words="ci left",
        does="Say what of a plan has no good result record yet: output `left` (true or false).",
        options=(
            _PLAN,
            Option("--results", "DIR", "Folder of result records, searched through."),
            Option("--to", "FILE", "Append `left=true|false`."),
        ),
    ),
    Command(
        words="ci gate",
        does="Fail when a collected outcome is red.",
        options=(Option("--outcome", "FILE", "What `cosgen ci collect --output` wrote."),),
        exits="0 green; 4 red",
    ),
    Command(
        words="plan",
        does="Decide what is kept, built or blocked, and why.",
        options=(
            _CHANNEL,
            Option("--since", "REV", "Also count as affected only what changed since this git revision."),
            Option("--output", "FILE", "Write plan.json."),
            _SUMMARY,
            _FLAVOR,
            _ARCH,
        ),
        exits="0 planned, blocked packages included; 3 errors; 5 the channel cannot be read",
    ),
    Command(
        words="build",
        does="Build packages and extract their artifacts; what they need is pulled, or else built.",
        arguments="[category/name[@version]…]",
        options=(
            Option("--packages", "LIST", "Packages in one word, separated by blanks or commas."),
            Option("--plan", "FILE", "Pass over the packages that this plan keeps."),
            _FLAVOR,
            _ARCH,
            _OUTPUT_DIR,
            _RESULTS,
            _PULL,
            _PUSH,
        ),
        exits="0 all built or already there; 4 one or more failed",
    ),
    Command(
        words="worker",
        does="Build a share of a plan: own queue first, ready ones first, then what others have not built.",
        options=(
            _PLAN,
            Option("--index", "I", "Which worker this is, from 0."),
            Option("--count", "K", "Of how many; shares are `schedule.assign_workers` of the arch's nodes."),
            _ARCH,
            Option("--wave", "W", "Which try this is, from 1; later waves take what is left."),
            Option("--components", "", "Shares are whole connected components; wait for no other worker."),
            Option("--minutes", "N", "Take no new package when it would not end within so many minutes."),
            _OUTPUT_DIR,
            _RESULTS,
            _PULL,
            _PUSH,
        ),
        exits="0 own share done, or left over for lack of time; 4 one or more failed",
    ),
    Command(
        words="publish",
        does="Add artifacts to pool and index, make a snapshot, move the channel to it.",
        arguments="[DIR…]",
        options=(
            _CHANNEL,
            _PLAN,
            Option(
                "--from-registry",
                "",
                "Take the plan's artifacts from the cache registry by input digest, "
                "after their provenance says that a trusted pipeline built them.",
            ),
            _DRY_RUN,
        ),
        exits="0 published, or nothing to publish; 5 not published; 6 provenance or digest wrong",
    ),
    Command(
        words="channel promote",
        does="Move a channel to a snapshot of another.",
        arguments="FROM TO",
        options=(
            Option(
                "--revision",
                "REV",
                "The newest snapshot of FROM that was built from this commit; "
                "an error when there is none.  [default: what FROM points at]",
            ),
            _DRY_RUN,
        ),
    ),
    Command(
        words="channel rollback",
        does="Move a channel back to an earlier snapshot.",
        arguments="NAME",
        options=(Option("--to", "SNAPSHOT", "Which.  [default: the one before]"), _DRY_RUN),
    ),
    Command(
        words="image push",
        does="Push the upgrade images of a channel and tag them.",
        options=(_CHANNEL,),
    ),
    Command(
        words="repo push",
        does="Push a channel to a registry as luet's docker repository type.",
        options=(_CHANNEL,),
    ),
    Command(
        words="key refresh",
        does="Sign the expiring roles of the repository again.",
    ),
    Command(
        words="repo gc",
        does="Condemn what no kept snapshot lists, and delete what was condemned long enough ago.",
        options=(Option("--apply", "", "Do it; else only say what would be done."),),
    ),
    Command(
        words="site build",
        does="Make the site of the repository's channels.",
        options=(
            Option("--output", "DIR", "Where the pages go."),
            Option("--to", "PLACE", "Put the pages there too: `storage` for beside the repository."),
        ),
    ),
    Command(
        words="release",
        does="Make or renew the forge's release of a tag, with notes and client files.",
        options=(Option("--tag", "TAG", "The tag."), _CHANNEL),
    ),
    Command(
        words="lock",
        does="Pin seed images and foundations by digest.",
        options=(
            Option("--update", "", "Ask the registries and foundations for the newest digests."),
            Option(
                "--open-pr", "", "Put a changed cosgen.lock on the bot branch; open or renew its request."
            ),
        ),
    ),
)

COMMANDS: Mapping[str, Command] = MappingProxyType({command.words: command for command in COMMAND_TABLE})

# What commands read from the environment of a job, and nowhere else.
ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "GITHUB_TOKEN": "token of the forge, for `release` and every `--open-pr`",
        "GITLAB_TOKEN": "the same, on GitLab",
        "AWS_*": "as every AWS tool reads them",
        "AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE": "OIDC on GitLab: the SDK trades the token for the role",
        "COSGEN_SIGNING_KEY": "private key of the channel roles, PEM or the URI of a key service",
        "DOCKER_CONFIG": "where the job logged in to the registries, as docker reads it",
        "SOURCE_DATE_EPOCH": "latest time of a file in artifacts, by default 2024-01-01; the time that "
        "templates may ask for, by default none; the time of OS images",
    }
)


def build_line(words: str, *arguments: Word, options: Iterable[tuple[str, Word]] = ()) -> str:
    """Return the text of one call of a command of the table.

    Args:
        words: The command, as in the table.
        arguments: Positional arguments: plain words, or variables.
        options: Name and value of each option, in order; the value of a flag is "".

    Raises:
        ValueError: The table has no such command or option, or a word is not plain.

    >>> build_line("build", "system/grub2", options=[("--arch", Variable("ARCH")), ("--pull", "")])
    'cosgen build system/grub2 --arch "$ARCH" --pull'
    """
    command = COMMANDS.get(words)
    if command is None:
        raise ValueError(f"no command {words!r} in the table")
    if arguments and not command.arguments:
        raise ValueError(f"cosgen {words} takes no arguments")
    parts = ["cosgen", *words.split(), *map(_plain, arguments)]
    for name, value in options:
        option = command.find_option(name)
        if option is None:
            raise ValueError(f"cosgen {words} has no option {name}")
        if bool(option.takes) != (value != ""):
            raise ValueError(f"cosgen {words} {name} takes {option.takes or 'nothing'}, got {value!r}")
        parts.append(name)
        parts.extend([_plain(value)] if option.takes else [])
    return " ".join(parts)


def _plain(word: Word) -> str:
    if isinstance(word, str) and (not PLAIN.fullmatch(word) or word.startswith("-")):
        raise ValueError(f"not a plain word: {word!r}")
    return str(word)


def is_package_word(text: str) -> bool:
    """Tell whether `category/name[@version]` is made of parts that may stand on a command line.

    >>> is_package_word("system/grub2@2.06+1"), is_package_word("a/$(id)"), is_package_word("a/-rf")
    (True, False, False)
    """
    human, at, version = text.partition("@")
    parts = human.split("/")
    good = len(parts) == 2 and all(PACKAGE_PART.fullmatch(part) for part in parts)
    return good and (not at or PACKAGE_PART.fullmatch(version) is not None)
