"""A repository as readers see it: channels, snapshots, packages and history, all verified by digest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cosgen.errors import Problem, PublishError
from cosgen.repository.codec import Json
from cosgen.repository.commit import read_tail
from cosgen.repository.diff import SnapshotDiff, diff
from cosgen.repository.log import ChannelState, Commit, Step, check_chain, read_commit
from cosgen.repository.places import find_place
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.session import Session
from cosgen.repository.snapshot import (
    Snapshot,
    VariantIndex,
    load_records,
    load_snapshot,
    name_number,
    shared_shards,
)
from cosgen.storage.port import Store


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One commit that concerned a channel."""

    commit: Commit
    channel: ChannelState


@dataclass(frozen=True, slots=True)
class Repository:
    """The state after one commit. Nothing of it changes while it is read."""

    session: Session
    commit: Commit
    _snapshots: dict[str, Snapshot] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> Mapping[str, Json]:
        """Name, url and description of the repository, as its last publisher configured them."""
        return self.commit.state.settings

    def channels(self) -> Mapping[str, ChannelState]:
        """Return all channels, by name."""
        return self.commit.state.channels

    def pins(self) -> Mapping[str, Step]:
        """Return all pins, by name."""
        return self.commit.state.pins

    def channel(self, name: str) -> ChannelState:
        """Return one channel; raises `PublishError` when there is none of that name."""
        from cosgen.repository.channel import get_channel  # noqa: PLC0415  # it needs all that writes

        return get_channel(self.commit.state, name)

    def snapshot(self, ref: ObjectRef | ChannelState | Step | str) -> Snapshot:
        """Return a snapshot, by reference or by what people call it (`places.find_place`).

        Raises:
            PublishError: Nothing has that name.
            VerificationError: It is damaged.
        """
        place = find_place(self.commit.state, ref) if isinstance(ref, str) else ref
        where = place if isinstance(place, ObjectRef) else place.snapshot
        if where.key not in self._snapshots:
            self._snapshots[where.key] = load_snapshot(self.session.patient, where)
        return self._snapshots[where.key]

    def variant(self, snapshot: Snapshot, variant: str) -> VariantIndex:
        """Return one variant of a snapshot; raises `PublishError` when it has none of that key."""
        index = snapshot.variants.get(variant)
        if index is None:
            have = ", ".join(snapshot.variants) or "none"
            problem = Problem(
                what=f"the snapshot has no variant {variant!r}", fix=f"choose one of: {have}", id="CG533"
            )
            raise PublishError(problem)
        return index

    def packages(self, snapshot: Snapshot, variant: str) -> Iterator[PackageRecord]:
        """Yield the packages of a variant, shard by shard; the order is the same every time."""
        return load_records(self.session.patient, self.variant(snapshot, variant))

    def difference(self, before: Snapshot, after: Snapshot, variant: str) -> SnapshotDiff:
        """Compare a variant of two snapshots, reading only the shards that they do not share."""
        old, new = before.variants.get(variant), after.variants.get(variant)
        shared = shared_shards(old, new)
        olds, news = (list(self._packages_outside(shared, index)) if index else [] for index in (old, new))
        return diff(olds, news, shared=old.packages - len(olds) if old else 0)

    def _packages_outside(self, shards: frozenset[str], index: VariantIndex) -> Iterator[PackageRecord]:
        rest = {
            number
            for number, shard in zip(index.numbers, index.shards, strict=True)
            if shard.key not in shards
        }
        return load_records(self.session.patient, index, rest.__contains__)

    def record(self, snapshot: Snapshot, variant: str, fingerprint: str) -> PackageRecord | None:
        """Return one package by its fingerprint (`name-category-version`); None when it is not there."""
        return next((r for r in self.packages(snapshot, variant) if r.fingerprint == fingerprint), None)

    def versions(self, snapshot: Snapshot, variant: str, package: str) -> tuple[PackageRecord, ...]:
        """Return all versions of `category/name`, reading only the shard they are in."""
        category, _, name = package.rpartition("/")
        index = self.variant(snapshot, variant)
        number = name_number(category, name, index.shard_count())
        records = load_records(self.session.patient, index, lambda shard: shard == number)
        return tuple(r for r in records if (r.category, r.name) == (category, name))

    def log(self, *, since: int = 0) -> Iterator[Commit]:
        """Yield commits from the newest down to number `since`.

        Raises:
            VerificationError: One is damaged, or not the one that the next names.
        """
        commit: Commit | None = self.commit
        while commit is not None and commit.seq >= max(since, 0):
            yield commit
            before = read_commit(self.session.patient, commit.seq - 1) if commit.seq else None
            if before is not None:
                check_chain(before, commit, self.session.store.url)
            commit = before

    def history(self, channel: str) -> Iterator[HistoryEntry]:
        """Yield the moves of a channel, newest first, with who made them and why."""
        for commit in self.log():
            state = commit.state.channels.get(channel)
            if state is None:
                return
            if state.seq == commit.seq:
                yield HistoryEntry(commit, state)


def find_repository(session: Session) -> Repository | None:
    """Open a repository at its newest commit; None when nothing was ever published there."""
    tail = read_tail(session)
    return Repository(session, tail.commit) if tail.commit.seq >= 0 else None


def open_repository(store: Store, session: Session | None = None) -> Repository:
    """Open a repository at its newest commit.

    Raises:
        PublishError: There is no repository at that place.
        StoreError: The store does not answer, which never means that it is empty.
        VerificationError: The log is damaged or not signed as it should be.
    """
    session = session or Session(store=store)
    tail = read_tail(session)
    if tail.commit.seq < 0:
        problem = Problem(
            what=f"{store.url} holds no repository",
            fix="check the address: it is the folder above `r/` and `_log/`; or publish to it first",
            id="CG534",
        )
        raise PublishError(problem)
    return Repository(session, tail.commit)
