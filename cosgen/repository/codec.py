"""Canonical JSON: one value, one text, one digest; and reading it back with care."""

import json
from collections.abc import Mapping
from typing import TypeAlias

from cosgen.errors import Problem, VerificationError

Json: TypeAlias = object  # what the json module reads and writes


class DecodeError(VerificationError):
    """Stored JSON is not of the form that cosgen writes."""

    def __init__(self, what: str) -> None:
        fix = "run `cosgen repo fsck`; if a newer cosgen wrote it, use that one"
        super().__init__(Problem(what=f"stored data cannot be read: {what}", fix=fix, id="CG511"))


def canonical(value: Json) -> bytes:
    """Return the one text of a value: sorted keys, no blanks, UTF-8, one newline at the end."""
    return _encode(value).encode() + b"\n"


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def decode(data: bytes) -> Mapping[str, Json]:
    """Read a JSON object.

    Raises:
        DecodeError: It is none.
    """
    try:
        return mapping(json.loads(data))
    except ValueError as error:
        raise DecodeError(str(error)) from error


def mapping(value: Json) -> Mapping[str, Json]:
    """Return a JSON object as such; raises `DecodeError`."""
    if not isinstance(value, dict):
        raise DecodeError(f"{str(value)[:60]!r} stands where an object should")
    return value


def items(value: Json) -> list[Json]:
    """Return a JSON array as such; raises `DecodeError`."""
    if not isinstance(value, list):
        raise DecodeError(f"{str(value)[:60]!r} stands where a list should")
    return value


def text(data: Mapping[str, Json], key: str) -> str:
    """Return the string under a key; raises `DecodeError`."""
    value = data.get(key)
    if not isinstance(value, str):
        raise DecodeError(f"{key!r} is no text")
    return value


def integer(data: Mapping[str, Json], key: str) -> int:
    """Return the whole number under a key; raises `DecodeError`."""
    value = data.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DecodeError(f"{key!r} is no whole number")
    return value


def texts(data: Mapping[str, Json], key: str) -> tuple[str, ...]:
    """Return the list of strings under a key, () when there is none; raises `DecodeError`."""
    found = items(data.get(key, []))
    if not all(isinstance(item, str) for item in found):
        raise DecodeError(f"{key!r} is no list of texts")
    return tuple(str(item) for item in found)
