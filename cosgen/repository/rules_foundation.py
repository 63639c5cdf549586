"""The problems that foundations tell, one rule per id (CG685-CG699)."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Problem, Rule

_RULES = (
    Rule(
        "CG685",
        "A foundation is not locked",
        "What is built on it would change whenever it is published.",
        "Run `cosgen lock` and commit cosgen.lock.",
    ),
    Rule(
        "CG686",
        "A foundation cannot be read",
        "Nothing that is built on it can be looked up. Nothing was changed.",
        "Correct its `url`, or wait until it answers; what was read before is kept and needs no network.",
    ),
    Rule(
        "CG687",
        "A foundation went back in time",
        "Its log is shorter or other than the lock saw it: restored from an old copy, or tampered with.",
        "Ask its owners; if all is well, remove its entry from cosgen.lock and run `cosgen lock`.",
    ),
    Rule(
        "CG688",
        "A foundation is not to be trusted now",
        "Its signatures have expired or are not those of the root that is pinned.",
        "Ask its owners (`cosgen key refresh` renews what expired). Builds go on with what is locked.",
    ),
    Rule(
        "CG689",
        "A foundation has no such channel",
        "There is nothing to follow.",
        "Set `reference` of the foundation to CHANNEL-repository.yaml of one of its channels.",
    ),
    Rule(
        "CG690",
        "A foundation has nothing for a variant",
        "Its packages are built for others.",
        "Set `flavor` of the foundation to one it has, or leave the variant out.",
    ),
    Rule(
        "CG691",
        "What is locked of a foundation is not there",
        "It was removed or changed after it was locked, or the lock was tampered with.",
        "Run `cosgen lock --update NAME` for what the foundation has now.",
    ),
    Rule(
        "CG692",
        "Clients cannot read a foundation",
        "They would miss packages that ours require.",
        "Set `publish: true` for the foundation, or let its owners set `repository.url` and publish.",
    ),
)  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})


def problem(rule_id: str, what: str, *, fix: str = "") -> Problem:
    """Return a problem whose remedy is its rule's, unless another is given."""
    return Problem(what=what, fix=fix or RULES[rule_id].fix, id=rule_id)
