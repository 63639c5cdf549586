"""Moves of channels: promote, roll back, yank, pin. Each is one commit, and no package is sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cosgen.errors import CosgenError, Problem, PublishError
from cosgen.manifest.platform import Variant
from cosgen.repository.codec import Json
from cosgen.repository.commit import (
    Change,
    Tail,
    advance,
    append,
    make_commit,
    next_time,
    read_hinted,
    read_tail,
)
from cosgen.repository.log import ChannelState, Commit, State, Step
from cosgen.repository.places import is_called
from cosgen.repository.publish import (
    PublishOptions,
    crowded,
    move_channel,
    with_channel,
    writable_settings,
)
from cosgen.repository.publish_plan import Policy, PublishRequest, plan_publish
from cosgen.repository.session import Session
from cosgen.repository.snapshot import VariantIndex, load_records, load_snapshot
from cosgen.repository.upload import Journal, upload_all
from cosgen.repository.views import roll_forward
from cosgen.storage.port import UncertainError

_REBASES = 40

Decision = Callable[[Tail], "Move | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a command wants to be true: the channels and pins as they shall be."""

    op: str
    state: State
    details: dict[str, Json]


def promote(
    session: Session,
    source: str,
    target: str,
    *,
    snapshot: str = "",
    revision: str = "",
    tag: str = "",
    options: PublishOptions | None = None,
) -> Commit | None:
    """Point a channel at a snapshot of another.

    Args:
        session: The surroundings.
        source: Channel to take the snapshot from.
        target: Channel to move; it need not be there yet.
        snapshot: Id (64 hex, or the first of it) or commit number of the snapshot; "" for the newest one.
        revision: Take the newest snapshot that was published for this commit of the source repository.
        tag: Release that the snapshot becomes.
        options: Only `dry_run`, `single_writer` and `note` count.

    Returns:
        The commit; None when the channel is there already.

    Raises:
        PublishError: There is no such channel or snapshot, or the target was moved meanwhile.
    """

    def decide(tail: Tail) -> Move | None:
        before = tail.state.channels.get(target)
        place = _choose(session, get_channel(tail.state, source), source, snapshot, revision)
        if before is not None and before.snapshot == place.snapshot and tag in {"", before.tag}:
            return None
        moved = _moved_to(session, tail, before, place, tag=tag)
        details: dict[str, Json] = {"channel": target, "from": source, "origin": place.origin}
        return Move(op="promote", state=with_channel(tail.state, target, moved), details=details)

    return commit_move(session, decide, options or PublishOptions(), watch=target)


def rollback(
    session: Session, channel: str, *, to: str = "", options: PublishOptions | None = None
) -> Commit | None:
    """Point a channel at an earlier snapshot of its own: the one before, or the one that `to` names.

    Clients see a higher revision, so that they notice; luet does not downgrade what is installed.

    Raises:
        PublishError: The channel has no such snapshot, or was moved meanwhile.
    """

    def decide(tail: Tail) -> Move | None:
        before = get_channel(tail.state, channel)
        earlier = [step for step in before.previous if step.snapshot != before.snapshot]
        if not earlier:
            raise PublishError(_nothing_before(channel))
        place = _find_step(before.places, to, channel) if to else earlier[0]
        if place.snapshot == before.snapshot:
            return None
        moved = _moved_to(session, tail, before, place, tag=place.tag)
        details: dict[str, Json] = {"channel": channel, "origin": place.origin}
        return Move(op="rollback", state=with_channel(tail.state, channel, moved), details=details)

    return commit_move(session, decide, options or PublishOptions(), watch=channel)


def pin(session: Session, channel: str, name: str, *, options: PublishOptions | None = None) -> Commit | None:
    """Keep what a channel points at for ever, under a name.

    Raises:
        PublishError: The name is taken by another snapshot.
    """

    def decide(tail: Tail) -> Move | None:
        place = _as_step(get_channel(tail.state, channel))
        taken = tail.state.pins.get(name)
        if taken is not None and taken.snapshot == place.snapshot:
            return None
        if taken is not None:
            raise PublishError(_taken(name))
        pins = dict(sorted({**tail.state.pins, name: place}.items()))
        return Move(op="pin", state=replace(tail.state, pins=pins), details={"pin": name, "channel": channel})

    return commit_move(session, decide, options or PublishOptions())


