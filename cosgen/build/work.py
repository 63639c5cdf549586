"""Runs tasks that need each other: in parallel, the longest path first, a failure blocking its dependents."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cosgen.build.rules import problem
from cosgen.errors import CosgenError, Problem


class Outcome(StrEnum):
    """How a task ended."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"  # something it needs failed
    STOPPED = "stopped"  # never begun, or broken off: time was up, or somebody stopped it


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work."""

    key: str
    needs: tuple[str, ...]  # keys of tasks that must be done before
    run: Callable[[], None]
    seconds: float = 1.0  # estimate
    name: str = ""  # for people


@dataclass(slots=True)
class TaskResult:
    """What came of a task."""

    outcome: Outcome
    seconds: float = 0.0
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _State:
    waiting: dict[str, set[str]]  # task -> needs not done yet
    dependents: dict[str, list[str]]
    priority: Mapping[str, float]
    ready: list[str] = field(default_factory=list)
    running: int = 0
    results: dict[str, TaskResult] = field(default_factory=dict)
    stopping: bool = False
    bug: BaseException | None = None


def bottom_levels(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Return for each task the seconds from its start to the end of the longest path that begins with it."""
    dependents = _dependents(tasks)
    levels: dict[str, float] = {}
    for key in reversed(_in_order(tasks)):
        below = max((levels[name] for name in dependents[key]), default=0.0)
        levels[key] = tasks[key].seconds + below
    return levels


def run_tasks(
    tasks: Iterable[Task],
    *,
    jobs: int,
    deadline: float | None = None,
    keep_going: bool = True,
    stop: Callable[[], None] = lambda: None,
) -> dict[str, TaskResult]:
    """Run all tasks and return what came of each.

    Args:
        tasks: The work; needs that are not among the keys count as done. Acyclic.
        jobs: How many run at once.
        deadline: `time.monotonic()` after which nothing is begun and what runs is stopped.
        keep_going: False: begin nothing more after the first failure.
        stop: Called once when running tasks must end: at the deadline, and on Ctrl-C.

    Raises:
        KeyboardInterrupt: As it came, after all running tasks ended.
    """
    by_key = {task.key: task for task in tasks}
    state = _State(
        waiting={key: {need for need in task.needs if need in by_key} for key, task in by_key.items()},
        dependents=_dependents(by_key),
        priority=bottom_levels(by_key),
    )
    state.ready = [key for key, needs in state.waiting.items() if not needs]
    changed = threading.Condition()
    threads = [
        threading.Thread(target=_work, args=(by_key, state, changed, keep_going), daemon=True)
        for _ in range(max(1, min(jobs, len(by_key))))
    ]
    for thread in threads:
        thread.start()
    try:
        _wait(threads, state, changed, deadline, stop)
    except BaseException:
        _stop(state, changed, stop)
        for thread in threads:
            thread.join(15)
        raise
    if state.bug is not None:
        raise state.bug
    for key in by_key:
        state.results.setdefault(key, TaskResult(Outcome.STOPPED))
    return {key: state.results[key] for key in by_key}


def _wait(
    threads: list[threading.Thread],
    state: _State,
    changed: threading.Condition,
    deadline: float | None,
    stop: Callable[[], None],
) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
            if deadline is not None and time.monotonic() > deadline and not state.stopping:
                _stop(state, changed, stop)


def _stop(state: _State, changed: threading.Condition, stop: Callable[[], None]) -> None:
    with changed:
        state.stopping = True
        state.ready.clear()
        changed.notify_all()
    stop()


def _work(tasks: Mapping[str, Task], state: _State, changed: threading.Condition, keep_going: bool) -> None:
    while True:
        with changed:
            while not state.ready and state.running and not state.stopping:
                changed.wait()
            if not state.ready:
                changed.notify_all()
                return
            key = max(state.ready, key=lambda name: (state.priority[name], name))
            state.ready.remove(key)
            state.running += 1
        result = _run(tasks[key], state)
        with changed:
            state.running -= 1
            _settle(key, result, tasks, state, keep_going)
            changed.notify_all()


def _run(task: Task, state: _State) -> TaskResult:
    started = time.monotonic()
    try:
        task.run()
    except CosgenError as error:
        outcome = Outcome.STOPPED if state.stopping else Outcome.FAILED
        return TaskResult(outcome, time.monotonic() - started, error.problems)
    except OSError as error:
        return TaskResult(Outcome.FAILED, time.monotonic() - started, (_file_problem(task, error),))
    except BaseException as error:  # noqa: BLE001 - raised in the calling thread
        state.bug = state.bug or error
        state.stopping = True
        return TaskResult(Outcome.FAILED, time.monotonic() - started)
    return TaskResult(Outcome.DONE, time.monotonic() - started)


def _file_problem(task: Task, error: OSError) -> Problem:
    place = f" ({error.filename})" if error.filename else ""
    return problem("CG497", f"{task.name or task.key}: {error.strerror or error}{place}")


def _settle(key: str, result: TaskResult, tasks: Mapping[str, Task], state: _State, keep_going: bool) -> None:
    state.results[key] = result
    if state.stopping:
        state.ready.clear()
        return
    if result.outcome is Outcome.DONE:
        for name in state.dependents[key]:
            state.waiting[name].discard(key)
            if not state.waiting[name] and name not in state.results:
                state.ready.append(name)
        return
    _block(key, tasks[key].name or key, state)
    if not keep_going:
        state.stopping = True
        state.ready.clear()


def _block(key: str, culprit: str, state: _State) -> None:
    for name in state.dependents[key]:
        if name not in state.results:
            what = f"it needs {culprit}, which was not built"
            state.results[name] = TaskResult(Outcome.BLOCKED, problems=(problem("CG452", what),))
            _block(name, culprit, state)


def _dependents(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {key: [] for key in tasks}
    for key, task in tasks.items():
        for need in task.needs:
            if need in found:
                found[need].append(key)
    return found


def _in_order(tasks: Mapping[str, Task]) -> list[str]:
    order: list[str] = []
    state: dict[str, bool] = {}
    for first in tasks:
        stack = [(first, iter(tasks[first].needs))]
        if first in state:
            continue
        state[first] = False
        while stack:
            key, needs = stack[-1]
            need = next((item for item in needs if item in tasks and item not in state), None)
            if need is None:
                stack.pop()
                state[key] = True
                order.append(key)
            else:
                state[need] = False
                stack.append((need, iter(tasks[need].needs)))
    return order
