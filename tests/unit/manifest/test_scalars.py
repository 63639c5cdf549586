"""Unit tests for cosgen.manifest.scalars: the expected values are what Go's yaml.v2 gives."""

import math

import pytest

from cosgen.manifest.scalars import ScalarError, plain_scalar, scalar_to_text, tagged_scalar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((word, True) for word in ("y", "Y", "yes", "On", "TRUE")),
        *((word, False) for word in ("n", "no", "Off", "false")),
        *((word, None) for word in ("", "~", "null", "NULL")),
        ("yEs", "yEs"),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0644", 420),
        ("08", 8.0),
        ("0o17", 15),
        ("0x10", 16),
        ("-0b11", -3),
        ("1_000", 1000),
        ("+5", 5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.10", 1.1),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 1.8446744073709552e19),
        ("1.0-1", "1.0-1"),
        ("12e45678", "12e45678"),
        ("+", "+"),
        (".", "."),
        ("<<", "<<"),
    ],
)
def test_plain_words_mean_what_they_mean_in_go(text: str, expected: object) -> None:
    value = plain_scalar(text)
    assert value == expected
    assert type(value) is type(expected)


def test_infinities_and_nan() -> None:
    assert plain_scalar(".inf") == math.inf
    assert plain_scalar("-.Inf") == -math.inf
    assert math.isnan(plain_scalar(".NaN"))  # type: ignore[arg-type]  # it is a float


def test_endless_digits_stay_text() -> None:
    assert plain_scalar("1" * 10_000) == "1" * 10_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1"),
        (1000.0, "1000"),
        (1e6, "1e+06"),
        (1234567.5, "1.2345675e+06"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (0.0001, "0.0001"),
        (3.14159265358979, "3.1415927"),
        (1e40, "+Inf"),
        (-0.0, "-0"),
        (0, "0"),
        (12345678, "12345678"),
        (True, "true"),
        (None, ""),
        ("x", "x"),
    ],
)
def test_scalars_in_build_specs_are_spelled_as_in_go(value: object, expected: str) -> None:
    assert scalar_to_text(value) == expected  # type: ignore[arg-type]  # parametrized


def test_tags() -> None:
    assert tagged_scalar("tag:yaml.org,2002:str", "5") == "5"
    assert tagged_scalar("tag:yaml.org,2002:float", "5") == 5.0
    assert tagged_scalar("tag:yaml.org,2002:binary", "aGk=") == "hi"
    assert tagged_scalar("!own", "5") == "5"
    for tag, text in (("int", "x"), ("bool", "1"), ("timestamp", "x"), ("binary", "a")):
        with pytest.raises(ScalarError):
            tagged_scalar(f"tag:yaml.org,2002:{tag}", text)
