"""Reads a project from disk: its settings, manifests and package trees. The only I/O of this room.

Every file is read once. What the texts mean is decided by the pure modules; `load_tree` needs no disk.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from cosgen.errors import Origin, Problem
from cosgen.manifest.assemble import assemble_tree
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.config_decode import decode_config
from cosgen.manifest.nodes import MAX_BYTES
from cosgen.manifest.os_manifest import OsManifest, decode_manifest
from cosgen.manifest.platform import Variant
from cosgen.manifest.project import (
    CONFIG,
    Project,
    check_config,
    config_digest,
    guess_variants,
    variants_of,
)
from cosgen.manifest.source import (
    BUILD,
    COLLECTION,
    DEFINITION,
    FINALIZE,
    TEMPLATES,
    OverlaySource,
    Sources,
    TreeSource,
)
from cosgen.manifest.template import TemplateFile
from cosgen.manifest.tree import ContextFile, Tree
from cosgen.manifest.walk import RawFolder, folder_faults, join, missing, read_folder

__all__ = ["load_project", "load_tree"]

MANIFEST = "manifest.yaml"
_MANIFEST_FILES = frozenset((DEFINITION, COLLECTION, BUILD, FINALIZE))
_MAX_DEPTH = 100  # of directories


def load_project(
    root: Path,
    *,
    trees: Sequence[str] = (),
    values: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    allow_override: bool = False,
) -> Project:
    """Read a project: `cosgen.yaml` if there is one, manifest, trees, values files, overlays.

    Args:
        root: Folder of the project.
        trees: Package trees in place of the project's, relative to `root` or absolute.
        values: Values files in place of the project's; the last wins.
        environment: What templates may read with `env`, where the project allows it.
        allow_override: Let later trees replace packages without saying `override: true`.

    Returns:
        The project, with every problem found; none is raised, so that all are told at once.
    """
    problems: list[Problem] = []
    text = _read_text(root / CONFIG, CONFIG, problems)
    config = decode_config(text, CONFIG, problems) if text is not None else ProjectConfig()
    config = _effective(config, root, trees, values, allow_override=allow_override)
    problems += check_config(config)
    manifest = _manifest(config, root, problems)
    sources = Sources(
        trees=tuple(_TreeReader(root, tree).read() for tree in config.trees),
        values=_values(config, root, problems),
        overlays={item.files: _overlay(root, item.files) for item in config.overlays},
        environment=dict(environment),
    )
    problems += [problem for overlay in sources.overlays.values() for problem in overlay.problems]
    if not config.trees:
        problems.append(
            missing("there is no package tree", "run `cosgen init`, or name `trees` in cosgen.yaml", CONFIG)
        )
    return Project(
        config=config,
        root=str(root),
        variants=variants_of(config) or (Variant("", "x86_64"),),
        problems=tuple(dict.fromkeys(problems)),
        config_digest=config_digest(config, manifest),
        manifest=manifest,
        sources=sources,
        configured=text is not None,
    )


def load_tree(project: Project, variant: Variant, *, source_date_epoch: int | None = None) -> Tree:
    """Render and decode all packages of one variant; see `assemble_tree`."""
    return assemble_tree(project, variant, source_date_epoch=source_date_epoch)


def _effective(
    config: ProjectConfig, root: Path, trees: Sequence[str], values: Sequence[str], *, allow_override: bool
) -> ProjectConfig:
    if not trees and not config.trees and (root / "packages").is_dir():
        trees = ("packages",)
    if trees:
        config = replace(config, trees=tuple(_relative(root, tree) for tree in trees))
    if values:
        config = replace(config, values=tuple(_relative(root, name) for name in values))
    if not config.manifest and (root / MANIFEST).is_file():
        config = replace(config, manifest=MANIFEST)
    if allow_override:
        config = replace(config, allow_override=True)
    names = sorted(path.name for path in (root / "values").glob("*.yaml")) if not config.values else []
    return guess_variants(config, names)


def _relative(root: Path, name: str) -> str:
    path = Path(name)
    if path.is_absolute():
        name = os.path.relpath(path, root)
    return os.path.normpath(name).replace(os.sep, "/")


def _manifest(config: ProjectConfig, root: Path, problems: list[Problem]) -> OsManifest:
    if not config.manifest:
        return OsManifest()
    text = _read_text(root / config.manifest, config.manifest, problems)
    if text is None:
        origin = config.places.get("manifest", Origin(CONFIG))
        problems.append(
            replace(missing(f"{config.manifest} does not exist", "correct `manifest`", CONFIG), origin=origin)
        )
        return OsManifest()
    return decode_manifest(
        text, config.manifest, problems, lambda name: _read_text(root / name, name, problems)
    )


def _values(config: ProjectConfig, root: Path, problems: list[Problem]) -> Mapping[str, str | None]:
    names = {
        name.replace("{flavor}", variant.flavor).replace("{arch}", variant.arch)
        for name in config.values
        for variant in variants_of(config)
    }
    return {name: _read_text(root / name, name, problems) for name in sorted(names)}


def _read_text(path: Path, name: str, problems: list[Problem]) -> str | None:
    """Return the text of a file, or None when it is not there; what cannot be read is a problem."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise IsADirectoryError(f"{name} is not a file")
        return _decode(path.read_bytes(), name, problems)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problems.append(missing(f"cannot read {name}: {error.strerror or error}", "make it readable", name))
        return None


