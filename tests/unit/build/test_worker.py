"""Unit tests of cosgen.build.worker: shares, order, failures, time; without a registry."""

import time

import pytest

from cosgen.build.claim import Claim, Watch
from cosgen.build.registry import Registry
from cosgen.build.request import Status
from cosgen.build.tools import Tools
from cosgen.build.worker import WorkerOptions, divide, run_worker
from cosgen.graph.plan_model import Action, PlanNode


def node(name: str, *needs: str, estimate: float = 10) -> PlanNode:
    return PlanNode(
        key=name, fingerprint=name, human=f"c/{name}", version="1", variant="x86_64", flavor="", arch="x86_64",
        platform="linux/amd64", action=Action.BUILD, reason="", needs=needs, input_digest=f"sha256:{name}", estimate=estimate,
    )  # fmt: skip


NODES = (node("base"), node("left", "base"), node("right", "base"), node("top", "left", "right"))


def tools() -> Tools:
    return Tools(lambda: pytest.fail("no engine is needed"), {})


def test_shares_hold_every_package_once() -> None:
    shares = [divide(NODES, index=index, count=3) for index in range(3)]
    assert sorted(key for share in shares for key in share.own) == ["base", "left", "right", "top"]
    assert all(set(share.own) | set(share.others) == set(share.nodes) for share in shares)


def test_shares_of_components_need_nobody_else() -> None:
    nodes = (*NODES, node("alone"))
    shares = [divide(nodes, index=index, count=2, by_components=True) for index in range(2)]
    assert sorted(len(share.own) for share in shares) == [1, 4]
    assert all(share.others == () for share in shares)


def test_a_single_worker_finishes_everything_in_order() -> None:
    built: list[str] = []

    def build(item: PlanNode) -> Status:
        built.append(item.key)
        return Status.BUILT

    report = run_worker(
        divide(NODES, index=0, count=1), WorkerOptions(name="w", shares=False), tools(), build
    )
    assert built[0] == "base"
    assert built[-1] == "top"
    assert (report.left, report.failed) == ((), ())


def test_what_needs_a_failed_package_is_not_tried() -> None:
    tried: list[str] = []

    def build(item: PlanNode) -> Status:
        tried.append(item.key)
        return Status.FAILED if item.key == "left" else Status.BUILT

    report = run_worker(
        divide(NODES, index=0, count=1), WorkerOptions(name="w", shares=False), tools(), build
    )
    assert "top" not in tried
    assert report.failed == ("left",)


def test_nothing_is_begun_that_would_not_end_in_time() -> None:
    options = WorkerOptions(name="w", shares=False, deadline=time.monotonic() + 12)
    report = run_worker(divide(NODES, index=0, count=1), options, tools(), lambda _: Status.BUILT)
    assert (report.built, len(report.left)) == ((), 4)


def test_a_worker_number_past_the_count_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="worker 2 of 2"):
        divide(NODES, index=2, count=2)


def test_a_claim_is_alive_while_it_changes_whatever_the_clocks_say() -> None:
    now = [0.0]
    watch = Watch(clock=lambda: now[0])
    claim = Claim(worker="a", wave=1, state="running", beat=1)
    assert watch.quiet_seconds("d", claim) == 0
    now[0] = 50
    assert watch.quiet_seconds("d", claim) == 50
    assert watch.quiet_seconds("d", Claim(worker="a", wave=1, state="running", beat=2)) == 0


def test_what_others_finished_of_the_own_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = tools_with_cache(monkeypatch)
    share = divide(NODES, index=0, count=2)
    report = run_worker(share, WorkerOptions(name="w"), finished, lambda _: pytest.fail("all is built"))
    assert report.found == share.own
    assert (report.built, report.left) == ((), ())


def tools_with_cache(monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setattr(Registry, "find_digest", lambda *_: "sha256:0")
    return Tools(lambda: pytest.fail("no engine is needed"), {}, repository="127.0.0.1:9/cache")


def test_signs_of_life_come_more_often_than_patience_ends() -> None:
    options = WorkerOptions(name="w", patience=8)
    assert options.beat_seconds * 3 < options.patience
    assert options.start_seconds < options.patience
