"""From a published repository to `SiteData`: the only module of the room that reads a store.

Everything comes from the commit log, the snapshots and the package records. What cannot be read stops the
build: an unreachable channel is never shown as an empty one.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cosgen.errors import CosgenError, Problem, PublishError
from cosgen.manifest.channel_names import pin_name, reference_name
from cosgen.manifest.platform import Variant
from cosgen.repository.client_config import client_files
from cosgen.repository.client_source import ProjectFacts, channel_address
from cosgen.repository.codec import DecodeError, decode, mapping, text
from cosgen.repository.description import DescribedChannel, read_description
from cosgen.repository.log import ChannelState, Step
from cosgen.repository.reader import HistoryEntry, Repository
from cosgen.repository.record import ObjectRef
from cosgen.repository.snapshot import Snapshot
from cosgen.site.bill import Bills
from cosgen.site.gather import collect_graphs, collect_packages, find_foundations
from cosgen.site.model import (
    Channel,
    Diff,
    Difference,
    Move,
    SiteData,
    SiteInfo,
    Snippet,
    TaggedSnapshot,
    Trend,
    TrendPoint,
    VariantState,
)
from cosgen.site.signature import ChannelSignature, check_signatures
from cosgen.site.snapshots import SnapshotReader

HISTORY = 30  # newest moves of a channel that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """What the project adds to the published metadata; all of it may be missing."""

    title: str = ""
    url: str = ""
    description: str = ""
    source_url: str = ""
    images: str = ""  # repository of the upgrade images
    packages: str = ""  # repository of luet's docker type, when it is published
    package: str = ""
    recovery: str = ""
    hidden: bool = False  # also show hidden packages
    generator: str = "cosgen"
    history: int = HISTORY
    stale_days: int = 7  # lag behind its siblings from which a channel or variant is told of


def collect_site(repository: Repository, options: SiteOptions) -> SiteData:
    """Read all that the site shows.

    Args:
        repository: Opened at its newest commit, which nothing changes while it is read.
        options: What the project adds.

    Raises:
        PublishError: There is no channel (CG602), or one cannot be read (CG601).
    """
    if not repository.channels():
        raise PublishError(
            Problem(
                what=f"{repository.session.store.url} has no channel",
                fix="publish first: cosgen publish --channel NAME DIR",
                id="CG602",
            )
        )
    reader = SnapshotReader(repository, Bills(repository.session.patient))
    info = _info(repository, options)
    signatures = _check_signatures(repository)
    read = [_read_channel(reader, name, signatures[name], options) for name in sorted(repository.channels())]
    channels = _with_lags(read)
    current = {name: repository.snapshot(state) for name, state in sorted(repository.channels().items())}
    variants = sorted({Variant(i.flavor, i.arch) for s in current.values() for i in s.variants.values()})
    packages = collect_packages(current, reader.records, hidden=options.hidden)
    shown = "stable" if "stable" in current else next(iter(current))
    return SiteData(
        info=info,
        channels=channels,
        variants=tuple(variants),
        packages=packages,
        graphs=collect_graphs(shown, current[shown], reader.records, hidden=options.hidden),
        trends=_trends(channels, repository, reader),
        foundations=find_foundations(packages),
        project=read_description(repository.settings),
    )


def _info(repository: Repository, options: SiteOptions) -> SiteInfo:
    settings = repository.settings
    url = options.url.rstrip("/")
    return SiteInfo(
        title=options.title or str(settings.get("name") or "Repository"),
        url=f"{url}/" if url else "",
        description=options.description or str(settings.get("description") or ""),
        repository_url=str(settings.get("url") or "").rstrip("/"),
        source_url=options.source_url,
        generator=options.generator,
    )


def _check_signatures(repository: Repository) -> Mapping[str, ChannelSignature]:
    try:
        return check_signatures(repository)
    except CosgenError as error:
        raise _unreadable("signatures of the channels cannot be read", error) from error


def _read_channel(
    reader: SnapshotReader, name: str, signature: ChannelSignature, options: SiteOptions
) -> Channel:
    try:
        return _channel(reader, name, signature, options)
    except CosgenError as error:
        raise _unreadable(f"channel {name} cannot be read", error) from error


def _unreadable(what: str, error: CosgenError) -> PublishError:
    fix = "make the repository reachable and build again; `cosgen repo fsck` tells what is missing"
    return PublishError(Problem(what=what, fix=fix, id="CG601"), *error.problems)


def _channel(reader: SnapshotReader, name: str, signature: ChannelSignature, options: SiteOptions) -> Channel:
    repository = reader.repository
    state = repository.channel(name)
    snapshot = repository.snapshot(state)
    entries = list(itertools.islice(repository.history(name), options.history + 1))
    moves = [_move(reader, name, entries, at) for at in range(min(len(entries), options.history))]
    states = tuple(
        VariantState(
            variant=Variant(index.flavor, index.arch),
            packages=index.packages,
            size=sum(record.archive.size for record in reader.records(index)),
            changed=_last_change(reader, key, entries),
            pointer=reference_name(name, key),
        )
        for key, index in sorted(snapshot.variants.items())
    )
    others = sorted(set(repository.channels()) - {name})
    return Channel(
        name=name,
        snapshot=state.snapshot.digest,
        seq=state.seq,
        revision=moves[0].revision if moves else "",
        published=state.time,
        author=entries[0].commit.author if entries else "",
        signature=signature.state,
        signature_note=signature.note,
        root_digest=signature.root,
        expires=_expiry(repository) if signature.root else 0,
        variants=states,
        history=tuple(moves),
        differences=tuple(_difference(reader, state, other) for other in others),
        stale_after=options.stale_days * 86400,
        told=read_description(repository.settings).channels.get(name, DescribedChannel()),
        snippets=tuple(_snippets(reader.repository, name, snapshot, options)),
    )


def _move(reader: SnapshotReader, channel: str, entries: Sequence[HistoryEntry], at: int) -> Move:
    entry = entries[at]
    before = entries[at + 1].channel.snapshot if at + 1 < len(entries) else None
    snapshot = reader.find(entry.channel.snapshot)
    commit = entry.commit
    author, _, run = commit.author.partition(" ")
    return Move(
        seq=commit.seq,
        operation=commit.op,
        channel=channel,
        snapshot=entry.channel.snapshot.digest,
        previous=before.digest if before else "",
        time=commit.time,
        author=author if run.startswith("https://") else commit.author,
        run_url=run if run.startswith("https://") else "",
        revision=_revision(reader, snapshot, reader.find(before) if before else None) if snapshot else "",
        note=commit.note,
        tag=entry.channel.tag,
        packages=sum(index.packages for index in snapshot.variants.values()) if snapshot else 0,
        size=_size(reader, snapshot) if snapshot else 0,
        diff=reader.compare(before, entry.channel.snapshot) if before else None,
    )


def _size(reader: SnapshotReader, snapshot: Snapshot) -> int:
    return sum(
        record.archive.size for index in snapshot.variants.values() for record in reader.records(index)
    )


def _revision(reader: SnapshotReader, snapshot: Snapshot, before: Snapshot | None = None) -> str:
    """Return the commit that what came with a snapshot was built from; "" when that is not one commit.

    Args:
        reader: Reads records.
        snapshot: The snapshot.
        before: The one before it, whose builds do not count; None when there is none.
    """
    old = _builds(reader, before, snapshot) if before else set()
    new = _builds(reader, snapshot, before) - old
    found = {revision for _, revision in new if revision} or {
        revision for _, revision in _builds(reader, snapshot, None) if revision
    }
    return next(iter(found)) if len(found) == 1 else ""


def _builds(reader: SnapshotReader, snapshot: Snapshot, other: Snapshot | None) -> set[tuple[str, str]]:
    """Return archive and commit of all builds, but for shards that another snapshot shares."""
    shared = {ref.key for index in (other.variants.values() if other else ()) for ref in index.shards}
    return {
        (record.archive.digest, record.revision)
        for index in snapshot.variants.values()
        for record in reader.records(index, frozenset(shared))
    }


def _last_change(reader: SnapshotReader, variant: str, entries: Sequence[HistoryEntry]) -> int:
    """Return when the channel's content for a variant last became what it is."""
    content: object = None
    changed = entries[0].channel.time if entries else 0
    for entry in entries:
        snapshot = reader.find(entry.channel.snapshot)
        index = snapshot.variants.get(variant) if snapshot else None
        found = tuple(ref.key for ref in index.shards) if index else None
        if content is None:
            content = found
        if found != content:
            break
        changed = entry.channel.time
    return changed


