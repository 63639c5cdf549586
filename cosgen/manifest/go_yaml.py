"""`toYaml` and `fromYaml` of templates: YAML as Go's libraries write and read it, by way of JSON."""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key

import yaml

from cosgen.errors import Problem
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.go_json import mismatch
from cosgen.manifest.nodes import compose
from cosgen.manifest.scalars import plain_scalar
from cosgen.manifest.values import Value, decode_json_values

_DIGITS = re.compile(r"[0-9]{1,300}")
_LAST_DIGITS = re.compile(r"[0-9]+\Z")
_JSON_DIGITS = 1e21  # from here on Go's JSON writes floats with an exponent


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 would read as something else than text, doubly, as Go does."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


_Dumper.yaml_implicit_resolvers = {}
_QUOTED = re.compile(
    r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?\Z"
)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif not isinstance(plain_scalar(text), str) or _QUOTED.match(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_other(dumper: yaml.SafeDumper, value: float | None) -> yaml.ScalarNode:
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else _number_text(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


def _number_text(value: float) -> str:
    return str(value) if isinstance(value, int) else json.dumps(value)


for _kind in (type(None), bool, int, float):
    _Dumper.add_representer(_kind, _represent_other)
_Dumper.add_representer(str, _represent_text)


def to_yaml(value: object, is_nothing: Callable[[object], bool]) -> str:
    """Return a value as YAML without a final newline; "" when JSON cannot express it."""
    try:
        text = yaml.dump(
            _json_like(value, is_nothing),
            Dumper=_Dumper,
            allow_unicode=True,
            default_flow_style=False,
            sort_keys=False,
            width=math.inf,
        )
    except (TypeError, yaml.YAMLError):
        return ""
    return str(text).removesuffix("\n...\n").removesuffix("\n")


def _json_like(value: object, is_nothing: Callable[[object], bool]) -> object:
    if is_nothing(value):
        return None
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            raise TypeError("json: unsupported value")
        return int(value) if value.is_integer() and abs(value) < _JSON_DIGITS else value
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        texts = {str(key): item for key, item in value.items()}
        return {key: _json_like(texts[key], is_nothing) for key in sorted(texts, key=_KEY_ORDER)}
    if isinstance(value, list | tuple):
        return [_json_like(item, is_nothing) for item in value]
    raise TypeError(f"json: unsupported type: {type(value).__name__}")


def _compare_keys(left: str, right: str) -> int:
    """Compare keys as yaml.v2 sorts them: digits as numbers (`k2` before `k10`), letters after all else."""
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if one == other:
            continue
        if one.isalpha() or other.isalpha():
            letters_last = one.isalpha() - other.isalpha()
            return letters_last or _sign(ord(one) - ord(other))
        mine, theirs = _number_at(left, at, other), _number_at(right, at, one)
        return 1 if (*mine, one) > (*theirs, other) else -1
    return _sign(len(left) - len(right))


def _number_at(key: str, at: int, opposite: str) -> tuple[int, int]:
    """Return the number that starts at a place, and its length; zeros count behind other digits."""
    digits = _DIGITS.match(key, at)
    text = digits[0] if digits else ""
    behind = _LAST_DIGITS.search(key[:at])
    if "0" in (key[at], opposite) and behind and behind[0].strip("0"):
        return int(f"1{text}"), len(text)
    return int(text or "0"), len(text)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


_KEY_ORDER = cmp_to_key(_compare_keys)


def from_yaml(text: str) -> dict[str, Value]:
    """Return YAML as a map; one with the key `Error` when it is none."""
    value, error = _read(text, dict)
    if error:
        return {"Error": error}
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def from_yaml_array(text: str) -> list[Value]:
    """Return YAML as a list; one that holds the error when it is none."""
    value, error = _read(text, list)
    if error:
        return [error]
    return value if isinstance(value, list) else []


def _read(text: str, wanted: type) -> tuple[Value, str]:
    problems: list[Problem] = []
    node = compose(text, "", problems)
    value = decode_json_values(node, Decoder("", problems)) if node is not None else None
    if not problems:
        fault = mismatch(value, wanted)
        return value, f"error unmarshaling JSON: {fault}" if fault else ""
    origin = problems[0].origin
    what = problems[0].what.removeprefix("not valid YAML: ").removesuffix(" while parsing a flow node")
    return (
        None,
        f"error converting YAML to JSON: yaml: line {max(origin.line - 1, 1) if origin else 1}: {what}",
    )
