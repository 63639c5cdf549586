"""What the loader read of a package tree: texts and digests, before any variant is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cosgen.errors import Problem
from cosgen.manifest.collection import Entry
from cosgen.manifest.template import TemplateFile
from cosgen.manifest.tree import ContextFile

DEFINITION = "definition.yaml"
COLLECTION = "collection.yaml"
BUILD = "build.yaml"
FINALIZE = "finalize.yaml"
TEMPLATES = "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFolder:
    """One directory with a `definition.yaml` or a `collection.yaml`."""

    directory: str  # relative to the project root, "/" separators; "." for the root itself
    tree: str  # the tree root it is in, relative to the project root
    singles: tuple[Entry, ...]  # of definition.yaml: one, or none
    entries: tuple[Entry, ...]  # of collection.yaml
    is_collection: bool  # there is a collection.yaml; luet then never looks at definition.yaml for values
    build: str | None  # text of build.yaml
    finalize: str | None  # text of finalize.yaml
    readmes: Mapping[str, str]  # file name -> text, of README*.md
    files: tuple[ContextFile, ...]  # all below the directory, sorted by name as bytes
    problems: tuple[Problem, ...] = ()  # of this directory: what keeps its packages from being built

    @property
    def build_path(self) -> str:
        """Path of its `build.yaml`, relative to the project root."""
        return BUILD if self.directory == "." else f"{self.directory}/{BUILD}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSource:
    """One tree root as it was read."""

    root: str  # relative to the project root
    folders: tuple[PackageFolder, ...]  # in walk order: lexical within each directory
    templates: tuple[TemplateFile, ...]  # in walk order
    problems: tuple[Problem, ...] = ()  # of its files, folders' ones not included


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySource:
    """The files of one overlay folder."""

    root: str  # relative to the project root
    files: tuple[ContextFile, ...] = ()
    problems: tuple[Problem, ...] = ()


_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that was read for a project, so that thinking about it needs no disk."""

    trees: tuple[TreeSource, ...] = ()
    values: Mapping[str, str | None] = field(
        default_factory=lambda: _NO_TEXTS
    )  # path -> text, None: not there
    overlays: Mapping[str, OverlaySource] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)  # for `env`, when allowed
