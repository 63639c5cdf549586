"""What `--help` says."""

import click
import pytest
from click.testing import CliRunner

from cosgen.cli.main import COMMANDS, cosgen


def _groups() -> list[str]:
    context = click.Context(cosgen)
    return [name for name in COMMANDS if isinstance(cosgen.get_command(context, name), click.Group)]


@pytest.mark.parametrize("name", _groups())
def test_groups_tell_what_their_commands_do_without_cutting_it(name: str) -> None:
    said = CliRunner().invoke(cosgen, [name, "--help"], terminal_width=80).output
    listed = said.partition("\nCommands:\n")[2]
    assert listed
    assert "..." not in listed


def test_no_line_is_wider_than_a_narrow_terminal() -> None:
    said = CliRunner().invoke(cosgen, ["key", "--help"], terminal_width=60).output
    assert max(map(len, said.splitlines())) <= 60
