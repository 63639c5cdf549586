"""`toToml` of templates: TOML as Go's encoder writes it, keys sorted, tables after plain values."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r", '"': r"\"", "\\": r"\\"})


def to_toml(value: object, is_nothing: Callable[[object], bool]) -> str:
    """Return a map as TOML; what is nothing is left out.

    Raises:
        TypeError: The value is no map, or a list in it mixes maps with other things.
    """
    if not isinstance(value, Mapping):
        raise TypeError("toToml writes maps only")
    return "".join(_table(value, (), is_nothing)).removeprefix("\n")


def _table(
    table: Mapping[object, object], path: tuple[str, ...], is_nothing: Callable[[object], bool]
) -> Iterator[str]:
    entries = sorted((str(key), item) for key, item in table.items() if not is_nothing(item))
    indent = "  " * len(path)
    for key, item in entries:
        if not _is_table(item):
            yield f"{indent}{_key(key)} = {_inline(item, is_nothing)}\n"
    for key, item in entries:
        if isinstance(item, Mapping):
            blank = "" if path else "\n"
            yield f"{blank}{indent}[{_header(path, key)}]\n"
            yield from _table(item, (*path, key), is_nothing)
        elif _is_table(item) and isinstance(item, list | tuple):
            for one in item:
                yield f"\n{indent}[[{_header(path, key)}]]\n"
                yield from _table(one, (*path, key), is_nothing)


def _is_table(item: object) -> bool:
    return isinstance(item, Mapping) or (
        isinstance(item, list | tuple) and bool(item) and all(isinstance(one, Mapping) for one in item)
    )


def _inline(item: object, is_nothing: Callable[[object], bool]) -> str:
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, int):
        return str(item)
    if isinstance(item, float):
        text = format(Decimal(repr(item)), "f")
        return text if "." in text else f"{text}.0"
    if isinstance(item, list | tuple) and not any(is_nothing(one) for one in item):
        return f"[{', '.join(_inline(one, is_nothing) for one in item)}]"
    if isinstance(item, str):
        return f'"{item.translate(_ESCAPES)}"'
    raise TypeError(f"toToml cannot write a {type(item).__name__} inside of a list")


def _header(path: tuple[str, ...], key: str) -> str:
    return ".".join(map(_key, (*path, key)))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else f'"{key.translate(_ESCAPES)}"'
