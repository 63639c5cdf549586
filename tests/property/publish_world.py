"""Publishers, promoters, collectors and readers on one store, one request at a time, and what must hold."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import greenlet

from cosgen.errors import CosgenError
from cosgen.manifest.platform import Variant
from cosgen.repository import channel as moves
from cosgen.repository import pool
from cosgen.repository.gc import DAY, Keep, Retention, collect, snapshot_keys
from cosgen.repository.log import Commit, State
from cosgen.repository.publish import PublishOptions, publish
from cosgen.repository.publish_plan import Incoming, PublishRequest
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.session import Session
from cosgen.repository.snapshot import Snapshot, load_records, load_snapshot
from cosgen.repository.views import read_view, view_snapshot
from cosgen.storage.port import BytesPayload, digest_of
from cosgen.storage.retry import Patience
from tests.fakes.faulty_store import Chance, Crashed, Fault, FaultyStore, World

VARIANT = Variant("", "x86_64")
CHANNELS = ("stable", "testing")
RETENTION = Retention(default=Keep(last=2), grace=3 * DAY, min_age=DAY, quarantine=DAY)
COLLECTION = RETENTION  # what the collectors do; a test that breaks them changes it


def package(name: str, version: str = "1.0", body: str = "") -> Incoming:
    """Return a package in memory; the same arguments give the same bytes."""
    data = f"{name} {version} {body}".encode()
    digest = digest_of(data)
    record = PackageRecord(
        fingerprint=f"{name}-apps-{version}",
        definition={"name": name, "category": "apps", "version": version},
        finalize=None,
        readme=None,
        input_digest=digest,
        compression="zstd",
        archive=ObjectRef(key=pool.package_key(name, "apps", digest, "zstd"), digest=digest, size=len(data)),
        content_digest=digest,
        attestation=None,
        files=(f"usr/{name}",),
        installed_size=1,
    )
    return Incoming(variant=VARIANT.key, record=record, archive=BytesPayload(data), attestation=None)


def request(channel: str, *packages: Incoming) -> PublishRequest:
    """Return a request to merge some packages into a channel."""
    return PublishRequest(
        channel=channel, variants={VARIANT.key: (VARIANT, "linux/amd64")}, packages=tuple(packages)
    )


@dataclass(slots=True)
class WorldClock:
    """One actor's clock: sleeping lets the others go on."""

    world: World
    skew: float = 0.0
    pause: Callable[[float], None] | None = None

    def now(self) -> float:
        return self.world.time + self.skew

    def sleep(self, seconds: float) -> None:
        if self.pause is not None:
            self.pause(seconds)
        else:
            self.world.pass_time(seconds)


