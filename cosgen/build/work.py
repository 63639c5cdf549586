"""Runs tasks that need each other: in parallel, the longest path first, a failure blocking its dependents."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cosgen.build.rules import problem
from cosgen.errors import CosgenError, Problem
from cosgen.graph.dag import make_dag
from cosgen.graph.schedule import time_nodes

_LIGHT = 8  # tasks at once that only wait for the network
_PATIENCE = 15.0  # seconds that stopped tasks get to end


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
    light: bool = False  # it only waits for the network, and does not count as a job


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What came of a task."""

    outcome: Outcome
    seconds: float = 0.0
    problems: tuple[Problem, ...] = ()


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
        jobs: How many run at once; up to eight light ones run beside them.
        deadline: `time.monotonic()` after which nothing is begun and what runs is stopped.
        keep_going: False: begin nothing more after the first failure.
        stop: Called once when running tasks must end: at the deadline, and on Ctrl-C.

    Raises:
        KeyboardInterrupt: As it came, after all running tasks ended.
    """
    crew = _Crew(tasks, jobs, keep_going=keep_going)
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(crew.size)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                if deadline is not None and time.monotonic() > deadline and not crew.stopping:
                    crew.halt()
                    stop()
    except BaseException:
        crew.halt()
        stop()
        for thread in threads:
            thread.join(_PATIENCE)
        raise
    return crew.results()


class _Crew:
    """Threads over one pile of tasks."""

    def __init__(self, tasks: Iterable[Task], jobs: int, *, keep_going: bool) -> None:
        self._tasks = {task.key: task for task in tasks}
        dag = make_dag(
            {key: task.needs for key, task in self._tasks.items()},
            {key: task.seconds for key, task in self._tasks.items()},
        )
        self._priority = time_nodes(dag).bottom
        self._dependents = dag.dependents()
        self._waiting = {key: set(needs) for key, needs in dag.needs.items()}
        self._ready = [key for key, needs in self._waiting.items() if not needs]
        self._free = {False: max(1, jobs), True: _LIGHT}  # places, by lightness
        self._keep_going = keep_going
        self._running = 0
        self._results: dict[str, TaskResult] = {}
        self._bug: BaseException | None = None
        self._changed = threading.Condition()
        light = sum(task.light for task in self._tasks.values())
        self.size = min(light, _LIGHT) + min(len(self._tasks) - light, max(1, jobs))
        self.stopping = False

    def work(self) -> None:
        """Take tasks until none is left."""
        while (task := self._take()) is not None:
            result = self._run(task)
            with self._changed:
                self._running -= 1
                self._free[task.light] += 1
                self._settle(task, result)
                self._changed.notify_all()

    def halt(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self.stopping = True
            self._changed.notify_all()

    def results(self) -> dict[str, TaskResult]:
        """Return what came of each task, in their order; raises what was a bug in one."""
        if self._bug is not None:
            raise self._bug
        return {key: self._results.get(key, TaskResult(Outcome.STOPPED)) for key in self._tasks}

    def _take(self) -> Task | None:
        """Return the ready task with the longest path below it, once there is a place for it."""
        with self._changed:
            while True:
                if self.stopping or not (self._ready or self._running):
                    self._changed.notify_all()
                    return None
                ready = [key for key in self._ready if self._free[self._tasks[key].light]]
                if ready:
                    break
                self._changed.wait()
            key = max(ready, key=lambda name: (self._priority[name], name))
            self._ready.remove(key)
            self._running += 1
            self._free[self._tasks[key].light] -= 1
            return self._tasks[key]

    def _run(self, task: Task) -> TaskResult:
        started = time.monotonic()
        problems: tuple[Problem, ...] = ()
        outcome = Outcome.DONE
        try:
            task.run()
        except CosgenError as error:
            outcome = Outcome.STOPPED if self.stopping else Outcome.FAILED
            problems = error.problems
        except OSError as error:
            outcome, problems = Outcome.FAILED, (_file_problem(task, error),)
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            outcome = Outcome.FAILED
            self._bug = self._bug or error
            self.halt()
        return TaskResult(outcome, time.monotonic() - started, problems)

    def _settle(self, task: Task, result: TaskResult) -> None:
        self._results[task.key] = result
        if result.outcome is Outcome.DONE:
            for name in self._dependents[task.key]:
                self._waiting[name].discard(task.key)
                if not self._waiting[name] and name not in self._results:
                    self._ready.append(name)
        elif not self.stopping:
            self._block(task)
            self.stopping = not self._keep_going

    def _block(self, culprit: Task) -> None:
        what = f"it needs {culprit.name or culprit.key}, which was not built"
        blocked = TaskResult(Outcome.BLOCKED, problems=(problem("CG452", what),))
        todo = list(self._dependents[culprit.key])
        while todo:
            name = todo.pop()
            if name not in self._results:
                self._results[name] = blocked
                todo.extend(self._dependents[name])


def _file_problem(task: Task, error: OSError) -> Problem:
    place = f" ({error.filename})" if error.filename else ""
    return problem("CG497", f"{task.name or task.key}: {error.strerror or error}{place}")
