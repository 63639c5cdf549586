"""Decodes `cosgen.yaml` by the table in `config.py`: strict, with the nearest key when one is unknown."""

import re
import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Union, get_args, get_origin, get_type_hints

from yaml.nodes import Node

from cosgen.errors import Origin, Problem
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.decoder import Decoder, nearest
from cosgen.manifest.nodes import compose, is_list, is_map, is_null, is_scalar, map_pairs


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: a key, the kind of its value, and its rules."""

    key: str
    attribute: str
    kind: object  # str, int, bool, a dataclass, tuple[X, ...], Mapping[str, X] or a union of these
    required: bool
    help: str
    choices: tuple[str, ...]
    pattern: str
    minimum: int | None
    path: bool
    shorthand: bool
    default: object


@cache
def settings_of(type_: type) -> tuple[Setting, ...]:
    """Return the settings of one config class, in table order."""
    hints = get_type_hints(type_)
    return tuple(_setting(row, hints[row.name]) for row in fields(type_) if row.metadata)


def _setting(row: Field[object], kind: object) -> Setting:
    missing = type(row.default).__name__ == "_MISSING_TYPE"
    made = type(row.default_factory).__name__ == "_MISSING_TYPE"
    return Setting(
        key=row.name.rstrip("_"),
        attribute=row.name,
        kind=kind,
        required=missing and made,
        help=row.metadata["help"],
        choices=row.metadata["choices"],
        pattern=row.metadata["pattern"],
        minimum=row.metadata["minimum"],
        path=row.metadata["path"],
        shorthand=row.metadata["shorthand"],
        default=None if missing else row.default,
    )


def decode_config(text: str, path: str, problems: list[Problem]) -> ProjectConfig:
    """Read `cosgen.yaml`. What is wrong is added to `problems`; the rest is still read."""
    node = compose(text, path, problems)
    places: dict[str, Origin] = {}
    if node is None or is_null(node):
        return ProjectConfig()
    values = _Decoding(Decoder(path, problems, id="CG020"), places).fields(ProjectConfig, node, "")
    config = ProjectConfig(**values, places=MappingProxyType(dict(sorted(places.items()))))  # type: ignore[arg-type]  # decoded by the table
    if config.version != 1:
        problems.append(
            Problem(
                what=f"cosgen.yaml is of version {config.version}, this cosgen reads version 1",
                fix="use a newer cosgen, or write `version: 1`",
                id="CG024",
                origin=places.get("version", Origin(path)),
            )
        )
    return config


class _Decoding:
    """One run over one file."""

    def __init__(self, decoder: Decoder, places: dict[str, Origin]) -> None:
        self.decoder = decoder
        self.places = places

    def fields(self, type_: type, node: Node, name: str) -> dict[str, object]:
        table = {row.key: row for row in settings_of(type_)}
        short = next((row for row in table.values() if row.shorthand), None)
        if short and not is_map(node):
            value = self.value(short, short.kind, node, f"{name}.{short.key}")
            return {} if value is None else {short.attribute: value}
        if not is_map(node):
            self.decoder.wrong(node, name or "cosgen.yaml", "a map")
            return {}
        result: dict[str, object] = {}
        for key, (key_node, value_node) in map_pairs(node).items():
            dotted = f"{name}.{key}" if name else key
            row = table.get(key)
            if row is None:
                self._unknown(key_node, key, dotted, table)
                continue
            if key == "name" and type_.__name__ in {"ChannelConfig", "JobConfig"}:
                self._unknown(key_node, key, dotted, {})
                continue
            self.places[dotted] = self.decoder.origin(key_node)
            value = None if is_null(value_node) else self.value(row, row.kind, value_node, dotted)
            if value is not None:
                result[row.attribute] = value
        self._require(type_, node, name, result)
        return result

    def _unknown(self, node: Node, key: str, dotted: str, table: Mapping[str, Setting]) -> None:
        near = nearest(key, table)
        fix = f"write `{near}`" if near else f"remove it; known here: {', '.join(table) or 'nothing'}"
        self.decoder.report(node, f"unknown key `{dotted}`", fix, id="CG021")

    def _require(self, type_: type, node: Node, name: str, result: dict[str, object]) -> None:
        for row in settings_of(type_):
            if row.required and row.attribute not in result:
                place = f"{name}.{row.key}" if name else row.key
                self.decoder.report(
                    node, f"`{place}` is missing", f"add `{row.key}:` ({row.help})", id="CG022"
                )
                result[row.attribute] = () if get_origin(row.kind) is tuple else ""

    def value(self, row: Setting, kind: object, node: Node, name: str) -> object:
        """Decode one value; None when it does not fit."""
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            wanted = next(arm for arm in get_args(kind) if is_list(node) == (get_origin(arm) is tuple))
            return self.value(row, wanted, node, name)
        if origin is tuple:
            return self._list(row, get_args(kind)[0], node, name)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._map(row, get_args(kind)[1], node, name)
        if isinstance(kind, type) and is_dataclass(kind):
            return kind(**self.fields(kind, node, name))
        return self._scalar(row, kind, node, name)

    def _list(self, row: Setting, kind: object, node: Node, name: str) -> tuple[object, ...]:
        nodes = [node] if is_scalar(node) and kind is str else self.decoder.entries(node, name)
        found = (self.value(row, kind, item, f"{name}[{index}]") for index, item in enumerate(nodes))
        return tuple(value for value in found if value is not None)

    def _map(self, row: Setting, kind: object, node: Node, name: str) -> Mapping[str, object]:
        if not is_map(node):
            self.decoder.wrong(node, name, "a map")
            return MappingProxyType({})
        result: dict[str, object] = {}
        for key, (key_node, value_node) in map_pairs(node).items():
            self.places[f"{name}.{key}"] = self.decoder.origin(key_node)
            if isinstance(kind, type) and is_dataclass(kind):
                fields_ = {} if is_null(value_node) else self.fields(kind, value_node, f"{name}.{key}")
                named = {"name": key} if any(item.key == "name" for item in settings_of(kind)) else {}
                result[key] = kind(**fields_, **named)
            else:
                result[key] = self.value(row, kind, value_node, f"{name}.{key}")
        return MappingProxyType({key: value for key, value in result.items() if value is not None})

    def _scalar(self, row: Setting, kind: object, node: Node, name: str) -> object:
        if not is_scalar(node):
            self.decoder.wrong(node, name, "one value")
            return None
        if kind is bool:
            return self.decoder.flag(node, name)
        if kind is int:
            return self._number(row, node, name)
        text = str(node.value)
        if row.choices and text not in row.choices:
            near = nearest(text, row.choices)
            self.decoder.report(
                node,
                f"`{name}` is {text!r}",
                f"write `{near}`" if near else f"choose one of: {', '.join(filter(None, row.choices))}",
                id="CG023",
            )
            return None
        if row.pattern and not re.fullmatch(row.pattern, text):
            self.decoder.report(node, f"`{name}` is {text!r}", f"expected: {row.help}", id="CG023")
            return None
        if row.path and (text.startswith("/") or ".." in text.split("/")):
            self.decoder.report(
                node,
                f"`{name}` is {text!r}, which lies outside the project",
                "use a path inside the project, relative to cosgen.yaml",
                id="CG025",
            )
            return None
        return text

    def _number(self, row: Setting, node: Node, name: str) -> int | None:
        number = self.decoder.integer(node, name)
        if row.minimum is not None and number < row.minimum:
            self.decoder.report(node, f"`{name}` is {number}", f"write {row.minimum} or more", id="CG023")
            return None
        return number
