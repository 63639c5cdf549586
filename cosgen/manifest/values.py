"""Values of templates: how files become `.Values`, which layer a key came from, and which keys were read.

Go tells two kinds of maps apart, and templates notice: maps out of collections have text keys, nested maps
out of definitions and values files have keys of any type (`AnyKeyMap`), which many functions refuse.
"""

import json
import math
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cosgen.manifest.decoder import Decoder
from cosgen.manifest.nodes import is_null, json_key, merged_items, written_key
from cosgen.manifest.scalars import Scalar

Value = object  # None, bool, int, float, str, list[Value] or dict[Scalar, Value]
Path = tuple[Scalar, ...]


class AnyKeyMap(dict[Scalar, Value]):
    """A nested map of a definition or a values file: Go's map[interface {}]interface {}."""

    __slots__ = ()

    def __go_map_type__(self) -> tuple[str, str]:
        """Name the Go types of keys and values, for `printf "%T"`."""
        return ("interface {}", "interface {}")


def decode_values(node: Node | None, decoder: Decoder, *, json: bool = False) -> dict[Scalar, Value]:
    """Return a definition or a values file as template values.

    Keys of the outermost map are text as written (`y` stays `y`), those below have their YAML type.

    Args:
        node: Its root; None for an empty file.
        decoder: Where problems go.
        json: Luet also reads it by way of JSON (definitions), which has no infinite numbers.
    """
    if node is None or (isinstance(node, ScalarNode) and decoder.scalar(node) is None):
        return {}
    if not isinstance(node, MappingNode):
        decoder.report(
            node, f"the file holds {decoder.describe(node)}, it must hold a map", "write `key: value` lines"
        )
        return {}
    result: dict[Scalar, Value] = {}
    for key, (_, value) in merged_items(node, _reporter(decoder), written_key).items():
        result[key] = _any_key_value(value, decoder)
    if json:
        report_json_faults(node, decoder)
    return result


def report_json_faults(node: Node, decoder: Decoder) -> None:
    """Report what JSON cannot have, wherever it is below a node: numbers without end, null as a key."""
    if isinstance(node, ScalarNode):
        if not node.style and node.value.lower().endswith((".inf", ".nan")):
            _finite(node, decoder)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if is_null(key):
                decoder.report(key, "null cannot be a key", "use a word as key")
            report_json_faults(value, decoder)
    else:
        for item in node.value:
            report_json_faults(item, decoder)


def _finite(node: ScalarNode, decoder: Decoder) -> Scalar:
    value = decoder.scalar(node)
    if isinstance(value, float) and not math.isfinite(value):
        decoder.report(node, f"{node.value} cannot be in a manifest", "quote it, or use a finite number")
    return value


def _reporter(decoder: Decoder) -> Callable[[Node, str], None]:
    return lambda node, what: decoder.report(node, what, "use a word as key")


def _any_key_value(node: Node, decoder: Decoder) -> Value:
    if isinstance(node, ScalarNode):
        return decoder.scalar(node)
    if isinstance(node, SequenceNode):
        return [_any_key_value(item, decoder) for item in node.value]
    items = merged_items(node, _reporter(decoder))
    return AnyKeyMap({name: _any_key_value(value, decoder) for name, (_, value) in items.items()})


def decode_json_values(node: Node, decoder: Decoder) -> Value:
    """Return a collection's entry as template values: text keys, and every number a float."""
    if isinstance(node, ScalarNode):
        value = _finite(node, decoder)
        return value if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    if isinstance(node, SequenceNode):
        return [decode_json_values(item, decoder) for item in node.value]
    items = merged_items(node, _reporter(decoder), json_key)
    return {name: decode_json_values(item, decoder) for name, (_, item) in items.items()}


def is_empty(value: Value) -> bool:
    """Tell whether a value gives way to one from a lower layer: null, false, 0, "", [] or {}."""
    return (
        value is None or value is False or value in (0, "") or (isinstance(value, list | dict) and not value)
    )


def fill(upper: Mapping[Scalar, Value], lower: Mapping[Scalar, Value]) -> dict[Scalar, Value]:
    """Merge two layers: `upper` wins, `lower` fills what is absent or empty, maps merge key by key.

    So an upper layer cannot set false, 0, "" or [] over a value: luet's rule, which trees rely on.

    >>> fill({"a": 0, "b": {"x": 1}}, {"a": 5, "b": {"y": 2}})
    {'a': 5, 'b': {'x': 1, 'y': 2}}
    """
    result = dict(upper)
    for key, value in lower.items():
        if value is None:
            continue
        mine = result.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            result[key] = type(mine)(fill(mine, value)) or value
        elif is_empty(mine):
            result[key] = value
    return result


