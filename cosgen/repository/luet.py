"""What a stock luet client reads: tree, index and the small `repository.yaml` that names them by digest.

The tarballs are made of parts (see `index.py` for reuse): every package record gives one tree part, its
`definition.yaml` and `finalize.yaml`, and one line of the index. Nothing here knows a clock or a host.

Source: luet 3f2397b6, pkg/installer/repository.go, pkg/api/core/types/artifact/artifact.go, pkg/tree.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cosgen.errors import Problem, PublishError
from cosgen.repository import luet_yaml
from cosgen.repository.luet_tar import (
    END_OF_ARCHIVE,
    Compression,
    Frame,
    join_frames,
    padding,
    tar_header,
    tar_member,
)

INDEX_MEMBER = "repository.meta.yaml"
DEFAULT_COMPRESSION = Compression()

# Fields of a definition that reach clients; `path`, `id` and `treedir` describe the build host.
_PACKAGE_KEYS = (
    "name",
    "category",
    "version",
    "requires",
    "conflicts",
    "provides",
    "hidden",
    "labels",
    "annotations",
    "description",
    "license",
    "uri",
    "use_flags",
    "state",
)
_REFERENCE_KEYS = ("name", "category", "version")
_SAFE_PART = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._+~:@^=,-]+")


class LuetPackage(Protocol):
    """What an index needs of one published package; `PackageRecord` has it."""

    @property
    def definition(self) -> Mapping[str, object]:
        """The runtime definition: luet's JSON names, strings and lists of mappings."""

    @property
    def finalize(self) -> str | None:
        """Text of finalize.yaml, or None."""

    @property
    def archive_name(self) -> str:
        """Base name of the archive in the pool; no "/" and no "+"."""

    @property
    def archive_digest(self) -> str:
        """`sha256:` + 64 hex of the archive as stored."""

    @property
    def compression(self) -> str:
        """`zstd`, `gzip` or `none`."""

    @property
    def files(self) -> tuple[str, ...]:
        """Members that are not directories, archive order."""

    @property
    def build_stamp(self) -> str:
        """Free text that differs exactly when the archive does; `luet upgrade --sync` compares it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LuetFile:
    """One file of a repository, named by its content.

    `key` is relative to the repository's URL (the folder that holds `repository.yaml`).
    """

    key: str
    digest: str  # "sha256:" + 64 hex of `data`
    compression: str  # "zstd", "gzip" or "none"
    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def ref(self) -> "LuetFileRef":
        """The file without its bytes."""
        return LuetFileRef(
            key=self.key, digest=self.digest, size=len(self.data), compression=self.compression
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LuetFileRef:
    """Where a repository file is, and which bytes it has; what a snapshot keeps of a `LuetFile`."""

    key: str
    digest: str
    size: int
    compression: str = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class LuetFiles:
    """The files that one variant of a snapshot gives to luet clients."""

    tree: LuetFile
    meta: LuetFile
    compilertree: LuetFile | None = None

    def all(self) -> tuple[LuetFile, ...]:
        """Every file there is, in upload order."""
        files = (self.tree, self.meta, self.compilertree)
        return tuple(file for file in files if file is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryView:
    """Everything a `repository.yaml` says. A pure value: who makes the same value gets the same bytes."""

    name: str
    description: str
    urls: tuple[str, ...]
    revision: int  # rises with every change of the channel, also when it is rolled back
    last_update: int  # seconds since 1970, of the commit that moved the channel
    tree: LuetFileRef
    meta: LuetFileRef
    compilertree: LuetFileRef | None = None
    type: str = "http"
    extra: Mapping[str, luet_yaml.Value] | None = None  # goes under `x-cosgen`, which clients ignore


def luet_files(
    records: Iterable[LuetPackage],
    *,
    compression: Compression = DEFAULT_COMPRESSION,
    sources: Iterable[tuple[str, bytes]] | None = None,
) -> LuetFiles:
    """Make all files of one variant from all of its packages at once.

    Args:
        records: The packages of the variant, any order.
        compression: How the tarballs are compressed.
        sources: Relative path and content of the source trees' files; None for no compiler tree.

    Raises:
        PublishError: With all problems: two packages with one fingerprint, names luet cannot take.
    """
    packages = sorted(records, key=fingerprint)
    problems = check_packages(packages)
    if problems:
        raise PublishError(*problems)
    compress = compression.compressor()
    tree, meta = tree_part(packages), index_part(packages)
    return assemble(
        [Frame("", compress(tree), len(tree))],
        [Frame("", compress(meta), len(meta))],
        compression=compression,
        compilertree=None if sources is None else compiler_tree(sources, compression=compression),
    )


def assemble(
    tree: list[Frame], meta: list[Frame], *, compression: Compression, compilertree: LuetFile | None = None
) -> LuetFiles:
    """Join rendered parts to the files of one variant: adds headers, padding and the end of the archives."""
    compress = compression.compressor()
    preamble = b"index:\n" if any(frame.raw_size for frame in meta) else b"{}\n"
    size = len(preamble) + sum(frame.raw_size for frame in meta)
    head = tar_header(INDEX_MEMBER, size) + preamble
    tail = padding(size) + END_OF_ARCHIVE
    whole_tree = [*tree, Frame("", compress(END_OF_ARCHIVE), len(END_OF_ARCHIVE))]
    whole_meta = [
        Frame("", compress(head), len(head)),
        *meta,
        Frame("", compress(tail), len(tail)),
    ]
    return LuetFiles(
        tree=_file("tree", join_frames(whole_tree, compression), compression),
        meta=_file("meta", join_frames(whole_meta, compression), compression),
        compilertree=compilertree,
    )


def compiler_tree(sources: Iterable[tuple[str, bytes]], *, compression: Compression) -> LuetFile:
    """Make the tarball of the source trees, for `luet build --from-repositories`.

    Args:
        sources: Relative path ("tree/apps/hello/build.yaml") and content of each file, any order.
        compression: How the tarball is compressed.
    """
    members = b"".join(tar_member(name, data) for name, data in sorted(sources))
    data = compression.compressor()(members + END_OF_ARCHIVE)
    return _file("ctree", data, compression)


def tree_part(packages: Iterable[LuetPackage]) -> bytes:
    """Return the tar members of some packages: definition and finalizer, without the end of an archive."""
    members: list[bytes] = []
    for package in packages:
        folder = tree_folder(package.definition)
        members.append(tar_member(f"{folder}/definition.yaml", definition_yaml(package.definition).encode()))
        if package.finalize is not None:
            members.append(tar_member(f"{folder}/finalize.yaml", package.finalize.encode()))
    return b"".join(members)


def index_part(packages: Iterable[LuetPackage]) -> bytes:
    """Return the lines of the index for some packages, one item of the `index` list a line."""
    return "".join(f"- {luet_yaml.flow(index_entry(package))}\n" for package in packages).encode()


def index_entry(package: LuetPackage) -> dict[str, luet_yaml.Value]:
    """Return one entry of the index: the join key, where the archive is, and what clients read of it."""
    runtime = package_mapping(package.definition)
    compiled: dict[str, luet_yaml.Value] = {key: runtime[key] for key in _REFERENCE_KEYS if key in runtime}
    # config_protect is read from here when a package is installed, and from the tree when it is removed.
    if "annotations" in runtime:
        compiled["annotations"] = runtime["annotations"]
    compiled["buildtimestamp"] = package.build_stamp
    return {
        "checksums": {"sha256": package.archive_digest.removeprefix("sha256:")},
        "compilationspec": {"package": compiled},
        "compressiontype": package.compression,
        "files": () if runtime.get("hidden") else package.files,
        "path": package.archive_name,
        "runtime": runtime,
    }


def definition_yaml(definition: Mapping[str, object]) -> str:
    """Return the text of a `definition.yaml` for the tree: strings quoted, host paths left out."""
    return luet_yaml.block(package_mapping(definition))


def package_mapping(definition: Mapping[str, object]) -> dict[str, luet_yaml.Value]:
    """Return what clients see of a definition: known fields, strings as strings, empty ones left out."""
    mapping: dict[str, luet_yaml.Value] = {}
    for key in _PACKAGE_KEYS:
        value = _field(key, definition.get(key))
        if value:
            mapping[key] = value
    return mapping


def fingerprint(package: LuetPackage) -> str:
    """Return `name-category-version`, the key by which luet joins tree and index."""
    definition = package.definition
    return "-".join(str(definition.get(key, "")) for key in _REFERENCE_KEYS)


def tree_folder(definition: Mapping[str, object]) -> str:
    """Return the folder of a definition in the tree: `category/name/version`."""
    return "/".join(str(definition.get(key, "")) for key in ("category", "name", "version"))


def check_packages(packages: Iterable[LuetPackage]) -> tuple[Problem, ...]:
    """Return what would make a client fail on some packages of one variant: unsafe names and double keys."""
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for package in packages:
        key, folder = fingerprint(package), tree_folder(package.definition)
        if not all(_SAFE_PART.fullmatch(part) for part in folder.split("/")) or folder.count("/") != 2:
            problems.append(_unsafe(folder))
        if key in seen:
            problems.append(_double(key, seen[key], folder))
        seen[key] = folder
    return tuple(problems)


def repository_yaml(view: RepositoryView) -> bytes:
    """Return the text of a `repository.yaml`, one key a line, as JSON-in-YAML.

    `last_update` is a string and `revision` a number, as the client's strict types ask for.
    """
    files: dict[str, luet_yaml.Value] = {
        name: {
            "checksums": {"sha256": ref.digest.removeprefix("sha256:")},
            "compressiontype": ref.compression,
            "filename": ref.key,
        }
        for name, ref in (("compilertree", view.compilertree), ("meta", view.meta), ("tree", view.tree))
        if ref is not None
    }
    mapping: dict[str, luet_yaml.Value] = {
        "description": view.description,
        "enable": True,
        "index": (),
        "last_update": str(view.last_update),
        "name": view.name,
        "repo_files": files,
        "revision": view.revision,
        "type": view.type,
        "urls": view.urls,
    }
    if view.extra is not None:
        mapping["x-cosgen"] = view.extra
    return luet_yaml.block(mapping).encode()


def _file(kind: str, data: bytes, compression: Compression) -> LuetFile:
    digest = hashlib.sha256(data).hexdigest()
    key = f"i/{digest}.{kind}.tar{compression.suffix}"
    return LuetFile(key=key, digest=f"sha256:{digest}", compression=compression.format, data=data)


def _field(key: str, value: object) -> luet_yaml.Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()}
    if isinstance(value, (list, tuple)):
        references = key in {"requires", "conflicts", "provides"}
        return tuple(_reference(item) if references else str(item) for item in value)
    return str(value)


def _reference(item: object) -> luet_yaml.Value:
    if not isinstance(item, Mapping):
        return {"name": str(item)}
    return {key: str(item[key]) for key in _REFERENCE_KEYS if item.get(key)}


def _unsafe(folder: str) -> Problem:
    return Problem(
        what=f"package {folder} cannot have a folder of that name in the tree",
        fix="use letters, digits and . _ + ~ : @ ^ = , - in category, name and version",
        id="CG552",
    )


def _double(key: str, first: str, second: str) -> Problem:
    return Problem(
        what=f"packages {first} and {second} have the same fingerprint {key}, so luet cannot tell them apart",
        fix="rename one of them",
        id="CG553",
    )
