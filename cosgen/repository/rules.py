"""The problems that storing and publishing tell (CG501-CG549); `RULES` has all of the room, for the docs."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Problem, Rule
from cosgen.repository import rules_foundation, rules_luet

_DAMAGE = "Clients would fail on it, or install something else than was built."
_RULES = (
    Rule(
        "CG501",
        "A stored object ends too early",
        _DAMAGE,
        "Run `cosgen repo fsck --deep`, then publish it again.",
    ),
    Rule("CG502", "Somebody else wrote first", "Nothing was overwritten.", "Run the command again."),
    Rule("CG503", "Bytes are not those of their digest", _DAMAGE, "Build or fetch the file again."),
    Rule(
        "CG504",
        "The folder refuses",
        "The disk is full, read-only, or not ours.",
        "Mend it, and run the command again.",
    ),
    Rule(
        "CG505",
        "A web server cannot be written",
        "It is only for reading.",
        "Give the bucket or folder behind it.",
    ),
    Rule(
        "CG506",
        "The store does not answer",
        "Nothing is known of the last request.",
        "Run the command again later.",
    ),
    Rule("CG507", "The store refuses", "Bucket or rights are missing.", "Compare with `cosgen repo policy`."),
    Rule(
        "CG508",
        "The store is not configured",
        "Credentials or region are missing.",
        "Set them as for other AWS tools.",
    ),
    Rule(
        "CG509",
        "The store keeps no conditions",
        "Two publishers would destroy each other's work.",
        "Use another store, or --single-writer.",
    ),
    Rule(
        "CG510",
        "Not the address of a store",
        "Nothing can be opened.",
        "Write s3://bucket/prefix or a folder.",
    ),
    Rule("CG511", "Stored data cannot be read", _DAMAGE, "Run `cosgen repo fsck`; use a newer cosgen."),
    Rule(
        "CG512",
        "A stored object is damaged",
        _DAMAGE,
        "Run `cosgen repo fsck --deep`, then publish it again.",
    ),
    Rule(
        "CG513", "The log does not follow itself", "Somebody rewrote history.", "Restore _log/ from a mirror."
    ),
    Rule(
        "CG514", "A commit is missing or damaged", "History cannot be proved.", "Restore _log/ from a mirror."
    ),
    Rule(
        "CG515", "A commit is not signed", "Anybody could have written it.", "Do not use it; ask the owner."
    ),
    Rule(
        "CG516",
        "It is open whether a commit was written",
        "The store kept silent.",
        "Run the command again: it finds out.",
    ),
    Rule(
        "CG517",
        "A view is behind",
        "Clients see the channel as it was before.",
        "Run any command that writes.",
    ),
    Rule("CG518", "Other bytes lie under a content name", _DAMAGE, "Remove the object, then publish again."),
    Rule("CG519", "The store forgot what it confirmed", "It cannot keep a repository.", "Use another store."),
    Rule(
        "CG520",
        "Two packages share an image tag",
        "One would hide the other in a registry.",
        "Change a version.",
    ),
    Rule(
        "CG521",
        "A requirement cannot be met",
        "Clients could not install the package.",
        "Publish what it requires with it.",
    ),
    Rule(
        "CG522",
        "The channel was moved meanwhile",
        "Your move may no longer be right.",
        "Look, and run it again.",
    ),
    Rule("CG523", "Others committed faster", "The log moved at each try.", "Run the command again."),
    Rule("CG524", "There is no such channel", "It was never published to.", "Choose one that is there."),
    Rule("CG525", "No snapshot of that commit", "Its pipeline has not published.", "Wait for it."),
    Rule(
        "CG526",
        "The channel never was there",
        "Retention may have forgotten it.",
        "See `cosgen channel show`.",
    ),
    Rule("CG527", "Nothing to go back to", "It is the channel's first snapshot.", "Promote another one."),
    Rule("CG528", "The pin is taken", "Pins do not move.", "Choose another name."),
    Rule("CG529", "No such package in the channel", "Nothing to yank.", "See `cosgen repo ls`."),
    Rule("CG530", "There is no such folder", "Nothing to publish.", "Give the output folder of a build."),
    Rule("CG531", "A package was built twice", "Which of them is meant is not known.", "Remove one."),
    Rule(
        "CG532",
        "A package is for another platform",
        "It would install and not run.",
        "Build it again with the right --arch.",
    ),
    Rule("CG533", "There is no such variant", "The snapshot does not have it.", "Choose one that is there."),
    Rule("CG534", "There is no repository", "Nothing was published there.", "Check the address."),
    Rule(
        "CG535",
        "The grace is too short",
        "Clients could lose what they are reading.",
        "Wait three days or more.",
    ),
    Rule("CG536", "A named object is gone or changed", _DAMAGE, "Publish it again, or roll back."),
    Rule(
        "CG537", "A living object is condemned", "Collection would delete it.", "Do not collect; report it."
    ),
    Rule(
        "CG538", "A view does not show the log", "Clients see an older state.", "Run any command that writes."
    ),
    Rule(
        "CG539",
        "No place for the repository",
        "Nowhere to publish to.",
        "Set `repository.storage` in cosgen.yaml, or give --storage.",
    ),
    Rule(
        "CG540",
        "The cache registry lacks an artifact of the plan",
        "What is published must be complete.",
        "Build it with --push, or run the failed jobs of the pipeline again.",
    ),
    Rule(
        "CG541", "The clocks differ", "Signatures expire and garbage is collected by them.", "Set the clock."
    ),
    Rule(
        "CG543",
        "An artifact of the cache registry is not trusted",
        "Whoever may write to the cache could otherwise publish.",
        "Delete its tag in the cache registry and let the channel's pipeline build it again.",
    ),
    Rule("CG542", "Not a bucket", "Policies are for buckets.", "Give --bucket, or an s3:// storage."),
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.id: rule for rule in (*_RULES, *rules_luet.RULES.values(), *rules_foundation.RULES.values())}
)


def problem(rule_id: str, what: str) -> Problem:
    """Return a problem whose remedy is its rule's."""
    return Problem(what=what, fix=RULES[rule_id].fix, id=rule_id)
