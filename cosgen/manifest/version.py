"""Order of versions, as luet sorts them: Debian's rules on slightly tidied text.

Both luet generations sort like this; they differ in how selectors compare (`selector.py`).
Source: luet 3f2397b6, pkg/versioner/versioner.go; Debian policy 5.6.12.
"""

import re
from functools import lru_cache
from typing import Literal

Compat = Literal["head", "0.36"]
Part = tuple[tuple[tuple[int, ...], int], ...]
Key = tuple[int, int, Part, Part]

_LEADING_V = re.compile(r"[vV](?=[0-9])")
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_UPSTREAM = re.compile(r"[0-9][A-Za-z0-9.\-+~:_]*\Z", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9+.~_]*\Z", re.ASCII)
_RUN = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_INVALID: Key = (0, 0, (), ())


def sanitize(text: str) -> str:
    """Tidy a version: no spaces, `_` as `-`, no leading `v`, no leading zeros.

    >>> sanitize("v01.2_003")
    '1.2-3'
    """
    text = text.replace(" ", "").replace("_", "-")
    return _ZEROS.sub("", _LEADING_V.sub("", text, count=1) if text[:1] in {"v", "V"} else text)


@lru_cache(maxsize=1 << 14)
def sort_key(text: str) -> Key:
    """Return the key that orders versions; texts that are no version come before all that are.

    >>> sorted(["1.0-1", "1.0", "rpi-1", "1.0~rc1", "1:0.5", "1.0.1"], key=sort_key)
    ['rpi-1', '1.0~rc1', '1.0', '1.0-1', '1.0.1', '1:0.5']
    """
    epoch, upstream, revision = _split(sanitize(text))
    if upstream is None:
        return _INVALID
    return (1, epoch, _part(upstream), _part(revision))


def is_version(text: str) -> bool:
    """Tell whether a text is a version, so that it can be ordered and selected."""
    return sort_key(text) is not _INVALID


def _split(text: str) -> tuple[int, str | None, str]:
    epoch = 0
    head, colon, rest = text.partition(":")
    if colon:
        if not (head.isascii() and head.isdigit()):
            return 0, None, ""
        epoch, text = _number(head), rest
    upstream, dash, revision = text.rpartition("-")
    if not dash:
        upstream, revision = text, ""
    if not _UPSTREAM.match(upstream) or not _REVISION.match(revision):
        return 0, None, ""
    return epoch, upstream, revision


def _part(text: str) -> Part:
    runs = [((*map(_order, prefix), 0), _number(digits)) for prefix, digits in _RUN.findall(text)]
    while len(runs) > 1 and runs[-1] == ((0,), 0):  # what is not there counts as empty text and zero
        runs.pop()
    return (*runs, ((0,), 0))


def _number(digits: str) -> int:
    """Convert digits; runs beyond what Python converts at once are taken in pieces."""
    value = 0
    for start in range(0, len(digits), 4000):
        piece = digits[start : start + 4000]
        value = value * 10 ** len(piece) + int(piece)
    return value


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def compare_versions(first: str, second: str, compat: Compat = "head") -> int:
    """Return -1, 0 or 1 as `first` is older than, equal to or newer than `second`.

    >>> compare_versions("1.0", "1.00"), compare_versions("1.0-alpha", "1.0-alpha0")
    (0, 0)
    """
    del compat  # both generations sort alike
    one, other = sort_key(first), sort_key(second)
    return _compare_parts(one, other)


def _compare_parts(one: Key, other: Key) -> int:
    return (one > other) - (one < other)
