"""What cosgen asks of GitHub and GitLab, through their libraries, against a forge on loopback."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.cli.ci import command as ci
from cosgen.errors import MissingToolError
from cosgen.manifest.config import RunnerConfig
from cosgen.pipeline.address import Address, address_of, find_address
from cosgen.pipeline.forge import Forge, open_forge
from cosgen.pipeline.needs import Need, forge_needs, trust_policy
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
def test_files_that_are_no_longer_emitted_are_removed(provider: str, state: State) -> None:
    forge = open_forge(provider, _environment(provider, state.url))
    state.branches["main"] = state.commit({"README.md": "hello", "old.yml": "x"}, [], "second")
    files = {"new.yml": "y", "old.yml": None, "never-there.yml": None}

    def propose() -> str:
        return forge.propose(branch=BOT, base="main", title="t", body="b", files=files).state

    assert propose() == "opened"
    assert state.files(BOT) == {"README.md": "hello", "new.yml": "y"}
    assert propose() == "same"


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
    assert set(state.environments) == {need.name for need in environments}
    unguarded = {need.name for need in environments if not made[need]}
    assert unguarded == ({"stable"} if provider == "github" else set()), "nobody approves stable yet"
    assert not any(made[need] for need in needs if need.kind in ("secret", "variable"))
    assert state.pages == (provider == "github")
    assert state.merges_green_only == (provider == "gitlab")
    for schedule in state.schedules:
        assert schedule["cron"]
        assert len(schedule["variables"]) == 1
    wrote = len(state.writes)
    open_forge(provider, _environment(provider, state.url)).examine(needs, apply=True)
    assert len(state.writes) == wrote, "what is there is not made again"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_a_token_it_says_what_to_set(provider: str) -> None:
    with pytest.raises(MissingToolError, match="TOKEN"):
        open_forge(provider, {})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_people_set_up_is_seen(provider: str, state: State) -> None:
    runner = RunnerConfig(labels=("self-hosted", "big"), tags=("self-hosted", "big"), self_hosted=True)
    needs = forge_needs(config(runners={"x86_64": runner}), (X86,), provider, version="1")
    wanted = [need for need in needs if need.kind in ("runner", "check", "environment")]
    assert {need.kind for need in wanted} == {"runner", "check", "environment"}
    state.environments = [need.name for need in wanted if need.kind == "environment"]
    state.reviewed = {need.name for need in wanted if need.approval}
    state.runners = [["self-hosted", "big", "fast"]]
    state.required_checks = ["gate"]
    state.merges_green_only = True
    found = open_forge(provider, _environment(provider, state.url)).examine(wanted, apply=False)
    assert all(found[need] for need in wanted), found
    assert not state.writes


def test_a_secret_of_an_environment_is_looked_for_there(state: State) -> None:
    forge = open_forge("github", _environment("github", state.url))
    need = Need("secret", "KEY", "why", "stable")
    state.secrets = ["KEY"]
    state.environments = ["stable"]
    assert not forge.examine([need], apply=False)[need], "a secret of the repository is open to every job"
    state.environment_secrets = {"stable": ["KEY"]}
    assert forge.examine([need], apply=False)[need]


def test_the_project_is_known_by_gits_remotes() -> None:
    remotes = ["/srv/git/os.git", "git@gitlab.acme.example:group/sub/os.git", "https://github.com/acme/os"]
    assert find_address("github", {}, remotes) == Address("github.com", "acme/os")
    assert find_address("gitlab", {}, remotes) == Address("gitlab.acme.example", "group/sub/os")
    own = {"CI_SERVER_URL": "https://git.acme.example:8443/lab"}
    assert find_address("gitlab", own, remotes) is None, "no remote is on that server"
    assert find_address("gitlab", {**own, "CI_PROJECT_PATH": "a/b"}) == Address(
        "git.acme.example:8443/lab", "a/b"
    )
    assert address_of("ssh://git@github.com:22/acme/os.git") == Address("github.com", "acme/os")
    for odd in ("", "os", "file:///srv/os", "../os.git", "C:\\os"):
        assert address_of(odd) is None


@pytest.fixture
def project(tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project whose GitLab, told by a remote and a variable, is the stand-in."""
    (tmp_path / "cosgen.yaml").write_text(
        "version: 1\nname: acme\narches: [x86_64]\n"
        "repository: {storage: 's3://acme/repo', url: https://repo.acme.example}\n"
        "channels: {testing: {on: {branch: main}}}\nci: {providers: [gitlab]}\n"
    )
    (tmp_path / "packages").mkdir()
    address = f"{state.url}/{REPOSITORY}.git"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", address], check=True)
    for name in ("GITHUB_REPOSITORY", "CI_PROJECT_PATH", "GITHUB_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CI_SERVER_URL", state.url)
    return tmp_path


