"""The `cosgen` command: a lazy table of subcommands, and the one place that turns errors into exit codes."""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from cosgen import __version__
from cosgen.errors import CosgenError

# Command -> module that defines a click command named `command`. Imported only when it is run.
COMMANDS: dict[str, str] = {
    "init": "cosgen.cli.init",
    "check": "cosgen.cli.check",
    "tree": "cosgen.cli.tree",
    "plan": "cosgen.cli.plan",
    "ci": "cosgen.cli.ci",
    "build": "cosgen.cli.build",
    "worker": "cosgen.cli.worker",
    "publish": "cosgen.cli.publish",
    "repo": "cosgen.cli.repo",
    "channel": "cosgen.cli.channel",
    "image": "cosgen.cli.image",
    "key": "cosgen.cli.key",
    "site": "cosgen.cli.site",
    "release": "cosgen.cli.release",
    "serve": "cosgen.cli.serve",
    "lock": "cosgen.cli.lock",
    "import": "cosgen.cli.import_",
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
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.command is not a click command")
        return command


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="cosgen")
def cosgen() -> None:
    """Pipelines, builds, repositories and release docs for systems made of package trees."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of what happened (see docs: exit codes)."""
    try:
        cosgen.main(args=arguments, prog_name="cosgen", standalone_mode=True)
    except CosgenError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
