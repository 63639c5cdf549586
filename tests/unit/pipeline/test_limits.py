"""Each limit of the providers: what is just within passes, what is just beyond is found by its rule."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cosgen.manifest.config import BudgetConfig
from cosgen.pipeline import limits
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.limits import check_limits, deep_size
from cosgen.pipeline.parsed import parse
from cosgen.pipeline.rules import RULES
from cosgen.pipeline.scene import Provider
from cosgen.pipeline.yaml_text import print_yaml
from tests.fakes.pipelines import config

Document = dict[str, Any]
STEP = {"run": "true"}
FREE = BudgetConfig(gitlab_tier="free")
ROOMY = BudgetConfig(gitlab_tier="self-managed")


def _workflow(jobs: Mapping[str, object], **top: object) -> Document:
    return {"on": {"push": {}}, **top, "jobs": dict(jobs)}


def _job(**keys: object) -> Document:
    return {"runs-on": "ubuntu-24.04", "timeout-minutes": 5, "steps": [STEP], **keys}


def _padded(size: int) -> Document:
    empty = _workflow({"a": _job(name="")})
    return _workflow({"a": _job(name="x" * (size - len(print_yaml(empty)) + len('""')))})


def _needing(count: int) -> Document:
    before = {f"j{at}": {"script": ["true"]} for at in range(count)}
    return {**before, "last": {"script": ["true"], "needs": list(before)}}


def _weighing(size: int) -> Document:
    """Make a GitLab document of `size` bytes of memory, of jobs that are each far from the limit of a job."""
    document: Document = {f"j{at}": {"script": ["x" * 9_000]} for at in range(200)}
    document["rest"] = {"script": ["x" * 1_000]}
    document["rest"] = {"script": ["x" * (1_000 + size - deep_size(document))]}
    return document


# rule, provider, budget, the document for a size, the largest size that is fine
CASES: list[tuple[str, Provider, BudgetConfig, Callable[[int], Document], int]] = [
    ("CG201", Provider.GITHUB, FREE, _padded, 470_000),
    (
        "CG202",
        Provider.GITHUB,
        FREE,
        lambda size: _workflow({"a": _job(steps=[{"run": "${{ x }}".ljust(size, "y")}])}),
        21_000,
    ),
    (
        "CG203",
        Provider.GITHUB,
        FREE,
        lambda size: _workflow({"a": _job(strategy={"matrix": {"worker": [str(at) for at in range(size)]}})}),
        250,
    ),
    (
        "CG203",
        Provider.GITHUB,
        FREE,
        lambda size: _workflow(
            {"a": _job(strategy={"max-parallel": size, "matrix": {"worker": "${{ x }}"}})}
        ),
        250,
    ),
    (
        "CG204",
        Provider.GITHUB,
        FREE,
        lambda size: _workflow({f"j{at}": _job() for at in range(size)}),
        1_000,
    ),
    ("CG205", Provider.GITHUB, FREE, lambda size: _workflow({"j" * size: _job()}), 100),
    (
        "CG207",
        Provider.GITHUB,
        FREE,
        lambda size: {
            "on": {"workflow_dispatch": {"inputs": {f"i{at}": {} for at in range(size)}}},
            "jobs": {"a": _job()},
        },
        10,
    ),
    ("CG209", Provider.GITHUB, FREE, lambda size: _workflow({"a": _job(**{"timeout-minutes": size})}), 360),
    ("CG221", Provider.GITLAB, ROOMY, _needing, 50),
    ("CG222", Provider.GITLAB, FREE, lambda size: {f"j{at}": {"script": ["x"]} for at in range(size)}, 450),
    (
        "CG222",
        Provider.GITLAB,
        BudgetConfig(gitlab_tier="premium"),
        lambda size: {f"j{at}": {"script": ["x"]} for at in range(size)},
        1_400,
    ),
    (
        "CG222",
        Provider.GITLAB,
        BudgetConfig(gitlab_tier="ultimate"),
        lambda size: {f"j{at}": {"script": ["x"]} for at in range(size)},
        1_900,
    ),
    (
        "CG222",
        Provider.GITLAB,
        BudgetConfig(gitlab_tier="ultimate", jobs_per_pipeline=70),
        lambda size: {f"j{at}": {"script": ["x"]} for at in range(size)},
        70,
    ),
    ("CG223", Provider.GITLAB, ROOMY, lambda size: {"j": {"script": ["x"], "parallel": size}}, 200),
    (
        "CG223",
        Provider.GITLAB,
        ROOMY,
        lambda size: {
            "j": {
                "script": ["x"],
                "parallel": {"matrix": [{"A": [str(at) for at in range(size // 2)], "B": ["1", "2"]}]},
            }
        },
        200,
    ),
    ("CG224", Provider.GITLAB, ROOMY, _weighing, 1_900_000),
    ("CG225", Provider.GITLAB, ROOMY, lambda size: {"j" * size: {"script": ["x"]}}, 128),
    (
        "CG226",
        Provider.GITLAB,
        ROOMY,
        lambda size: {"include": [{"local": f"{at}.yml"} for at in range(size)], "j": {"script": ["x"]}},
        150,
    ),
    (
        "CG229",
        Provider.GITLAB,
        ROOMY,
        lambda size: {"j": {"script": ["x" * (size - 168 - 4 * 40 - 1 + 40)]}},
        10**6,
    ),
]


def _found(document: Document, provider: Provider, budget: BudgetConfig) -> set[str]:
    file = GeneratedFile("x.yml", print_yaml(document))
    return {problem.id for problem in check_limits([file], provider, config(budget=budget))}


@pytest.mark.parametrize(
    ("rule", "provider", "budget", "make", "most"), CASES, ids=[f"{row[0]}-{row[4]}" for row in CASES]
)
def test_the_most_that_fits_passes_and_one_more_is_found(
    rule: str, provider: Provider, budget: BudgetConfig, make: Callable[[int], Document], most: int
) -> None:
    assert _found(make(most), provider, budget) == set()
    assert _found(make(most + (2 if rule == "CG223" else 1)), provider, budget) == {rule}
    assert rule in RULES


def test_a_child_of_more_bytes_than_an_artifact_may_have_is_found() -> None:
    file = GeneratedFile("child.yml", "j: {script: [x]}\n" + "# comment\n" * 400_000)
    found = {problem.id for problem in check_limits([file], Provider.GITLAB, config(budget=ROOMY))}
    assert found == {"CG227"}


ODD: list[tuple[str, Provider, Document]] = [
    ("CG205", Provider.GITHUB, _workflow({"a.b": _job()})),
    ("CG205", Provider.GITHUB, _workflow({"1a": _job()})),
    ("CG206", Provider.GITHUB, _workflow({"a": _job(needs=["b"])})),
    ("CG206", Provider.GITHUB, _workflow({"a": _job(), "b": _job(needs=["a", "a"])})),
    ("CG206", Provider.GITHUB, _workflow({"a": _job(needs=["b"]), "b": _job(needs=["a"])})),
    ("CG206", Provider.GITLAB, {"a": {"script": ["x"], "needs": [{"job": "b"}]}}),
    ("CG206", Provider.GITLAB, {"a": {"needs": ["b"]}, "b": {"needs": ["a"]}}),
    ("CG208", Provider.GITHUB, _workflow({})),
    ("CG208", Provider.GITHUB, _workflow({"a": _job(steps=[])})),
    (
        "CG210",
        Provider.GITHUB,
        _workflow({"a": _job(steps=[{"uses": "actions/upload-artifact@v", "with": {"name": "n"}}] * 2)}),
    ),
]


@pytest.mark.parametrize(("rule", "provider", "document"), ODD)
def test_what_a_provider_refuses_is_found(rule: str, provider: Provider, document: Document) -> None:
    assert rule in _found(document, provider, ROOMY)


def test_every_limit_has_a_test() -> None:
    tested = {row[0] for row in CASES} | {row[0] for row in ODD} | {"CG227"}
    assert tested == {rule for rule in RULES if rule.startswith("CG2")}


# Of Ruby 3.1.7 on 64 bits: the sum of ObjectSpace.memsize_of over all parts of what YAML.load returned.
MEASURED: list[tuple[str, int]] = [
    ("{}", 40),
    ("a: {}", 248),
    ("{" + ", ".join(f"k{at}: x" for at in range(9)) + "}", 1_648),
    ("{" + ", ".join(f"k{at}: x" for at in range(33)) + "}", 4_400),
    ("{" + ", ".join(f"k{at}: x" for at in range(129)) + "}", 17_584),
    ("[a, b, c]", 160),
    ("[" + ", ".join(f"k{at}" for at in range(4)) + "]", 360),
    ("[" + ", ".join(f"k{at}" for at in range(50)) + "]", 2_488),
    ("[" + ", ".join(f"k{at}" for at in range(200)) + "]", 10_360),
    ("a: " + "x" * 23, 248),
    ("a: " + "x" * 24, 273),
]


@pytest.mark.parametrize(("text", "bytes_"), MEASURED, ids=[str(row[1]) for row in MEASURED])
def test_small_values_weigh_what_ruby_measures(text: str, bytes_: int) -> None:
    document = parse(text) if text[0] != "[" else parse(f"a: {text}")["a"]
    assert deep_size(document) == bytes_


def _extending(jobs: int) -> Document:
    line = 'cosgen build --packages "$PACKAGES" --pull --push'
    document: Document = {".b": {"stage": "build", "script": [line]}}
    for at in range(jobs):
        needs = [f"p{at - 1}"] if at else []
        document[f"p{at}"] = {"extends": ".b", "needs": needs, "variables": {"PACKAGES": f"system/p{at}"}}
    return document


@pytest.mark.parametrize(("jobs", "bytes_"), [(500, 362_850), (2_000, 1_449_858)])
def test_jobs_that_extend_weigh_what_ruby_measures(jobs: int, bytes_: int) -> None:
    assert deep_size(_extending(jobs)) == bytes_
    assert 0.6 < bytes_ / jobs / 1000 < 0.8, "KB a job"


def test_the_limits_are_below_those_of_the_providers() -> None:
    assert limits.MAX_BYTES < 512_000
    assert limits.MAX_MATRIX < 256
    assert limits.GITLAB_MEMORY < 2 * 1024 * 1024
    assert limits.GITLAB_JOB_MEMORY < 1024 * 1024
    assert limits.GITLAB_CHILD < 5 * 1024 * 1024
    assert all(
        limits.GITLAB_JOBS[tier] < most
        for tier, most in {"free": 500, "premium": 1_500, "ultimate": 2_000}.items()
    )
