"""The functions templates may call: sprig's, as strict as in Go, bounded, and the same in every run."""

import functools
import math
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
        (
            "genCA",
            "genCAWithKey",
            "genPrivateKey",
            "genSelfSignedCert",
            "genSelfSignedCertWithKey",
            "genSignedCert",
            "genSignedCertWithKey",
            "bcrypt",
            "htpasswd",
            "encryptAES",
        ),
        "makes a new key or salt each time",
    ),
}
# They read the clock, or (with a value that is no time) fall back on it.
CLOCK: frozenset[str] = frozenset(("now", "ago"))
# Functions on maps with text keys, and which of their arguments must be such maps.
_STRING_KEYED: Mapping[str, slice] = {
    **dict.fromkeys(("get", "set", "unset", "hasKey", "pick", "omit"), slice(0, 1)),
    **dict.fromkeys(
        ("keys", "values", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"), slice(None)
    ),
    "pluck": slice(1, None),
    "urlJoin": slice(0, 1),
}
_STRICT_JSON = frozenset(("toRawJson", "mustToJson", "mustToPrettyJson", "mustToRawJson"))
_STORING = (
    "list",
    "tuple",
    "dict",
    "append",
    "push",
    "mustAppend",
    "mustPush",
    "prepend",
    "mustPrepend",
    "set",
)
_FLOAT_DIGITS = 308  # decimal places a float can be scaled by
_WIDEST = 10_000  # columns of one printf verb
_WIDTH = re.compile(r"%[-+# 0]*(?:[0-9]{5,}|[0-9]*\.[0-9]{5,})")
_VERB = re.compile(r"%(?P<flags>[-+# 0]*[0-9]*(?:\.[0-9]+)?)(?P<verb>[a-zA-Z%])")


class NoData(frozenset[object]):
    """The data of a template that is called without any: each field of it is again nothing."""

    def __gotemplate_lookup__(self, field: str) -> "NoData":
        """Return what a template finds under a field's name."""
        return self

    def __str__(self) -> str:
        return "<no value>"


def without_no_data(name: str, function: Function) -> Function:
    """Return a function that gets null, or an empty map, where a template passes what it has no data for."""
    is_keyed = name in _STRING_KEYED

    @functools.wraps(function)
    def call(*arguments: object) -> object:
        if any(type(argument) is NoData for argument in arguments):
            nothing: object = {} if is_keyed else None
            arguments = tuple(nothing if type(argument) is NoData else argument for argument in arguments)
        return function(*arguments)

    return call


class UnsafeFunctionError(ValueError):
    """A template called a function whose result is not determined by the tree."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name!r}, which {why}")
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
    for name in ("keys", "values"):
        if name in result:
            result[name] = _sorted(name, result[name])
    for name, positions in _STRING_KEYED.items():
        if name in result:
            result[name] = _string_keyed(result[name], positions)
    if "dig" in result:
        result["dig"] = _dig(result["dig"])
    for name in ("toJson", "toPrettyJson", *_STRICT_JSON):
        if name in result:
            result[name] = _json_only(result[name], None if name in _STRICT_JSON else "")
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


def _string_keyed(function: Function, positions: slice) -> Function:
    @functools.wraps(function)
    def checked(*arguments: object) -> object:
        for argument in arguments[positions]:
            if not isinstance(argument, dict) or is_any_key(argument):
                got = (
                    "map[interface {}]interface {}" if isinstance(argument, dict) else type(argument).__name__
                )
                raise TypeError(f"wrong type for value; expected map[string]interface {{}}; got {got}")
        return function(*arguments)

    return checked


def is_any_key(value: object) -> bool:
    """Tell whether a value is a map with keys of any type."""
    return isinstance(value, AnyKeyMap) or (isinstance(value, TracedMap) and value.any_key)


def _sorted(name: str, function: Function) -> Function:
    """Fix the order of `keys` and `values`, which Go leaves to chance: by key."""

    @functools.wraps(function)
    def ordered(*maps: object) -> object:
        if name == "keys":
            return [key for item in maps if isinstance(item, dict) for key in sorted(item)]
        return [item[key] for item in maps if isinstance(item, dict) for key in sorted(item)]

    return ordered


def _dig(function: Function) -> Function:
    @functools.wraps(function)
    def checked(*arguments: object) -> object:
        current = arguments[-1] if arguments else None
        for key in arguments[:-2]:
            if is_any_key(current):
                raise TypeError(
                    "interface conversion: map[interface {}]interface {}, not map[string]interface {}"
                )
            if not isinstance(current, dict) or key not in current:
                break
            current = current[key]
        return function(*arguments)

    return checked


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


def rounded(to_float: Function) -> Function:
    """Return sprig's `round` as it computes on most machines: the scaled number is rounded to a float first.

    Args:
        to_float: Sprig's `float64`.
    """

    def round_(value: object, places: int, *options: float) -> float:
        number = to_float(value)
        if not isinstance(number, float) or abs(places) > _FLOAT_DIGITS:
            return math.nan
        power = 10.0**places
        scaled = power * number
        if not math.isfinite(scaled):
            return scaled
        up = math.modf(scaled)[0] >= (options[0] if options else 0.5)
        return float(math.ceil(scaled) if up else math.floor(scaled)) / power

    return round_


def go_builtins(
    functions: Mapping[str, Function], nothing: tuple[object, ...], nil: object
) -> dict[str, Function]:
    """Return Go's own functions with the corners the engine rounds off.

    Args:
        functions: The engine's versions, by name.
        nothing: The engine's values for "there is none", None included.
        nil: The one of them that prints as `<nil>`.
    """

    def absent(value: object) -> bool:
        return value is None or any(value is item for item in nothing)

    def printable(values: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(nil if absent(value) else value for value in values)

    def equal(first: object, *others: object) -> bool:
        if not others:
            raise TypeError("missing argument for comparison")
        return any(_equal_pair(functions["eq"], first, other, absent) for other in others)

    def not_equal(first: object, second: object) -> bool:
        return not _equal_pair(functions["eq"], first, second, absent)

    def index(value: object, *indexes: object) -> object:
        is_text_keyed = isinstance(value, dict) and not is_any_key(value)
        if is_text_keyed and indexes and not isinstance(indexes[0], str):
            raise TypeError(f"value has type {type(indexes[0]).__name__}; should be string")
        if absent(value) and not indexes:
            raise TypeError("index of untyped nil")
        if len(indexes) > 1:
            return index(functions["index"](value, indexes[0]), *indexes[1:])
        return functions["index"](value, *indexes)

    def formatted(layout: object, *values: object) -> object:
        if not isinstance(layout, str):
            return functions["printf"](layout, *printable(values))
        wide = "*" in layout and any(isinstance(value, int) and abs(value) > _WIDEST for value in values)
        if wide or _WIDTH.search(layout):
            raise ValueError(f"printf layout {layout[:40]!r} asks for an absurd width")
        return functions["printf"](*_by_element(functions["printf"], layout, printable(values)))

    def storing(function: Function) -> Function:
        @functools.wraps(function)
        def stored(*arguments: object) -> object:
            return function(*(None if absent(argument) else argument for argument in arguments))

        return stored

    return {
        **{name: storing(functions[name]) for name in _STORING if name in functions},
        "eq": equal,
        "ne": not_equal,
        "index": index,
        "len": functions["len"],
        "printf": formatted,
        "print": lambda *values: functions["print"](*printable(values)),
        "println": lambda *values: functions["println"](*printable(values)),
    }


def _equal_pair(equal: Function, left: object, right: object, absent: Callable[[object], bool]) -> bool:
    other = right if absent(left) else left
    if absent(left) != absent(right) and isinstance(other, bool | int | float | str):
        return False
    return bool(equal(left, right))


def _by_element(printf: Function, layout: str, values: tuple[object, ...]) -> tuple[object, ...]:
    """Spread verbs over the elements of lists and maps, as Go does: `%d` of [1 2] is `[1 2]`."""
    if not any(isinstance(value, list | tuple | dict) for value in values) or "[" in layout or "*" in layout:
        return (layout, *values)
    rest = list(values)

    def spread(value: object, verb: str) -> str:
        if isinstance(value, dict):
            pairs = (f"{spread(key, verb)}:{spread(value[key], verb)}" for key in sorted(value, key=str))
            return f"map[{' '.join(pairs)}]"
        if isinstance(value, list | tuple):
            return f"[{' '.join(spread(item, verb) for item in value)}]"
        return str(printf(verb, value))

    index = 0
    pieces: list[str] = []
    cursor = 0
    for match in _VERB.finditer(layout):
        if match["verb"] == "%":
            continue
        if index < len(rest) and isinstance(rest[index], list | tuple | dict) and match["verb"] not in "vT":
            rest[index] = spread(rest[index], match[0])
            pieces += (layout[cursor : match.start()], "%s")
            cursor = match.end()
        index += 1
    return ("".join(pieces) + layout[cursor:], *rest)
