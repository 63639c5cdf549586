"""Views: the few mutable files, each a pure function of the log, and never taken back to an older commit."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cosgen.errors import Problem
from cosgen.manifest.channel_names import pin_name, reference_name
from cosgen.repository import pool
from cosgen.repository.client_address import client_url
from cosgen.repository.codec import DecodeError, Json, decode, integer, mapping
from cosgen.repository.commit import Tail, advance
from cosgen.repository.log import ChannelState, Commit, Step, encode_hint
from cosgen.repository.luet import RepositoryView, repository_yaml
from cosgen.repository.record import ObjectRef
from cosgen.repository.session import Session
from cosgen.repository.snapshot import Snapshot, load_snapshot
from cosgen.storage.port import (
    CREATE,
    BytesPayload,
    Condition,
    ConditionFailedError,
    Outcome,
    UncertainError,
    Upload,
)

_TRIES = 12  # rounds of read, compare, write for one view
_READS = 4  # attempts at a view that cannot be understood, before it is taken for damaged
_OURS = re.compile(rb"^x-cosgen: (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class View:
    """One mutable file as it shall be, and the commit it shows."""

    key: str
    data: bytes
    seq: int


def roll_forward(session: Session, tail: Tail, *, loaded: Mapping[str, Snapshot] | None = None) -> Tail:
    """Bring all views to the newest commit; costs nothing when the hint says that they are there.

    Args:
        session: The surroundings.
        tail: The newest commit.
        loaded: Snapshots at hand, by key, so that they are not read again.

    Returns:
        The tail with a fresh hint, at a later commit when somebody else wrote meanwhile.
    """
    weak = is_weak(tail)
    for _ in range(_TRIES):
        seen = tail.hint.commit.seq if tail.hint else -1
        if tail.commit.seq == seen and not weak:
            return tail
        etags = dict(tail.hint.views) if tail.hint else {}
        after = -1 if weak else seen
        followed = session.guard.follow(session, tail) if session.guard else None
        if followed is not None and followed.etag is not None:
            etags[pool.TIMESTAMP] = followed.etag
        _write_pins(session, tail, after, loaded or {})
        for view in make_views(session, tail.commit, after, loaded or {}):
            etags[view.key] = apply_view(session, view, etags.get(view.key), weak=weak)
        trust = followed.trust if followed else None
        data = encode_hint(tail.commit, etags, looked=followed is not None, trust=trust)
        hint = View(pool.HEAD, data, tail.commit.seq)
        if seen < tail.commit.seq:
            apply_view(session, hint, tail.hint.etag if tail.hint else None, weak=weak)
        if not weak:
            return tail
        # Without If-Match somebody's older view may have gone over ours: look whether the log moved
        # meanwhile.
        moved = advance(session, tail)
        if moved.commit.seq == tail.commit.seq:
            return moved
        tail = moved
    return tail


def is_weak(tail: Tail) -> bool:
    """Tell whether the store keeps no If-Match (class B)."""
    return tail.state.settings.get("store_class") == "B"


def make_views(
    session: Session, commit: Commit, after: int, loaded: Mapping[str, Snapshot]
) -> Iterator[View]:
    """Yield the views that commits behind number `after` changed, in the order they are to be written."""
    default = commit.state.settings.get("default")
    for name, channel in commit.state.channels.items():
        if channel.seq <= after:
            continue
        snapshot = _snapshot(session, channel.snapshot, loaded)
        for variant in snapshot.variants:
            data = view_bytes(commit.state.settings, snapshot, variant, channel, name)
            yield View(pool.CLIENT_ROOT + reference_name(name, variant), data, channel.seq)
            if default == f"{name}/{variant}":
                yield View(f"{pool.CLIENT_ROOT}repository.yaml", data, channel.seq)


def view_bytes(
    settings: Mapping[str, Json], snapshot: Snapshot, variant: str, place: ChannelState | Step, channel: str
) -> bytes:
    """Return the `repository.yaml` of one variant where a channel pointed at some commit."""
    return repository_yaml(view_of(settings, snapshot, variant, place, channel))


def view_of(
    settings: Mapping[str, Json], snapshot: Snapshot, variant: str, place: ChannelState | Step, channel: str
) -> RepositoryView:
    """Return what the `repository.yaml` of one variant says where a channel pointed at some commit."""
    files = snapshot.variants[variant].luet
    url = client_url(str(settings.get("url") or ""))
    return RepositoryView(
        name=str(settings.get("name") or "cosgen"),
        description=str(settings.get("description") or ""),
        urls=(url,) if url else (),
        revision=place.seq + 1,  # luet leaves out a revision of 0
        last_update=place.time,
        tree=files["tree"],
        meta=files["meta"],
        compilertree=files.get("compilertree"),
        extra={
            "channel": channel,
            "variant": variant,
            "seq": place.seq,
            "snapshot": place.snapshot.key,
            "digest": place.snapshot.digest,
            "size": place.snapshot.size,
        },
    )


def read_view(data: bytes) -> Mapping[str, Json]:
    """Return what we noted in a view.

    Raises:
        DecodeError: It is not one of ours, or not whole.
    """
    found = _OURS.search(data)
    if not found or not data.endswith(b"\n"):
        raise DecodeError("a view has no x-cosgen line")
    return decode(found[1])


def view_snapshot(data: bytes) -> ObjectRef:
    """Return the snapshot that a view shows; raises `DecodeError`."""
    noted = read_view(data)
    return ObjectRef.checked(noted.get("snapshot"), noted.get("digest"), noted.get("size"))


def apply_view(session: Session, view: View, etag: str | None, *, weak: bool) -> str:
    """Write a view unless a newer one is there; returns the etag of what is there then.

    Args:
        session: The surroundings.
        view: The view as it shall be.
        etag: The version it is thought to have now; None when that is not known.
        weak: The store keeps no If-Match.
    """
    payload, headers = BytesPayload(view.data), pool.headers_of(view.key)
    unread = 0
    for attempt in range(_TRIES):
        if etag is None or weak:
            found = session.patient.get(view.key)
            if found is not None:
                seq = _seq_of(view.key, found.data)
                if seq is None and unread < _READS:
                    unread += 1
                    continue
                if seq is not None and seq >= view.seq:
                    return found.stat.etag
            etag = found.stat.etag if found else None
        condition = CREATE if etag is None else Condition() if weak else Condition(match=etag)
        try:
            return session.store.put(view.key, payload, headers=headers, condition=condition)
        except ConditionFailedError:
            etag = None
        except UncertainError:
            etag = None
            session.clock.sleep(session.patience.wait(min(attempt, 4)))
    raise UncertainError(_stuck(session, view.key))


def _seq_of(key: str, data: bytes) -> int | None:
    try:
        if key == pool.HEAD:
            return Commit.from_json(mapping(decode(data).get("commit"))).seq
        return integer(read_view(data), "seq")
    except DecodeError:
        return None


def pins_of(commit: Commit, after: int = -1) -> Iterator[tuple[str, ChannelState | Step]]:
    """Yield channel and place of each snapshot that commits behind `after` made and that is still kept."""
    for name, channel in commit.state.channels.items():
        for place in channel.places:
            if place.seq == place.origin and place.seq > after:
                yield name, place


def _write_pins(session: Session, tail: Tail, after: int, loaded: Mapping[str, Snapshot]) -> None:
    uploads: list[Upload] = []
    for name, place in pins_of(tail.commit, after):
        snapshot = _snapshot(session, place.snapshot, loaded)
        for variant in snapshot.variants:
            key = pool.CLIENT_ROOT + pin_name(place.seq, variant)
            if key not in tail.unsafe:
                data = view_bytes(tail.state.settings, snapshot, variant, place, name)
                uploads.append(Upload(key, BytesPayload(data), pool.headers_of(key)))
    for upload, outcome in session.patient.put_new(uploads):
        if outcome is Outcome.UNCERTAIN:
            raise UncertainError(_stuck(session, upload.key))


def _snapshot(session: Session, ref: ObjectRef, loaded: Mapping[str, Snapshot]) -> Snapshot:
    return loaded[ref.key] if ref.key in loaded else load_snapshot(session.patient, ref)


def _stuck(session: Session, key: str) -> Problem:
    return Problem(
        what=f"{session.store.url}: {key} could not be brought to the newest commit",
        fix="the commit stands; run any command that writes, and it brings all views to the newest commit",
        id="CG517",
    )


def without_hint(tail: Tail) -> Tail:
    """Return the tail as if no hint were there, so that all views are looked at."""
    return replace(tail, hint=None)
