"""Unit tests of reading plans: what is missing or foreign is one clear error."""

from pathlib import Path

import click.testing
import pytest

from cosgen.cli.main import cosgen
from cosgen.cli.plan_file import read_plan
from cosgen.errors import BuildError, ManifestError
from cosgen.graph.plan import Plan, plan_to_json
from cosgen.pipeline.results import Outcome, State

NESTED = "[" * 200_000


def test_a_plan_comes_back(tmp_path: Path) -> None:
    plan = Plan(project="t", nodes=())
    (tmp_path / "plan.json").write_text(plan_to_json(plan))
    assert read_plan(tmp_path / "plan.json") == plan


def test_a_plan_that_is_not_there_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"there is no .*plan\.json") as caught:
        read_plan(tmp_path / "plan.json")
    assert "artifact" in caught.value.problems[0].fix


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 99}', '"', '{"schema": 1, "nodes": 3}', "\xff", NESTED], ids=len
)
def test_what_is_no_plan_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match="CG420"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize("words", [["outputs"], ["left", "--results", "r"], ["child", "--output", "c"]])
def test_calls_of_jobs_tell_it_without_a_traceback(tmp_path: Path, words: list[str]) -> None:
    done = click.testing.CliRunner().invoke(cosgen, ["ci", *words, "--plan", str(tmp_path / "plan.json")])
    assert isinstance(done.exception, ManifestError)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 99}', '{"schema": 1, "states": 3}', "\xff", NESTED], ids=len
)
def test_what_is_no_outcome_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "outcome.json").write_text(text, encoding="latin-1")
    done = click.testing.CliRunner().invoke(
        cosgen, ["ci", "gate", "--outcome", str(tmp_path / "outcome.json")]
    )
    assert isinstance(done.exception, BuildError)
    assert [problem.id for problem in done.exception.problems] == ["CG124"]


def test_the_gate_is_open_exactly_when_the_outcome_is_green(tmp_path: Path) -> None:
    def gate(*red: str) -> click.testing.Result:
        outcome = Outcome(states={"v:a/b@1": State.MISSING}, reasons={}, red=red)
        (tmp_path / "outcome.json").write_text(outcome.to_json())
        words = ["ci", "gate", "--outcome", str(tmp_path / "outcome.json")]
        return click.testing.CliRunner().invoke(cosgen, words)

    assert gate().exit_code == 0
    assert "v:a/b@1 is missing: no record" in str(gate("v:a/b@1").exception)
