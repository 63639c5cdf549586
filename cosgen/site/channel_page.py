"""The page of a channel: how to follow it, what is in it, what changed, how to verify it. Pure."""

import shlex
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from cosgen.site.follow import snippet_tabs
from cosgen.site.model import Channel, SiteData
from cosgen.site.notes import summary
from cosgen.site.page import (
    Page,
    View,
    channel_state,
    commit_text,
    move_view,
    signature_state,
    variant_state,
    warnings,
)
from cosgen.site.render import maybe
from cosgen.site.signature import FIRST_ROOT
from cosgen.site.text import badge_path, channel_path, duration, printable, slug


def channel_page(data: SiteData, channel: Channel) -> Page:
    """Return the page of one channel."""
    rows = [
        {
            "state": state,
            "lag": maybe(
                f"{duration(state.lag)} behind" if variant_state(channel, state)["kind"] == "warn" else ""
            ),
            "query": _query(channel=channel.name, arch=state.variant.arch, flavor=state.variant.flavor),
        }
        for state in channel.variants
    ]
    return Page(
        path=channel_path(channel.name),
        template="channel.html",
        title=channel.name,
        section="channels",
        about=f"Channel {channel.name} of {data.info.title}",
        view={
            "channel": channel,
            "state": channel_state(channel),
            "signature": signature_state(channel),
            "warnings": warnings(channel),
            "commit": commit_text(channel.revision),
            "badge": badge_path(channel.name),
            "rows": rows,
            "about": printable(channel.told.description),
            "source": printable(_source(channel)),
            "jumps": _jumps(channel),
            "follow_text": maybe("" if channel.snippets else _NO_ADDRESS),
            "follow": snippet_tabs(channel.snippets, data.project.client),
            "signature_text": _signature_text(channel),
            "verify": _verify(data, channel),
            "history": [move_view(move) for move in channel.history],
            "differences": [
                {
                    "title": _difference_title(channel, difference.other),
                    "summary": summary(difference.diff).capitalize() + ".",
                    "diff": () if difference.diff.is_empty else (difference.diff,),
                }
                for difference in sorted(
                    channel.differences, key=lambda one: (one.other != channel.told.source, one.other)
                )
            ],
        },
    )


_NO_ADDRESS = (
    "The repository says neither at which address machines read it nor where its images are: set `url` under "
    "`repository`, or `images` under `registry`, and publish again."
)


def _source(channel: Channel) -> str:
    """Return in words what moves a channel; "" when its publisher does not say."""
    started = " or ".join(channel.told.triggers)
    parts = [
        f"promoted from {channel.told.source}" if channel.told.source else "",
        f"on {started}" if started else "",
    ]
    return " ".join(filter(None, parts)).capitalize()


def _jumps(channel: Channel) -> Sequence[View]:
    every = (
        ("follow", "Follow it", True),
        ("contents", "What is in it", True),
        ("history", "What changed", True),
        ("differences", "Compared to others", bool(channel.differences)),
        ("verify", "Verify it", True),
    )
    return [{"id": id_, "title": title} for id_, title, there in every if there]


def _difference_title(channel: Channel, other: str) -> str:
    if other == channel.told.source:
        return f"What {channel.name} gets when {other} is promoted"
    return f"From {channel.name} to {other}"


def _query(**fields: str) -> str:
    return urlencode({name: value for name, value in fields.items() if value}, errors="replace")


def _signature_text(channel: Channel) -> Iterable[str]:
    if channel.signature == "unsigned":
        yield (
            "This channel is not signed. Digests in the index protect against broken downloads, not against "
            "a changed repository."
        )
        return
    note = f" ({channel.signature_note})" if channel.signature_note else ""
    yield _SIGNATURES[channel.signature] + note + "."
    if not channel.root_digest:
        return
    yield (
        "Stock clients do not check such signatures: a machine that should follows a local copy that was "
        "checked, made with the command below. It starts from the root of trust: get the file once, by a way "
        "you trust, compare its digest, and keep it; every later key follows from it."
    )


_SIGNATURES = {
    "verified": "The channel is signed, and its signature was right when this page was made",
    "signed": "The channel is signed, but its signature was not checked",
    "expired": "The channel is signed, but its signature ran out, and clients that check it refuse it",
    "wrong": "The signature of this channel is wrong: do not follow it until its owner has explained that",
}


def _verify(data: SiteData, channel: Channel) -> Sequence[View]:
    if not channel.root_digest or not data.info.repository_url:
        return []
    store = data.info.repository_url.rstrip("/").removesuffix("/r")
    get = f"curl --fail --output root.json {shlex.quote(f'{store}/{FIRST_ROOT}')}\n"
    check = f"echo '{channel.root_digest.removeprefix('sha256:')}  root.json' | sha256sum --check\n"
    text = (
        f"cosgen repo mirror /var/lib/cosgen/{slug(channel.name)} --channel {shlex.quote(channel.name)} "
        f"--root root.json --storage {shlex.quote(store)}\n"
    )
    return [
        {"text": get + check, "caption": "Get the root of trust, and compare its digest with one you trust"},
        {"text": text, "caption": "Make a verified copy"},
    ]
