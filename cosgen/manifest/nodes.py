"""YAML nodes with positions, read as luet reads YAML, and typed getters that collect problems.

The nodes are PyYAML's own, composed by its C parser. Nothing outside this module looks into them: a
`Decoder` hands out fields, texts, flags and lists, and every value that does not fit becomes a `Problem`.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cosgen.errors import Origin, Problem, Severity
from cosgen.manifest.scalars import (
    Scalar,
    ScalarError,
    float32_text,
    plain_scalar,
    scalar_to_text,
    tagged_scalar,
)

__all__ = ["Decoder", "Node", "compose", "is_list", "is_map", "is_null", "is_scalar", "map_pairs"]

MAX_BYTES = 8 * 1024 * 1024  # of one manifest file
MAX_DEPTH = 100
MAX_NODES = 1_000_000  # after aliases are followed
_OPENERS = 1_000  # fewer brackets, dashes and question marks cannot nest deep enough to hurt
_IMPLICIT = "?"


class _Loader(yaml.CBaseLoader if hasattr(yaml, "CBaseLoader") else yaml.BaseLoader):  # type: ignore[misc]  # chosen when imported
    """PyYAML's C parser that leaves the meaning of plain scalars to us."""

    def resolve(self, kind: type[Node], value: object, implicit: object) -> str:
        del kind, value, implicit
        return _IMPLICIT


class _EventComposer(Composer):
    """Composes from the C parser's events, with anchors that may be set again as YAML 1.2 and Go allow."""

    def __init__(self, text: str) -> None:
        Composer.__init__(self)
        self._parser = _Loader(text)
        self.check_event = self._parser.check_event
        self.peek_event = self._parser.peek_event
        self.get_event = self._parser.get_event

    def compose_node(self, parent: Node | None, index: object) -> Node | None:
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(anchor, None)
        node: Node | None = super().compose_node(parent, index)
        return node

    def resolve(self, kind: type[Node], value: object, implicit: object) -> str:
        del kind, value, implicit
        return _IMPLICIT

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
        if node is not None and "*" in text:
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
                    problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=event.start_mark
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
    if tag == _IMPLICIT:
        return node.value if node.style else plain_scalar(node.value)
    if tag == "!":
        return str(node.value)
    return tagged_scalar(tag, node.value)


def is_merge(key: Node) -> bool:
    """Tell whether a key is `<<` with the meaning "merge": plain, or tagged `!!merge`."""
    if not isinstance(key, ScalarNode) or key.value != "<<":
        return False
    return key.tag == "tag:yaml.org,2002:merge" or (key.tag == _IMPLICIT and not key.style)


def merged_items(
    node: Node, report: Callable[[Node, str], None] | None = None, *, as_written: bool = False
) -> dict[Scalar, tuple[Node, Node]]:
    """Return key -> (key node, value node), with `<<` followed and keys applied in file order.

    So a `<<` that stands after a key overwrites it, and of a list of merged maps the first wins.
    With `as_written` keys are text: `y` is not `true`.
    """
    result: dict[Scalar, tuple[Node, Node]] = {}
    for key, value in node.value:
        if is_merge(key):
            _merge_into(result, value, report, as_written=as_written)
        elif isinstance(key, ScalarNode):
            try:
                name = str(key.value) if as_written else scalar_value(key)
            except ScalarError as error:
                if report:
                    report(key, str(error))
                continue
            result[name] = (key, value)
        elif report:
            report(key, "a list or a map cannot be a key")
    return result


def _merge_into(
    result: dict[Scalar, tuple[Node, Node]],
    value: Node,
    report: Callable[[Node, str], None] | None,
    *,
    as_written: bool,
) -> None:
    if isinstance(value, MappingNode):
        result.update(merged_items(value, report, as_written=as_written))
        return
    if isinstance(value, SequenceNode) and all(isinstance(item, MappingNode) for item in value.value):
        for item in reversed(value.value):
            result.update(merged_items(item, report, as_written=as_written))
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


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, or None."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.72)
    return found[0] if found else None


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
    return isinstance(node, ScalarNode) and node.tag == _IMPLICIT and not node.style and node.value in _NULLS


def map_pairs(node: Node) -> dict[str, tuple[Node, Node]]:
    """Return key as written -> (key node, value node) of a map; `on` stays `on`."""
    if not isinstance(node, MappingNode):
        return {}
    return {str(name): pair for name, pair in merged_items(node, as_written=True).items()}


_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_KIND_NAMES: Mapping[type[Node], str] = {MappingNode: "a map", SequenceNode: "a list"}


