"""The build graph as text, Mermaid, DOT or SVG. Pure; the same graph gives the same bytes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

from cosgen.graph.model import Fingerprint, Graph

FORMATS = ("text", "mermaid", "dot", "svg")
Edges = Mapping[Fingerprint, tuple[Fingerprint, ...]]

_BOX_HEIGHT = 26  # pixels
_ROW_STEP = 38
_COLUMN_GAP = 70
_CHARACTER = 7.0  # width of one in the monospaced font
_MARGIN = 16
_STYLE = (
    "<style>text{font:12px monospace;fill:#1b2733}rect{fill:#eef3f8;stroke:#5b7690}"
    "path{fill:none;stroke:#9db0c1}@media(prefers-color-scheme:dark){text{fill:#dbe6f0}"
    "rect{fill:#22303c;stroke:#7f9ab3}path{stroke:#52677a}}</style>"
)
_SWEEPS = 4  # of the barycenter heuristic


def draw_graph(graph: Graph, format_: str, names: Collection[Fingerprint] | None = None) -> str:
    """Return a drawing of who must be built before whom, transitively reduced.

    Args:
        graph: The graph.
        format_: One of FORMATS.
        names: Packages to draw; all when None.
    """
    chosen = [name for name in graph.order if names is None or name in names]
    edges = _reduced(chosen, {name: graph.nodes[name].needs for name in chosen})
    labels = {name: graph.nodes[name].package.human for name in chosen}
    counts: dict[str, int] = {}
    for label in labels.values():
        counts[label] = counts.get(label, 0) + 1
    for name, label in labels.items():
        if counts[label] > 1:
            labels[name] = f"{label}@{graph.nodes[name].package.definition.version}"
    if format_ == "mermaid":
        return _mermaid(chosen, edges, labels)
    if format_ == "dot":
        return _dot(chosen, edges, labels)
    if format_ == "svg":
        return _svg(chosen, edges, labels)
    return _text(chosen, edges, labels)


def _reduced(order: Sequence[Fingerprint], needs: Edges) -> Edges:
    """Drop edges that a longer way implies (Aho, Garey, Ullman 1972); `order` has needs first."""
    known = set(order)
    below: dict[Fingerprint, set[Fingerprint]] = {}
    reduced: dict[Fingerprint, tuple[Fingerprint, ...]] = {}
    for name in order:
        direct = [need for need in needs[name] if need in known and need in below]
        implied: set[Fingerprint] = set().union(*(below[need] for need in direct))
        reduced[name] = tuple(sorted(need for need in direct if need not in implied))
        below[name] = implied.union(direct)
    return reduced


def levels_of(order: Iterable[Fingerprint], edges: Edges) -> dict[Fingerprint, int]:
    """Return for each package the length of the longest way down; leaves are 0."""
    levels: dict[Fingerprint, int] = {}
    for name in order:
        levels[name] = 1 + max((levels[need] for need in edges[name]), default=-1)
    return levels


def _text(order: Sequence[Fingerprint], edges: Edges, labels: Mapping[Fingerprint, str]) -> str:
    levels = levels_of(order, edges)
    lines: list[str] = []
    for level in range(max(levels.values(), default=-1) + 1):
        lines.append(f"level {level}")
        for name in sorted((name for name in order if levels[name] == level), key=labels.__getitem__):
            needs = ", ".join(labels[need] for need in edges[name])
            lines.append(f"  {labels[name]}" + (f"  <- {needs}" if needs else ""))
    return "".join(f"{line}\n" for line in lines)


def _mermaid(order: Sequence[Fingerprint], edges: Edges, labels: Mapping[Fingerprint, str]) -> str:
    ids = {name: f"n{index}" for index, name in enumerate(sorted(order))}
    lines = ["graph LR"]
    lines += [f'  {ids[name]}["{_entity(labels[name])}"]' for name in sorted(order)]
    lines += [f"  {ids[need]} --> {ids[name]}" for name in sorted(order) for need in edges[name]]
    return "\n".join(lines) + "\n"


def _entity(text: str) -> str:
    return "".join(
        character if character.isalnum() or character in "/-_.@ " else f"#{ord(character)};"
        for character in text
    )


def _dot(order: Sequence[Fingerprint], edges: Edges, labels: Mapping[Fingerprint, str]) -> str:
    lines = ["digraph packages {", "  rankdir=LR;", '  node [shape=box, fontname="monospace"];']
    lines += [f"  {_quoted(name)} [label={_quoted(labels[name])}];" for name in sorted(order)]
    lines += [f"  {_quoted(need)} -> {_quoted(name)};" for name in sorted(order) for need in edges[name]]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _svg(order: Sequence[Fingerprint], edges: Edges, labels: Mapping[Fingerprint, str]) -> str:
    columns = _columns(order, edges)
    places: dict[Fingerprint, tuple[float, float, float]] = {}  # left, top, width
    left: float = _MARGIN
    tallest = max((len(column) for column in columns), default=0)
    for column in columns:
        width = max(len(labels[name]) for name in column) * _CHARACTER + 16
        top = _MARGIN + (tallest - len(column)) * _ROW_STEP / 2
        for row, name in enumerate(column):
            places[name] = (left, top + row * _ROW_STEP, width)
        left += width + _COLUMN_GAP
    width, height = max(left - _COLUMN_GAP + _MARGIN, 2 * _MARGIN), tallest * _ROW_STEP + 2 * _MARGIN
    lines = [
        _svg_start(width, height),
        _STYLE,
    ]
    for name in sorted(order):
        lines += [_curve(places[need], places[name]) for need in edges[name]]
    for name in sorted(order):
        x, y, w = places[name]
        box = f'<rect x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{_BOX_HEIGHT}" rx="5"/>'
        text = f'<text x="{x + 8:.0f}" y="{y + 17:.0f}">{escape(labels[name])}</text>'
        lines.append(f"<g><title>{escape(name)}</title>{box}{text}</g>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def _svg_start(width: float, height: float) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Build graph">'


def _curve(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x1, y1 = start[0] + start[2], start[1] + _BOX_HEIGHT / 2
    x2, y2 = end[0], end[1] + _BOX_HEIGHT / 2
    bend = (x2 - x1) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _columns(order: Sequence[Fingerprint], edges: Edges) -> list[list[Fingerprint]]:
    """Layer the packages and sort each layer by the mean place of its neighbours (Sugiyama 1981)."""
    levels = levels_of(order, edges)
    columns: list[list[Fingerprint]] = [[] for _ in range(max(levels.values(), default=-1) + 1)]
    for name in sorted(order):
        columns[levels[name]].append(name)
    above: dict[Fingerprint, list[Fingerprint]] = {name: [] for name in order}
    for name in order:
        for need in edges[name]:
            above[need].append(name)
    for sweep in range(_SWEEPS):
        rows = {name: row - len(column) / 2 for column in columns for row, name in enumerate(column)}
        sides: Mapping[Fingerprint, Sequence[Fingerprint]] = edges if sweep % 2 == 0 else above

        def place(
            name: Fingerprint,
            rows: dict[Fingerprint, float] = rows,
            sides: Mapping[Fingerprint, Sequence[Fingerprint]] = sides,
        ) -> tuple[float, str]:
            near = [rows[other] for other in sides[name]]
            return (sum(near) / len(near) if near else rows[name], name)

        for column in columns:
            column.sort(key=place)
    return columns
