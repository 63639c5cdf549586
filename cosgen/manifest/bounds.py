"""How much the functions of one rendering may do: no template of a few lines fills memory or runs for hours.

Sizes count what would be printed: a list that holds one list twice counts that list twice. What a call will
make is estimated before it is made, and what all calls of a rendering touch is limited as well.
"""

import functools
from collections.abc import Callable, Mapping

Function = Callable[..., object]

MOST = 1_000_000  # characters or elements that one call may make
_MOST_IN_ALL = 10_000_000  # characters and elements that the calls of one rendering may touch
_PATTERNS = frozenset(
    name
    for kind in ("Match", "Find", "FindAll", "Split", "ReplaceAll", "ReplaceAllLiteral")
    for name in (f"regex{kind}", f"mustRegex{kind}")
)
_ELEMENT = 8  # characters that an element counts as
_CHEAP = frozenset(
    (
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "and",
        "or",
        "not",
        "index",
        "default",
        "get",
        "hasKey",
        "len",
        "empty",
    )
)  # and much used
_SQUARE = frozenset(("uniq", "mustUniq"))  # they compare all elements with each other


class TooMuchError(ValueError):
    """A template asks for more than any real one does."""


class Bounds:
    """Counts what the functions of a rendering do; `reset` starts the next one."""

    def __init__(self) -> None:
        self._spent = 0
        self._sizes: dict[int, tuple[object, int]] = {}  # id -> the value, kept so that the id stays its own

    def reset(self) -> None:
        """Start a rendering."""
        self._spent = 0
        self._sizes = {}

    def bounded(self, name: str, function: Function) -> Function:
        """Return a function that refuses to do too much."""
        if name in _CHEAP:
            return function

        @functools.wraps(function)
        def checked(*arguments: object) -> object:
            self._spend(name, _effort(name, arguments))
            result = function(*arguments)
            size = self._measure(result)
            if size > MOST:
                raise TooMuchError(f"{name} makes more than {MOST:,}")
            self._spend(name, size)
            return result

        return checked

    def _spend(self, name: str, amount: float) -> None:
        if amount > _MOST_IN_ALL or self._spent + amount > _MOST_IN_ALL:
            raise TooMuchError(f"{name} and what was called before touch more than {_MOST_IN_ALL:,}")
        self._spent += int(amount)

    def _measure(self, value: object) -> int:
        """Return the size of what a call made, and remember it for whoever puts that into something else."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, list | tuple | dict) or hasattr(value, "log"):  # .Values was read from files
            return 1
        items = dict.values(value) if isinstance(value, dict) else value
        size = 1
        for item in items:
            size += self._known(item)
        self._sizes[id(value)] = (value, size)
        return size

    def _known(self, item: object) -> int:
        found = None if isinstance(item, str) else self._sizes.get(id(item))
        return max(found[1], _ELEMENT) if found else _ELEMENT


def _effort(name: str, arguments: tuple[object, ...]) -> float:
    """Estimate what a call is going to touch."""
    if name in _PATTERNS and arguments and isinstance(arguments[0], str):
        _check_pattern(arguments[0])
    estimate = _ESTIMATES.get(name)
    try:
        making = estimate(*arguments) if estimate else 0
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        making = 0  # wrong arguments, which the function refuses
    if making > MOST:
        raise TooMuchError(f"{name} makes more than {MOST:,}")
    touched = sum(_length(argument) for argument in arguments)
    return touched * touched if name in _SQUARE else touched


def _length(value: object) -> int:
    if isinstance(value, dict):
        return dict.__len__(value)
    return len(value) if isinstance(value, str | list | tuple) else 1


def _check_pattern(pattern: str) -> None:
    """Refuse repetitions of repetitions that Go refuses, before they are unfolded."""
    if pattern.count("{") > 1:
        from cosgen.manifest.pattern import pattern_fault  # noqa: PLC0415 - few templates have patterns

        if fault := pattern_fault(pattern):
            raise ValueError(f"error parsing regexp: {fault}")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | str) else 0


def _steps(start: object, stop: object, step: object) -> float:
    return _ELEMENT * abs((_number(stop) - _number(start)) / _number(step))


def _sequence(*numbers: object) -> float:
    last = _number(numbers[-1])
    first = _number(numbers[0]) if len(numbers) > 1 else 1
    step = _number(numbers[1]) if len(numbers) > 2 else 1
    return _ELEMENT * abs((last - first) / step)


def _replaced(old: object, new: object, text: object) -> float:
    if not isinstance(old, str) or not isinstance(new, str) or not isinstance(text, str):
        return 0
    return len(text) + text.count(old) * len(new)


def _pattern_replaced(pattern: object, text: object, new: object) -> float:
    del pattern
    if not isinstance(text, str) or not isinstance(new, str):
        return 0
    return (len(text) + 1) * (len(new) + new.count("$")) / 10  # few patterns match at every character


def _joined(separator: object, items: object) -> float:
    if not isinstance(separator, str) or not isinstance(items, list | tuple):
        return 0
    return len(items) * len(separator) + sum(len(item) for item in items if isinstance(item, str))


def _indented(width: object, text: object) -> float:
    return abs(_number(width)) * (1 + text.count("\n")) if isinstance(text, str) else 0


def _repeated(count: object, text: object) -> float:
    return abs(_number(count)) * max(len(text), 1) if isinstance(text, str) else 0


_ESTIMATES: Mapping[str, Callable[..., float]] = {
    "until": lambda stop: _ELEMENT * abs(_number(stop)),
    "untilStep": _steps,
    "seq": _sequence,
    "replace": _replaced,
    **dict.fromkeys(
        (
            "regexReplaceAll",
            "mustRegexReplaceAll",
            "regexReplaceAllLiteral",
            "mustRegexReplaceAllLiteral",
        ),
        _pattern_replaced,
    ),
    "join": _joined,
    "indent": _indented,
    "nindent": _indented,
    "repeat": _repeated,
    **dict.fromkeys(("wrap", "wrapWith"), lambda width, *_: abs(_number(width))),
}
