"""The problem ids of this room, CG401 to CG449; the reference of ids in the docs is made from this table."""

# ruff: noqa: E501 - a table reads best with one rule a line

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Rule, Severity

_TABLE = (
    ("CG401", "a build requirement is nowhere in the trees", "The package cannot be built.", "Add the package, or correct category, name or version of the requirement."),
    ("CG402", "no version satisfies all that ask for a package", "The package cannot be built.", "Loosen a selector or a conflict, or add a version that satisfies them."),
    ("CG403", "packages need each other in a circle", "None of them can be built first.", "Take one of the requirements, copies or joins on the way out."),
    ("CG404", "a package needs one that cannot be used", "It cannot be built before the other is mended.", "Mend the other package."),
    ("CG405", "a package has work to do and no image to start from", "There is nothing to run its steps in.", "Give it `image`, or build `requires`."),
    ("CG406", "a package is hidden by another's `provides`", "luet finds the provider in its place: at build time, on the command line and on machines.", "Drop the provides, or the hidden package."),
    ("CG407", "an image in the middle of a chain discards what is beneath", "What was built before is not there for what follows, and luet stores two different builders under one tag.", "Let only one package of a chain have `image`; use `copy` for the rest."),
    ("CG408", "a package has both `image` and build requirements", "The image wins; the requirements are neither built nor used.", "Keep one of them."),
    ("CG409", "a virtual package is the last that a package is built on", "luet builds no image of it and fails; cosgen passes over it.", "Give the virtual package an image or requirements, or drop it from the build requirements."),
    ("CG410", "two packages have one image tag", "The one pushed last overwrites the other.", "Let the versions differ by more than `+` and `-`."),
    ("CG411", "a seed image is not pinned", "Builds change when the image behind the tag does, and nobody is told.", "Run cosgen lock --update, or write the image with its digest."),
    ("CG412", "a package copied from is nowhere in the trees", "The package cannot be built.", "Add the package, or correct the copy entry."),
    ("CG413", "a copy entry names a package without a version", "luet drops the entry silently.", 'Write version: ">=0".'),
    ("CG414", "a runtime requirement is nowhere in the trees", "The package cannot be installed unless another repository has it.", "Add the package, or correct the requirement."),
    ("CG415", "a join needs a subpackage", "It has no image and no recipe of its own to be built from.", "Require the package it is cut from."),
    ("CG416", "a package is selected that is not in the trees", "It cannot be built.", "Correct `select` or the manifest, or add the package."),
    ("CG417", "a package needs one that is skipped", "It would be built after all, or fail.", "Skip both, or neither."),
    ("CG418", "the choice of versions takes too long", "Too many versions and conflicts depend on each other.", "Pin versions in the requirements."),
    ("CG423", "no image of a foundation holds all that a package is built on", "Its packages are never built here, so their images cannot be stacked anew.", "Build on one package of the foundation, or join them: `requires_final_images: true`."),
    ("CG424", "nobody knows where a foundation keeps its images", "There is nothing to build on.", "Name the registry repository as `images` of the foundation, or join: `requires_final_images: true`."),
    ("CG420", "a plan cannot be read", "What to build is not known.", "Make it anew with cosgen plan --output."),
    ("CG421", "a package changed and its version did not", "Machines that have this version do not see the new content.", "Raise the version."),
    ("CG422", "a package cannot be planned", "It, and all that need it, are not built.", "Mend what is told of it."),
)  # fmt: skip

RULES: Mapping[str, Rule] = MappingProxyType({row[0]: Rule(*row) for row in _TABLE})


def problem(id_: str, what: str, *, fix: str = "", origin: Origin | None = None) -> Problem:
    """Return an error of this room; without `fix` the rule's own remedy is told."""
    return Problem(what=what, fix=fix or RULES[id_].fix, id=id_, origin=origin)


def warning(id_: str, what: str, *, fix: str = "", origin: Origin | None = None) -> Problem:
    """Return a warning of this room."""
    return Problem(what=what, fix=fix or RULES[id_].fix, id=id_, origin=origin, severity=Severity.WARNING)
