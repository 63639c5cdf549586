"""Unit tests of cosgen.build.work: order, failure, deadline."""

import threading
import time
from collections.abc import Callable

import pytest

from cosgen.build.rules import problem
from cosgen.build.work import Outcome, Task, run_tasks
from cosgen.errors import BuildError


def task(
    key: str,
    *needs: str,
    run: Callable[[], None] = lambda: None,
    seconds: float = 1,
    light: bool = False,
) -> Task:
    return Task(key=key, needs=needs, run=run, seconds=seconds, light=light)


def fail() -> None:
    raise BuildError(problem("CG451", "it broke"))


def test_needs_run_before_what_needs_them() -> None:
    ran: list[str] = []
    tasks = [
        task("c", "b", run=lambda: ran.append("c")),
        task("b", "a", run=lambda: ran.append("b")),
        task("a", run=lambda: ran.append("a")),
    ]
    run_tasks(tasks, jobs=4)
    assert ran == ["a", "b", "c"]


def test_the_longest_path_goes_first() -> None:
    ran: list[str] = []
    tasks = [
        task("short", run=lambda: ran.append("short")),
        task("long", run=lambda: ran.append("long")),
        task("end", "long", seconds=99),
    ]
    run_tasks(tasks, jobs=1)
    assert ran == ["long", "short"]


def test_a_failure_blocks_only_what_needs_it() -> None:
    results = run_tasks(
        [task("bad", run=fail), task("child", "bad"), task("grandchild", "child"), task("other")], jobs=2
    )
    assert {key: str(item.outcome) for key, item in results.items()} == {
        "bad": "failed",
        "child": "blocked",
        "grandchild": "blocked",
        "other": "done",
    }
    assert "bad" in results["grandchild"].problems[0].what


def test_failing_fast_begins_nothing_more() -> None:
    results = run_tasks([task("bad", run=fail, seconds=9), task("other")], jobs=1, keep_going=False)
    assert results["other"].outcome is Outcome.STOPPED


def test_tasks_run_at_once_but_no_more_than_asked() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def run() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1

    run_tasks([task(str(number), run=run) for number in range(9)], jobs=3)
    assert most[0] == 3


def test_what_only_waits_for_the_network_takes_no_place_of_a_job() -> None:
    together = threading.Barrier(3, timeout=5)

    def run() -> None:
        together.wait()

    tasks = [task("job", run=run), task("light", run=run, light=True), task("other", run=run, light=True)]
    results = run_tasks(tasks, jobs=1)
    assert {str(item.outcome) for item in results.values()} == {"done"}


def test_a_long_chain_is_blocked_whole() -> None:
    tasks = [task("0", run=fail), *(task(str(number), str(number - 1)) for number in range(1, 3000))]
    outcomes = [str(item.outcome) for item in run_tasks(tasks, jobs=2).values()]
    assert outcomes == ["failed", *["blocked"] * 2999]


def test_a_file_that_cannot_be_written_fails_its_task_alone() -> None:
    def write() -> None:
        raise OSError(28, "No space left on device", "/out/a")

    results = run_tasks([task("full", run=write), task("other")], jobs=1)
    assert results["other"].outcome is Outcome.DONE
    assert results["full"].problems[0].id == "CG497"
    assert "No space left on device (/out/a)" in results["full"].problems[0].what


def test_the_deadline_stops_what_runs_and_begins_nothing() -> None:
    stopped = threading.Event()

    def slow() -> None:
        if not stopped.wait(5):
            raise AssertionError("not stopped")
        raise BuildError(problem("CG492", "stopped"))

    results = run_tasks(
        [task("slow", run=slow), task("next", "slow")],
        jobs=1,
        deadline=time.monotonic() + 0.1,
        stop=stopped.set,
    )
    assert {str(item.outcome) for item in results.values()} == {"stopped"}


def test_a_bug_in_a_task_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        run_tasks([task("bug", run=lambda: print(1 / 0))], jobs=1)
