"""Turns the files found below a tree root into package folders and shared templates. Pure.

The loader lists and reads files; what they mean is decided here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cosgen.errors import Origin, Problem
from cosgen.manifest.collection import Entry, decode_collection, decode_single
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.nodes import compose, is_map, is_null
from cosgen.manifest.source import BUILD, COLLECTION, DEFINITION, FINALIZE, PackageFolder
from cosgen.manifest.tree import ContextFile


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFolder:
    """A directory with a definition or a collection, as found on disk."""

    directory: str  # relative to the project root
    tree: str
    texts: Mapping[str, str]  # its own manifest files and READMEs: name -> text
    files: tuple[ContextFile, ...]  # all below it, not sorted
    problems: tuple[Problem, ...] = field(default=())


def read_folder(raw: RawFolder) -> PackageFolder:
    """Decode the manifest files of one directory. Problems of types and syntax are in the result."""
    problems = list(raw.problems)
    singles: tuple[Entry, ...] = ()
    entries: tuple[Entry, ...] = ()
    is_collection = COLLECTION in raw.texts
    if is_collection:
        path = join(raw.directory, COLLECTION)
        node = compose(raw.texts[COLLECTION], path, problems)
        entries = decode_collection(Decoder(path, problems), node)
    if DEFINITION in raw.texts:
        path = join(raw.directory, DEFINITION)
        found: list[Problem] = []
        node = compose(raw.texts[DEFINITION], path, found)
        if node is not None and is_null(node):
            node = None
        if node is None or is_map(node):
            decoded = not (node is None and found)
        else:
            decoded = False
            Decoder(path, found).wrong(node, DEFINITION, "a map")
        if decoded:
            singles = (decode_single(Decoder(path, found), node),)
        problems += found
    if is_collection and singles:
        singles = tuple(replace(entry, raw={}) for entry in singles)
    return PackageFolder(
        directory=raw.directory,
        tree=raw.tree,
        singles=singles,
        entries=entries,
        is_collection=is_collection,
        build=raw.texts.get(BUILD),
        finalize=raw.texts.get(FINALIZE),
        readmes={name: text for name, text in sorted(raw.texts.items()) if name.startswith("README")},
        files=tuple(sorted(raw.files, key=lambda file: file.name.encode("utf-8", "surrogateescape"))),
        problems=tuple(dict.fromkeys(problems)),
    )


def folder_faults(folder: PackageFolder) -> Iterable[Problem]:
    """Yield what is wrong with a directory as a whole, though each of its packages can be read."""
    for entry in (*folder.singles, *folder.entries):
        definition = entry.definition
        if not definition.name:
            yield Problem(
                what="the package has no name",
                fix="give it `name`, `category` and `version`",
                id="CG041",
                origin=entry.origin,
            )
    if folder.is_collection and folder.singles:
        yield Problem(
            what=f"{folder.directory} has a definition and a collection; the former's build sees no values",
            fix="move one of them to a directory of its own",
            id="CG007",
            origin=folder.singles[0].origin,
        )


def join(directory: str, name: str) -> str:
    """Join path parts relative to the project root, leaving out ".".

    >>> join(".", "packages"), join("packages", "a")
    ('packages', 'packages/a')
    """
    return name if directory in {".", ""} else f"{directory}/{name}"


def missing(what: str, fix: str, path: str) -> Problem:
    """Return the problem of a file or folder that is not there."""
    return Problem(what=what, fix=fix, id="CG001", origin=Origin(path))
