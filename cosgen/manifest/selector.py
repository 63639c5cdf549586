"""Selectors: which versions a requirement such as `>=1.0` accepts, in both luet generations.

Source: luet 3f2397b6, pkg/versioner/versioner.go; for 0.36 the behaviour of the Go libraries it used there
(hashicorp/go-version, and Masterminds/semver for what that cannot read).
"""

import re
from functools import lru_cache

from cosgen.manifest.version import Compat, compare_versions, is_version, sanitize

_HEAD = re.compile(r"(>=|<=|==|!=|>|<|=)(.*)\Z", re.DOTALL)
_LOOSE = re.compile(
    r"v?(?P<segments>[0-9]+(?:\.[0-9]+)*)"
    r"(?:-(?P<pre>[0-9A-Za-z\-~.]+)|(?P<stuck>[A-Za-z~][0-9A-Za-z\-~.]*))?"
    r"(?:\+[0-9A-Za-z\-~.]+)?\Z"
)
_TERM = re.compile(r"(>=|=>|<=|=<|!=|~>|>|<|=|~|\^)?\s*v?([0-9xX*][0-9A-Za-z.\-+*]*)")
Loose = tuple[tuple[int, ...], str]


def is_selector(text: str) -> bool:
    """Tell whether a version text selects by comparison: it has `<`, `>` or `=` anywhere.

    >>> is_selector(">=1.0"), is_selector("1.0"), is_selector("!1.0")
    (True, False, False)
    """
    return any(sign in text for sign in "<>=")


def fault(text: str) -> str | None:
    """Say what is wrong with a version text in a requirement, or None.

    >>> fault(">=1,<2")
    'ranges are not supported'
    """
    if not text:
        return "there is no version"
    if not is_selector(text):
        return "`!`, `~`, `^` and `*` do not select" if text[0] in "!~^*" else None
    match = _HEAD.match(sanitize(text))
    if match is None:
        return "the comparison must come first"
    if any(sign in match[2] for sign in "<>=,|"):
        return "ranges are not supported"
    return None if is_version(match[2]) else f"{match[2]!r} is not a version"


@lru_cache(maxsize=1 << 14)
def matches(version: str, selector: str, compat: Compat = "head") -> bool:
    """Tell whether a version is accepted by a selector; without a comparison the texts must be equal.

    >>> matches("1.0-1", ">1.0"), matches("1.0", "=1.00"), matches("1.0", "1.00"), matches("1.5", ">=1,<2")
    (True, True, False, False)
    >>> matches("1.5", ">=1,<2", "0.36"), matches("1.0-1", ">1.0", "0.36")
    (True, False)
    """
    if not is_selector(selector):
        return version == selector
    if not version:
        return True
    return _matches_head(version, selector) if compat == "head" else _matches_old(version, selector)


def _matches_head(version: str, selector: str) -> bool:
    match = _HEAD.match(sanitize(selector))
    if match is None:
        return False
    sign, wanted = match[1], match[2]
    if not (is_version(version) and is_version(wanted)):
        equal = sanitize(version) == wanted
        return (sign in {"=", "=="} and equal) or (sign == "!=" and not equal)
    return _holds(sign, compare_versions(version, wanted))


def _holds(sign: str, order: int) -> bool:
    return {
        ">=": order >= 0,
        "<=": order <= 0,
        ">": order > 0,
        "<": order < 0,
        "=": order == 0,
        "==": order == 0,
        "!=": order != 0,
    }[sign]


def _matches_old(version: str, selector: str) -> bool:
    match = re.match(r"(>=|<=|!=|>|<|=)([^<>=].*)\Z", selector.replace(" ", ""))
    wanted = _loose(match[2]) if match else None
    candidate = _loose(version)
    if match and wanted is not None:
        return candidate is not None and _holds(match[1], _compare_loose(candidate, wanted))
    return candidate is not None and _in_ranges(candidate, selector)


def _loose(text: str) -> Loose | None:
    match = _LOOSE.match(text)
    if match is None or len(text) > 1000:
        return None
    segments = tuple(int(part) for part in match["segments"].split("."))
    padded = segments + (0,) * max(0, 3 - len(segments))
    return padded, match["pre"] or match["stuck"] or ""


def _compare_loose(one: Loose, other: Loose) -> int:
    length = max(len(one[0]), len(other[0]))
    first, second = (part[0] + (0,) * (length - len(part[0])) for part in (one, other))
    if first != second:
        return 1 if first > second else -1
    return _compare_prerelease(one[1], other[1])


def _compare_prerelease(one: str, other: str) -> int:
    if one == other:
        return 0
    if not one or not other:
        return 1 if not one else -1
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            return _compare_identifier(left, right)
    return 1 if one.count(".") > other.count(".") else -1


def _compare_identifier(left: str, right: str) -> int:
    if left.isdigit() and right.isdigit():
        return (int(left) > int(right)) - (int(left) < int(right))
    if left.isdigit() != right.isdigit():
        return -1 if left.isdigit() else 1
    return 1 if left > right else -1


def _in_ranges(candidate: Loose, text: str) -> bool:
    return any(_in_range(candidate, part) for part in text.split("||"))


def _in_range(candidate: Loose, text: str) -> bool:
    terms = _TERM.findall(text)
    if not terms or _TERM.sub("", text).strip(" ,"):
        return False
    return all(_term_holds(candidate, sign or "=", wanted) for sign, wanted in terms)


def _term_holds(candidate: Loose, sign: str, text: str) -> bool:
    if text[0] in "xX*":
        return True
    wanted = _loose(text)
    if wanted is None or (candidate[1] and not wanted[1]):
        return False
    sign = {"=>": ">=", "=<": "<=", "~>": "~"}.get(sign, sign)
    order = _compare_loose(candidate, wanted)
    if sign not in {"~", "^"}:
        return _holds(sign, order)
    fixed = 1 if sign == "^" and wanted[0][0] else min(2, text.count(".") + 1)
    return order >= 0 and candidate[0][:fixed] == wanted[0][:fixed]
