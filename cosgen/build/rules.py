"""The problems this room tells, one rule per id (CG450-CG499); the docs are made from them."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Rule, Severity

_RULES = (
    Rule(
        "CG450",
        "No container engine answers",
        "Images are built by Docker, or by Podman through its compatible socket; there is no other way.",
        "Start the engine, or point DOCKER_HOST at its socket; then run again: what is done is kept.",
    ),
    Rule(
        "CG451",
        "An image could not be built",
        "A command of `prelude` or `steps`, a `copy`, or the seed image failed; dependents are not built.",
        "Read the log named in the message and mend the manifest.",
    ),
    Rule(
        "CG452",
        "A package cannot be built because another one failed",
        "Its base image, a joined artifact or a copied image is missing.",
        "Mend the package named in the message.",
    ),
    Rule(
        "CG453",
        "A seed image cannot be had",
        "It is neither in the engine nor can it be pulled.",
        "Check the reference, the network and the login for its registry.",
    ),
    Rule(
        "CG454",
        "The image is of another platform",
        "An artifact of the wrong architecture would install and not run.",
        "Use a seed of the right platform, or set up emulation and pass --platform to the engine.",
    ),
    Rule(
        "CG455",
        "A value cannot be written into a Dockerfile",
        "Blanks, quotes or `$` in a name or version, and line ends in `env`, `copy` and `retrieve`, would "
        "change the meaning of the Dockerfile.",
        "Use letters, digits and `. _ + ~ - : @ /` only in names; end a line that goes on with a backslash.",
    ),
    Rule(
        "CG456",
        "A context file changed while the build ran",
        "What is built is no longer what its input digest says.",
        "Run the build again, and leave the trees alone meanwhile.",
    ),
    Rule(
        "CG457",
        "Files were retrieved from the output folder",
        "No input digest covers them, so the package is not rebuilt when they change.",
        "Use `copy:` with a package instead of `retrieve:`.",
    ),
    Rule(
        "CG458",
        "Setuid, setgid and capabilities were taken off files that do not declare them",
        "The package says with the annotation `cosgen.setuid` which files may give more rights than their "
        "caller has, and these are not among them.",
        "Add their paths to the annotation, or leave it so.",
    ),
    Rule(
        "CG460",
        "A pattern in `includes` or `excludes` is not a regular expression",
        "luet drops such a pattern without a word, and the artifact holds other files than asked for.",
        "Mend the pattern (RE2 syntax: no look-around, no back-references).",
    ),
    Rule(
        "CG461",
        "`package_dir` is not a directory of the image",
        "luet makes an empty package of it and calls that a success.",
        "Make the directory in `steps`, and write its absolute path.",
    ),
    Rule(
        "CG462",
        "A layer holds a name that leaves the root",
        "Unpacked as root, such a member overwrites files anywhere.",
        "Find out what wrote it: no ordinary command does.",
    ),
    Rule(
        "CG463",
        "A link leaves the root of the artifact",
        "Clients refuse to unpack it, or write outside of their root.",
        "Make the link shorter, or absolute.",
    ),
    Rule(
        "CG464",
        "A device node would become part of the artifact",
        "The running system makes device nodes; a packaged one opens hardware to whoever owns the file.",
        "Remove it in `steps`, or exclude it.",
    ),
    Rule(
        "CG465",
        "A layer is larger than allowed",
        "It may be a decompression bomb, and would fill the disk of every client.",
        "Raise the limit if the size is meant.",
    ),
    Rule(
        "CG466",
        "A member lies below a link or a file",
        "Unpacked, it would be written through the link.",
        "Find out what wrote it: no ordinary command does.",
    ),
    Rule(
        "CG467",
        "A hard link's file is nowhere",
        "The layer names a file that no new layer holds.",
        "Rebuild the image (--rebuild).",
    ),
    Rule(
        "CG468",
        "Changes were left out of the artifact",
        "An artifact holds what a package adds; files of the image beneath that it changes or deletes stay "
        "as they were on the installed system.",
        "Move the change into the package that owns the file, or use `unpack` or `package_dir`.",
    ),
    Rule(
        "CG469",
        "Device nodes under /dev were left out",
        "They are made by the running system.",
        "Nothing needs to be done.",
    ),
    Rule(
        "CG480",
        "A registry cannot be reached, or does not answer as it should",
        "Cached images and finished artifacts cannot be found or kept.",
        "Check the address, the network and the state of the registry.",
    ),
    Rule(
        "CG481",
        "A registry refuses the login",
        "The credentials are missing, wrong or lack the right.",
        "Log in with `docker login`, or set COSGEN_REGISTRY_USER and COSGEN_REGISTRY_PASSWORD.",
    ),
    Rule(
        "CG482",
        "What a registry sent is not what was asked for",
        "The bytes do not have the digest by which they were named, or are not of the form they should be.",
        "Delete the tag and build again; if it comes back, do not trust the registry.",
    ),
    Rule(
        "CG483",
        "A registry lacks a blob that its manifest names",
        "It was cleaned up while in use, or an upload was cut.",
        "Build the package again with --rebuild.",
    ),
    Rule(
        "CG484",
        "A text cannot be a tag of an image",
        "Registries take letters, digits, `_`, `.` and `-` only, at most 128 of them.",
        "Use no other characters, and begin with a letter, a digit or `_`.",
    ),
    Rule(
        "CG490",
        "An artifact record does not fit its files",
        "A file is missing, or its bytes are not those of the record.",
        "Build the package again.",
    ),
    Rule(
        "CG491",
        "No package of that name",
        "Neither tree holds it.",
        "Check the spelling: `cosgen tree list` names them all.",
    ),
    Rule(
        "CG492",
        "The time is up",
        "The build was stopped before the job's own limit would have killed it.",
        "Run again: finished work is kept and found by its digest.",
    ),
    Rule(
        "CG493",
        "A name means several versions",
        "One of them must be chosen.",
        "Write category/name@version.",
    ),
    Rule(
        "CG494",
        "A plan cannot be used",
        "It was made for other inputs, or is not a plan.",
        "Make it again with `cosgen plan`.",
    ),
    Rule(
        "CG495",
        "A distribution's package database was not read",
        "Its packages are missing from the bill of materials.",
        "Nothing needs to be done for the build itself.",
    ),
    Rule(
        "CG496",
        "No such container",
        "Only a container of the engine can become an image.",
        "Look at `docker ps --all` for its name or id.",
    ),
    Rule(
        "CG497",
        "A file cannot be read or written",
        "The disk is full, or the folder belongs to somebody else; nothing half-written is kept.",
        "Make room or give rights, then run again: what is done is kept.",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})


def problem(
    rule_id: str, what: str, *, fix: str = "", origin: Origin | None = None, warning: bool = False
) -> Problem:
    """Return a problem of this room; `fix` is the rule's own unless a better one is known."""
    return Problem(
        what=what,
        fix=fix or RULES[rule_id].fix,
        id=rule_id,
        origin=origin,
        severity=Severity.WARNING if warning else Severity.ERROR,
    )
