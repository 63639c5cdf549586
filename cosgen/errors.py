"""Errors that cosgen raises on purpose; anything else that escapes is a bug."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Severity(StrEnum):
    """How much a problem matters: an error stops the command, a warning is told and passed over."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a value was read. `line` and `column` count from 1."""

    path: str  # relative to the project root, "/" separators
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with the input: what, where, and how to mend it.

    `id` is stable and documented (`CGnnn`, see the reference of lint ids); tools may match on it.
    """

    what: str
    fix: str
    id: str
    origin: Origin | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        where = f"\n  --> {self.origin}" if self.origin else ""
        return f"{self.severity}[{self.id}]: {self.what}{where}\n  fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a problem id means; the reference of ids in the docs is made from these."""

    id: str
    title: str  # one line, what is wrong
    why: str  # what it leads to
    fix: str  # what to do


class CosgenError(Exception):
    """Base of all cosgen errors. Each kind owns one exit code."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ManifestError(CosgenError):
    """The project or its package trees cannot be used as they are written."""

    exit_code: ClassVar[int] = 3


class BuildError(CosgenError):
    """A package could not be built or its artifact not extracted."""

    exit_code: ClassVar[int] = 4


class PublishError(CosgenError):
    """The repository could not be written or read."""

    exit_code: ClassVar[int] = 5


class VerificationError(CosgenError):
    """Bytes, signatures or recorded facts do not agree."""

    exit_code: ClassVar[int] = 6


class MissingToolError(CosgenError):
    """A program or service that the command needs does not answer."""

    exit_code: ClassVar[int] = 7


class DriftError(CosgenError):
    """A generated file differs from what would be generated now."""

    exit_code: ClassVar[int] = 8


class FileError(CosgenError):
    """A file or folder cannot be read or written."""

    exit_code: ClassVar[int] = 9
