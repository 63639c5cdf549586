"""Ids of problems the site room can tell; the reference of ids in the docs is made from this table."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Rule

_RULES = (
    Rule(
        "CG601",
        "a channel cannot be read",
        "a page built without it would show an empty channel as if nothing were published",
        "make the repository reachable and build again; `cosgen repo fsck` tells what is missing",
    ),
    Rule(
        "CG602",
        "the repository has no channel",
        "a site lists channels; there is nothing to show",
        "publish first: `cosgen publish --channel NAME DIR`",
    ),
    Rule(
        "CG603",
        "the output folder holds files that no site build made",
        "building there would mix foreign files into the site, or delete them",
        "choose another --output, or empty that folder yourself",
    ),
    Rule(
        "CG604",
        "mkdocs cannot build a page",
        "the site would lack a page that others link to",
        "mend the Markdown page that is named; `--docs` names the folder it was read from",
    ),
    Rule(
        "CG605",
        "the folder to serve does not exist",
        "there is nothing to look at",
        "build it first: `cosgen site build --output DIR`, or name another folder",
    ),
    Rule(
        "CG606",
        "the forge refuses the release",
        "the tag has no release, or one without all its files",
        "check the token's rights (GitHub: contents: write; GitLab: api) and run the command again: it "
        "goes on where it stopped",
    ),
    Rule(
        "CG607",
        "no forge is known for this repository",
        "the command cannot tell where to make the release",
        "run it in CI, or name the forge: --provider github|gitlab, --repo OWNER/NAME, and a token in the "
        "environment",
    ),
    Rule(
        "CG608",
        "the tag has no snapshot",
        "a release would point at a repository reference that does not exist",
        "publish the tag first: `cosgen publish --channel NAME` in the tag's pipeline",
    ),
    Rule(
        "CG613",
        "the snapshot of a tag is no longer kept",
        "a release would point at files that are gone",
        "keep tags: `keep: {tags: all}` of the channel; what is gone must be published again",
    ),
    Rule(
        "CG609",
        "a page of the project's own docs has the name of a generated page",
        "one of the two would silently disappear",
        "rename the page in the --docs folder",
    ),
    Rule(
        "CG610",
        "a page cannot be put beside the repository",
        "it lies in one of the repository's folders, or has characters that stores and proxies read "
        "differently",
        "rename the page in the --docs folder",
    ),
    Rule(
        "CG611",
        "another deployment of the site came between",
        "two sites sent at once would mix their pages",
        "run the command again; let only one job at a time deploy, as the emitted pipelines do",
    ),
    Rule(
        "CG612",
        "the list of deployed pages cannot be read",
        "without it nobody knows which pages are stale",
        "delete the object that is named and deploy again; pages no longer made stay until you delete them",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})
