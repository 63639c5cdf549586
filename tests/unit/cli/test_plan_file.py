"""Unit tests of reading plans: what is missing or foreign is one clear error."""

from pathlib import Path

import click.testing
import pytest

from cosgen.cli.main import cosgen
from cosgen.cli.plan_file import read_plan
from cosgen.errors import ManifestError
from cosgen.graph.plan import Plan, plan_to_json


def test_a_plan_comes_back(tmp_path: Path) -> None:
    plan = Plan(project="t", nodes=())
    (tmp_path / "plan.json").write_text(plan_to_json(plan))
    assert read_plan(tmp_path / "plan.json") == plan


def test_a_plan_that_is_not_there_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"there is no .*plan\.json") as caught:
        read_plan(tmp_path / "plan.json")
    assert "artifact" in caught.value.problems[0].fix


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}', '"', '{"schema": 1, "nodes": 3}'])
def test_what_is_no_plan_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ManifestError, match="CG420"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize("words", [["outputs"], ["left", "--results", "r"], ["child", "--output", "c"]])
def test_calls_of_jobs_tell_it_without_a_traceback(tmp_path: Path, words: list[str]) -> None:
    done = click.testing.CliRunner().invoke(cosgen, ["ci", *words, "--plan", str(tmp_path / "plan.json")])
    assert isinstance(done.exception, ManifestError)
