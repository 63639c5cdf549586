"""The JSON Schema of `cosgen.yaml`, made from the table of settings; editors use it."""

import json
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Union, get_args, get_origin

from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.config_decode import Setting, settings_of

Schema = dict[str, object]


def config_schema() -> str:
    """Return the schema as text; it is checked in as `cosgen.schema.json` beside this module."""
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cosgen.yaml",
        "description": "A cosgen project.",
        **_object(ProjectConfig),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(type_: type) -> Schema:
    rows = [row for row in settings_of(type_) if not _is_name_of_entry(type_, row)]
    schema: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {row.key: _setting(row) for row in rows},
    }
    if required := [row.key for row in rows if row.required]:
        schema["required"] = required
    short = next((row for row in rows if row.shorthand), None)
    if short is None:
        return schema
    return {"anyOf": [_kind(short, short.kind), schema]}


def _is_name_of_entry(type_: type, row: Setting) -> bool:
    return row.key == "name" and type_.__name__ in {"ChannelConfig", "JobConfig"}


def _setting(row: Setting) -> Schema:
    schema = _kind(row, row.kind)
    schema["description"] = row.help
    if isinstance(row.default, str | int | bool) and not row.required:
        schema["default"] = row.default
    return schema


def _kind(row: Setting, kind: object) -> Schema:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_kind(row, arm) for arm in get_args(kind)]}
    if origin is tuple:
        item = _kind(row, get_args(kind)[0])
        array: Schema = {"type": "array", "items": item}
        return {"anyOf": [item, array]} if get_args(kind)[0] is str else array
    if isinstance(origin, type) and issubclass(origin, Mapping):
        value = get_args(kind)[1]
        nullable: Schema = (
            {"anyOf": [_kind(row, value), {"type": "null"}]} if is_dataclass(value) else {"type": "string"}
        )
        return {"type": "object", "additionalProperties": nullable}
    if isinstance(kind, type) and is_dataclass(kind):
        return _object(kind)
    return _scalar(row, kind)


def _scalar(row: Setting, kind: object) -> Schema:
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer"} | ({} if row.minimum is None else {"minimum": row.minimum})
    schema: Schema = {"type": ["string", "number"]}
    if row.choices:
        return {"enum": [word for word in row.choices if word]}
    if row.pattern:
        schema["pattern"] = f"^(?:{row.pattern})$"
    return schema
