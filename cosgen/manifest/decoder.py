"""Typed getters over YAML nodes; every value that does not fit becomes a `Problem` with its place."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cosgen.errors import Origin, Problem, Severity
from cosgen.manifest.nodes import (
    IMPLICIT,
    is_merge,
    is_null,
    json_key,
    merged_items,
    scalar_value,
)
from cosgen.manifest.scalars import Scalar, ScalarError, scalar_to_text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, or None."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.72)
    return found[0] if found else None


_KIND_NAMES: Mapping[type[Node], str] = {MappingNode: "a map", SequenceNode: "a list"}

_INT64 = 2**63


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
        """Return where the user wrote what `node` holds."""
        at = self.read_at(node)
        return self._locate(at.line, at.column) if self._locate else at

    def read_at(self, node: Node) -> Origin:
        """Return where `node` starts in the text that is read: the rendered one, where there is one."""
        return Origin(self.path, node.start_mark.line + 1, node.start_mark.column + 1)

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
        merged = merged_items(node, self._bad_key, json_key)
        if len(merged) < len(node.value):
            self._report_twice(node)
        return {str(name): pair for name, pair in merged.items()}

    def _report_twice(self, node: MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and not is_merge(key):
                if key.value in seen:
                    self.report(
                        key,
                        f"the key `{key.value}` is written twice; the last counts",
                        "remove one",
                        "CG079",
                        Severity.WARNING,
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
            value = node.value if node.style and node.tag == IMPLICIT else self.scalar(node)
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
        if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) < _INT64 and value == int(value):
                return int(value)
            value = ""
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
