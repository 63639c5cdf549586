"""The package tree of one variant, read, rendered and decoded into one frozen value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cosgen.errors import Origin, Problem
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition
from cosgen.manifest.platform import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFile:
    """One file of a package directory: part of the build context and of the hashes."""

    name: str  # relative to the package directory, "/" separators
    digest: str  # sha256 of the content, 64 hex; of the target's content for a symlink
    mode: int  # permission bits
    size: int  # bytes
    link: str = ""  # target, when the file is a symlink
    source: str = ""  # path relative to the project root where the bytes are (overlays differ)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationPart:
    """What a package of a foundation is to those who build on it: finished, and found elsewhere."""

    name: str  # of the foundation
    input_digest: str  # "sha256:" + 64 hex: what it was built from
    image: str  # reference of its package image; "" when nobody knows where that is
    holds: frozenset[str]  # fingerprints of what its image was built on


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of a tree, rendered for one variant."""

    definition: Definition  # the runtime view, as written
    spec: BuildSpec  # rendered with values; `requires` is the effective build list (see luet-specs 2.7)
    rendered: str  # text of build.yaml after rendering, shared templates first; "" without build.yaml
    values: str  # canonical JSON of the values the templates really read, for the input digest
    directory: str  # package directory relative to the project root, "/" separators
    tree: str  # the tree root it came from, relative to the project root
    files: tuple[ContextFile, ...]  # sorted by name as bytes
    finalize: str | None  # text of finalize.yaml
    origin: Origin  # of the definition (or of the entry in its collection)
    template: str = ""  # text of build.yaml as written, before rendering
    readme: str | None = None  # text of the package's README.md
    problems: tuple[Problem, ...] = ()  # why it cannot be used; `spec` is then as far as it was read
    foundation: FoundationPart | None = None  # None: it is ours

    @property
    def fingerprint(self) -> str:
        """Luet's key, `name-category-version`."""
        return self.definition.fingerprint

    @property
    def human(self) -> str:
        """`category/name`."""
        return self.definition.human

    def where(self, reference: Definition) -> Origin:
        """Return where a reference to another package is written; where this one is when nobody knows."""
        at = reference.origin or self.origin
        if at.path != self._build_path:
            return at
        return locate_line(at.path, self.template, self.rendered, at.line, at.column)

    def where_key(self, key: str) -> Origin:
        """Return where build.yaml writes a key; where the package is when no line of it, or several, do."""
        lines = enumerate(self.template.split("\n"), 1)
        found = [number for number, line in lines if re.match(rf"{re.escape(key)}\s*:", line)]
        return Origin(self._build_path, found[0]) if len(found) == 1 else self.origin

    @property
    def _build_path(self) -> str:
        return "build.yaml" if self.directory == "." else f"{self.directory}/build.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All packages of one variant, sorted by fingerprint; those with errors included."""

    variant: Variant
    packages: tuple[Package, ...]
    problems: tuple[Problem, ...]  # every problem of the tree, packages' ones included, sorted by origin
    by_fingerprint: Mapping[str, Package]
    shadowed: tuple[tuple[str, str], ...] = ()  # overridden packages, as category/name@version, and where
    foundation: tuple[Package, ...] = ()  # what lies beneath, of foundations: never built; by fingerprint


def locate_line(path: str, source: str, rendered: str, line: int, column: int) -> Origin:
    """Find where a line of the rendered text stands in its template: where it is the same, once.

    Args:
        path: The template's file.
        source: Its text.
        rendered: What became of it.
        line: Line of the rendered text, from 1.
        column: Column of the rendered text, from 1.
    """
    if source == rendered:
        return Origin(path, line, column)
    lines = rendered.split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    for candidate in (text, text.strip()):
        numbers = [
            number for number, own in enumerate(source.split("\n"), 1) if candidate and candidate in own
        ]
        if len(numbers) == 1:
            return Origin(path, numbers[0], column)
    return Origin(path, 1, 1)