def _ci(*arguments: str) -> str:
    result = CliRunner().invoke(ci, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_doctor_knows_the_project_and_makes_what_can_be_made(
    project: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _ci("doctor", "--project", str(project))
    assert "needed  environment testing" in told
    assert f"project_path:{REPOSITORY}:ref_type:branch:ref:main" in told
    assert f"oidc-provider/{state.url.removeprefix('http://')}" in told
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    assert "missing environment testing" in _ci("doctor", "--project", str(project))
    assert "ok      environment testing" in _ci("doctor", "--apply", "--project", str(project))
    assert "testing" in state.environments
    assert {"COSGEN_TASK=nightly", "COSGEN_TASK=weekly"} <= {made["description"] for made in state.schedules}
    assert "missing variable COSGEN_AWS_ROLE" in _ci("doctor", "--project", str(project)), (
        "nobody else knows it"
    )


def test_a_request_removes_what_is_no_longer_emitted(
    project: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    _ci("--project", str(project), "--no-cache")
    old = ".gitlab/cosgen/cosgen-old.yml"
    testing = (project / ".gitlab/cosgen/cosgen-testing.yml").read_text()
    (project / old).write_text(testing)
    own = ".gitlab/cosgen/own.yml"
    (project / own).write_text("made: by a person\n")
    state.branches["main"] = state.commit({old: testing, own: "made: by a person\n"}, [], "second")
    assert "/mr/1" in _ci("--open-pr", "--project", str(project))
    files = state.files(BOT)
    assert old not in files
    assert own in files
    assert files[".gitlab/cosgen/cosgen-testing.yml"] == testing


def test_a_token_and_a_remote_are_enough(state: State) -> None:
    environment = _environment("gitlab", state.url)
    del environment["CI_PROJECT_PATH"]
    host = state.url.removeprefix("http://")
    forge = open_forge("gitlab", environment, [f"http://{host}/{REPOSITORY}.git"])
    assert _propose(forge, "one") == "opened"


def test_the_trust_policy_takes_both_forms_of_the_subject() -> None:
    policy = trust_policy(config(), "github", Address("github.com", REPOSITORY))
    assert '"repo:owner/project:environment:' in policy
    assert '"repo:owner@*/project@*:environment:' in policy
    assert '"repo:owner/project:*' not in policy


def test_the_trust_policy_names_the_server_that_tokens_come_from() -> None:
    own = trust_policy(config(), "gitlab", Address("git.acme.example:8443/lab", "group/sub/os"))
    assert '"project_path:group/sub/os:ref_type:branch:ref:main"' in own
    assert '"project_path:group/sub/os:ref_type:tag:ref:v*"' in own
    assert "oidc-provider/git.acme.example:8443/lab" in own
    assert '"git.acme.example:8443/lab:sub"' in own
    assert "oidc-provider/gitlab.com" in trust_policy(config(), "gitlab")
    server = trust_policy(config(), "github", Address("git.acme.example", "acme/os"))
    assert "oidc-provider/git.acme.example/_services/token" in server
    assert "OWNER/REPOSITORY" in trust_policy(config(), "github")
