"""The functions templates may call: sprig's, with Go's strictness, bounds, and nothing that differs between runs."""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from cosgen.manifest.values import AnyKeyMap, TracedMap

Function = Callable[..., object]

# Their result depends on the machine, the network or chance, so the same tree would not give the same build.
UNSAFE: Mapping[str, str] = {
    **dict.fromkeys(("env", "expandenv"), "reads the environment"),
    "getHostByName": "asks the network",
    **dict.fromkeys(
        (
            "randAlpha",
            "randAlphaNum",
            "randAscii",
            "randBytes",
            "randInt",
            "randNumeric",
            "shuffle",
            "uuidv4",
        ),
        "is random",
    ),
    **dict.fromkeys(
        ("genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey")
        + ("genSignedCert", "genSignedCertWithKey", "bcrypt", "htpasswd", "encryptAES"),
        "makes a new key or salt each time",
    ),
}
# They read the clock, or (with a value that is no time) fall back on it.
CLOCK: frozenset[str] = frozenset(("now", "ago"))
_STRING_KEYED = ("get", "set", "unset", "hasKey", "pluck", "keys", "pick", "omit", "values", "dig") + (
    "merge",
    "mustMerge",
    "mergeOverwrite",
    "mustMergeOverwrite",
)
_SIZED = {"repeat": 0, "indent": 0, "nindent": 0, "until": 0, "wrap": 0, "wrapWith": 0}
_MOST = 1_000_000  # characters or elements one call may make
_WIDTH = re.compile(r"%[-+# 0]*(\*|[0-9]{5,})|%[-+# 0]*[0-9]*\.(\*|[0-9]{5,})")


class UnsafeFunctionError(ValueError):
    """A template called a function whose result is not determined by the tree."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"function {name!r} {why}")
        self.name = name


class ClockError(ValueError):
    """A template asked for the time and no SOURCE_DATE_EPOCH was given."""


def guarded(
    functions: Mapping[str, Function], *, allow: Iterable[str], epoch: int | None
) -> dict[str, Function]:
    """Return the functions with our guards around them.

    Args:
        functions: Sprig's text functions and Go's, by name.
        allow: Names of unsafe functions the project allows.
        epoch: SOURCE_DATE_EPOCH in seconds, for the functions that read the clock.
    """
    allowed = frozenset(allow)
    result = dict(functions)
    for name, why in UNSAFE.items():
        if name in result and name not in allowed:
            result[name] = _refuse(name, why)
    for name in CLOCK & result.keys():
        result[name] = _with_clock(result[name], epoch)
    for name in _STRING_KEYED:
        if name in result:
            result[name] = _string_keyed(result[name])
    for name, position in _SIZED.items():
        if name in result:
            result[name] = _sized(name, result[name], position)
    for name, empty in (("toJson", ""), ("toPrettyJson", ""), ("toRawJson", None), ("mustToJson", None)):
        if name in result:
            result[name] = _json_only(result[name], empty)
    return result


def _refuse(name: str, why: str) -> Function:
    def refused(*arguments: object) -> object:
        del arguments
        raise UnsafeFunctionError(name, why)

    return refused


def _with_clock(function: Function, epoch: int | None) -> Function:
    def clock() -> datetime:
        if epoch is None:
            raise ClockError("the template asks for the time")
        return datetime.fromtimestamp(epoch, UTC)

    return functools.partial(function, clock=clock)


def _string_keyed(function: Function) -> Function:
    @functools.wraps(function)
    def checked(*arguments: object) -> object:
        for argument in arguments:
            if isinstance(argument, AnyKeyMap) or (isinstance(argument, TracedMap) and argument.any_key):
                raise TypeError(
                    "wrong type for value; expected map[string]interface {}; got map[interface {}]interface {}"
                )
        return function(*arguments)

    return checked


def _sized(name: str, function: Function, position: int) -> Function:
    @functools.wraps(function)
    def bounded(*arguments: object) -> object:
        size = arguments[position] if len(arguments) > position else 0
        if isinstance(size, int | float | str) and _number(size) > _MOST:
            raise ValueError(f"{name} {size} is more than {_MOST:,}")
        if name == "repeat" and _number(size) * max(len(str(arguments[-1])), 1) > _MOST:
            raise ValueError(f"{name} makes more than {_MOST:,} characters")
        return function(*arguments)

    return bounded


def _number(value: float | str) -> float:
    try:
        return abs(float(value))
    except (ValueError, OverflowError):
        return 0


def has_any_key_map(value: object) -> bool:
    """Tell whether a value holds a map that JSON cannot express, as Go sees it."""
    if isinstance(value, TracedMap):
        return value.any_key or any(has_any_key_map(item) for item in value.values())
    if isinstance(value, dict):
        return isinstance(value, AnyKeyMap) or any(has_any_key_map(item) for item in value.values())
    return isinstance(value, list | tuple) and any(has_any_key_map(item) for item in value)


def _json_only(function: Function, empty: str | None) -> Function:
    @functools.wraps(function)
    def checked(value: object) -> object:
        if has_any_key_map(value):
            if empty is not None:
                return empty
            raise TypeError("json: unsupported type: map[interface {}]interface {}")
        return function(value)

    return checked


def check_format(layout: object) -> None:
    """Refuse `printf` layouts with absurd widths.

    Raises:
        ValueError: A width or a precision has five digits or more, or comes from an argument.
    """
    if isinstance(layout, str) and _WIDTH.search(layout):
        raise ValueError(f"printf layout {layout[:40]!r} asks for an absurd width")
