"""The `cosgen` command: a lazy table of subcommands, and the one place that turns errors into exit codes."""

import errno
import gc
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cosgen import __version__
from cosgen.errors import CosgenError, FileError, Problem

# Command -> what it does. Each lives in the module of its name and defines `command`; a module is imported
# only when its command runs, so that `--help` and completion stay fast.
COMMANDS: dict[str, str] = {
    "init": "Start a derivative that builds as it stands.",
    "check": "Tell everything that is wrong with the project, at once.",
    "tree": "List, show, and draw the packages of the trees.",
    "plan": "Show what would be built, why, and how long it takes.",
    "ci": "Write the pipelines for GitHub Actions and GitLab CI.",
    "build": "Build package images and extract their artifacts.",
    "worker": "Take part in a planned build as one of its workers.",
    "publish": "Add artifacts to the repository and move a channel to them.",
    "repo": "Look at, compare, verify, collect and copy a repository.",
    "channel": "List, promote, roll back, yank and pin channels.",
    "image": "Push, tag and verify operating system images.",
    "key": "Make and rotate signing keys, refresh signatures.",
    "site": "Build and preview the release documentation.",
    "release": "Make the forge's release for a tag.",
    "serve": "Serve a folder on loopback, to look at it.",
    "lock": "Pin seed images and foundations by digest.",
    "import": "Carry an old CI configuration over to cosgen.yaml.",
}

# Objects between two searches for cycles. What is read and thought of is frozen and has none: the search
# that Python begins every 700 objects took a sixth of the time of large trees, and freed nothing.
_FEW_CYCLES = 50_000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
_FAULTS_OF_FILES = _FULL | {
    errno.EACCES,
    errno.EBUSY,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are asked for, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the job they do."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        module = f"cosgen.cli.{name}"
        command = importlib.import_module(module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="cosgen")
def cosgen() -> None:
    """Pipelines, builds, repositories and release docs for systems made of package trees."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened (see docs: exit codes)."""
    gc.set_threshold(_FEW_CYCLES)
    try:
        cosgen.main(args=arguments, prog_name="cosgen", standalone_mode=True)
    except CosgenError as error:
        _fail(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno not in _FAULTS_OF_FILES or (error.filename is None and error.errno not in _FULL):
            raise
        _fail(_file_error(error))


def _fail(error: CosgenError) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)


def _file_error(error: OSError) -> FileError:
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    fix = "look at the path, at who may write there, and at the free space; then run the command again"
    return FileError(Problem(what=what, fix=fix, id="CG708"))
