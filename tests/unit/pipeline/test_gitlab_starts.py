"""On GitLab every start has the jobs of one pipeline, with all they need: else GitLab refuses it."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from cosgen.manifest.config import ProjectConfig, PullRequestConfig
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.scene import Provider
from tests.fakes.pipelines import ARM, X86, config, nodes, whole_config

BRANCH = {"CI_COMMIT_BRANCH": "main"}
STARTS: Mapping[str, tuple[Mapping[str, str], str]] = {  # what starts it -> its variables, the pipeline
    "a push to main": ({"CI_PIPELINE_SOURCE": "push", **BRANCH}, "testing"),
    "a push to another branch": ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "topic"}, ""),
    "a tag": ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.0"}, "stable"),
    "another tag": ({"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "x1.0"}, ""),
    "a merge request": ({"CI_PIPELINE_SOURCE": "merge_request_event"}, "request"),
    "the night": ({"CI_PIPELINE_SOURCE": "schedule", "COSGEN_TASK": "nightly", **BRANCH}, "maintenance"),
    "the week": ({"CI_PIPELINE_SOURCE": "schedule", "COSGEN_TASK": "weekly", **BRANCH}, "maintenance"),
    "nothing asked for": ({"CI_PIPELINE_SOURCE": "schedule", **BRANCH}, ""),
    "a hand for testing": ({"CI_PIPELINE_SOURCE": "web", "COSGEN_CHANNEL": "testing", **BRANCH}, "testing"),
    "a hand for stable": ({"CI_PIPELINE_SOURCE": "web", "COSGEN_CHANNEL": "stable", **BRANCH}, "stable"),
    "a hand for the week": ({"CI_PIPELINE_SOURCE": "web", "COSGEN_TASK": "weekly"}, "maintenance"),
    "a hand for testing on a tag": (
        {"CI_PIPELINE_SOURCE": "web", "COSGEN_CHANNEL": "testing", "CI_COMMIT_TAG": "v1.0"},
        "testing",
    ),
}


def holds(expression: str, variables: Mapping[str, str]) -> bool:
    """Say whether an `if` of GitLab's rules holds; it knows the operators that are emitted."""

    def value(name: str) -> str:
        return repr(variables.get(name, ""))

    text = re.sub(
        r"\$(\w+) =~ /((?:[^/\\]|\\.)*)/", lambda m: f"bool(re.search({m[2]!r}, {value(m[1])}))", expression
    )
    text = re.sub(r"\$(\w+)", lambda m: value(m[1]), text).replace("&&", " and ").replace("||", " or ")
    return bool(eval(text, {"re": re}))


@functools.cache
def _documents(shape: str) -> tuple[dict[str, Any], dict[str, Any]]:
    packages = tuple(node for variant in (ARM, X86) for node in nodes(variant=variant))
    return _read(whole_config(), packages, shape)


def _read(settings: ProjectConfig, packages: Any, shape: str) -> tuple[dict[str, Any], dict[str, Any]]:
    made = emit_nodes(settings, (ARM, X86), packages, Provider.GITLAB, version="1", shape=shape)
    texts = {file.path: yaml.safe_load(file.text) for file in made}
    root = texts.pop(".gitlab-ci.yml")
    jobs: dict[str, Any] = {}
    for document in texts.values():
        jobs |= document
    return root, jobs


def _rules(jobs: Mapping[str, Any], name: str) -> list[Mapping[str, str]]:
    job = jobs[name]
    return job["rules"] if "rules" in job else _rules(jobs, job["extends"])


def _present(jobs: Mapping[str, Any], variables: Mapping[str, str]) -> set[str]:
    return {
        name
        for name in jobs
        if name[0] != "." and any(holds(rule["if"], variables) for rule in _rules(jobs, name))
    }


def _begins(root: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    return any("if" in rule and holds(rule["if"], variables) for rule in root["workflow"]["rules"])


@pytest.mark.parametrize("shape", ["static", "chunks", "workers", "child"])
@pytest.mark.parametrize("start", STARTS)
def test_a_start_has_one_pipeline_with_all_its_jobs_need(start: str, shape: str) -> None:
    root, jobs = _documents(shape)
    variables, wanted = STARTS[start]
    present = _present(jobs, variables)
    assert {name.partition(":")[0] for name in present} == ({wanted} if wanted else set())
    assert _begins(root, variables) == bool(wanted)
    for name in present:
        needs = {need if isinstance(need, str) else need["job"] for need in jobs[name].get("needs", ())}
        assert needs <= present, f"{name} needs what is not there"


def test_a_release_is_made_of_tags_alone_and_tasks_keep_to_themselves() -> None:
    _, jobs = _documents("child")
    assert "stable:release" in _present(jobs, STARTS["a tag"][0])
    assert "stable:release" not in _present(jobs, STARTS["a hand for stable"][0])
    assert _present(jobs, STARTS["the week"][0]) == {"maintenance:lock"}
    assert _present(jobs, STARTS["the night"][0]) == {"maintenance:gc", "maintenance:site"}


def test_labels_and_trains_decide_about_merge_requests() -> None:
    asked = PullRequestConfig(labels=("build", "size/XL+"), merge_queue=True)
    _, jobs = _read(config(pull_requests=asked), nodes(), "child")
    request = {"CI_PIPELINE_SOURCE": "merge_request_event"}
    for labels, runs in (("build", True), ("a,size/XL+", True), ("a", False), ("", False), ("build2", False)):
        assert bool(_present(jobs, {**request, "CI_MERGE_REQUEST_LABELS": labels})) == runs, labels
    train = {**request, "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"}
    assert _present(jobs, train), "what waits to be merged is built whatever its labels"
    _, jobs = _read(config(pull_requests=PullRequestConfig(merge_queue=False)), nodes(), "child")
    assert not _present(jobs, train)
    assert _present(jobs, request)


def test_people_choose_what_to_start() -> None:
    root, _ = _documents("child")
    assert root["variables"]["COSGEN_CHANNEL"]["options"] == ["", "testing", "stable"]
    assert root["variables"]["COSGEN_TASK"]["options"] == ["", "nightly", "weekly"]
