"""Garbage collection: condemn, wait, delete. Safe beside publishers and other collectors, on any host.

A publisher never names a key that it saw condemned or deleted, and sees every commit between its plan and its
own: so a key that was condemned before nobody can come back to, and deleting it later hurts nobody.
Listings may be incomplete: then less is collected, never more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cosgen.errors import Problem, PublishError, Severity
from cosgen.manifest.channel_names import pin_name, reference_name
from cosgen.repository import pool
from cosgen.repository.codec import DecodeError, Json
from cosgen.repository.commit import (
    Change,
    Tail,
    append,
    condemned_blob,
    make_commit,
    next_time,
    read_tail,
)
from cosgen.repository.doctor import skewed
from cosgen.repository.log import ChannelState, State
from cosgen.repository.publish import PublishOptions, writable_settings
from cosgen.repository.record import ObjectRef
from cosgen.repository.session import Session
from cosgen.repository.snapshot import Snapshot, load_records, load_snapshot
from cosgen.repository.upload import Journal, upload_all
from cosgen.repository.views import roll_forward, view_snapshot

DAY = 86400  # seconds
MIN_GRACE = 3 * DAY  # a client's session, and a proxy's memory of the index it reads
_MOST_SKEW = 3600  # seconds between this machine's clock and the store's
_RETRIES = 10  # times that the log may move while we mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much of a channel's past stays; what the channel points at always does."""

    last: int | None = None  # so many of the newest snapshots; None: no limit by count
    days: float | None = None  # those that were left so many days ago at most; None: no limit by age
    tags: bool = True  # releases for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When what goes."""

    channels: Mapping[str, Keep] = field(default_factory=dict)  # others keep `default`
    default: Keep = Keep(last=10)
    grace: float = 14 * DAY  # seconds between condemning and deleting
    min_age: float = DAY  # seconds; younger objects may belong to a publish under way
    quarantine: float = DAY  # seconds that a deleted key is not used again: no request is that slow


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What a collection did, or would do."""

    dropped: Mapping[str, int]  # channel -> snapshots that it no longer remembers
    condemned: tuple[str, ...]
    deleted: tuple[str, ...]
    forgotten: int  # tombstones
    bytes: int  # of what was condemned
    applied: bool


def collect(
    session: Session, retention: Retention, *, apply: bool, options: PublishOptions | None = None
) -> GcReport:
    """Delete what was condemned long enough ago, and condemn what no kept snapshot names.

    Raises:
        PublishError: The grace is shorter than clients need, this machine's clock is not the store's (CG541),
            or the log moves all the time.
        VerificationError: A kept snapshot is damaged; then nothing is condemned.
    """
    if retention.grace < MIN_GRACE:
        raise PublishError(_short_grace(retention.grace))
    options = options or PublishOptions()
    txn = session.new_txn()
    for _ in range(_RETRIES):
        tail = read_tail(session)
        if tail.commit.seq < 0:
            return _report((), {}, (), 0, applied=False)
        _check_clock(session, tail)
        if apply:
            tail = roll_forward(session, tail)
        report, state = _plan(session, tail, retention)
        if not apply or not (report.condemned or report.deleted or report.forgotten or report.dropped):
            return report
        settings = writable_settings(session, tail, options)
        state, blob = condemned_blob(replace(state, settings=settings))
        commit = make_commit(session, tail, _change(state, report, txn))  # who may not sign deletes nothing
        for key in report.deleted:
            session.patient.delete(key)
        if blob is not None:
            upload_all(session, [blob], Journal(), verify_all=True)
        if append(session, commit):
            roll_forward(session, read_tail(session))
            return replace(report, applied=True)
    raise PublishError(_busy(session.store.url))


def _check_clock(session: Session, tail: Tail) -> None:
    """Refuse to go by a wrong clock: garbage would be deleted before its time, here or by the next one."""
    stat = session.patient.head(pool.log_key(tail.commit.seq))
    if stat is not None and stat.served_at is not None:
        skew = stat.served_at - session.now()
        if abs(skew) > _MOST_SKEW:
            raise PublishError(skewed(skew, Severity.ERROR))


def live_keys(session: Session, state: State) -> set[str]:
    """Return every key that must stay: all that kept snapshots name, their pins, and the views.

    Raises:
        VerificationError: A kept snapshot cannot be read.
    """
    live: set[str] = {state.garbage.key} if state.garbage else set()
    for ref in state.kept().values():
        live.add(ref.key)
        snapshot = load_snapshot(session.patient, ref)
        live.update(snapshot_keys(session, snapshot))
    return live | set(view_keys(session, state))


def snapshot_keys(session: Session, snapshot: Snapshot) -> Iterator[str]:
    """Yield the keys that a snapshot needs: shards, luet files, packages and their attestations."""
    yield from snapshot.object_keys()
    for index in snapshot.variants.values():
        for record in load_records(session.patient, index):
            yield record.archive.key
            if record.attestation is not None:
                yield record.attestation.key


def view_keys(session: Session, state: State) -> Iterator[str]:
    """Yield the keys of all views and pins that the state gives rise to."""
    yield f"{pool.CLIENT_ROOT}repository.yaml"
    for name, channel in state.channels.items():
        for variant in load_snapshot(session.patient, channel.snapshot).variants:
            yield pool.CLIENT_ROOT + reference_name(name, variant)
    places = [(place.origin, place.snapshot) for c in state.channels.values() for place in c.places]
    places += [(step.origin, step.snapshot) for step in state.pins.values()]
    for origin, ref in dict(places).items():
        for variant in load_snapshot(session.patient, ref).variants:
            yield pool.CLIENT_ROOT + pin_name(origin, variant)


def prune(state: State, retention: Retention, now: float) -> tuple[State, dict[str, int]]:
    """Forget the earlier places of channels that retention no longer keeps; returns how many by channel."""
    channels, dropped = {}, {}
    for name, channel in state.channels.items():
        keep = retention.channels.get(name, retention.default)
        pruned = _prune_channel(channel, keep, now)
        channels[name] = pruned
        if len(pruned.previous) != len(channel.previous):
            dropped[name] = len(channel.previous) - len(pruned.previous)
    return replace(state, channels=channels), dropped


def _prune_channel(channel: ChannelState, keep: Keep, now: float) -> ChannelState:
    kept, left_at = [], channel.time
    for position, step in enumerate(channel.previous, start=1):
        few = keep.last is None or position < keep.last
        young = keep.days is None or now - left_at <= keep.days * DAY
        if (few and young) or (keep.tags and step.tag):
            kept.append(step)
        left_at = step.time
    return replace(channel, previous=tuple(kept))


def _plan(session: Session, tail: Tail, retention: Retention) -> tuple[GcReport, State]:
    now = next_time(session, tail)
    state, dropped = prune(tail.state, retention, now)
    live = live_keys(session, state)
    condemned, tombs = dict(state.condemned), dict(state.tombs)
    ripe = sorted(key for key, since in condemned.items() if now - since >= retention.grace)
    old_tombs = [key for key, since in tombs.items() if now - since >= retention.quarantine]
    known = live | set(condemned) | set(tombs)
    found = dict(_candidates(session, known, now - retention.min_age))
    if found:
        live |= _stale_views(session, found)
    fresh = {key: size for key, size in found.items() if key not in live}
    for key in old_tombs:
        del tombs[key]
    for key in ripe:
        del condemned[key]
        tombs[key] = now
    condemned |= dict.fromkeys(fresh, now)
    state = replace(
        state, condemned=dict(sorted(condemned.items())), tombs=dict(sorted(tombs.items())), garbage=None
    )
    report = _report(tuple(fresh), dropped, tuple(ripe), len(old_tombs), applied=False)
    return replace(report, bytes=sum(fresh.values())), state


def _candidates(session: Session, known: set[str], before: float) -> Iterator[tuple[str, int]]:
    for prefix in pool.COLLECTED:
        for stat in session.patient.list(prefix):
            if stat.key not in known and (stat.modified <= before or _is_view(stat.key)):
                yield stat.key, stat.size


def _stale_views(session: Session, found: Mapping[str, int]) -> set[str]:
    """Return what views show that no channel renews any more; they stay whole, and so does what they show."""
    live: set[str] = set()
    for key in found:
        if not _is_view(key):
            continue
        live.add(key)
        blob = session.patient.get(key)
        try:
            ref: ObjectRef | None = view_snapshot(blob.data) if blob else None
        except DecodeError:
            ref = None
        if ref is not None:
            live.add(ref.key)
            live.update(snapshot_keys(session, load_snapshot(session.patient, ref)))
    return live


def _is_view(key: str) -> bool:
    return pool.headers_of(key).cache_control == pool.VIEW


def _change(state: State, report: GcReport, txn: str) -> Change:
    details: dict[str, Json] = {
        "condemned": len(report.condemned),
        "deleted": len(report.deleted),
        "forgotten": report.forgotten,
        "dropped": dict(report.dropped),
    }
    return Change(op="sweep" if report.deleted else "condemn", state=state, txn=txn, details=details)


def _report(
    condemned: tuple[str, ...],
    dropped: Mapping[str, int],
    deleted: tuple[str, ...],
    forgotten: int,
    *,
    applied: bool,
) -> GcReport:
    return GcReport(
        dropped=dropped,
        condemned=condemned,
        deleted=deleted,
        forgotten=forgotten,
        bytes=0,
        applied=applied,
    )


def _short_grace(grace: float) -> Problem:
    return Problem(
        what=f"a grace of {grace / DAY:g} days is too short: clients read one index for a day",
        fix=f"wait at least {MIN_GRACE // DAY} days between condemning and deleting",
        id="CG535",
    )


def _busy(url: str) -> Problem:
    return Problem(
        what=f"{url}: somebody committed each time the garbage was marked",
        fix="run it again at a quieter time; nothing is lost",
        id="CG523",
    )
