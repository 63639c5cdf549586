"""The problem ids of this room, CG701 to CG799; the reference of ids in the docs is made from this table."""

from collections.abc import Mapping
from types import MappingProxyType

from cosgen.errors import Rule

_TABLE = (
    (
        "CG701",
        "the project has no such flavor or architecture",
        "There is nothing to work on.",
        "Choose one that cosgen.yaml lists, or add it there.",
    ),
    (
        "CG702",
        "`cosgen init` would overwrite files",
        "The folder holds files of the same names; they may be somebody's work.",
        "Choose another folder, or move the files away.",
    ),
    (
        "CG703",
        "a name cannot be used",
        "Names of projects stand in file names, image tags and addresses.",
        "Use letters, digits, dots, dashes and underscores; begin with a letter or digit.",
    ),
    (
        "CG704",
        "a foundation has no packages",
        "There is nothing to build on.",
        "Choose another of its channels with --reference.",
    ),
    (
        "CG705",
        "a setting is missing that the command needs",
        "Without it cosgen does not know where things come from or go to.",
        "Set it in cosgen.yaml, or give the option that stands for it.",
    ),
    (
        "CG706",
        "no old configuration is there to import",
        "There is nothing to carry over.",
        "Name its folder with --from.",
    ),
    (
        "CG707",
        "`cosgen import` would overwrite cosgen.yaml",
        "It may be somebody's work.",
        "Move it away, or use --stdout and take over what you need.",
    ),
    (
        "CG708",
        "a file or folder cannot be read or written",
        "It is not there, is of another kind, is not yours, or the disk is full.",
        "Look at the path, at who may write there, and at the free space.",
    ),
    (
        "CG711",
        "the command works on one variant",
        "Packages differ between flavors and architectures.",
        "Choose with --flavor and --arch.",
    ),
    (
        "CG712",
        "there is no such package",
        "The name is misspelt, or another tree has it.",
        "`cosgen tree list` lists the packages.",
    ),
    (
        "CG713",
        "the package has no such value",
        "Neither its definition nor a values file sets the key.",
        "The message lists the keys there are.",
    ),
    (
        "CG720",
        "the project has no such channel",
        "There is nothing to compare with.",
        "Choose one of `channels` in cosgen.yaml, or add it there.",
    ),
    (
        "CG721",
        "git cannot tell what changed",
        "Git is not installed, or the clone does not have the revision.",
        "Fetch the history (fetch-depth: 0), or name a revision that is there.",
    ),
    (
        "CG730",
        "a seed image is nowhere",
        "Nothing that starts from it can be built, and nothing can be pinned.",
        "Correct the image's name, push it, or log in to its registry.",
    ),
    (
        "CG731",
        "cosgen.lock is stale",
        "It lacks pins of what the project uses, or holds pins of what it does not.",
        "Run `cosgen lock` and commit the file.",
    ),
    (
        "CG732",
        "nothing to pin has that name",
        "Only seed images and foundations of the project can be renewed.",
        "Name one as cosgen.lock does.",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({row[0]: Rule(*row) for row in _TABLE})
