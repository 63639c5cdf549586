"""What cosgen asks of GitHub and GitLab, through their libraries, against a forge on loopback."""

from collections.abc import Iterator

import pytest

from cosgen.errors import MissingToolError
from cosgen.pipeline.forge import Forge, open_forge
from cosgen.pipeline.needs import forge_needs, trust_policy
from tests.fakes.forge_server import REPOSITORY, TOKEN, State, run_forge
from tests.fakes.pipelines import X86, config

PROVIDERS = ("github", "gitlab")
BOT = "cosgen/pipelines"


@pytest.fixture
def state() -> Iterator[State]:
    with run_forge() as state:
        yield state


def _environment(provider: str, url: str) -> dict[str, str]:
    if provider == "github":
        return {"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_API_URL": url}
    return {"GITLAB_TOKEN": TOKEN, "CI_PROJECT_PATH": REPOSITORY, "CI_SERVER_URL": url}


def _propose(forge: Forge, text: str, title: str = "Renew the pipelines") -> str:
    files = {".ci/a.yml": text, ".ci/b.yml": "same"}
    return forge.propose(branch=BOT, base="main", title=title, body="why", files=files).state


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_request_is_opened_once_and_then_renewed(provider: str, state: State) -> None:
    forge = open_forge(provider, _environment(provider, state.url))
    main = state.branches["main"]
    assert _propose(forge, "one") == "opened"
    assert _propose(forge, "two", "Renew again") == "renewed"
    assert len(state.requests) == 1
    assert state.requests[0]["title"] == "Renew again"
    assert set(state.branches) == {"main", BOT}
    assert state.branches["main"] == main
    assert state.files(BOT) == {"README.md": "hello", ".ci/a.yml": "two", ".ci/b.yml": "same"}
    assert state.commits[state.branches[BOT]]["parents"] == [main], "one commit on top of the base"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_files_again_write_nothing_of_consequence(provider: str, state: State) -> None:
    forge = open_forge(provider, _environment(provider, state.url))
    _propose(forge, "one")
    before, commit = len(state.writes), state.branches[BOT]
    assert _propose(forge, "one") == "same"
    assert state.branches[BOT] == commit
    assert [write for write in state.writes[before:] if not write.endswith("/git/trees")] == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_missing_is_told_and_what_can_be_made_is_made(provider: str, state: State) -> None:
    needs = forge_needs(config(), (X86,), provider, version="1")
    forge = open_forge(provider, _environment(provider, state.url))
    environments = {need for need in needs if need.kind == "environment"}
    assert environments
    found = forge.examine(needs, apply=False)
    assert not any(found.values())
    assert not state.writes
    made = forge.examine(needs, apply=True)
    assert all(made[need] for need in environments)
    assert set(state.environments) == {need.name for need in environments}
    assert not any(made[need] for need in needs if need.kind in ("secret", "variable"))
    for schedule in state.schedules:
        assert schedule["cron"]
        assert len(schedule["variables"]) == 1
    wrote = len(state.writes)
    forge.examine(needs, apply=True)
    assert len(state.writes) == wrote, "what is there is not made again"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_a_token_it_says_what_to_set(provider: str) -> None:
    with pytest.raises(MissingToolError, match="TOKEN"):
        open_forge(provider, {})


def test_the_trust_policy_takes_both_forms_of_the_subject() -> None:
    policy = trust_policy(config(), "github", REPOSITORY)
    assert '"repo:owner/project:environment:' in policy
    assert '"repo:owner@*/project@*:environment:' in policy
    assert '"repo:owner/project:*' not in policy
    assert "project_path:owner/project:ref_type:branch:ref:main" in trust_policy(
        config(), "gitlab", REPOSITORY
    )