def _difference(reader: SnapshotReader, state: ChannelState | Step, other: str) -> Difference:
    target = reader.repository.channel(other)
    return Difference(other=other, diff=reader.compare(state.snapshot, target.snapshot) or Diff())


def _expiry(repository: Repository) -> int:
    """Return when the TUF timestamp runs out, or 0 when there is none."""
    blob = repository.session.patient.get("tuf/timestamp.json")
    if blob is None:
        return 0
    signed = mapping(decode(blob.data).get("signed"))
    try:
        return int(dt.datetime.fromisoformat(text(signed, "expires")).timestamp())
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"timestamp.json: {error}") from error


def _snippets(
    repository: Repository,
    channel: str,
    snapshot: Snapshot,
    options: SiteOptions,
    place: ChannelState | None = None,
) -> Iterable[Snippet]:
    """Yield the client files of a channel as it is, or as it was at an earlier place of it."""
    told = read_description(repository.settings)
    facts = ProjectFacts(options.images, options.package or told.package, options.recovery, options.packages)
    for key, index in sorted(snapshot.variants.items()):
        address = channel_address(repository, channel, index, facts)
        if place is not None and place != repository.channel(channel):
            address = replace(address, seq=place.origin, image_digest="")  # the image is of today's snapshot
        for file in client_files(address):
            yield Snippet(
                variant=key,
                generation=str(file.generation),
                transport=str(file.transport),
                mode=str(file.mode),
                place=str(file.place),
                name=file.name,
                text=file.text,
            )


