"""YAML as luet reads it: every string in double quotes, one value per line.

luet parses with Go's yaml.v2 (YAML 1.1), which turns an unquoted `1.0`, `y` or `1e3` into a number or a
boolean: in a definition that makes the whole repository unusable, in the index the package is silently not
found. So every string is quoted here, and whatever YAML 1.1 does not print raw is escaped.

Source: YAML 1.1, sections 4.1.1 and 5.6; luet 3f2397b6 reads through yaml.v2 and JSON (typed).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from cosgen.errors import Problem, PublishError

Value: TypeAlias = "bool | int | str | Sequence[Value] | Mapping[str, Value] | None"

# What may not stand raw between double quotes in YAML 1.1 although JSON lets it: controls, the line breaks
# NEL, LS and PS, the byte order mark, non-characters and surrogates.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_MOST_LEVELS = 100  # of lists and mappings in each other
_MOST_REPEATED = 64 << 20  # characters that aliases may add to a document
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
        PublishError: `text` is not YAML, or is too deep or too often repeated in itself.
    """
    try:
        return _read(getattr(yaml, "CBaseLoader", yaml.BaseLoader)(text))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        detail = " ".join(str(error).split())
        problem = Problem(
            what=f"{name} is not YAML: {detail}",
            fix="look whether the server returned an error page, and whether the file is complete",
            id="CG550",
        )
        raise PublishError(problem) from error


def _read(loader: yaml.BaseLoader) -> object:
    """Build a document from its events: nothing in it is as deep, or as often repeated, as to do harm.

    The library's own way calls itself for each level, in C, and gives no hold on aliases.
    """
    building = _Building()
    try:
        while loader.check_event():
            building.take(loader.get_event())  # type: ignore[no-untyped-call,unused-ignore]  # not in typeshed
    finally:
        loader.dispose()
    return building.root


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not at its end."""

    value: list[object] | dict[object, object]
    anchor: str | None
    before: int  # characters that came before it
    keys: list[object] = field(default_factory=list)  # the key that waits for its value


@dataclass(slots=True)
class _Building:
    """A document as far as it was read."""

    root: object = None
    _open: list[_Open] = field(default_factory=list)
    _named: dict[str, tuple[object, int]] = field(default_factory=dict)  # by anchor, with its length
    _length: int = 0  # characters so far, those of repetitions too
    _repeated: int = 0

    def take(self, event: yaml.Event) -> None:
        """Go on with the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._length += len(event.value) + 1
            self._add(event.value, event.anchor, len(event.value) + 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) == _MOST_LEVELS:
                raise yaml.YAMLError(f"it is more than {_MOST_LEVELS} levels deep")
            kind: list[object] | dict[object, object] = (
                {} if isinstance(event, yaml.MappingStartEvent) else []
            )
            self._open.append(_Open(kind, event.anchor, self._length))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            self._add(done.value, done.anchor, self._length - done.before + 1)
        elif isinstance(event, yaml.AliasEvent):
            self._repeat(str(event.anchor))
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise yaml.YAMLError("there is more than one document")

    def _repeat(self, anchor: str) -> None:
        value, length = self._named.get(anchor, (None, -1))
        if length < 0:
            raise yaml.YAMLError(f"the alias {anchor!r} names nothing that ended before it")
        self._length += length
        self._repeated += length
        if self._repeated > _MOST_REPEATED:
            raise yaml.YAMLError("its aliases make it too large")
        self._add(value, None, length)

    def _add(self, value: object, anchor: str | None, length: int) -> None:
        if anchor:
            self._named[anchor] = (value, length)
        if not self._open:
            self.root = value
            return
        inside = self._open[-1]
        if isinstance(inside.value, list):
            inside.value.append(value)
        elif inside.keys:
            inside.value[inside.keys.pop()] = value
        else:
            hash(value)
            inside.keys.append(value)


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _READ_AS_BOOL else quote(key)


def _escape(text: str) -> str:
    return text if text.isascii() and "\x7f" not in text else _UNPRINTABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
