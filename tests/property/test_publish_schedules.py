"""The real code under chance: many actors, one store, faults of every kind; and each guard taken away."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cosgen.errors import CosgenError
from cosgen.repository import commit as commit_module
from cosgen.repository import gc, pool, publish_plan, views
from cosgen.repository import publish as publish_module
from cosgen.storage.port import ALWAYS
from tests.property import publish_world
from tests.property.publish_world import Schedule

SEEDS = int(os.environ.get("COSGEN_SEEDS", "1000"))
PARTS = 4
ENOUGH = 500  # seeds in which every kind of event is sure to happen
MUTANT_SEEDS = 500  # the guard on deleted keys needs more: see test_publish_faults.py

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("part", range(PARTS))
def test_invariants_hold_under_random_schedules_and_faults(part: int) -> None:
    stats: Counter[str] = Counter()
    for seed in range(part, SEEDS, PARTS):
        try:
            stats += Schedule(seed).run().stats
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert stats["publish"] > SEEDS / 2
    if SEEDS < ENOUGH:
        return
    assert min(stats[what] for what in ("promote", "rollback", "gc", "deleted", "read", "crashed")) > 0


def _log_without_condition(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commit_module, "CREATE", ALWAYS)


def _commit_before_upload(patch: pytest.MonkeyPatch) -> None:
    real: Any = commit_module.append
    waiting: list[Callable[[], object]] = []

    def upload_later(session: Any, plan: Any, options: Any, *, verify_all: bool) -> int:
        upload = _real_upload
        waiting.append(lambda: upload(session, plan, options, verify_all=verify_all))
        return 0

    def append(session: Any, commit: Any) -> bool:
        done: bool = real(session, commit)
        waiting.pop()()
        return done

    _real_upload = publish_module._upload
    patch.setattr(publish_module, "_upload", upload_later)
    patch.setattr(publish_module, "append", append)


def _condemned_keys_used_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pool, "free_key", lambda key, taken: key)


def _no_look_at_commits_between(patch: pytest.MonkeyPatch) -> None:
    old: Any = publish_plan.plan_publish
    plans: dict[str, Any] = {}

    def plan_once(session: Any, tail: Any, request: Any) -> Any:
        key = session.new_txn()
        if key not in plans:
            plans[key] = old(session, tail, request)
        return plans[key]

    patch.setattr(publish_module, "plan_publish", plan_once)


def _deleted_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gc, "MIN_GRACE", 0)
    patch.setattr(publish_world, "COLLECTION", replace(publish_world.RETENTION, grace=0, min_age=0))


def _views_without_condition(patch: pytest.MonkeyPatch) -> None:
    real: Any = views.apply_view
    patch.setattr(
        views, "apply_view", lambda session, view, etag, *, weak: real(session, view, etag, weak=True)
    )


def _views_not_rolled_forward(patch: pytest.MonkeyPatch) -> None:
    real: Any = views.make_views

    def only_the_newest(session: Any, commit: Any, after: int, loaded: Any) -> Any:
        return real(session, commit, max(after, commit.seq - 1), loaded)

    patch.setattr(views, "make_views", only_the_newest)


MUTANTS: dict[str, Patch] = {
    "the log is written without a condition": _log_without_condition,
    "the commit comes before the upload": _commit_before_upload,
    "condemned keys are used again": _condemned_keys_used_again,
    "commits of others are not looked at": _no_look_at_commits_between,
    "garbage is deleted at once": _deleted_at_once,
    "views are written without a condition": _views_without_condition,
    "views of others are not rolled forward": _views_not_rolled_forward,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_taking_a_guard_away_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    for seed in range(MUTANT_SEEDS):
        try:
            Schedule(seed).run()
        except (AssertionError, CosgenError, KeyError):
            return
    pytest.fail(f"no seed below {MUTANT_SEEDS} shows that {name}")
