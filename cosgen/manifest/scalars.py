"""Scalars of YAML 1.1 as luet's loader understands them: which plain words are booleans, numbers or text.

Source: gopkg.in/yaml.v2 (resolve.go, decode.go) and github.com/ghodss/yaml, whose behaviour luet inherits.
"""

import base64
import binascii
import math
import re
import struct

Scalar = None | bool | int | float | str

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DOTTED_FLOAT = re.compile(r"\.[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_INTEGER = re.compile(r"(?P<sign>[-+]?)(?P<body>0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?\Z")
_MOST_DIGITS = 4300  # what Python converts without a limit; longer words stay text
_PREFIX = "tag:yaml.org,2002:"


class ScalarError(ValueError):
    """A scalar does not fit its explicit tag."""


def plain_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    >>> plain_scalar("y"), plain_scalar("1e3"), plain_scalar("1:30"), plain_scalar("0x10")
    (True, 1000.0, '1:30', 16)
    """
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _to_float(text) if _DOTTED_FLOAT.match(text) else text
    if first in "+-0123456789":
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    if _DATE.match(text) or len(text) > _MOST_DIGITS:
        return text
    plain = text.replace("_", "")
    if match := _INTEGER.match(plain):
        value = _integer(match["body"], negative=match["sign"] == "-")
        if -(2**63) <= value < 2**64 and not (match["sign"] and value >= 2**63):
            return value
    return _to_float(plain) if _FLOAT.match(plain) else text


def _integer(body: str, *, negative: bool) -> int:
    is_octal = len(body) > 1 and body[0] == "0" and body[1].isdigit()
    value = int(body, 8 if is_octal else 0)
    return -value if negative else value


def _to_float(text: str) -> Scalar:
    value = float(text)
    return text if math.isinf(value) else value


def tagged_scalar(tag: str, text: str) -> Scalar:
    """Return the value of a scalar that carries an explicit tag such as `!!str`.

    Raises:
        ScalarError: The text is not what the tag says.
    """
    kind = tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else ""
    if kind == "binary":
        try:
            return base64.b64decode(text, validate=False).decode("utf-8", "replace")
        except binascii.Error as error:
            raise ScalarError(f"!!binary value contains invalid base64 data: {error}") from None
    if kind not in {"bool", "int", "float", "null", "timestamp"}:
        return text
    value = plain_scalar(text)
    if kind == "timestamp":
        if not _DATE.match(text):
            raise ScalarError(f"cannot read {text!r} as a !!timestamp")
        return text
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = {"bool": bool, "int": int, "float": float, "null": type(None)}[kind]
    if type(value) is not wanted:
        raise ScalarError(f"cannot read {text!r} as a !!{kind}")
    return value


def scalar_to_text(value: Scalar) -> str:
    """Return a scalar as text where a build spec wants a string (numbers lose their spelling).

    >>> [scalar_to_text(value) for value in (1.0, 1000.0, True, None, 16)]
    ['1', '1000', 'true', '', '16']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float32_text(value)
    return str(value)


def float32_text(value: float) -> str:
    """Return a number as Go's `FormatFloat(value, 'g', -1, 32)`: the shortest single-precision spelling."""
    if math.isnan(value):
        return "NaN"
    try:
        single = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return "+Inf" if single > 0 else "-Inf"
    for precision in range(1, 10):
        digits = f"{single:.{precision - 1}e}"
        if struct.unpack("<f", struct.pack("<f", float(digits)))[0] == single:
            return _shortest_form(digits)
    return _shortest_form(f"{single:.8e}")


def _shortest_form(scientific: str) -> str:
    """Turn `d.ddde±x` into Go's 'g' form: plain from 1e-4 up to 1e6, else with an exponent."""
    mantissa, _, power = scientific.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "").rstrip("0") or "0"
    exponent = int(power)
    if digits == "0":
        return f"{sign}0"
    if exponent < -4 or exponent >= 6:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"
