"""Commands as a shell runs them, in this process: what they print, and the code they end with."""

import contextlib
import io
from dataclasses import dataclass

from cosgen.cli.main import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        """Ids of the errors that were told."""
        return [line[6:11] for line in self.err.splitlines() if line.startswith("error[")]

    @property
    def requests(self) -> dict[str, int]:
        """What the command says that it asked of the store, by kind."""
        line = next(line for line in self.err.splitlines() if line.startswith("requests: "))
        counts = (item.split() for item in line.removeprefix("requests: ").split(", ") if item != "none")
        return {kind: int(count) for count, kind in counts}


def run(*arguments: object) -> Done:
    """Run a command line."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return Done(code, out.getvalue(), err.getvalue())


def succeed(*arguments: object) -> Done:
    """Run a command line that must end well."""
    done = run(*arguments)
    assert done.code == 0, f"{arguments}: {done.code}\n{done.out}{done.err}"
    return done
