"""A worker's part in a planned build: own queue first, ready packages first, then what others left.

The protocol needs no server: finished work is in the cache registry under its input digest, and so are
claims. Work is repeated at worst, never lost, and a single worker that runs finishes everything.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from cosgen.build.claim import Claim, Watch, find_claim, write_claim
from cosgen.build.exchange import artifact_tag
from cosgen.build.request import Status
from cosgen.build.tools import Tools
from cosgen.errors import BuildError
from cosgen.graph.dag import make_dag
from cosgen.graph.plan_model import PlanNode
from cosgen.graph.schedule import assign_components, assign_workers, time_nodes

PATIENCE_SECONDS = 75.0  # a claim that did not change for so long is nobody's
_BEATS = 4  # signs of life within that time
_START_SHARE = 0.8  # of that time others may take to begin
_POLL_SECONDS = (1.0, 15.0)
_LOOKUPS = 8  # requests to the registry at once
_TAIL_FACTOR = 1.5  # a build rarely takes longer than its estimate times this


class Fate(StrEnum):
    """What a worker knows of a package."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


class Build(Protocol):
    """Builds one package and returns how it ended."""

    def __call__(self, node: PlanNode, /) -> Status:
        """Build it, and write its results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShare:
    """Which part of a plan is whose."""

    nodes: Mapping[str, PlanNode]  # what is to be built on this worker's architecture, by key
    own: tuple[str, ...]  # in order of priority
    others: tuple[str, ...]  # the same; () when workers share nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker behaves."""

    name: str  # of this worker, unique in the run
    wave: int = 1
    deadline: float | None = None  # time.monotonic()
    shares: bool = True  # other workers are told and heard through the registry
    patience: float = PATIENCE_SECONDS  # how long a worker may give no sign before it counts as dead

    @property
    def start_seconds(self) -> float:
        """How long others may take to begin with their share."""
        return self.patience * _START_SHARE

    @property
    def beat_seconds(self) -> float:
        """How often this worker gives a sign of life."""
        return self.patience / _BEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker did."""

    built: tuple[str, ...]  # keys, in order
    stolen: tuple[str, ...]  # those of them that were others' share
    found: tuple[str, ...]  # of its own share: finished by others, or by a worker that died
    failed: tuple[str, ...]
    left: tuple[str, ...]  # not done for lack of time, or because others are at them


def divide(nodes: Sequence[PlanNode], *, index: int, count: int, by_components: bool = False) -> WorkerShare:
    """Deal what is to be built to workers; every worker computes the same shares.

    Raises:
        ValueError: `index` is not below `count`.
    """
    if not 0 <= index < count:
        raise ValueError(f"worker {index} of {count}")
    by_key = {node.key: node for node in nodes}
    dag = make_dag(
        {key: [need for need in node.needs if need in by_key] for key, node in by_key.items()},
        {key: node.estimate for key, node in by_key.items()},
    )
    queues = assign_components(dag, count) if by_components else assign_workers(dag, count)
    own = queues[index] if index < len(queues) else ()
    others: tuple[str, ...] = ()
    if not by_components:
        bottom = time_nodes(dag).bottom
        rest = [key for key in by_key if key not in set(own)]
        others = tuple(sorted(rest, key=lambda key: (-bottom[key], key)))
    return WorkerShare(nodes=by_key, own=tuple(own), others=others)


def run_worker(share: WorkerShare, options: WorkerOptions, tools: Tools, build: Build) -> WorkerReport:
    """Take part until the own share is done and nothing unclaimed is left, or time is up.

    Raises:
        BuildError: The registry does not answer.
    """
    return _Worker(share, options, tools, build).run()


@dataclass(slots=True)
class _Memory:
    fates: dict[str, Fate]
    built: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    waited: dict[str, float] = field(default_factory=dict)  # since when a package of others is waited for


class _Worker:
    def __init__(self, share: WorkerShare, options: WorkerOptions, tools: Tools, build: Build) -> None:
        self._share = share
        self._options = options
        self._tools = tools
        self._build = build
        self._watch = Watch()
        self._memory = _Memory(dict.fromkeys(share.nodes, Fate.OPEN))

    def run(self) -> WorkerReport:
        pause = _POLL_SECONDS[0]
        while True:
            key = self._next()
            if key is None:
                if not self._is_waiting() or self._is_late(pause):
                    break
                time.sleep(pause)
                pause = min(pause * 2, _POLL_SECONDS[1], self._options.beat_seconds)
                continue
            pause = _POLL_SECONDS[0]
            self._do(key)
        memory = self._memory
        return WorkerReport(
            built=tuple(memory.built),
            stolen=tuple(key for key in memory.built if key not in set(self._share.own)),
            found=tuple(
                key for key in self._share.own if memory.fates[key] is Fate.DONE and key not in memory.built
            ),
            failed=tuple(memory.failed),
            left=tuple(key for key, fate in memory.fates.items() if fate is Fate.OPEN),
        )

    def _next(self) -> str | None:
        """Return what to build now: own, then others' that nobody is at, then what is waited for too long."""
        self._look()
        for keys, of_others in ((self._share.own, False), (self._share.others, True)):
            if of_others and self._own_is_waiting():
                keys = self._overdue(keys)  # noqa: PLW2901 - the same list, fewer of it
            for key in keys:
                if (
                    self._is_ready(key)
                    and not self._is_late(self._seconds(key))
                    and self._is_free(key, of_others)
                ):
                    return key
        return None

    def _look(self) -> None:
        """Learn what others finished, or failed at, of what matters now."""
        if not self._options.shares:
            self._block()
            return
        fates = self._memory.fates
        asked: set[str] = set()
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            while keys := [key for key in fates if key not in asked and self._may_be_done(key)]:
                asked.update(keys)
                found = pool.map(lambda key: self._ask(self._share.nodes[key]), keys)
                fates.update(zip(keys, found, strict=True))
        self._block()

    def _may_be_done(self, key: str) -> bool:
        return self._memory.fates[key] is Fate.OPEN and self._needs_settled(key)

    def _ask(self, node: PlanNode) -> Fate:
        cache = self._tools.cache
        if cache is None:
            return Fate.OPEN
        registry = self._tools.registry()
        if registry.find_digest(cache, artifact_tag(node.input_digest)):
            return Fate.DONE
        claim = find_claim(registry, cache, node.input_digest)
        if claim and claim.state == "failed" and claim.wave >= self._options.wave:
            return Fate.FAILED
        return Fate.OPEN

    def _block(self) -> None:
        fates = self._memory.fates
        for key in self._share.own + self._share.others:
            bad = (fates.get(need) in (Fate.FAILED, Fate.BLOCKED) for need in self._share.nodes[key].needs)
            if fates[key] is Fate.OPEN and any(bad):
                fates[key] = Fate.BLOCKED

    def _needs_settled(self, key: str) -> bool:
        fates = self._memory.fates
        return all(fates.get(need, Fate.DONE) is not Fate.OPEN for need in self._share.nodes[key].needs)

    def _is_ready(self, key: str) -> bool:
        fates = self._memory.fates
        needs = self._share.nodes[key].needs
        return fates[key] is Fate.OPEN and all(fates.get(need, Fate.DONE) is Fate.DONE for need in needs)

    def _is_free(self, key: str, of_others: bool) -> bool:
        """Tell whether nobody else is at a package; others may take a while to begin their own share."""
        cache = self._tools.cache
        if not self._options.shares or cache is None:
            return True
        node = self._share.nodes[key]
        claim = find_claim(self._tools.registry(), cache, node.input_digest)
        quiet = self._watch.quiet_seconds(node.input_digest, claim)
        if claim is None or claim.worker == self._options.name or claim.state == "failed":
            since = self._memory.waited.setdefault(key, time.monotonic())
            patient = of_others and claim is None and self._options.wave == 1
            return not patient or time.monotonic() - since >= self._options.start_seconds
        return quiet >= self._options.patience

    def _overdue(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return which of others' packages stand in the way of the own share."""
        wanted: set[str] = set()
        todo = [key for key in self._share.own if self._memory.fates[key] is Fate.OPEN]
        while todo:
            for need in self._share.nodes[todo.pop()].needs:
                if need in self._memory.fates and need not in wanted:
                    wanted.add(need)
                    todo.append(need)
        return tuple(key for key in keys if key in wanted)

    def _own_is_waiting(self) -> bool:
        return any(self._memory.fates[key] is Fate.OPEN for key in self._share.own)

    def _is_waiting(self) -> bool:
        """Tell whether waiting makes sense: something of ours is open, or something of others unclaimed."""
        if not self._options.shares:
            return False
        return any(fate is Fate.OPEN for fate in self._memory.fates.values())

    def _seconds(self, key: str) -> float:
        return self._share.nodes[key].estimate * _TAIL_FACTOR

    def _is_late(self, seconds: float) -> bool:
        deadline = self._options.deadline
        return deadline is not None and time.monotonic() + seconds > deadline

    def _do(self, key: str) -> None:
        node = self._share.nodes[key]
        with self._claimed(node):
            status = self._build(node)
        if status in (Status.FAILED, Status.BLOCKED):
            self._memory.fates[key] = Fate.FAILED
            self._memory.failed.append(key)
            self._tell(node, "failed", 0)
        elif status is not Status.STOPPED:
            self._memory.fates[key] = Fate.DONE
            self._memory.built.append(key)

    @contextmanager
    def _claimed(self, node: PlanNode) -> Iterator[None]:
        ended = threading.Event()

        def beat() -> None:
            number = 0
            while not ended.wait(0 if not number else self._options.beat_seconds):
                number += 1
                self._tell(node, "running", number)

        thread = threading.Thread(target=beat, daemon=True)
        if self._options.shares and self._tools.cache is not None:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if thread.is_alive():
                thread.join()

    def _tell(self, node: PlanNode, state: str, beat: int) -> None:
        cache = self._tools.cache
        if not self._options.shares or cache is None:
            return
        claim = Claim(worker=self._options.name, wave=self._options.wave, state=state, beat=beat)
        try:
            write_claim(self._tools.registry(), cache, node.input_digest, claim)
        except BuildError:
            return  # a claim is a hint: without it work is repeated at worst
