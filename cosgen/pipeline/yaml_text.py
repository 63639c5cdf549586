"""Plain values as YAML text: keys in the order given, two spaces, no anchors, same value same bytes.

A writer of our own, small because its input is: strings, whole numbers, booleans, None, lists and maps.
Every string that a YAML 1.1 or 1.2 reader could take for something else is quoted, so both read the same.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Self

_START = r"(?:[A-Za-z_/$]|\.(?=_*[A-Za-z/.]))"  # a dot before a digit begins a number
_PLAIN = re.compile(_START + r"[A-Za-z0-9_/.+@%^=$*()-]*(?: [A-Za-z0-9_/.+@%^=$*()-]+)*")
# Outside of one-line lists and maps: a word may also hold quotes, brackets, and `:` or `#` within.
_PLAIN_LINE = re.compile(_START[:-1] + r"|\()(?:[!-~]|(?<!:) (?!#))*(?<![: ])|[0-9]+ [a-z]+")
_PLAIN_KEY = re.compile(_START + r"[A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_SPECIAL = re.compile(
    r"(?i:~|null|true|false|yes|no|on|off|y|n)|[-+]?[0-9][0-9_.:eExXo+-]*|[-+]?\.(?i:inf|nan)|\.|=|<<|---.*|\.\.\..*"
)
_INDENT = "  "
_WIDTH = 110  # columns beyond which a list is not kept on one line


class Tagged(str):
    """A scalar with a comment behind it, such as the tag of a pinned commit."""

    __slots__ = ("comment",)
    comment: str

    def __new__(cls, text: str, comment: str) -> Self:
        """Join a text and its comment; neither may hold a line break."""
        self = super().__new__(cls, text)
        self.comment = comment
        return self


class Flow(list[object]):
    """A list printed on one line where that is not too long."""


class Line(Flow):
    """A list printed on one line, however long."""


class FlowMap(dict[str, object]):
    """A map printed on one line."""


def print_yaml(value: Mapping[str, object], header: Sequence[str] = ()) -> str:
    """Return a document: the header's lines as comments, then the map, then one line break.

    Raises:
        TypeError: A value is of a kind that pipelines do not have.
    """
    lines = [f"# {line}".rstrip() for line in header]
    _print_map(value, "", lines)
    return "\n".join(lines) + "\n"


def _print_map(value: Mapping[str, object], indent: str, lines: list[str]) -> None:
    for key, item in value.items():
        _print_item(f"{indent}{_key(key)}:", item, indent, lines)


def _print_item(lead: str, item: object, indent: str, lines: list[str]) -> None:
    if isinstance(item, str) and "\n" in item:
        _print_block(lead, item, indent, lines)
    elif isinstance(item, Mapping) and item and not isinstance(item, FlowMap):
        lines.append(lead)
        _print_map(item, indent + _INDENT, lines)
    elif isinstance(item, list | tuple) and item and not _fits(lead, item):
        lines.append(lead)
        _print_list(item, indent + _INDENT, lines)
    else:
        text = _line(item) if isinstance(item, str) else _inline(item)
        lines.append(f"{lead} {text}{_comment(item)}")


def _fits(lead: str, item: Sequence[object]) -> bool:
    return isinstance(item, Line) or (isinstance(item, Flow) and len(lead) + 1 + len(_inline(item)) <= _WIDTH)


def _print_list(items: Sequence[object], indent: str, lines: list[str]) -> None:
    for item in items:
        if isinstance(item, Mapping) and item and not isinstance(item, FlowMap):
            start = len(lines)
            _print_map(item, indent + _INDENT, lines)
            lines[start] = f"{indent}- {lines[start].removeprefix(indent + _INDENT)}"
        else:
            _print_item(f"{indent}-", item, indent, lines)


def _print_block(lead: str, text: str, indent: str, lines: list[str]) -> None:
    body = text.removesuffix("\n")
    simple = not body.startswith((" ", "\n")) and not body.endswith("\n") and body.isprintable() is False
    if not simple or any(not (char.isprintable() or char == "\n") for char in body):
        lines.append(f"{lead} {_double(text)}")
        return
    lines.append(f"{lead} |{'' if text.endswith(chr(10)) else '-'}")
    lines.extend(f"{indent}{_INDENT}{line}" if line else "" for line in body.split("\n"))


def _comment(item: object) -> str:
    return f" # {item.comment}" if isinstance(item, Tagged) and item.comment else ""


def _inline(item: object) -> str:
    match item:
        case None:
            return "null"
        case bool():
            return "true" if item else "false"
        case int():
            return str(item)
        case str():
            return quote(item)
        case list() | tuple():
            return "[" + ", ".join(_inline(part) for part in item) + "]"
        case Mapping():
            return "{" + ", ".join(f"{quote(str(key))}: {_inline(part)}" for key, part in item.items()) + "}"
        case _:
            raise TypeError(f"not for YAML: {type(item).__name__}")


def quote(text: str) -> str:
    """Return a string as a scalar that may stand anywhere, plain where every reader takes it for a string.

    >>> print(quote("main"), quote("on"), quote("1.10"), quote("a: b"))
    main "on" "1.10" "a: b"
    """
    if _PLAIN.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return str(text)
    return _quoted(text)


def _line(text: str) -> str:
    """Return a string as what follows `key:` or `-` on its line."""
    if _PLAIN_LINE.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return str(text)
    return _quoted(text)


def _key(text: str) -> str:
    if _PLAIN_KEY.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return str(text)
    return _double(text)


def _quoted(text: str) -> str:
    """Return a string in quotes: single ones where double ones would need escapes in plain ASCII."""
    if ('"' in text or "\\" in text) and all(" " <= char <= "~" for char in text):
        return "'" + text.replace("'", "''") + "'"
    return _double(text)


def _double(text: str) -> str:
    out = []
    for char in text:
        if char in '"\\':
            out.append(f"\\{char}")
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char.isprintable() and char != "\ufeff":
            out.append(char)
        else:
            out.append(_escape(ord(char)))
    return '"' + "".join(out) + '"'


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
