"""Publish: artifacts to the pool, an index over them, a commit, and then the views that clients follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cosgen.errors import Problem, PublishError
from cosgen.repository.codec import Json
from cosgen.repository.commit import Change, Tail, advance, append, make_commit, next_time, read_tail
from cosgen.repository.log import ChannelState, Commit, State, Step
from cosgen.repository.publish_plan import Policy, PublishPlan, PublishRequest, VariantChanges, plan_publish
from cosgen.repository.record import ObjectRef
from cosgen.repository.session import Session
from cosgen.repository.upload import Journal, upload_all
from cosgen.repository.views import roll_forward
from cosgen.storage.port import UncertainError, Upload
from cosgen.storage.probe import StoreClass, probe, refuse_class_c

_REBASES = 40  # times that others may be faster before we give up
_STEPS = 200  # earlier places that a channel remembers between two collections


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """How a publish goes about it."""

    dry_run: bool = False
    single_writer: bool = False
    note: str = ""
    tag: str = ""  # the release that this is
    settings: Mapping[str, Json] = field(default_factory=dict)  # name, url, description, default
    journal: Journal = field(default_factory=Journal)
    uploaded: Callable[[Upload], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """What a publish did, or would do."""

    channel: str
    commit: Commit | None  # None when nothing was to be done, or by --dry-run
    snapshot: ObjectRef | None
    changes: Mapping[str, VariantChanges]
    uploads: tuple[Upload, ...] = ()  # everything the new snapshot needs that was not there
    sent: int = 0  # objects
    rebases: int = 0

    @property
    def upload_bytes(self) -> int:
        """Bytes of what had to be stored."""
        return sum(upload.payload.size for upload in self.uploads)


def publish(session: Session, request: PublishRequest, options: PublishOptions) -> PublishReport:
    """Publish packages to a channel.

    Between the commit and the views clients still see the old channel, whole; after them the new one, whole.

    Raises:
        PublishError: A cross-check fails, the store refuses, or the channel moved under policy `fail`.
        VerificationError: What is stored, or an artifact, is not what it should be.
    """
    txn = session.new_txn()
    tail = read_tail(session)
    if not options.dry_run and tail.commit.seq >= 0:
        tail = roll_forward(session, tail)
    first = tail.state.channels.get(request.channel)
    sent = 0
    for rebases in range(_REBASES):
        if rebases and request.policy is Policy.FAIL and tail.state.channels.get(request.channel) != first:
            raise PublishError(_moved(request.channel))
        plan = plan_publish(session, tail, request)
        if plan is None:
            current = tail.state.channels.get(request.channel)
            snapshot = current.snapshot if current else None
            return PublishReport(channel=request.channel, commit=None, snapshot=snapshot, changes={})
        if options.dry_run:
            return PublishReport(
                channel=request.channel,
                commit=None,
                snapshot=plan.ref,
                changes=plan.changes,
                uploads=plan.uploads,
            )
        settings = writable_settings(session, tail, options)
        sent += _upload(session, plan, options, verify_all=settings.get("checks_bodies") is not True)
        commit = make_commit(session, tail, _change(session, tail, request, options, plan, settings, txn))
        if append(session, commit):
            after = Tail(commit, tail.hint, tail.unsafe)
            roll_forward(session, after, loaded={plan.ref.key: plan.snapshot})
            options.journal.close()
            return PublishReport(
                channel=request.channel,
                commit=commit,
                snapshot=plan.ref,
                changes=plan.changes,
                uploads=plan.uploads,
                sent=sent,
                rebases=rebases,
            )
        tail = advance(session, tail)
    raise UncertainError(crowded(session.store.url))


def writable_settings(session: Session, tail: Tail, options: PublishOptions) -> dict[str, Json]:
    """Return the settings of the next commit; a store that is written for the first time is probed.

    Raises:
        PublishError: The store keeps no conditions, and nobody promised to be the only writer.
    """
    settings = {**tail.state.settings, **{k: v for k, v in options.settings.items() if v}}
    if settings.get("store") != session.store.url:
        found = probe(session.patient, session.new_txn(), now=session.clock.now())
        settings |= {
            "store": session.store.url,
            "store_class": str(found.store_class),
            "checks_bodies": found.checks_bodies,
        }
    if settings["store_class"] == StoreClass.C and not options.single_writer:
        raise PublishError(refuse_class_c(session.store.url))
    return settings


def move_channel(
    before: ChannelState | None, place: ObjectRef, *, seq: int, time: int, origin: int, tag: str = ""
) -> ChannelState:
    """Point a channel at a snapshot and remember where it pointed."""
    previous: tuple[Step, ...] = ()
    if before is not None:
        step = Step(
            snapshot=before.snapshot, seq=before.seq, time=before.time, origin=before.origin, tag=before.tag
        )
        previous = (step, *before.previous)[:_STEPS]
    return ChannelState(snapshot=place, seq=seq, time=time, origin=origin, previous=previous, tag=tag)


def _upload(session: Session, plan: PublishPlan, options: PublishOptions, *, verify_all: bool) -> int:
    return sum(
        upload_all(session, stage, options.journal, verify_all=verify_all, note=options.uploaded)
        for stage in plan.stages
    )


def _change(
    session: Session,
    tail: Tail,
    request: PublishRequest,
    options: PublishOptions,
    plan: PublishPlan,
    settings: dict[str, Json],
    txn: str,
) -> Change:
    seq, time = tail.commit.seq + 1, next_time(session, tail)
    before = tail.state.channels.get(request.channel)
    channel = move_channel(before, plan.ref, seq=seq, time=time, origin=seq, tag=options.tag)
    settings.setdefault("default", f"{request.channel}/{next(iter(plan.snapshot.variants))}")
    details: dict[str, Json] = {
        "channel": request.channel,
        "variants": {
            key: {"added": len(c.added), "changed": len(c.changed), "removed": len(c.removed)}
            for key, c in plan.changes.items()
        },
    }
    state = with_channel(tail.state, request.channel, channel)
    return Change(
        op="publish", state=replace(state, settings=settings), txn=txn, note=options.note, details=details
    )


def with_channel(state: State, name: str, channel: ChannelState) -> State:
    """Return the state with one channel moved."""
    return replace(state, channels=dict(sorted({**state.channels, name: channel}.items())))


def _moved(channel: str) -> Problem:
    return Problem(
        what=f"channel {channel} was moved by somebody else while this was prepared",
        fix="look at `cosgen channel show`, then run the command again, or use --policy merge",
        id="CG522",
    )


def crowded(url: str) -> Problem:
    """Say that others were faster every time."""
    return Problem(
        what=f"{url}: others committed faster, {_REBASES} times in a row",
        fix="run the command again; what was uploaded is found there",
        id="CG523",
    )
