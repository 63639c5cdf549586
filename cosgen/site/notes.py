"""Release notes from differences of snapshots, as Markdown; the site shows the same values as HTML. Pure."""

import re
from collections.abc import Iterable, Sequence

from cosgen.site.model import Change, ComponentChange, Diff, Move
from cosgen.site.text import plural, printable, short, signed_size

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&@:])")
SHOWN = 500  # lines of one list; beyond that the notes say how many more there are


def escape_markdown(text: str) -> str:
    r"""Return `text` so that Markdown shows it as it is, on one line, and mentions or links nobody.

    >>> escape_markdown("<b> @x")
    '\\<b\\> \\@x'
    """
    return _MARKDOWN.sub(r"\\\1", printable(text))


def code_text(text: str) -> str:
    """Return `text` as code in Markdown, on one line; backquotes, which would end it, are left out."""
    return f"`{printable(text).replace('`', '') or '-'}`"


def summary(diff: Diff) -> str:
    """Return the size of a difference in words.

    >>> summary(Diff())
    'no package differs'
    """
    if diff.is_empty:
        return "no package differs"
    parts = [(diff.added, "added"), (diff.changed, "changed"), (diff.removed, "removed")]
    return ", ".join(f"{len(part)} {name}" for part, name in parts if part)


def size_change(diff: Diff) -> int:
    """Return how many bytes of archives come (positive) or go."""
    every = (*diff.added, *diff.removed, *diff.changed)
    return sum(change.size_after - change.size_before for change in every)


def release_notes(move: Move) -> str:
    """Return the notes of one move of a channel as Markdown, ending in one newline."""
    lines = [
        f"Channel {escape_markdown(move.channel)} now offers snapshot {code_text(short(move.snapshot))}."
    ]
    if move.revision:
        lines.append(f"Built from commit {code_text(short(move.revision))}.")
    if move.note:
        lines += ["", f"> {escape_markdown(move.note)}"]
    if move.diff is None:
        lines += [
            "",
            "There is no earlier snapshot to compare with."
            if not move.previous
            else "The snapshot before it is no longer kept.",
        ]
        return "\n".join(lines) + "\n"
    total = size_change(move.diff)
    lines += ["", f"{plural_summary(move.diff)}; archives {signed_size(total)}."]
    lines += _section("Added", move.diff.added, move.diff)
    lines += _section("Changed", move.diff.changed, move.diff)
    lines += _section("Removed", move.diff.removed, move.diff)
    lines += _components(move.diff)
    return "\n".join(lines) + "\n"


def plural_summary(diff: Diff) -> str:
    """Return how many packages differ, and how."""
    count = len(diff.added) + len(diff.changed) + len(diff.removed)
    return (
        f"{plural(count, 'package differs', 'packages differ')} ({summary(diff)})"
        if count
        else "No package differs"
    )


def _section(title: str, changes: Sequence[Change], diff: Diff) -> Iterable[str]:
    if not changes:
        return
    yield from ("", f"### {title}", "")
    for change in changes[:SHOWN]:
        yield f"- {escape_markdown(change.human)} {_versions(change)}{_variants(change, diff)}"
    if len(changes) > SHOWN:
        yield f"- … and {len(changes) - SHOWN} more"


def _components(diff: Diff) -> Iterable[str]:
    if not diff.components and not diff.uncompared:
        return
    yield from ("", "### Components", "", components_summary(diff), "")
    for change in diff.components[:SHOWN]:
        where = escape_markdown(f" in {list_names(change.packages)}")
        yield f"- {escape_markdown(change.name)} {component_versions(change)}{where}"
    if len(diff.components) > SHOWN:
        yield f"- … and {len(diff.components) - SHOWN} more"


def components_summary(diff: Diff) -> str:
    """Return in words how the bills of materials of changed packages differ."""
    added = sum(not change.before for change in diff.components)
    removed = sum(not change.after for change in diff.components)
    parts = [(added, "added"), (len(diff.components) - added - removed, "changed"), (removed, "removed")]
    told = ", ".join(f"{count} {name}" for count, name in parts if count) or "No component differs"
    missing = plural(diff.uncompared, "package has", "packages have")
    unread = f" {missing} no bill of materials to compare." if diff.uncompared else ""
    return f"{told}, by the bills of materials of the packages that differ.{unread}"


def component_versions(change: ComponentChange) -> str:
    """Return the versions of a component before and after, as Markdown that is text."""
    return escape_markdown(version_step(change.before, change.after))


def version_step(before: str, after: str) -> str:
    """Return `1.0 → 1.1`; the only version there is when the other is ""."""
    return f"{before} → {after}" if before and after else f"{after} (new)" if after else f"{before} (gone)"


def list_names(names: Sequence[str], most: int = 3) -> str:
    """Return names on one line.

    >>> list_names(["a", "b"]), list_names(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    rest = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {rest} more" if rest > 0 else shown


def change_versions(change: Change) -> str:
    """Return on one line how a package's versions moved, and its size.

    >>> change_versions(Change(human="a/b", before="1.0", after="1.0, 1.1", size_after=1024))
    '1.0 → 1.1, +1.0 KiB, 1.0 stays'
    """
    if not change.before or not change.after:
        return printable(change.before or change.after)
    size = signed_size(change.size_after - change.size_before)
    if change.before == change.after:
        return f"{printable(change.after)} rebuilt, {size}"
    before, after = change.before.split(", "), change.after.split(", ")
    stay = [version for version in before if version in after[:-1]]
    came = [version for version in after if version not in stay]
    step = f"{printable(', '.join(before))} → {printable(', '.join(came))}, {size}"
    return f"{step}, {printable(', '.join(stay))} stay{'s' if len(stay) == 1 else ''}" if stay else step


def _versions(change: Change) -> str:
    return escape_markdown(change_versions(change))


def _variants(change: Change, diff: Diff) -> str:
    """Return in which variants it changed, when that is not in all of them."""
    return f" · {escape_markdown(', '.join(change.variants))}" if change.variants != diff.variants else ""