def collect_release(
    repository: Repository, options: SiteOptions, tag: str, channel: str = ""
) -> TaggedSnapshot:
    """Read what the release of a tag tells: the first move of a channel for it, whatever came later.

    Args:
        repository: Opened at its newest commit.
        options: What the project adds.
        tag: Tag of the source repository that the snapshot was published for.
        channel: Channel to look in; "" for whichever has the tag.

    Raises:
        PublishError: No snapshot was published for the tag (CG608), or it is no longer kept (CG613).
    """
    reader = SnapshotReader(repository, Bills(repository.session.patient))
    names = [name for name in sorted(repository.channels()) if channel in {"", name}]
    found = [(name, pair) for name in names if (pair := _first_tagged(repository, name, tag))]
    if not found:
        where = f"channel {channel}" if channel else "any channel"
        what = f"no snapshot of {where} was published for the tag {tag!r}"
        fix = f"publish it first: cosgen publish --tag {tag} --channel NAME DIR"
        raise PublishError(Problem(what=what, fix=fix, id="CG608"))
    name, entries = max(found, key=lambda item: item[1][0].commit.seq)
    place = entries[0].channel
    snapshot = reader.find(place.snapshot)
    if snapshot is None:
        what = f"the snapshot of {name} for the tag {tag!r} is no longer kept"
        raise PublishError(
            Problem(what=what, fix="keep tags: `keep: {tags: all}` of the channel", id="CG613")
        )
    return TaggedSnapshot(
        info=_info(repository, options),
        tag=tag,
        move=_move(reader, name, entries, 0),
        origin=place.origin,
        references=tuple((key, pin_name(place.origin, key)) for key in sorted(snapshot.variants)),
        snippets=tuple(_snippets(repository, name, snapshot, options, place)),
    )


def _first_tagged(repository: Repository, channel: str, tag: str) -> tuple[HistoryEntry, ...]:
    """Return the earliest move of a channel for a tag, and the move before it; () when there is none."""
    entries = tuple(repository.history(channel))
    at = next((at for at in reversed(range(len(entries))) if entries[at].channel.tag == tag), None)
    return () if at is None else entries[at : at + 2]


def _with_lags(channels: Sequence[Channel]) -> tuple[Channel, ...]:
    newest = max(channel.published for channel in channels)
    return tuple(
        replace(
            channel,
            lag=newest - channel.published,
            variants=tuple(
                replace(state, lag=max(one.changed for one in channel.variants) - state.changed)
                for state in channel.variants
            ),
        )
        for channel in channels
    )


def _trends(channels: Sequence[Channel], repository: Repository, reader: SnapshotReader) -> tuple[Trend, ...]:
    refs = {
        entry.channel.snapshot.digest: entry.channel.snapshot
        for c in channels
        for entry in repository.history(c.name)
    }
    return tuple(
        Trend(channel=channel.name, points=tuple(_points(channel, refs, reader))) for channel in channels
    )


def _points(channel: Channel, refs: dict[str, ObjectRef], reader: SnapshotReader) -> Iterable[TrendPoint]:
    for move in reversed(channel.history):
        snapshot = reader.find(refs[move.snapshot])
        if snapshot is None:
            continue
        records = (record for index in snapshot.variants.values() for record in reader.records(index))
        seconds = sum(record.seconds or 0.0 for record in records)
        yield TrendPoint(
            seq=move.seq,
            snapshot=move.snapshot,
            time=move.time,
            size=move.size,
            packages=move.packages,
            seconds=round(seconds, 3),
        )
