"""Canonical JSON: one value, one text, one digest; and reading it back with care."""

import json
from collections.abc import Mapping
from typing import TypeAlias

import zstandard

from cosgen.errors import Problem, VerificationError

Json: TypeAlias = object  # what the json module reads and writes
_BLOCK = 1 << 20  # bytes
_SURROGATE = rb"\ud"


class DecodeError(VerificationError):
    """Stored JSON is not of the form that cosgen writes."""

    def __init__(self, what: str) -> None:
        self.what = what
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
        found = json.loads(data, parse_constant=_refuse_constant)
        if _SURROGATE in data.lower():
            _encode(found).encode()  # halves of characters are no text
    except (ValueError, RecursionError) as error:
        raise DecodeError(str(error)) from error
    return mapping(found)


def unpack(data: bytes, most: int) -> bytes:
    """Undo zstd.

    Args:
        data: One frame.
        most: Bytes that may come of it.

    Raises:
        DecodeError: It is damaged, or more comes of it.
    """
    found = bytearray()
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            while len(found) <= most and (block := reader.read(_BLOCK)):
                found += block
    except zstandard.ZstdError as error:
        raise DecodeError(str(error)) from error
    if len(found) > most:
        raise DecodeError(f"it grows beyond {most} bytes")
    return bytes(found)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


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


def row(value: Json, length: int) -> list[Json]:
    """Return a JSON array of so many items; raises `DecodeError`."""
    found = items(value)
    if len(found) != length:
        raise DecodeError(f"a row has {len(found)} items, not {length}")
    return found


def whole(value: Json) -> int:
    """Return a whole number that is not negative as such; raises `DecodeError`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DecodeError(f"{str(value)[:60]!r} stands where a whole number should")
    return value


def times(value: Json) -> dict[str, int]:
    """Return a JSON object of whole numbers, seconds since 1970, by name; raises `DecodeError`."""
    return {name: whole(since) for name, since in mapping(value).items()}


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
