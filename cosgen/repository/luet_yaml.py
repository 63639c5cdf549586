"""YAML as luet reads it: every string in double quotes, one value per line.

luet parses with Go's yaml.v2 (YAML 1.1), which turns an unquoted `1.0`, `y` or `1e3` into a number or a
boolean: in a definition that makes the whole repository unusable, in the index the package is silently not
found. So every string is quoted here, and whatever YAML 1.1 does not print raw is escaped.

Source: YAML 1.1, sections 4.1.1 and 5.6; luet 3f2397b6 reads through yaml.v2 and JSON (typed).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import yaml

from cosgen.errors import Problem, PublishError

Value: TypeAlias = "bool | int | str | Sequence[Value] | Mapping[str, Value] | None"

# What may not stand raw between double quotes in YAML 1.1 although JSON lets it: controls, the line breaks
# NEL, LS and PS, the byte order mark, non-characters and surrogates.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_READ_AS_BOOL = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": "), sort_keys=True).encode


def quote(text: str) -> str:
    r"""Return `text` as a double-quoted YAML 1.1 scalar; lone surrogates become U+FFFD.

    >>> quote("1.0"), quote('say "y"')
    ('"1.0"', '"say \\"y\\""')
    """
    return _escape(_encode(text))


def flow(value: Value) -> str:
    """Return `value` on one line: flow style, keys sorted, strings quoted (JSON, as YAML 1.1 takes it).

    >>> flow({"b": ["y"], "a": 1})
    '{"a": 1, "b": ["y"]}'
    """
    return _escape(_encode(value))


def block(mapping: Mapping[str, Value]) -> str:
    """Return a mapping with one key per line, sorted, each value in flow style; "{}" when empty.

    >>> print(block({"version": "1.0", "name": "y"}), end="")
    name: "y"
    version: "1.0"
    """
    if not mapping:
        return "{}\n"
    return "".join(f"{_key(key)}: {flow(mapping[key])}\n" for key in sorted(mapping))


def parse(text: str | bytes, name: str) -> object:
    """Read YAML that luet wrote: every scalar stays a string, as typed; "" stands for null too.

    Args:
        text: The document.
        name: What it is, for the error.

    Raises:
        PublishError: `text` is not YAML.
    """
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        parsed: object = yaml.load(text, Loader=loader)  # noqa: S506  # BaseLoader makes strings, lists and dicts only
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        problem = Problem(
            what=f"{name} is not YAML: {detail}",
            fix="look whether the server returned an error page, and whether the file is complete",
            id="CG550",
        )
        raise PublishError(problem) from error
    return parsed


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _READ_AS_BOOL else quote(key)


def _escape(text: str) -> str:
    return text if text.isascii() and "\x7f" not in text else _UNPRINTABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