def unpin(session: Session, name: str, *, options: PublishOptions | None = None) -> Commit | None:
    """Let go of a pin; its snapshot is collected when nothing else keeps it."""

    def decide(tail: Tail) -> Move | None:
        if name not in tail.state.pins:
            return None
        pins = {key: step for key, step in tail.state.pins.items() if key != name}
        return Move(op="unpin", state=replace(tail.state, pins=pins), details={"pin": name})

    return commit_move(session, decide, options or PublishOptions())


def yank(
    session: Session, channel: str, packages: frozenset[str], *, options: PublishOptions | None = None
) -> Commit | None:
    """Take packages out of a channel: a new snapshot without them.

    Args:
        session: The surroundings.
        channel: The channel.
        packages: `category/name@version`, or `category/name` for all its versions.
        options: Only `dry_run`, `single_writer` and `note` count.

    Raises:
        PublishError: One of them is not there, or others in the channel require it.
    """
    options = options or PublishOptions()
    journal = Journal()

    def decide(tail: Tail) -> Move | None:
        before = get_channel(tail.state, channel)
        snapshot = load_snapshot(session.patient, before.snapshot)
        wanted: dict[str, frozenset[str]] = {}
        seen: set[str] = set()
        for key, index in snapshot.variants.items():
            records = list(load_records(session.patient, index))
            names = {r.fingerprint: {r.human, f"{r.category}/{r.name}"} & packages for r in records}
            seen |= {name for found in names.values() for name in found}
            if any(names.values()):
                wanted[key] = frozenset(name for name, found in names.items() if not found)
        if packages - seen:
            raise PublishError(*(_absent(name, channel) for name in sorted(packages - seen)))
        variants = {key: (_variant(index), index.platform) for key, index in snapshot.variants.items()}
        request = PublishRequest(
            channel=channel,
            variants={key: variants[key] for key in wanted},
            packages=(),
            policy=Policy.MERGE,
            wanted=wanted,
        )
        plan = plan_publish(session, tail, request)
        if plan is None:
            return None
        if not options.dry_run:
            settings = writable_settings(session, tail, options)
            for stage in plan.stages:
                upload_all(session, stage, journal, verify_all=settings.get("checks_bodies") is not True)
        seq, time = tail.commit.seq + 1, next_time(session, tail)
        moved = move_channel(before, plan.ref, seq=seq, time=time, origin=seq)
        details: dict[str, Json] = {"channel": channel, "packages": sorted(packages)}
        return Move(op="yank", state=with_channel(tail.state, channel, moved), details=details)

    return commit_move(session, decide, options)


def get_channel(state: State, name: str) -> ChannelState:
    """Return where a channel points.

    Raises:
        PublishError: There is none of that name.
    """
    channel = state.channels.get(name)
    if channel is None:
        have = ", ".join(state.channels) or "none"
        problem = Problem(
            what=f"the repository has no channel {name!r}",
            fix=f"choose one of: {have}; or publish to it first",
            id="CG524",
        )
        raise PublishError(problem)
    return channel


def commit_move(
    session: Session, decide: Decision, options: PublishOptions, *, watch: str = ""
) -> Commit | None:
    """Append what `decide` wants after the newest commit, again and again until nobody was faster.

    The commit that the hint names is taken for the newest one. When it is not, ours cannot take the number of
    one that is there; and a decision to do nothing, or an error, is told only after looking.

    Args:
        session: The repository.
        decide: Looks at the newest commit; None for nothing to do. Settings it changes are kept.
        options: How to go about it.
        watch: A channel that nobody else may move meanwhile.
    """
    txn = session.new_txn()
    hinted = None if options.dry_run else read_hinted(session)
    tail = hinted or _settle(session, read_tail(session), options)
    sure = hinted is None
    before = tail.state.channels.get(watch)
    for _ in range(_REBASES):
        move = _try(decide, tail, sure=sure)
        if move is None and sure:
            return None
        commit = _make(session, tail, move, txn, options) if move else None
        if commit is not None and options.dry_run:
            return commit
        if commit is not None and append(session, commit):
            roll_forward(session, replace(tail, commit=commit))
            return commit
        tail = advance(session, tail)
        if not sure:
            tail, sure = _settle(session, tail, options), True
            before = tail.state.channels.get(watch)
        elif tail.state.channels.get(watch) != before:
            raise PublishError(_moved_meanwhile(watch))
    raise UncertainError(crowded(session.store.url))


