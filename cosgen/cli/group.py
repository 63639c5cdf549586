"""A group of commands that tells what each of them does in a whole sentence."""

import click


class Group(click.Group):
    """Lists its commands with the first paragraph of their help, which click would cut at some width."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, _summary(item)) for name, item in commands if item and not item.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(command: click.Command) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())
