"""The problems this room tells, one rule per id (CG651-CG699); the docs are made from them."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Rule
from cosgen.upgrade.audit import CONTENT_RULES, ENVIRONMENT_FIX, ENVIRONMENT_ID, ENVIRONMENT_WHY, PATH_RULES

_RULES = (
    Rule(
        "CG651",
        "Two packages disagree on what a path is",
        "One has a file where the other one has a directory; the image would lack a part of one of them.",
        "Let one of the packages own the path, or change the order of the packages.",
    ),
    Rule(
        "CG652",
        "A name that must not be in an image",
        "Absolute names, `..` and whiteouts reach outside of the layer or delete files.",
        "Build the package again with cosgen, which never writes such names.",
    ),
    Rule(
        "CG653",
        "Not one image a platform",
        "A multi-arch image has exactly one image for each platform.",
        "Choose one flavor with --flavor.",
    ),
    Rule(
        "CG654",
        "A tag of a version names another image",
        "Machines that pinned the tag would get a different system under the same name.",
        "Bump the version of the package; give each repository and system its own `registry.images`.",
    ),
    Rule(
        "CG655",
        "A tag was moved by somebody else",
        "Moving it again would undo what they did.",
        "Look at `cosgen repo log` and at the registry; put the tag back when what they did shall go.",
    ),
    Rule(
        "CG656",
        "No such image in the registry",
        "A tag can only point at an image that is there.",
        "Push it first: cosgen image push.",
    ),
    Rule(
        "CG657",
        "A tag does not point where it should",
        "Machines that follow it would upgrade to something else.",
        "Find out who else writes to the repository before you go on.",
    ),
    Rule(
        "CG658",
        "A channel does not have the system's package",
        "There is nothing to make its image of.",
        "Name the package as `upgrade.package` in cosgen.yaml, and publish it.",
    ),
    Rule(
        "CG659",
        "An archive of the repository is damaged",
        "Its bytes are not those that were published.",
        "Run `cosgen repo fsck --deep`, and publish the package again.",
    ),
    Rule(
        "CG670",
        "The channel's files have no folder",
        "What the system has in place of the folder would be hidden, or the files would land elsewhere.",
        "Let the system's package have a folder there, or set `upgrade.follow: none`.",
    ),
    Rule(
        "CG671",
        "The channel's files in an image are not those of its channel",
        "Machines that boot it would follow something else: settings changed since, or it is foreign.",
        "Push the channel's images again.",
    ),
    Rule(
        "CG672",
        "Something in the registry is not readable as what it should be",
        "Somebody else wrote it, or it is damaged; nothing can be built on it.",
        "Find out who else writes to the repository, and push the image again.",
    ),
    Rule(
        "CG673",
        "An image does not have the root filesystem of its channel's snapshot",
        "Machines would get a system that nobody published.",
        "Push the channel's images again, and find out who replaced them.",
    ),
    Rule(
        "CG674",
        "SBOM or provenance of an image is missing",
        "Who looks for them finds nothing, or something else than what was published with the package.",
        "Push the channel's images again.",
    ),
    Rule(
        "CG677",
        "A tag of luet's docker type holds something else",
        "That type has one place for a version, and machines do not check what they get from it.",
        "Bump the version, or replace what is there with --force.",
    ),
    Rule(
        "CG675",
        "The channel's files replace files of the system",
        "What the package says there has no effect in the channel's images.",
        "Leave them out of the package, or set `upgrade.follow: none` to keep them.",
    ),
)


def _leftover(id_: str, why: str, fix: str) -> Rule:
    return Rule(id_, f"In a container that is to ship: {why}", "It would be on every machine.", fix)


_LEFTOVERS = (
    *(_leftover(rule.id, rule.why, rule.fix) for rule in PATH_RULES),
    *(_leftover(rule.id, rule.why, rule.fix) for rule in CONTENT_RULES),
    _leftover(ENVIRONMENT_ID, ENVIRONMENT_WHY, ENVIRONMENT_FIX),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in (*_RULES, *_LEFTOVERS)})