def _settle(session: Session, tail: Tail, options: PublishOptions) -> Tail:
    return tail if tail.commit.seq < 0 or options.dry_run else roll_forward(session, tail)


def _try(decide: Decision, tail: Tail, *, sure: bool) -> Move | None:
    try:
        return decide(tail)
    except CosgenError:
        if sure:
            raise
        return None


def _make(session: Session, tail: Tail, move: Move, txn: str, options: PublishOptions) -> Commit:
    state = move.state
    if not options.dry_run:
        changed = {k: v for k, v in state.settings.items() if tail.state.settings.get(k) != v}
        settings: Mapping[str, Json] = {**writable_settings(session, tail, options), **changed}
        state = replace(state, settings=settings)
    change = Change(op=move.op, state=state, txn=txn, note=options.note, details=move.details)
    # What is not written needs no key.
    return make_commit(replace(session, guard=None) if options.dry_run else session, tail, change)


def _moved_to(
    session: Session, tail: Tail, before: ChannelState | None, place: ChannelState | Step, *, tag: str
) -> ChannelState:
    return move_channel(
        before,
        place.snapshot,
        seq=tail.commit.seq + 1,
        time=next_time(session, tail),
        origin=place.origin,
        tag=tag,
    )


def _moved_meanwhile(name: str) -> Problem:
    return Problem(
        what=f"channel {name} was moved by somebody else meanwhile",
        fix="look at `cosgen channel show`, and run the command again if it is still right",
        id="CG522",
    )


def _choose(
    session: Session, channel: ChannelState, name: str, snapshot: str, revision: str
) -> ChannelState | Step:
    places = channel.places
    if snapshot:
        return _find_step(places, snapshot, name)
    if not revision:
        return channel
    for place in places:
        loaded = load_snapshot(session.patient, place.snapshot)
        for index in loaded.variants.values():
            if any(_same_revision(r.revision, revision) for r in load_records(session.patient, index)):
                return place
    problem = Problem(
        what=f"no snapshot of {name} was built from commit {revision}",
        fix=f"wait for its pipeline, or promote what {name} points at by leaving --revision out",
        id="CG525",
    )
    raise PublishError(problem)


def _same_revision(one: str, other: str) -> bool:
    return bool(one) and (one.startswith(other) or other.startswith(one))


def _find_step(places: tuple[ChannelState | Step, ...], text: str, channel: str) -> ChannelState | Step:
    for place in places:
        if is_called(place, text):
            return place
    problem = Problem(
        what=f"channel {channel} never pointed at {text!r}, or no longer remembers it",
        fix="choose a commit number, tag or snapshot id from `cosgen channel show`",
        id="CG526",
    )
    raise PublishError(problem)


def _as_step(channel: ChannelState) -> Step:
    return Step(
        snapshot=channel.snapshot, seq=channel.seq, time=channel.time, origin=channel.origin, tag=channel.tag
    )


def _nothing_before(channel: str) -> Problem:
    return Problem(
        what=f"channel {channel} has nothing to go back to",
        fix="promote a snapshot of another channel to it, or publish again",
        id="CG527",
    )


def _taken(name: str) -> Problem:
    return Problem(
        what=f"the pin {name!r} holds another snapshot",
        fix="choose another name, or remove the pin first: pins do not move",
        id="CG528",
    )


def _absent(name: str, channel: str) -> Problem:
    return Problem(
        what=f"channel {channel} has no package {name}",
        fix="write it as category/name or category/name@version; see `cosgen repo ls`",
        id="CG529",
    )


def _variant(index: VariantIndex) -> Variant:
    return Variant(index.flavor, index.arch)
