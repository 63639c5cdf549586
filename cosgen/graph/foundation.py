"""Packages of foundations in the graph: finished, with an image that ours start from as from a seed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cosgen.errors import Problem
from cosgen.graph.model import Fingerprint, Node
from cosgen.graph.rules import problem
from cosgen.manifest.tree import FoundationPart, Package


def finished_node(package: Package, part: FoundationPart, runtime: tuple[Fingerprint, ...]) -> Node:
    """Return the node of a package that a foundation built: nothing is needed to have it."""
    return Node(
        package=package,
        requires=(),
        final=(),
        copies=(),
        runtime=runtime,
        needs=(),
        chain=(),
        images=(),
        spec_hash="",
        package_hash="",
        builder_tag="",
        builder_dockerfile="",
        package_dockerfile="",
        input_digest=part.input_digest,
    )


def copy_faults(target: Package, copied: Iterable[Package]) -> Iterator[Problem]:
    """Yield why a package cannot copy from packages of foundations."""
    for package in copied:
        if package.foundation is not None and not package.foundation.image:
            what = f"{target.human} copies from {package.human}, a package of {package.foundation.name}"
            yield problem("CG424", what, origin=target.origin)


def foundation_first(
    names: Sequence[Fingerprint], packages: Mapping[Fingerprint, Package]
) -> tuple[tuple[Fingerprint, ...], Problem | None]:
    """Order a chain so that what a foundation built lies beneath what is built here, and see that it can.

    A foundation's images cannot be stacked anew, so the last one must hold all the others. Nothing of this
    matters to a chain in which a package of ours starts anew.

    Returns:
        The chain, and why it cannot be built.
    """
    theirs = [name for name in names if packages[name].foundation is not None]
    if not theirs:
        return tuple(names), None
    ours = [name for name in names if packages[name].foundation is None]
    target = packages[names[-1]]
    if any(packages[name].spec.image or packages[name].spec.requires_final_images for name in ours):
        return (*theirs, *ours), None
    for name in theirs:
        part = packages[name].foundation
        if part is not None and part.holds.issuperset(set(theirs) - {name}):
            if not part.image:
                what = f"{target.human} is built on {packages[name].human}, a package of {part.name}"
                return tuple(names), problem("CG424", what, origin=target.origin)
            return (*(other for other in theirs if other != name), name, *ours), None
    told = ", ".join(packages[name].human for name in theirs)
    what = f"{target.human} is built on {told}, and no image of a foundation holds them all"
    return tuple(names), problem("CG423", what, origin=target.origin)