def _decode(content: bytes, name: str, problems: list[Problem]) -> str:
    if len(content) > MAX_BYTES:
        problems.append(missing(f"{name} has more than {MAX_BYTES:,} bytes", "split it", name))
        return ""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(
            Problem(
                what=f"{name} is not UTF-8 text",
                fix="save it as UTF-8",
                id="CG008",
                origin=Origin(name, line),
            )
        )
        return content.decode("utf-8", "replace")


def _overlay(root: Path, name: str) -> OverlaySource:
    if not (root / name).is_dir():
        problem = missing(
            f"the overlay folder {name} does not exist", "create it, or correct `overlays`", name
        )
        return OverlaySource(root=name, problems=(problem,))
    reader = _TreeReader(root, name)
    files = reader.context_files()
    reserved = [file for file in files if file.name in {DEFINITION, COLLECTION, BUILD}]
    problems = [
        Problem(
            what=f"an overlay cannot replace {file.name}",
            fix="put a package with `override: true` in a tree of your own",
            id="CG042",
            origin=Origin(file.source),
        )
        for file in reserved
    ]
    kept = tuple(file for file in files if file not in reserved)
    return OverlaySource(root=name, files=kept, problems=(*problems, *reader.problems))


@dataclass
class _Found:
    """What lies below one directory."""

    files: list[ContextFile] = field(default_factory=list)  # names relative to the tree root
    problems: list[Problem] = field(default_factory=list)  # of those files


