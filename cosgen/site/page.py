"""What a page is before it is rendered, and the words that several pages share. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from cosgen.site.model import Change, Channel, Diff, Move, VariantState
from cosgen.site.notes import summary
from cosgen.site.text import duration, printable, release_path, short

View = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: where it goes, which template, and the values for it."""

    path: str  # from the site's root, ends in .html
    template: str
    title: str
    section: str = ""  # the menu entry it belongs to
    about: str = ""
    view: View


def channel_state(channel: Channel) -> View:
    """Return whether a channel keeps up with its siblings."""
    if channel.packages == 0:
        return {"kind": "warn", "text": "empty"}
    if channel.lag > channel.stale_after:
        return {"kind": "warn", "text": f"{duration(channel.lag)} behind"}
    if any(state.lag > channel.stale_after for state in channel.variants):
        return {"kind": "warn", "text": "partly behind"}
    last = channel.history[0].operation if channel.history else "publish"
    if last in {"rollback", "yank"}:
        return {"kind": "info", "text": {"rollback": "rolled back", "yank": "yanked"}[last]}
    return {"kind": "good", "text": "current"}


def variant_state(channel: Channel, state: VariantState) -> View:
    """Return whether a variant keeps up with its channel."""
    if state.lag > channel.stale_after:
        return {"kind": "warn", "text": f"{duration(state.lag)} behind"}
    return (
        channel_state(channel) if channel.lag > channel.stale_after else {"kind": "good", "text": "current"}
    )


def warnings(channel: Channel) -> tuple[str, ...]:
    """Return freshness warnings, one line each."""
    late: dict[int, list[str]] = {}
    for state in channel.variants:
        if state.lag > channel.stale_after:
            late.setdefault(state.lag, []).append(state.variant.key)
    lines = [
        f"{' and '.join(keys)} {'is' if len(keys) == 1 else 'are'} {duration(lag)} behind"
        for lag, keys in sorted(late.items(), reverse=True)
    ]
    if channel.lag > channel.stale_after:
        lines.append(f"{channel.name} is {duration(channel.lag)} behind the freshest channel")
    return tuple(lines)


def signature_state(channel: Channel) -> View:
    """Return the state of a channel's signature."""
    kind = {"verified": "good", "signed": "info", "expired": "bad", "wrong": "bad"}
    return {"kind": kind.get(channel.signature, "warn"), "text": _SIGNATURES[channel.signature]}


_SIGNATURES = {
    "verified": "signed, verified",
    "signed": "signed, not verified",
    "unsigned": "unsigned",
    "expired": "signature expired",
    "wrong": "signature wrong",
}


_VERBS = {"publish": "Published", "promote": "Promoted", "rollback": "Rolled back", "yank": "Yanked"}
_HEADLINE = 3  # packages named in one line


def headline(diff: Diff) -> tuple[str, ...]:
    """Return the first packages of a difference on one line, or nothing: new versions first."""
    changes = sorted(
        (*diff.changed, *diff.added, *diff.removed), key=lambda change: change.before == change.after
    )
    named = [printable(f"{change.human} {_step(change)}") for change in changes[:_HEADLINE]]
    rest = len(changes) - len(named)
    return (", ".join(named) + (f" and {rest} more" if rest else ""),) if named else ()


def _step(change: Change) -> str:
    """Return how the newest version moved."""
    before, after = change.before.rpartition(", ")[2], change.after.rpartition(", ")[2]
    if not after:
        return "removed"
    if not before:
        return f"{after} (new)"
    if change.before == change.after:
        return f"{after} rebuilt"
    return f"{before} → {after}"


def move_view(move: Move) -> View:
    """Return a move ready to show."""
    known = move.operation in _VERBS
    return {
        "kind": move.operation if known else "other",
        "path": release_path(move.channel, move.seq),
        "channel": move.channel,
        "seq": move.seq,
        "snapshot": move.snapshot,
        "previous": move.previous,
        "verb": _VERBS.get(move.operation, printable(move.operation).capitalize()),
        "title": f"{move.channel} {printable(move.tag) or f'#{move.seq}'}",
        "time": move.time,
        "author": printable(move.author),
        "note": printable(move.note),
        "tag": printable(move.tag),
        "packages": move.packages,
        "size": move.size,
        "summary": summary(move.diff) if move.diff else "nothing to compare with",
        "headline": headline(move.diff) if move.diff else (),
        "diff": (move.diff,) if move.diff and not move.diff.is_empty else (),
    }


def commit_text(revision: str) -> tuple[str, ...]:
    """Return a commit as shown, or nothing."""
    return (short(printable(revision)),) if revision else ()


def current_mark(*, here: bool) -> str:
    """Return the attribute that tells assistive technology where the reader is."""
    return Markup(' aria-current="page"') if here else ""