class Decoder:
    """Typed getters over nodes of one file; what does not fit is added to `problems`.

    Args:
        path: The file, relative to the project root.
        problems: Where problems go.
        locate: Maps a line and a column (from 1) of the text read to where the user wrote it;
            for rendered text these differ.
        id: Id of the problems about wrong types.
    """

    __slots__ = ("_id", "_locate", "path", "problems")

    def __init__(
        self,
        path: str,
        problems: list[Problem],
        locate: Callable[[int, int], Origin] | None = None,
        id: str = "CG003",  # noqa: A002 - the name used for problems everywhere
    ) -> None:
        self.path = path
        self.problems = problems
        self._locate = locate
        self._id = id

    def origin(self, node: Node) -> Origin:
        """Return where `node` starts."""
        mark = node.start_mark
        line, column = mark.line + 1, mark.column + 1
        return self._locate(line, column) if self._locate else Origin(self.path, line, column)

    def report(
        self,
        node: Node,
        what: str,
        fix: str,
        id: str | None = None,  # noqa: A002 - as above
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a problem at `node`."""
        origin = self.origin(node)
        self.problems.append(Problem(what=what, fix=fix, id=id or self._id, origin=origin, severity=severity))

    def wrong(self, node: Node, name: str, wanted: str) -> None:
        """Report that the value of `name` is not of the wanted kind."""
        self.report(node, f"`{name}` is {self.describe(node)}, it must be {wanted}", f"write {wanted}")

    def describe(self, node: Node) -> str:
        """Say what a node holds: `the number 1.0`, `a map`."""
        if not isinstance(node, ScalarNode):
            return _KIND_NAMES[type(node)]
        value = self.scalar(node)
        if isinstance(value, bool):
            return f"the boolean {node.value}"
        if isinstance(value, int | float):
            return f"the number {node.value}"
        return "nothing" if value is None else f"the text {str(node.value)[:40]!r}"

    def scalar(self, node: ScalarNode) -> Scalar:
        """Return a scalar's value; a broken tag is reported and reads as text."""
        try:
            return scalar_value(node)
        except ScalarError as error:
            self.report(node, str(error), "mend the value or drop the tag")
            return str(node.value)

    def items(self, node: Node) -> Mapping[str, tuple[Node, Node]]:
        """Return key text -> (key node, value node) of a map, merges followed."""
        if not isinstance(node, MappingNode):
            return MappingProxyType({})
        result: dict[str, tuple[Node, Node]] = {}
        merged = merged_items(node, self._bad_key)
        if len(merged) < len(node.value):
            self._report_twice(node)
        for name, pair in merged.items():
            text = key_text(name)
            if text is None:
                self._bad_key(pair[0], "null cannot be a key")
            else:
                result[text] = pair
        return result

    def _report_twice(self, node: MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and not is_merge(key):
                if key.value in seen:
                    self.report(
                        key, f"the key `{key.value}` is written twice; the last counts", "remove one", "CG079", Severity.WARNING
                    )
                seen.add(key.value)

    def _bad_key(self, node: Node, what: str) -> None:
        self.report(node, what, "use a word as key")

    def fields(self, node: Node, name: str) -> Mapping[str, Node]:
        """Return lower-case field name -> value node of a map; luet matches names in any case.

        Of several spellings of one name the last in byte order counts; null counts as absent.
        """
        if is_null(node):
            return MappingProxyType({})
        if not isinstance(node, MappingNode):
            self.wrong(node, name, "a map")
            return MappingProxyType({})
        items = self.items(node)
        if all(map(str.islower, items)):
            return {key: value for key, (_, value) in items.items() if not is_null(value)}
        return {key.lower(): items[key][1] for key in sorted(items) if not is_null(items[key][1])}

    def text(self, node: Node, name: str, *, coerce: bool = False) -> str:
        """Return a text. With `coerce`, numbers and booleans are spelled out as build specs allow."""
        if isinstance(node, ScalarNode):
            value = node.value if node.style and node.tag == _IMPLICIT else self.scalar(node)
            if isinstance(value, str):
                return value
            if value is None or coerce:
                return scalar_to_text(value)
        self.wrong(
            node,
            name,
            "a text" if isinstance(node, ScalarNode) is False else f'a text; quote it: "{node.value}"',
        )
        return ""

    def flag(self, node: Node, name: str) -> bool:
        """Return a boolean."""
        value = self.scalar(node) if isinstance(node, ScalarNode) else ""
        if isinstance(value, bool):
            return value
        if value is not None:
            self.wrong(node, name, "true or false")
        return False

    def integer(self, node: Node, name: str) -> int:
        """Return a whole number."""
        value = self.scalar(node) if isinstance(node, ScalarNode) else ""
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            return int(value)
        if value is not None:
            self.wrong(node, name, "a whole number")
        return 0

    def entries(self, node: Node, name: str) -> list[Node]:
        """Return the nodes of a list."""
        if isinstance(node, SequenceNode):
            return list(node.value)
        if not is_null(node):
            self.wrong(node, name, "a list")
        return []

    def texts(self, node: Node, name: str, *, coerce: bool = False) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(
            self.text(item, f"{name}[{index}]", coerce=coerce)
            for index, item in enumerate(self.entries(node, name))
        )

    def text_map(self, node: Node, name: str, *, coerce: bool = False) -> dict[str, str]:
        """Return a map of texts, in file order."""
        if is_null(node):
            return {}
        if not isinstance(node, MappingNode):
            self.wrong(node, name, "a map")
            return {}
        return {
            key: self.text(value, f"{name}.{key}", coerce=coerce)
            for key, (_, value) in self.items(node).items()
        }