class _TreeReader:
    """Walks one tree root as luet does: lexically, hidden folders too, no folder links followed."""

    def __init__(self, root: Path, tree: str) -> None:
        self.root = root
        self.tree = tree
        self.top = root / tree
        self.problems: list[Problem] = []
        self.templates: list[TemplateFile] = []
        self.order: list[str] = []  # directories of packages, relative to the tree root, in walk order
        self.folders: dict[str, RawFolder] = {}
        self.real_roots = tuple(os.path.realpath(path) for path in (root, self.top))

    def read(self) -> TreeSource:
        """Read the whole tree."""
        if not self.top.is_dir():
            problem = missing(
                f"the tree {self.tree} does not exist", "create it, or correct `trees`", self.tree
            )
            return TreeSource(root=self.tree, folders=(), templates=(), problems=(problem,))
        self._walk("", inside=False, depth=0)
        folders = tuple(read_folder(self.folders[name]) for name in dict.fromkeys(self.order))
        faults = [problem for folder in folders for problem in folder_faults(folder)]
        orphans = [p for folder in folders if not (folder.singles or folder.entries) for p in folder.problems]
        return TreeSource(
            root=self.tree,
            folders=folders,
            templates=tuple(self.templates),
            problems=(*self.problems, *faults, *orphans),
        )

    def context_files(self) -> tuple[ContextFile, ...]:
        """Read all files as one build context (overlays)."""
        found = self._walk("", inside=True, depth=0)
        self.problems += found.problems
        return tuple(found.files)

    def _walk(self, place: str, *, inside: bool, depth: int) -> _Found:
        """Read one directory (relative to the tree root, "" or ending in "/") and all below it."""
        found = _Found()
        if depth > _MAX_DEPTH:
            self.problems.append(missing("folders nest too deep", "flatten them", self._name(place)))
            return found
        entries = self._entries(place)
        is_package = not {DEFINITION, COLLECTION}.isdisjoint(entry.name for entry in entries)
        inside = inside or is_package
        texts: dict[str, str] = {}
        for entry in entries:
            path = place + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name == TEMPLATES:
                    self._read_templates(f"{path}/", depth + 1)
                below = self._walk(f"{path}/", inside=inside, depth=depth + 1)
                found.files += below.files
                found.problems += below.problems
            elif inside:
                if entry.name in {DEFINITION, COLLECTION}:
                    self.order.append(place)
                self._read_file(entry, path, texts if is_package else None, found)
        if is_package:
            self._keep(place, texts, found)
        return found

    def _entries(self, place: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.top / place) as entries:
                return sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            self.problems.append(
                missing(f"cannot read the folder: {error.strerror}", "make it readable", self._name(place))
            )
            return []

    def _keep(self, place: str, texts: dict[str, str], found: _Found) -> None:
        strip = len(place)
        self.folders[place] = RawFolder(
            directory=self._name(place),
            tree=self.tree,
            texts=texts,
            files=tuple(replace(file, name=file.name[strip:]) for file in found.files)
            if strip
            else tuple(found.files),
            problems=tuple(found.problems),
        )

    def _name(self, path: str) -> str:
        """Name a path of the tree relative to the project root."""
        return join(self.tree, path.rstrip("/")) if path else self.tree

    def _read_file(
        self, entry: os.DirEntry[str], path: str, texts: dict[str, str] | None, found: _Found
    ) -> None:
        name = self._name(path)
        fault = _name_fault(entry.name) or self._place_fault(entry)
        if fault:
            found.problems.append(
                Problem(what=fault[0], fix=fault[1], id="CG009", origin=Origin(_shown(name)))
            )
            return
        wanted = texts is not None and (
            entry.name in _MANIFEST_FILES or (entry.name.startswith("README") and entry.name.endswith(".md"))
        )
        try:
            status = entry.stat()
            if wanted:
                content = Path(entry.path).read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                if texts is not None:
                    texts[entry.name] = _decode(content, name, found.problems)
            else:
                with Path(entry.path).open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            found.problems.append(missing(f"cannot read {name}: {error.strerror}", "make it readable", name))
            return
        found.files.append(
            ContextFile(
                name=path,
                digest=digest,
                mode=0o755 if status.st_mode & 0o111 else 0o644,
                size=status.st_size,
                link=str(Path(entry.path).readlink()) if entry.is_symlink() else "",
                source=name,
            )
        )

    def _place_fault(self, entry: os.DirEntry[str]) -> tuple[str, str] | None:
        """Say why a file cannot be part of a build context, or None."""
        if not entry.is_symlink():
            if entry.is_file(follow_symlinks=False):
                return None
            return f"{entry.name} is neither a file nor a folder", "remove it"
        try:
            mode = entry.stat().st_mode
        except OSError:
            return f"the link {entry.name} leads nowhere", "remove it, or mend its target"
        if not stat.S_ISREG(mode):
            return (
                f"the link {entry.name} leads to a folder or device, which cannot be hashed",
                "copy the files",
            )
        target = os.path.realpath(entry.path)
        if not any(target.startswith(base.rstrip("/") + "/") for base in self.real_roots):
            return f"the link {entry.name} leads out of the project", "copy the file into the project"
        return None

    def _read_templates(self, place: str, depth: int) -> None:
        """Read the `.yaml` files below a `templates` folder, in any case, in walk order."""
        for path, entry in self._template_files(place, depth):
            found: list[Problem] = []
            fault = _name_fault(entry.name) or self._place_fault(entry)
            if fault:
                origin = Origin(_shown(self._name(path)))
                found.append(Problem(what=fault[0], fix=fault[1], id="CG009", origin=origin))
            else:
                text = _read_text(Path(entry.path), self._name(path), found)
                if text is not None:
                    self.templates.append(TemplateFile(self._name(path), text))
            self.problems += found

    def _template_files(self, place: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
        if depth > _MAX_DEPTH:
            return
        for entry in self._entries(place):
            if entry.is_dir(follow_symlinks=False):
                yield from self._template_files(f"{place}{entry.name}/", depth + 1)
            elif entry.name.lower().endswith(".yaml"):
                yield place + entry.name, entry


def _name_fault(name: str) -> tuple[str, str] | None:
    if "\n" in name or "\r" in name:
        return "a file name holds a line break, which cannot be hashed", "rename the file"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "a file name is not UTF-8", "rename the file"
    return None


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\n", "?").replace("\r", "?")
