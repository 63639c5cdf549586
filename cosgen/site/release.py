"""The forge's release for a tag: its notes and files, all named from one value. Pure."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosgen.site.api import SCHEMA, Json, dump
from cosgen.site.model import Snippet, TaggedSnapshot
from cosgen.site.notes import code_text, escape_markdown, release_notes
from cosgen.site.text import channel_path, iso_time, short, slug


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


def plan_release(tagged: TaggedSnapshot) -> Release:
    """Return the release of a tag; the same tag gives the same release, whatever happened since."""
    assets = tuple(_assets(tagged))
    sums = Asset("SHA256SUMS", "".join(f"{asset.digest}  {asset.name}\n" for asset in assets).encode())
    every = (*assets, sums)
    title = f"{tagged.info.title} {tagged.tag}"
    return Release(tag=tagged.tag, name=title, notes=_notes(tagged, every), assets=every)


def _assets(tagged: TaggedSnapshot) -> Iterable[Asset]:
    stem = slug(f"{tagged.info.title.lower().replace(' ', '-')}-{tagged.tag}")
    seen: set[str] = set()
    for snippet in tagged.snippets:
        name = f"{stem}-{snippet.variant}-repository.yaml"
        pins = (snippet.mode, snippet.place, snippet.transport) == ("pinned", "repos-conf", "http")
        if pins and name not in seen:
            seen.add(name)
            yield Asset(name, snippet.text.encode())
    if tagged.snippets:
        yield Asset(f"{stem}-client-files.tar", _tar(tagged.snippets, tagged.move.time))
    yield Asset(f"{stem}-release.json", dump(release_json(tagged), indent=1).encode())


def release_json(tagged: TaggedSnapshot) -> Json:
    """Return what the release is, for programs."""
    move = tagged.move
    return {
        "schema": SCHEMA,
        "tag": tagged.tag,
        "channel": move.channel,
        "snapshot": move.snapshot,
        "seq": move.seq,
        "revision": move.revision,
        "published": iso_time(move.time),
        "packages": move.packages,
        "size": move.size,
        "references": dict(tagged.references),
    }


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


def _notes(tagged: TaggedSnapshot, assets: Sequence[Asset]) -> str:
    move = tagged.move
    lines = [release_notes(move).rstrip("\n"), ""]
    if tagged.info.url:
        lines += [f"How machines follow it: {tagged.info.url}{channel_path(move.channel)}", ""]
    pins = ", ".join(code_text(name) for _, name in tagged.references)
    lines += [f"Snapshot {code_text(short(move.snapshot))}, pinned by `reference:` {pins}.", ""]
    lines += ["### Files", ""]
    lines += [f"- {escape_markdown(asset.name)}: `{asset.digest}`" for asset in assets]
    return "\n".join(lines) + "\n"
