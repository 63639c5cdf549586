"""Atom feeds of channel moves (RFC 4287), one for all channels and one for each. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from cosgen.site.model import Move, SiteData
from cosgen.site.notes import release_notes
from cosgen.site.text import iso_time, printable, release_path, short, slug

ENTRIES = 50  # newest moves told of


def feed_files(data: SiteData) -> Iterable[tuple[str, str]]:
    """Yield path and text of every feed."""
    yield "feed.xml", _feed(data, "feed.xml", data.info.title, data.moves)
    for channel in data.channels:
        path = f"c/{slug(channel.name)}/feed.xml"
        yield path, _feed(data, path, f"{data.info.title}: {channel.name}", channel.history)


def _feed(data: SiteData, path: str, title: str, moves: Sequence[Move]) -> str:
    up = "../" * path.count("/")
    base = data.info.url or up
    updated = iso_time(max((move.time for move in moves), default=0))
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{_identity(data, path)}</id>",
        f"<title>{_text(title)}</title>",
        f"<updated>{updated}</updated>",
        f"<author><name>{_text(data.info.title)}</name></author>",
        f'<generator uri="urn:cosgen">{_text(data.info.generator)}</generator>',
        f'<link rel="self" type="application/atom+xml" href="{_text(base + path)}"/>',
        f'<link rel="alternate" type="text/html" href="{_text(base)}releases/index.html"/>',
    ]
    for move in moves[:ENTRIES]:
        lines += _entry(data, move, base)
    return "\n".join([*lines, "</feed>", ""])


def _entry(data: SiteData, move: Move, base: str) -> list[str]:
    page = release_path(move.channel, move.seq)
    return [
        "<entry>",
        f"<id>{_identity(data, page)}</id>",
        f"<title>{_text(move_title(move))}</title>",
        f"<updated>{iso_time(move.time)}</updated>",
        f'<link rel="alternate" type="text/html" href="{_text(base + page)}"/>',
        f'<content type="text">{_text(release_notes(move), lines=True)}</content>',
        "</entry>",
    ]


def move_title(move: Move) -> str:
    """Return one line that names a move."""
    verbs = {"publish": "published", "promote": "promoted", "rollback": "rolled back", "yank": "yanked"}
    name = f" {move.tag}" if move.tag else ""
    return f"{move.channel}{name}: {short(move.snapshot)} {verbs.get(move.operation, move.operation)}"


def _identity(data: SiteData, path: str) -> str:
    """Return an address that stays the same for ever; a site without an address gets a name instead."""
    return _text(data.info.url + path if data.info.url else f"urn:cosgen:{slug(data.info.title)}:{path}")


def _text(text: str, *, lines: bool = False) -> str:
    return escape("\n".join(printable(line) for line in text.split("\n")) if lines else printable(text))