@dataclass(slots=True)
class Watcher:
    """Looks at the store after every request, and remembers what was seen."""

    world: World
    acked: dict[int, str] = field(default_factory=dict)  # seq -> txn
    condemned: dict[str, float] = field(default_factory=dict)  # key -> when first seen condemned
    views: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, str] = field(default_factory=dict)
    shown: dict[str, ObjectRef] = field(default_factory=dict)
    seen_log: int = -1
    state: State = field(default_factory=State)
    promised: dict[str, float] = field(default_factory=dict)  # key -> until when clients may ask for it
    stats: Counter[str] = field(default_factory=Counter)
    _writes: int = -1
    _needs: dict[str, frozenset[str]] = field(default_factory=dict)

    def look(self) -> None:
        """Check everything that must hold at every moment."""
        store = self.world.store
        if store._writes == self._writes and len(store.objects) == self.stats["objects"]:
            return
        self._writes, self.stats["objects"] = store._writes, len(store.objects)
        self._log()
        self._views()
        self._immutable()

    def _log(self) -> None:
        while (blob := self.world.store.objects.get(pool.log_key(self.seen_log + 1))) is not None:
            commit = Commit.decode(blob.data)
            if self.seen_log >= 0:
                before = self.world.store.objects[pool.log_key(self.seen_log)]
                assert commit.previous == digest_of(before.data), "4: the log is a chain"
            self.seen_log += 1
            self.state = commit.state
            for key in commit.state.condemned:
                self.condemned.setdefault(key, self.world.time)
            live = set(commit.state.kept())
            for ref in commit.state.kept().values():
                live |= self.needs(ref)
            dead = live & commit.state.off_limits()
            assert not dead, f"6: {dead} are both live and condemned"
            for key in list(self.condemned):
                if key not in commit.state.condemned and key not in commit.state.tombs:
                    del self.condemned[key]
        beyond = [key for key in self.world.store.objects if key.startswith("_log/0")]
        assert len(beyond) == self.seen_log + 1, "4: the log has no holes"

    def needs(self, ref: ObjectRef) -> frozenset[str]:
        """Return all keys of a snapshot, which must be there and right."""
        if ref.key not in self._needs:
            session = Session(store=self.world.store)
            snapshot = load_snapshot(self.world.store, ref)
            keys = {ref.key, *snapshot_keys(session, snapshot)}
            for index in snapshot.variants.values():
                for record in load_records(self.world.store, index):
                    blob = self.world.store.objects.get(record.archive.key)
                    assert blob is not None, f"1: {record.archive.key} is committed but not there"
                    assert digest_of(blob.data) == record.archive.digest, "1: right bytes"
            self._needs[ref.key] = frozenset(keys)
        return self._needs[ref.key]

    def _views(self) -> None:
        objects = self.world.store.objects
        for channel in CHANNELS:
            key = f"r/{channel}-{VARIANT.key}-repository.yaml"
            if key not in objects:
                continue
            data = objects[key].data
            seq = int(str(read_view(data)["seq"]))
            assert seq >= self.views.get(key, -1), f"2: {key} went back to {seq}"
            if seq > self.views.get(key, -1) and key in self.shown:
                for needed in self.needs(self.shown[key]):
                    self.promised[needed] = self.world.time + RETENTION.grace - DAY
            self.views[key], self.shown[key] = seq, view_snapshot(data)
            gone = [needed for needed in self.needs(self.shown[key]) if needed not in objects]
            assert not gone, f"1: {key} leads to {gone}"
        for needed, until in list(self.promised.items()):
            if until < self.world.time:
                del self.promised[needed]
            else:
                assert needed in objects, f"1: {needed} was deleted while clients may still read it"

    def _immutable(self) -> None:
        for key, blob in self.world.store.objects.items():
            if pool.headers_of(key).cache_control != pool.IMMUTABLE or key.startswith("_probe"):
                continue
            digest = blob.stat.digest or ""
            assert self.bytes.setdefault(key, digest) == digest, f"5: {key} changed"

    def final(self) -> None:
        """Check what must hold when everybody is done."""
        for seq, txn in self.acked.items():
            blob = self.world.store.objects.get(pool.log_key(seq))
            assert blob is not None, f"3: the acknowledged commit {seq} is gone"
            assert Commit.decode(blob.data).txn == txn, f"3: the acknowledged commit {seq} is another"
        txns = [
            Commit.decode(self.world.store.objects[pool.log_key(n)].data).txn
            for n in range(self.seen_log + 1)
        ]
        assert len(txns) == len(set(txns)), "3: a commit is there twice"


@dataclass(slots=True)
class Actor:
    """One process: a command under way."""

    run: greenlet.greenlet
    wakes: float = 0.0


