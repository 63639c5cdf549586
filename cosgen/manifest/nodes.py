"""YAML nodes with positions, read as luet reads YAML.

The nodes are PyYAML's own, composed by its C parser; `decoder.py` takes values out of them.
"""

import re
from collections.abc import Callable, Iterable

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cosgen.errors import Origin, Problem
from cosgen.manifest.scalars import (
    Scalar,
    ScalarError,
    float32_text,
    plain_scalar,
    scalar_to_text,
    tagged_scalar,
)

MAX_BYTES = 8 * 1024 * 1024  # of one manifest file
MAX_DEPTH = 100
MAX_NODES = 1_000_000  # after aliases are followed
_OPENERS = 1_000  # fewer brackets, dashes and question marks cannot nest deep enough to hurt
IMPLICIT = "?"


_ANCHOR = re.compile(r"(?:^|[\s,\[{])&[\w-]", re.MULTILINE)


class _Loader(yaml.CBaseLoader if hasattr(yaml, "CBaseLoader") else yaml.BaseLoader):  # type: ignore[misc]  # chosen when imported
    """PyYAML's C parser that leaves the meaning of plain scalars to us."""

    def resolve(self, kind: type[Node], value: object, implicit: object) -> str:
        del kind, value, implicit
        return IMPLICIT


