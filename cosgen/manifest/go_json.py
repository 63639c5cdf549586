"""`fromJson` of templates: JSON as Go reads it, where every number is a float."""

import json
from typing import Never

from cosgen.manifest.values import Value

_KINDS: dict[type, str] = {str: "string", bool: "bool", float: "number", list: "array", dict: "object"}
_WANTED: dict[type, str] = {dict: "map[string]interface {}", list: "[]interface {}"}


def from_json(text: str) -> dict[str, Value]:
    """Return JSON as a map; one with the key `Error` when it is none.

    >>> from_json('{"a": 1}')
    {'a': 1.0}
    """
    value, error = _read(text)
    error = error or mismatch(value, dict)
    if error:
        return {"Error": error}
    return value if isinstance(value, dict) else {}


def from_json_array(text: str) -> list[Value]:
    """Return JSON as a list; one that holds the error when it is none."""
    value, error = _read(text)
    error = error or mismatch(value, list)
    if error:
        return [error]
    return value if isinstance(value, list) else []


def mismatch(value: Value, wanted: type) -> str:
    """Say in Go's words that a value read is not of the wanted type, or return ""; null is of every type."""
    if value is None or isinstance(value, wanted):
        return ""
    return f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type {_WANTED[wanted]}"


def _read(text: str) -> tuple[Value, str]:
    try:
        return json.loads(text, parse_int=float, parse_constant=_refuse), ""
    except json.JSONDecodeError as error:
        return None, _explain(text, error.pos)
    except (RecursionError, ValueError) as error:
        return None, str(error)


def _refuse(word: str) -> Never:
    raise ValueError(f"invalid character {word.lstrip('-')[0]!r} looking for beginning of value")


def _explain(text: str, at: int) -> str:
    rest = text[at:].lstrip()
    if not rest:
        return "unexpected end of JSON input"
    return f"invalid character {rest[0]!r} looking for beginning of value"
