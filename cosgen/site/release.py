"""The forge's release for a tag: its notes and files, all named from one value. Pure."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosgen.errors import Problem, PublishError
from cosgen.site.api import channel_json, dump
from cosgen.site.model import Channel, Move, SiteData, Snippet
from cosgen.site.notes import code_text, escape_markdown, release_notes
from cosgen.site.text import channel_path, short, slug


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a release carries."""

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256, 64 hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a forge shall show for a tag."""

    tag: str
    name: str
    notes: str  # Markdown; ends with the digests of the files
    assets: tuple[Asset, ...]


def plan_release(data: SiteData, tag: str, channel: str = "") -> Release:
    """Return the release of a tag.

    Args:
        data: What is published.
        tag: Tag of the source repository; the snapshot was published for it.
        channel: Channel to look in; "" for whichever has the tag.

    Raises:
        PublishError: No snapshot was published for the tag (CG608).
    """
    owner, move = _find(data, tag, channel)
    assets = tuple(_assets(data, owner, move))
    sums = Asset("SHA256SUMS", "".join(f"{asset.digest}  {asset.name}\n" for asset in assets).encode())
    every = (*assets, sums)
    title = f"{data.info.title} {tag}"
    return Release(tag=tag, name=title, notes=_notes(data, move, every), assets=every)


def _find(data: SiteData, tag: str, channel: str) -> tuple[Channel, Move]:
    moves = [
        (owner, move)
        for owner in data.channels
        for move in owner.history
        if move.tag == tag and channel in {"", owner.name}
    ]
    if not moves:
        where = f"channel {channel}" if channel else "any channel"
        what = f"no snapshot of {where} was published for the tag {tag!r}"
        fix = f"publish it first: cosgen publish --tag {tag} --channel NAME DIR"
        raise PublishError(Problem(what=what, fix=fix, id="CG608"))
    return max(moves, key=lambda found: found[1].seq)


def _assets(data: SiteData, channel: Channel, move: Move) -> Iterable[Asset]:
    stem = slug(f"{data.info.title.lower().replace(' ', '-')}-{move.tag}")
    pinned = [
        snippet for snippet in channel.snippets if snippet.mode == "pinned" and snippet.place == "repos-conf"
    ]
    seen: set[str] = set()
    for snippet in pinned:
        name = f"{stem}-{snippet.variant}-repository.yaml"
        if name not in seen and snippet.transport == "http":
            seen.add(name)
            yield Asset(name, snippet.text.encode())
    if channel.snippets:
        yield Asset(f"{stem}-client-files.tar", _tar(channel.snippets, move.time))
    yield Asset(f"{stem}-channel.json", dump(channel_json(channel), indent=1).encode())


def _tar(snippets: Sequence[Snippet], time: int) -> bytes:
    """Return the client files as a plain tar with the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for snippet in sorted(snippets, key=lambda snippet: snippet.name):
            content = snippet.text.encode()
            entry = tarfile.TarInfo(f"{snippet.variant}/{snippet.name}"[-99:])
            entry.size, entry.mtime = len(content), time
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _notes(data: SiteData, move: Move, assets: Sequence[Asset]) -> str:
    lines = [release_notes(move).rstrip("\n"), ""]
    if data.info.url:
        lines += [f"How machines follow it: {data.info.url}{channel_path(move.channel)}", ""]
    lines += [f"Pinned as `s{move.seq}` (snapshot {code_text(short(move.snapshot))}).", "", "### Files", ""]
    lines += [f"- {escape_markdown(asset.name)}: `{asset.digest}`" for asset in assets]
    return "\n".join(lines) + "\n"
