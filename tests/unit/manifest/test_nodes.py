"""Unit tests for cosgen.manifest.nodes and decoder."""

from cosgen.errors import Origin, Problem, Severity
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.nodes import compose, map_pairs


def fields(text: str, problems: list[Problem] | None = None) -> dict[str, object]:
    found: list[Problem] = [] if problems is None else problems
    node = compose(text, "f.yaml", found)
    assert node is not None
    decoder = Decoder("f.yaml", found)
    return {key: decoder.text(value, key) for key, value in decoder.fields(node, "f").items()}


def problem_of(text: str) -> Problem:
    problems: list[Problem] = []
    assert compose(text, "f.yaml", problems) is None
    (problem,) = problems
    return problem


def test_a_syntax_error_has_its_place() -> None:
    assert problem_of("a: [\n").origin == Origin("f.yaml", 2, 1)


def test_only_the_first_document_is_read() -> None:
    assert fields("a: x\n---\nb: [broken") == {"a": "x"}


def test_names_match_in_any_case_and_the_last_in_byte_order_counts() -> None:
    assert fields("Name: x\nNAME: y\nname: z\n") == {"name": "z"}


def test_a_merge_overwrites_what_stands_before_it() -> None:
    problems: list[Problem] = []
    node = compose(
        "- &b {a: merged, c: d}\n- a: own\n  <<: *b\n- {<<: *b, a: own}\n- {!!merge <<: [*b, {a: no, e: f}]}\n",
        "f",
        problems,
    )
    assert node is not None
    decoder = Decoder("f", problems)
    items = [decoder.text_map(item, "x") for item in decoder.entries(node, "list")]
    assert items[1:] == [
        {"a": "merged", "c": "d"},
        {"a": "own", "c": "d"},
        {"a": "merged", "c": "d", "e": "f"},
    ]
    assert problems == []


def test_keys_are_told_apart_as_json_spells_them() -> None:
    text = "1: one\n1.5: more\ntrue: first\ny: last\n'1.0': text\n"
    assert fields(text) == {"1": "one", "1.5": "more", "true": "last", "1.0": "text"}


def test_numbers_where_text_is_wanted_are_refused_with_place_and_remedy() -> None:
    problems: list[Problem] = []
    fields("a: x\nversion: 1.10\n", problems)
    (problem,) = problems
    assert problem.origin == Origin("f.yaml", 2, 10)
    assert '"1.10"' in problem.what


def test_a_key_written_twice_is_a_warning() -> None:
    problems: list[Problem] = []
    assert fields("a: x\na: z\n", problems) == {"a": "z"}
    assert [(problem.id, problem.severity) for problem in problems] == [("CG079", Severity.WARNING)]


def test_an_anchor_may_be_set_again() -> None:
    assert fields("a: &x one\nb: &x two\nc: *x\n")["c"] == "two"


def test_deep_nesting_is_refused_before_it_hurts() -> None:
    for text in ("[" * 60_000, "- " * 60_000, "{a: " * 60_000, "? " * 60_000):
        assert "levels deep" in problem_of(text).what


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "aliases expand" in problem_of("\n".join(lines)).what


def test_an_anchor_in_itself_is_refused() -> None:
    assert "contains itself" in problem_of("a: &a [*a]\n").what


def test_control_characters_and_wrong_aliases_are_problems() -> None:
    assert problem_of("a: \x01").id == "CG002"
    assert problem_of("a: *nothing").id == "CG002"


def test_keys_of_settings_are_as_written() -> None:
    node = compose("on: x\nyes: y\n1: z\n", "f", [])
    assert node is not None
    assert list(map_pairs(node)) == ["on", "yes", "1"]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert fields("\ufeffa: x\n") == {"a": "x"}