def merge_layers(layers: Iterable[Mapping[Scalar, Value]]) -> dict[Scalar, Value]:
    """Merge values files; the rightmost wins, with the rule of `fill`."""
    result: dict[Scalar, Value] = {}
    for layer in layers:
        result = fill(layer, result)
    return result


def provenance(layers: Iterable[tuple[str, Mapping[Scalar, Value]]]) -> dict[Path, str]:
    """Say for every leaf which layer it comes from.

    Args:
        layers: Name and values of each layer, the weakest first.

    Returns:
        Path of the leaf -> name of the layer, sorted by path.
    """
    merged: dict[Scalar, Value] = {}
    origin: dict[Path, str] = {}
    for name, layer in layers:
        merged = fill(layer, merged)
        given = dict(_leaves(layer, ()))
        final = dict(_leaves(merged, ()))
        origin = {
            path: name if path in given and given[path] == value else origin.get(path, name)
            for path, value in final.items()
        }
    return dict(sorted(origin.items(), key=lambda item: [str(part) for part in item[0]]))


def _leaves(value: Mapping[Scalar, Value], path: Path) -> Iterator[tuple[Path, Value]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), item


class ReadLog:
    """Remembers which values a rendering read. Whole maps are remembered when they are looked at whole."""

    __slots__ = ("paths",)

    def __init__(self) -> None:
        self.paths: dict[Path, Value] = {}

    def to_json(self) -> str:
        """Return what was read as canonical JSON: sorted pairs of path and value."""
        pairs = [([str(part) for part in path], _plain(value)) for path, value in self.paths.items()]
        pairs.sort(key=lambda pair: json.dumps(pair[0], ensure_ascii=False))
        return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Value) -> Value:
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in sorted(value, key=str)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


_ABSENT: Final = object()


class TracedMap(dict[Scalar, Value]):
    """A private copy of a map for one rendering, which logs what is read from it.

    Templates may change it (`set`); the original never changes.
    """

    __slots__ = ("any_key", "log", "path", "source")

    def __init__(self, source: Mapping[Scalar, Value], log: ReadLog, path: Path = ()) -> None:
        super().__init__(source)
        self.source = source
        self.log = log
        self.path = path
        self.any_key = isinstance(source, AnyKeyMap)

    def _read(self, key: Scalar, value: Value) -> Value:
        path = (*self.path, key)
        if type(value) is dict or type(value) is AnyKeyMap:
            value = TracedMap(value, self.log, path)
            dict.__setitem__(self, key, value)
        elif isinstance(value, list):
            self.log.paths[path] = value
            value = _copied(value)
            dict.__setitem__(self, key, value)
        elif not isinstance(value, TracedMap):
            self.log.paths[path] = value
        return value

    def _read_all(self) -> None:
        self.log.paths[self.path] = self.source
        for key in list(dict.keys(self)):
            self._read(key, dict.__getitem__(self, key))

    def __getitem__(self, key: Scalar) -> Value:
        value = dict.get(self, key, _ABSENT)
        if value is _ABSENT:
            self.log.paths[(*self.path, key)] = None
            raise KeyError(key)
        return self._read(key, value)

    def get(self, key: Scalar, default: Value = None) -> Value:
        """Return a value and log that it was read."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: object) -> bool:
        if dict.__contains__(self, key):
            return True
        if key is None or isinstance(key, bool | int | float | str):
            self.log.paths[(*self.path, key)] = None
        return False

    def __iter__(self) -> Iterator[Scalar]:
        self._read_all()
        return dict.__iter__(self)

    def __len__(self) -> int:
        self._read_all()
        return dict.__len__(self)

    def __bool__(self) -> bool:
        return len(self) > 0

    def keys(self) -> KeysView[Scalar]:  # type: ignore[override]  # a wider view than dict's
        """Log the whole map and return its keys."""
        self._read_all()
        return dict.keys(self)

    def values(self) -> ValuesView[Value]:  # type: ignore[override]  # as above
        """Log the whole map and return its values."""
        self._read_all()
        return dict.values(self)

    def items(self) -> ItemsView[Scalar, Value]:  # type: ignore[override]  # as above
        """Log the whole map and return its items."""
        self._read_all()
        return dict.items(self)

    def __deepcopy__(self, memo: dict[int, object]) -> "TracedMap":
        self._read_all()
        return TracedMap(self.source, self.log, self.path)

    def __go_map_type__(self) -> tuple[str, str]:
        """Name the Go types of keys and values, for `printf "%T"`."""
        return ("interface {}" if self.any_key else "string", "interface {}")


def _copied(value: list[Value]) -> list[Value]:
    if not any(isinstance(item, list | dict) for item in value):
        return list(value)
    return [_copied_item(item) for item in value]


def _copied_item(value: Value) -> Value:
    if isinstance(value, dict):
        return type(value)((key, _copied_item(item)) for key, item in value.items())
    return _copied(value) if isinstance(value, list) else value
