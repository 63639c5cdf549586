"""The build graph of a variant: its critical path, and a picture of it. Pure.

A path's length is the sum of the recorded durations. Beyond `LIMIT` builds the picture keeps the critical
path and then the longest builds, and says so.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cosgen.site.model import BuildGraph, GraphNode
from cosgen.site.picture import clip
from cosgen.site.text import duration, escape_line, package_path

LIMIT = 300
_WIDE, _HIGH, _GAP_X, _GAP_Y = 190, 38, 60, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """A build graph ready to show."""

    path: tuple[GraphNode, ...]  # critical path, first build first
    path_seconds: float
    total_seconds: float
    slowest: tuple[GraphNode, ...]  # longest first, at most 20
    shown: int
    total: int
    svg: str


def view_graph(graph: BuildGraph, base: str) -> GraphView:
    """Lay out a build graph; `base` is the way from the page to the site's root."""
    nodes = {node.human: node for node in graph.nodes}
    order = _topological(nodes)
    path = critical_path(nodes, order)
    by_time = sorted(graph.nodes, key=lambda node: (-node.seconds, node.human))
    kept = _choose(path, by_time)
    return GraphView(
        path=path,
        path_seconds=sum(node.seconds for node in path),
        total_seconds=sum(node.seconds for node in graph.nodes),
        slowest=tuple(node for node in by_time[:20] if node.seconds > 0),
        shown=len(kept),
        total=len(nodes),
        svg=_draw({name: nodes[name] for name in order if name in kept}, path, base),
    )


def _choose(path: Sequence[GraphNode], by_time: Sequence[GraphNode]) -> frozenset[str]:
    first = dict.fromkeys(node.human for node in (*path, *by_time))
    return frozenset(list(first)[:LIMIT])


def _topological(nodes: Mapping[str, GraphNode]) -> tuple[str, ...]:
    """Return the names so that needs come first; an edge that closes a cycle is passed over."""
    order: dict[str, None] = {}
    for start in sorted(nodes):
        stack = [(start, iter(nodes[start].needs))]
        under_way = {start}
        while stack:
            name, needs = stack[-1]
            following = next(
                (need for need in needs if need in nodes and need not in order and need not in under_way),
                None,
            )
            if following is None:
                order[name] = None
                stack.pop()
            else:
                under_way.add(following)
                stack.append((following, iter(nodes[following].needs)))
    return tuple(order)


def critical_path(nodes: Mapping[str, GraphNode], order: Iterable[str]) -> tuple[GraphNode, ...]:
    """Return the longest path by duration, first build first."""
    best: dict[str, tuple[float, int, str]] = {}  # length, builds on it, the need it came through
    for name in order:
        node = nodes[name]
        before = max(((*best[need][:2], need) for need in node.needs if need in best), default=(0.0, 0, ""))
        best[name] = (before[0] + node.seconds, before[1] + 1, before[2])
    if not best:
        return ()
    at = max(best, key=lambda name: (best[name][:2], name))
    path: list[GraphNode] = []
    while at:
        path.append(nodes[at])
        at = best[at][2]
    return tuple(reversed(path))


def _levels(nodes: Mapping[str, GraphNode]) -> dict[str, int]:
    levels: dict[str, int] = {}
    for name, node in nodes.items():
        levels[name] = 1 + max((levels[need] for need in node.needs if need in levels), default=-1)
    return levels


def _place(nodes: Mapping[str, GraphNode], path: Sequence[GraphNode]) -> dict[str, tuple[float, float]]:
    """Give each build its corner: levels from left to right, the critical path on top, wires kept short."""
    hot = {node.human for node in path}
    columns: dict[int, list[str]] = {}
    for name, level in _levels(nodes).items():
        columns.setdefault(level, []).append(name)
    rows: dict[str, float] = {}
    for level in sorted(columns):
        needed = {name: [rows[need] for need in nodes[name].needs if need in rows] for name in columns[level]}
        columns[level].sort(
            key=lambda name: (
                name not in hot,
                sum(needed[name]) / len(needed[name]) if needed[name] else 0,
                name,
            )
        )
        rows.update({name: float(row) for row, name in enumerate(columns[level])})
    return {
        name: (level * (_WIDE + _GAP_X), rows[name] * (_HIGH + _GAP_Y))
        for level, column in columns.items()
        for name in column
    }


def _draw(nodes: Mapping[str, GraphNode], path: Sequence[GraphNode], base: str) -> str:
    if not nodes:
        return ""
    places = _place(nodes, path)
    width = max(x for x, _ in places.values()) + _WIDE + 16
    height = max(y for _, y in places.values()) + _HIGH + 16
    hot_edges = {(a.human, b.human) for a, b in itertools.pairwise(path)}
    hot = {node.human for node in path}
    edges = [(need, name) for name, node in nodes.items() for need in node.needs if need in places]
    edges.sort(key=lambda edge: (edge in hot_edges, edge))
    parts = [
        f'<svg viewBox="-8 -8 {width:g} {height:g}" width="{width:g}" height="{height:g}"',
        ' role="group" aria-label="Build graph">',
    ]
    parts.extend(_edge(places[need], places[name], hot=(need, name) in hot_edges) for need, name in edges)
    parts.extend(_node(nodes[name], places[name], base, hot=name in hot) for name in sorted(places))
    parts.append("</svg>")
    return "".join(parts)


def _edge(start: tuple[float, float], end: tuple[float, float], *, hot: bool) -> str:
    x1, y1, x2, y2 = start[0] + _WIDE, start[1] + _HIGH / 2, end[0], end[1] + _HIGH / 2
    bend = (x2 - x1) / 2 if x2 > x1 else 40
    kind = "edge hot" if hot else "edge"
    return (
        f'<path class="{kind}" d="M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"/>'
    )


def _node(node: GraphNode, place: tuple[float, float], base: str, *, hot: bool) -> str:
    x, y = place
    category, _, name = node.human.partition("/")
    told = f"{node.version} · {duration(node.seconds)}" if node.seconds else node.version
    return (
        f'<a href="{escape_line(base)}/{escape_line(package_path(category, name))}" tabindex="-1">'
        f"<title>{escape_line(node.human)} {escape_line(told)}</title>"
        f'<rect class="{"hot" if hot else "box"}" x="{x:g}" y="{y:g}" '
        f'width="{_WIDE}" height="{_HIGH}" rx="7"/>'
        f'<text x="{x + 9:g}" y="{y + 16:g}">{escape_line(clip(node.human, 22))}</text>'
        f'<text class="soft" x="{x + 9:g}" y="{y + 31:g}">{escape_line(clip(told, 30))}</text></a>'
    )