class Schedule:
    """Steps actors in an order drawn from a seed."""

    def __init__(self, seed: int, *, rate: float = 0.04, steps: int = 900) -> None:
        self.random = random.Random(seed)
        self.world = World.new()
        self.watcher = Watcher(self.world)
        self.rate, self.steps = rate, steps
        self.actors: list[Actor] = []
        self.names = 0
        self.main = greenlet.getcurrent()

    def session(self, *, faults: bool = True) -> Session:
        self.names += 1
        name = f"t{self.names}"
        chance = Chance(self.random, self.rate if faults else 0.0)
        store = FaultyStore(self.world, chance, step=lambda: self.main.switch(0.0))
        clock = WorldClock(self.world, self.random.choice((0.0, 0.0, -3600.0, 3600.0)), self.main.switch)
        patience = Patience(attempts=6, first=1.0, longest=30.0, chance=lambda: 0.5)
        return Session(store=store, clock=clock, patience=patience, new_txn=lambda: name)

    def act(self, body: Callable[[], None]) -> None:
        def run() -> None:
            try:
                body()
            except Crashed:
                self.watcher.stats["crashed"] += 1
            except CosgenError as error:
                self.watcher.stats[error.problems[0].id if error.problems else "?"] += 1

        self.actors.append(Actor(greenlet.greenlet(run, self.main), self.world.time))

    def run(self) -> Watcher:
        for _ in range(self.steps):
            self.world.pass_time(self.random.choice((1, 5, 60, 600)))
            if self.random.random() < 0.02:
                self.world.pass_time(self.random.choice((DAY / 2, DAY, 2 * DAY)))
            while len(self.actors) < 5:
                self.act(self._pick())
            ready = [actor for actor in self.actors if actor.wakes <= self.world.time]
            if not ready:
                continue
            actor = self.random.choice(ready)
            pause = actor.run.switch()
            if actor.run.dead:
                self.actors.remove(actor)
            else:
                actor.wakes = self.world.time + (pause or 0.0)
            self.watcher.look()
        self.settle()
        return self.watcher

    def settle(self) -> None:
        """Let late requests arrive, run one command without faults, and compare views with the log."""
        self.actors.clear()
        self.world.pass_time(DAY)
        done: list[bool] = []
        session = self.session(faults=False)

        def last() -> None:
            publish(session, request("testing", package("last", str(self.names))), PublishOptions())
            done.append(True)

        run = greenlet.greenlet(last, self.main)
        while not run.dead:
            run.switch()
            self.watcher.look()
        assert done
        for name, channel in self.watcher.state.channels.items():
            assert self.watcher.views[f"r/{name}-{VARIANT.key}-repository.yaml"] == channel.seq, "9: views"
        self.watcher.final()

    def _pick(self) -> Callable[[], None]:
        chance = self.random.random()
        if chance < 0.5:
            return self._publisher
        if chance < 0.65:
            return self._mover
        if chance < 0.85:
            return self._collector
        return self._reader

    def _publisher(self) -> None:
        session = self.session()
        names = sorted(self.random.sample("abcdefgh", 3))
        body = self.random.choice("xyz")
        channel = self.random.choice(CHANNELS)
        packages = [package(name, body=body) for name in names]
        report = publish(session, request(channel, *packages), PublishOptions(single_writer=False))
        self._ack(report.commit, "publish")

    def _mover(self) -> None:
        session = self.session()
        if self.random.random() < 0.5:
            self._ack(moves.promote(session, "testing", "stable"), "promote")
        else:
            self._ack(moves.rollback(session, self.random.choice(CHANNELS)), "rollback")

    def _collector(self) -> None:
        session = self.session()
        report = collect(session, COLLECTION, apply=True)
        self.watcher.stats["gc"] += report.applied
        self.watcher.stats["deleted"] += len(report.deleted)

    def _reader(self) -> None:
        session = self.session(faults=False)
        store = session.store
        began = self.world.time
        blob = store.get(f"r/{self.random.choice(CHANNELS)}-{VARIANT.key}-repository.yaml")
        if blob is None:
            return
        snapshot: Snapshot = load_snapshot(store, view_snapshot(blob.data))
        for key in snapshot_keys(session, snapshot):
            if self.world.time - began > RETENTION.grace - 2 * DAY:
                return
            assert store.get(key) is not None, f"1: a reader finds no {key}"
        self.watcher.stats["read"] += 1

    def _ack(self, commit: Commit | None, what: str) -> None:
        if commit is not None:
            self.watcher.acked[commit.seq] = commit.txn
            self.watcher.stats[what] += 1


def show(store: World) -> str:
    """Return the log in short, for messages."""
    lines = []
    for key, blob in sorted(store.store.objects.items()):
        if key.startswith("_log/0"):
            commit = Commit.decode(blob.data)
            lines.append(json.dumps([commit.seq, commit.op, commit.txn, dict(commit.changes)]))
    return "\n".join(lines)


__all__ = ["Fault", "Schedule", "Watcher", "package", "request", "show"]
