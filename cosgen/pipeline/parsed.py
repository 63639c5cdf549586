"""Emitted text read back, so that rules see what a provider sees."""

from collections.abc import Iterator, Mapping

import yaml

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def parse(text: str) -> Mapping[str, object]:
    """Return the document as maps, lists and texts; every scalar is text."""
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a base loader makes texts, lists and maps alone
    return value if isinstance(value, dict) else {}


def as_map(value: object) -> Mapping[str, object]:
    """Return a map, or an empty one when it is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return a list; a lone value becomes one of itself, nothing an empty one."""
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def texts_in(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield place and text of every scalar below a value, keys left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_in(item, f"{place}[{index}]")
    elif isinstance(value, str):
        yield place, value
