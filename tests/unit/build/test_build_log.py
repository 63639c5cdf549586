"""Unit tests of cosgen.build.build_log: the one line that says why a build failed."""

import pytest

from cosgen.build.build_log import find_reason

BUILDKIT = """#6 [3/4] RUN echo
#6 0.100 an earlier step
#7 [4/4] RUN dd if=/dev/zero of=/large
#7 sha256:6bea8c
#7 2.408 dd: error writing '/large': No space left on device
#7 2.409 1+0 records out
#7 ERROR: executor failed running [dd]: exit code: 1
------
 > [4/4] RUN dd if=/dev/zero of=/large:
------
executor failed running [dd]: exit code: 1
"""
CLASSIC = """Step 8/13 : RUN make
 ---> Running in 708d61e29fb4
\x1b[91mmake: no rule
\x1b[0m
Removing intermediate container 708d61e29fb4
The command '/bin/sh -c make' returned a non-zero code: 1
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            BUILDKIT,
            "dd: error writing '/large': No space left on device; executor failed running [dd]: exit code: 1",
        ),
        ("#5 ERROR: /x not found: not found\n", "/x not found: not found"),
        (
            "#1 DONE\nfailed to solve with frontend: parse error\n",
            "failed to solve with frontend: parse error",
        ),
        (CLASSIC, "make: no rule; The command '/bin/sh -c make' returned a non-zero code: 1"),
        ("Step 1/2 : FROM x\npull access denied\n", "pull access denied"),
        ("", "no output"),
        ("\x1b[31m\n\n", "no output"),
    ],
)
def test_the_reason_is_what_the_failed_step_said_last(text: str, reason: str) -> None:
    assert find_reason(text) == reason


def test_a_reason_stays_short() -> None:
    assert len(find_reason("x" * 10_000)) == 300
