"""What a page is before it is rendered, and the words that several pages share. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from cosgen.site.model import Channel, Move, Snippet, VariantState
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
    late = [state for state in channel.variants if state.lag > channel.stale_after]
    lines = [f"{state.variant.key} is {duration(state.lag)} behind its siblings" for state in late]
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


def move_view(move: Move) -> View:
    """Return a move ready to show."""
    verbs = {
        "publish": "Published",
        "promote": "Promoted",
        "rollback": "Rolled back to",
        "yank": "Yanked; now",
    }
    known = move.operation in verbs
    return {
        "kind": move.operation if known else "other",
        "path": release_path(move.channel, move.seq),
        "channel": move.channel,
        "seq": move.seq,
        "snapshot": move.snapshot,
        "previous": move.previous,
        "verb": verbs.get(move.operation, printable(move.operation).capitalize()),
        "title": " ".join(
            filter(None, (move.channel, printable(move.tag) or f"#{move.seq}", short(move.snapshot)))
        ),
        "time": move.time,
        "author": printable(move.author),
        "note": printable(move.note),
        "tag": printable(move.tag),
        "packages": move.packages,
        "size": move.size,
        "summary": summary(move.diff) if move.diff else "nothing to compare with",
        "diff": (move.diff,) if move.diff and not move.diff.is_empty else (),
    }


def commit_text(revision: str) -> tuple[str, ...]:
    """Return a commit as shown, or nothing."""
    return (short(printable(revision)),) if revision else ()


_GENERATIONS = {
    "A": ("A · shell", "Generation A: cos-upgrade and cos (until January 2022)"),
    "B": ("B · elemental ≤ 0.0.15", "Generation B: elemental 0.0.1 to 0.0.15"),
    "C": ("C · elemental ≤ 0.2", "Generation C: elemental 0.0.16 to 0.2.5"),
    "D": ("D · elemental ≥ 0.3", "Generation D: elemental 0.3 and later: container images only"),
}
_AXES = (
    ("variant", "Variant"),
    ("generation", "Client"),
    ("mode", "Follow"),
    ("transport", "Transport"),
    ("place", "Where"),
)


def snippet_tabs(snippets: Sequence[Snippet], depth: int = 0) -> tuple[View, ...]:
    """Sort snippets into sets of tabs, one inside the other; an axis with one value makes no set."""
    while depth < len(_AXES) and len({_axis(snippet, depth) for snippet in snippets}) == 1:
        depth += 1
    if not snippets or depth == len(_AXES):
        return ()
    kind, label = _AXES[depth]
    groups = _grouped(snippets, depth)
    return (
        {
            "kind": f"follow-{kind}",
            "label": label,
            "tabs": [_tab(kind, name, group, depth) for name, group in groups],
        },
    )


def _axis(snippet: Snippet, depth: int) -> str:
    return str(getattr(snippet, _AXES[depth][0]))


def _grouped(snippets: Iterable[Snippet], depth: int) -> Iterable[tuple[str, Sequence[Snippet]]]:
    groups: dict[str, list[Snippet]] = {}
    for snippet in snippets:
        groups.setdefault(_axis(snippet, depth), []).append(snippet)
    return groups.items()


def _tab(kind: str, name: str, group: Sequence[Snippet], depth: int) -> View:
    inner = snippet_tabs(group, depth + 1)
    short_name, title = _GENERATIONS.get(name, (name, name)) if kind == "generation" else (name, name)
    return {
        "name": short_name or "any",
        "title": title or "any",
        "notes": (),
        "inner": inner,
        "snippets": () if inner else [snippet_view(snippet) for snippet in group],
    }


def snippet_view(snippet: Snippet) -> View:
    """Return a snippet with the line above it."""
    return {"text": snippet.text, "caption": snippet.name or snippet.place, "note": snippet.note}


def current_mark(*, here: bool) -> str:
    """Return the attribute that tells assistive technology where the reader is."""
    return Markup(' aria-current="page"') if here else ""