class _EventComposer(Composer):
    """Composes from the C parser's events, with anchors that may be set again as YAML 1.2 and Go allow."""

    def __init__(self, text: str) -> None:
        Composer.__init__(self)
        self._parser = _Loader(text)
        self.check_event = self._parser.check_event
        self.peek_event = self._parser.peek_event
        self.get_event = self._parser.get_event

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(anchor, None)
        node: Node | None = super().compose_node(parent, index)
        return node

    def resolve(self, kind: type[Node], value: object, implicit: object) -> str:
        del kind, value, implicit
        return IMPLICIT

    def descend_resolver(self, *_: object) -> None:
        """Path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """Path resolvers are not used."""


def compose(text: str, path: str, problems: list[Problem]) -> Node | None:
    """Return the root node of the first document of `text`; None when it is empty or broken.

    Later documents are not looked at, as in luet. Syntax errors, and documents that nest or expand
    beyond all reason, are added to `problems`.
    """
    if not text.isascii() and "\ufeff" in text[:1]:
        text = text[1:]
    try:
        if _may_nest_deep(text):
            _check_depth(text)
        node = _compose_first(text)
        if node is not None and "*" in text and _ANCHOR.search(text):
            _check_expansion(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        origin = Origin(path, mark.line + 1, mark.column + 1) if mark else Origin(path)
        what = " ".join(part for part in (error.problem, error.context) if part)
        problems.append(
            Problem(what=f"not valid YAML: {what}", fix="mend the YAML", id="CG002", origin=origin)
        )
        return None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problems.append(
            Problem(what=f"not valid YAML: {error}", fix="mend the YAML", id="CG002", origin=Origin(path))
        )
        return None
    return node


def _compose_first(text: str) -> Node | None:
    loader = _Loader(text)
    try:
        if not loader.check_node():
            return None
        node: Node | None = loader.get_node()
    except yaml.composer.ComposerError as error:
        if "duplicate anchor" not in str(error):
            raise
        composer = _EventComposer(text)
        node = composer.get_node() if composer.check_node() else None
    finally:
        loader.dispose()
    return node


def _may_nest_deep(text: str) -> bool:
    return sum(map(text.count, "[{-?")) > _OPENERS or len(text) > _OPENERS * MAX_DEPTH


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise yaml.MarkedYAMLError(
                    problem=f"nested more than {MAX_DEPTH} levels deep",
                    problem_mark=event.start_mark,  # type: ignore[arg-type]  # marks of the C parser serve
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return


def _check_expansion(root: Node) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Node) -> int:
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in open_nodes:
            raise yaml.MarkedYAMLError(problem="an anchor contains itself", problem_mark=node.start_mark)
        open_nodes.add(key)
        total = 1
        for child in _children(node):
            total += size(child)
        if total > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"aliases expand to more than {MAX_NODES:,} values", problem_mark=node.start_mark
            )
        open_nodes.discard(key)
        sizes[key] = total
        return total

    size(root)


def _children(node: Node) -> Iterable[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value


def scalar_value(node: ScalarNode) -> Scalar:
    """Return the value of a scalar node.

    Raises:
        ScalarError: The text does not fit the explicit tag.
    """
    tag = node.tag
    if tag == IMPLICIT:
        return node.value if node.style else plain_scalar(node.value)
    if tag == "!":
        return str(node.value)
    return tagged_scalar(tag, node.value)


def is_merge(key: Node) -> bool:
    """Tell whether a key is `<<` with the meaning "merge": plain, or tagged `!!merge`."""
    if not isinstance(key, ScalarNode) or key.value != "<<":
        return False
    return key.tag == "tag:yaml.org,2002:merge" or (key.tag == IMPLICIT and not key.style)


def written_key(key: ScalarNode) -> Scalar:
    """Return a key as it is written: `y` is not `true`."""
    return str(key.value)


def json_key(key: ScalarNode) -> str:
    """Return a key as JSON spells it; so `y` and `true` are one key, and `1` is another.

    Raises:
        ScalarError: It is null, which JSON cannot have as key, or does not fit its tag.
    """
    text = key_text(scalar_value(key))
    if text is None:
        raise ScalarError("null cannot be a key")
    return text


def merged_items(
    node: Node,
    report: Callable[[Node, str], None] | None = None,
    name: Callable[[ScalarNode], Scalar] = scalar_value,
) -> dict[Scalar, tuple[Node, Node]]:
    """Return key -> (key node, value node), with `<<` followed and keys applied in file order.

    So a `<<` that stands after a key overwrites it, and of a list of merged maps the first wins.

    Args:
        node: The map.
        report: Told of keys that cannot be.
        name: What a key is: its value, or how it is spelled.
    """
    result: dict[Scalar, tuple[Node, Node]] = {}
    for key, value in node.value:
        if is_merge(key):
            _merge_into(result, value, report, name)
        elif isinstance(key, ScalarNode):
            try:
                result[name(key)] = (key, value)
            except ScalarError as error:
                if report:
                    report(key, str(error))
        elif report:
            report(key, "a list or a map cannot be a key")
    return result


def _merge_into(
    result: dict[Scalar, tuple[Node, Node]],
    value: Node,
    report: Callable[[Node, str], None] | None,
    name: Callable[[ScalarNode], Scalar],
) -> None:
    if isinstance(value, MappingNode):
        result.update(merged_items(value, report, name))
        return
    if isinstance(value, SequenceNode) and all(isinstance(item, MappingNode) for item in value.value):
        for item in reversed(value.value):
            result.update(merged_items(item, report, name))
        return
    if report:
        report(value, "`<<` needs a map or a list of maps")


def key_text(name: Scalar) -> str | None:
    """Return a key as JSON spells it, or None for null (which JSON cannot have)."""
    if isinstance(name, str):
        return name
    if name is None:
        return None
    if isinstance(name, float):
        spelled = float32_text(name)
        return {"+Inf": ".inf", "-Inf": "-.inf", "NaN": ".nan"}.get(spelled, spelled)
    return scalar_to_text(name)


def is_map(node: Node) -> bool:
    """Tell whether a node is a map."""
    return isinstance(node, MappingNode)


def is_list(node: Node) -> bool:
    """Tell whether a node is a list."""
    return isinstance(node, SequenceNode)


def is_scalar(node: Node) -> bool:
    """Tell whether a node is a single value."""
    return isinstance(node, ScalarNode)


def is_null(node: Node) -> bool:
    """Tell whether a node is null: `~`, `null`, or nothing."""
    return isinstance(node, ScalarNode) and node.tag == IMPLICIT and not node.style and node.value in _NULLS


def map_pairs(node: Node) -> dict[str, tuple[Node, Node]]:
    """Return key as written -> (key node, value node) of a map; `on` stays `on`."""
    if not isinstance(node, MappingNode):
        return {}
    return {str(name): pair for name, pair in merged_items(node, name=written_key).items()}


_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
