"""Unit tests for cosgen.manifest.version and selector."""

import pytest

from cosgen.manifest.selector import fault, is_selector, matches
from cosgen.manifest.version import Compat, compare_versions, is_version, sort_key

ORDER = [
    "1",
    "<",
    "1.0~rc1",
    "<",
    "1.0",
    "=",
    "1.00",
    "=",
    "01.0",
    "=",
    "v1.0",
    "<",
    "1.0-1",
    "=",
    "1.0_1",
    "<",
    "1.0-2",
    "<",
    "1.0_p1",
    "<",
    "1.0-r1",
    "<",
    "1.0-rc1",
    "<",
    "1.0a",
    "<",
    "1.0rc1",
    "<",
    "1.0+1",
    "<",
    "1.0+2",
    "<",
    "1.0+r2",
    "<",
    "1.0.0",
    "<",
    "1.0.1",
    "<",
    "1.0.a",
    "<",
    "1.18b7-1",
    "<",
    "1.18.1-1",
    "<",
    "1:0.5",
]


@pytest.mark.parametrize(("first", "second"), [("0~rc1", "0"), ("1.0-0~b", "1.0-0"), ("1.0-0~b", "1.0")])
def test_a_tilde_comes_before_the_end_after_zeros_too(first: str, second: str) -> None:
    assert [compare_versions(first, second), compare_versions(second, first)] == [-1, 1]


@pytest.mark.parametrize("index", range(0, len(ORDER) - 2, 2))
def test_versions_are_ordered_as_luet_orders_them(index: int) -> None:
    first, sign, second = ORDER[index : index + 3]
    assert compare_versions(first, second) == {"<": -1, "=": 0}[sign]
    assert compare_versions(second, first) == -{"<": -1, "=": 0}[sign]


def test_versions_that_differ_by_an_implied_zero_are_equal_and_do_not_hang() -> None:
    assert compare_versions("1.0-alpha", "1.0-alpha0") == 0


def test_texts_that_are_no_version_come_first_and_keep_their_order() -> None:
    assert sorted(["1.0", "rpi-2", "abc"], key=sort_key) == ["rpi-2", "abc", "1.0"]
    assert not is_version("rpi-6.6.y-1")


def test_huge_numbers_in_versions_are_compared() -> None:
    assert compare_versions("1" + "0" * 9000, "9" * 9000) == 1


@pytest.mark.parametrize(
    ("version", "selector", "expected"),
    [
        ("1.0", ">=0", True),
        ("1.0", ">= 1.0", True),
        ("1.0-1", ">1.0", True),
        ("1.0", ">1.0", False),
        ("1.0", "<=1.0", True),
        ("0.9", "<1.0", True),
        ("1.0", "=1.00", True),
        ("1.0", "==1.0", True),
        ("2.0", "!=1.0", True),
        ("1.0", "!=1.0", False),
        ("1.0", "1.00", False),
        ("1.0", "1.0", True),
        ("1.0", "!1.0", False),
        ("1.0", "~1.0", False),
        ("1.0", "*", False),
        ("1.5", ">=1,<2", False),
        ("rpi-1", ">=0", False),
        ("rpi-1", "=rpi-1", True),
        ("rpi-1", "!=rpi-2", True),
        ("", ">=5", True),
    ],
)
def test_selectors_of_the_newest_generation(version: str, selector: str, expected: bool) -> None:
    assert matches(version, selector) is expected


@pytest.mark.parametrize(
    ("version", "selector", "expected"),
    [
        ("1.0", ">=0", True),
        ("1.0-1", ">1.0", False),
        ("1.0", ">=1.0, <10.0", True),
        ("10.0", ">1.0,<10.0", False),
        ("1.0.0", "=1", True),
        ("1.0+5", "=1.0", True),
        ("1.4", "~1.0", False),
        ("1.4", ">1 || <0.1", True),
    ],
)
def test_selectors_of_generation_036(version: str, selector: str, expected: bool) -> None:
    compat: Compat = "0.36"
    assert matches(version, selector, compat) is expected


def test_what_is_a_selector_and_what_is_wrong_with_it() -> None:
    assert is_selector(">=0")
    assert not is_selector("!1.0")
    assert fault(">=1.0") is None
    assert fault("1.0") is None
    assert fault("") == "there is no version"
    assert fault(">=1,<2") == "ranges are not supported"
    assert fault("~1.0") is not None
    assert fault(">=rpi") == "'rpi' is not a version"
    assert fault("1>2") == "the comparison must come first"
