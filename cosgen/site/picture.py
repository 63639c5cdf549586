"""Pictures in SVG: a package's neighbours, plots of trends, badges. Pure text, no external parts.

All text is escaped. Colours come from the theme's classes, so that pictures follow light and dark; badges
stand alone and bring their own.
"""

from collections.abc import Sequence

from cosgen.site.text import escape_line

_ROW = 26
_WIDE = 210
_GAP = 70
_SHOWN = 9  # neighbours drawn on each side; the lists beside the picture are complete


def neighbours(here: str, requires: Sequence[str], dependents: Sequence[str]) -> str:
    """Draw a package between what it requires (left) and what requires it (right).

    Returns:
        An `<svg>`, or "" when there is no neighbour to draw.
    """
    if not requires and not dependents:
        return ""
    left, right = _column(requires), _column(dependents)
    rows = max(len(left), len(right), 1)
    height = rows * _ROW + 12
    middle = height / 2
    label = f"{here}: requires {len(requires)}, required by {len(dependents)}"
    parts = [
        _open(3 * _WIDE + 2 * _GAP, height, label),
    ]
    center = _WIDE + _GAP
    parts.extend(_side(left, 0, rows, (_WIDE, center, middle)))
    parts.extend(_side(right, center + _WIDE + _GAP, rows, (center + _WIDE + _GAP, center + _WIDE, middle)))
    parts.append(_box(center, middle - 13, here, "here"))
    parts.append("</svg>")
    return "".join(parts)


def _open(width: int, height: int, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape_line(label)}">'
    )


def _column(names: Sequence[str]) -> list[str]:
    if len(names) <= _SHOWN:
        return list(names)
    return [*names[: _SHOWN - 1], f"and {len(names) - _SHOWN + 1} more"]


def _side(names: Sequence[str], x: float, rows: int, wire: tuple[float, float, float]) -> list[str]:
    start, end, middle = wire
    top = 6 + (rows - len(names)) * _ROW / 2
    parts = []
    for index, name in enumerate(names):
        y = top + index * _ROW
        bend = (start + end) / 2
        parts.append(
            f'<path class="edge" d="M{start:g} {y + 13:g}'
            f'C{bend:g} {y + 13:g} {bend:g} {middle:g} {end:g} {middle:g}"/>'
        )
        parts.append(_box(x, y + 2, name, "box"))
    return parts


def _box(x: float, y: float, label: str, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{_WIDE}" height="22" rx="6"/>'
        f'<text x="{x + 10:g}" y="{y + 15:g}">{escape_line(clip(label, 30))}</text>'
    )


def clip(text: str, limit: int) -> str:
    """Return `text`, with its middle left out when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def plot(title: str, values: Sequence[float], labels: Sequence[str], ticks: Sequence[str]) -> str:
    """Draw values over equal steps, from zero, as a line with a dot for each.

    Args:
        title: What is shown, for the picture's text alternative.
        values: At least one, none negative.
        labels: What hovering over each dot tells; as many as `values`.
        ticks: Text at the foot and at the head of the vertical axis.
    """
    width, height, left, bottom = 420, 190, 70, 26
    top, inner = 14, width - left - 16
    high = max(values) or 1
    step = inner / max(1, len(values) - 1)
    points = [
        (
            left + (index * step if len(values) > 1 else inner / 2),
            top + (height - top - bottom) * (1 - value / high),
        )
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    floor, across = height - bottom, width - 8 - left
    area = f"{points[0][0]:.1f},{floor} {line} {points[-1][0]:.1f},{floor}"
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape_line(label)}</title></circle>'
        for (x, y), label in zip(points, labels, strict=True)
    )
    return (
        f"{_open(width, height, title)}"
        f'<path class="grid" d="M{left} {top}h{across}M{left} {(top + floor) / 2:g}h{across}'
        f'M{left} {floor}h{across}"/>'
        f'<text class="soft" x="{left - 8}" y="{floor + 4}" text-anchor="end">{escape_line(ticks[0])}</text>'
        f'<text class="soft" x="{left - 8}" y="{top + 4}" text-anchor="end">{escape_line(ticks[1])}</text>'
        f'<text class="soft" x="{left}" y="{height - 6}">{escape_line(labels[0].split(":")[0])}</text>'
        f'<text class="soft" x="{width - 8}" y="{height - 6}" text-anchor="end">'
        f"{escape_line(labels[-1].split(':')[0])}</text>"
        f'<polygon class="area" points="{area}"/><polyline class="line" points="{line}"/>{dots}</svg>'
    )


def badge(label: str, value: str, color: str = "#0b6b63") -> str:
    """Return a badge as a stand-alone SVG file, such as a README shows it.

    The widths follow from an average glyph width, and `textLength` makes them true in every font.
    """
    left, right = _text_width(label) + 12, _text_width(value) + 12
    whole = left + right
    title = escape_line(f"{label}: {value}")

    def words(x: float, width: int, text: str) -> str:
        fit = f'textLength="{width - 12}" lengthAdjust="spacingAndGlyphs"'
        return f'<text x="{x:g}" y="14" {fit}>{escape_line(text)}</text>'

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" '
        f'role="img" aria-label="{title}">'
        f'<title>{title}</title><clipPath id="r"><rect width="{whole}" height="20" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#414a50"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{color}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{words(6, left, label)}{words(left + 6, right, value)}</g></svg>\n"
    )


def _text_width(text: str) -> int:
    return round(sum(4.0 if c in "iljtf.,:;|!' " else 9.0 if c in "mwMW@" else 6.8 for c in text)) or 1
