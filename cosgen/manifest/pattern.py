"""Patterns: what RE2, which luet uses, accepts."""

import re2


def pattern_fault(pattern: str) -> str | None:
    """Say why a pattern is no RE2 expression, or None."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else "not RE2 syntax"
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return None
