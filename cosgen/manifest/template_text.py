"""Texts of Go templates, looked at without rendering them."""

import re

_LITERAL = r"(?:\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`)"
CALL = re.compile(r"\b(?:template|include|block)\s*" + _LITERAL)
DEFINE = re.compile(r"\{\{-?\s*(?:define|block)\s*" + _LITERAL)
NO_DATA = "\u00f8"  # the function that stands in where a template is called without data
_CALL_START = re.compile(r"\{\{(?:-\s)?\s*(?P<word>template)\s*" + _LITERAL)
PIECE = re.compile("\x00([0-9]+)\x00")
_SHORT = 12  # characters of plain text that are not worth a mark


def give_data(text: str) -> str:
    """Pass the data of every call of a template through a function that stands in where there is none.

    >>> give_data('{{ template "x" }}{{ template "y" . -}}')
    '{{ template "x" ø }}{{ template "y" . | ø -}}'
    """
    parts: list[str] = []
    cursor = 0
    for call in _CALL_START.finditer(text):
        end, is_trimmed = _action_end(text, call)
        data = text[call.end() : end - (3 if is_trimmed else 2)].rstrip()
        stop = call.end() + len(data)
        parts += (text[cursor:stop], f" | {NO_DATA}" if data else f" {NO_DATA}")
        cursor = stop
    return "".join(parts) + text[cursor:] if parts else text


def outside_definitions(text: str) -> str:
    """Return shared templates' own text: what stands outside `define` and would precede every package."""
    if "{{" not in text:
        return text
    return _strip_definitions(text)


_ACTION = re.compile(r"\{\{(?P<left>-\s)?\s*(?P<word>/\*|[A-Za-z]*)")


def _strip_definitions(text: str) -> str:
    pieces: list[str] = []
    depth = 0
    cursor = 0
    trim = False
    while True:
        match = _ACTION.search(text, cursor)
        piece = text[cursor : match.start() if match else len(text)]
        if depth == 0:
            if trim:
                piece = piece.lstrip(" \t\r\n")
            if match and match["left"]:
                piece = piece.rstrip(" \t\r\n")
            pieces.append(piece)
        if match is None:
            return "".join(pieces)
        end, trim = _action_end(text, match)
        word = match["word"]
        if word in {"define", "if", "with", "range", "block"}:
            if depth == 0 and word != "define":
                return "{{"
            depth += 1
        elif word == "end":
            depth -= 1
        elif depth == 0 and word != "/*":
            return "{{"
        cursor = end


_ACTION_END = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)*'|(?P<end>-?\}\})")


def _action_end(text: str, start: re.Match[str]) -> tuple[int, bool]:
    if start["word"] == "/*":
        close = text.find("*/", start.end())
        end = text.find("}}", close) if close >= 0 else -1
        return (end + 2 if end >= 0 else len(text)), text[max(end - 1, 0) : end] == "-"
    cursor = start.end()
    while match := _ACTION_END.search(text, cursor):
        if match["end"]:
            return match.end(), match["end"].startswith("-")
        cursor = match.end()
    return len(text), False


def skeleton_of(text: str) -> tuple[str, list[str]]:
    """Put short marks in place of long plain text, so that like templates are compiled once.

    White space around an action stays where it is, because actions may trim it.
    """
    if "\x00" in text or DEFINE.search(text):
        return text, []
    parts: list[str] = []
    pieces: list[str] = []
    cursor = 0
    while True:
        match = _ACTION.search(text, cursor)
        plain = text[cursor : match.start() if match else len(text)]
        core = plain.strip(" \t\r\n")
        if len(core) > _SHORT:
            start = plain.index(core)
            parts += (plain[:start], f"\x00{len(pieces)}\x00", plain[start + len(core) :])
            pieces.append(core)
        else:
            parts.append(plain)
        if match is None:
            return "".join(parts), pieces
        cursor = _action_end(text, match)[0]
        parts.append(text[match.start() : cursor])
