"""Logs of image builds: why a build failed, in one line."""

import re

_MOST = 300  # characters
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_ERROR = re.compile(r"#(\d+) ERROR: (.*)")
_TELLING = re.compile(r"error|fail|fatal|cannot|denied|not found|no such|no space", re.IGNORECASE)
_FRAME = ("Removing intermediate container", "--->", "Step ")  # of the classic builder
_FRONTEND = re.compile(r"(?:error: )?failed to solve.*", re.IGNORECASE)


def find_reason(text: str) -> str:
    """Return what a failed build said last, and which command it was; "no output" when it said nothing."""
    lines = [line for raw in text.split("\n") if (line := _ESCAPES.sub("", raw).strip())]
    errors = [found for line in lines if (found := _ERROR.fullmatch(line))]
    if errors:
        step, error = errors[-1].groups()
        said = _said_by(lines, step)
        telling = [line for line in said if _TELLING.search(line)] or said
        return "; ".join([*telling[-1:], error])[:_MOST]
    return "; ".join(_last_two(lines))[:_MOST] or "no output"


def _said_by(lines: list[str], step: str) -> list[str]:
    """Return what a step of BuildKit's plain progress printed."""
    pattern = re.compile(rf"#{step} \d+\.\d+ (.*)")
    return [found[1] for line in lines if (found := pattern.fullmatch(line))]


def _last_two(lines: list[str]) -> list[str]:
    """Return the last line, with the one before it where a command's output comes before its exit code."""
    if lines and _FRONTEND.fullmatch(lines[-1]):
        return lines[-1:]
    told = [line for line in lines if not line.startswith(_FRAME)]
    return told[-2:] if told[-1:] and "returned a non-zero code" in told[-1] else told[-1:]
