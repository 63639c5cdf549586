"""Path indexes: which paths a layer holds or hides. Made once per layer and kept by diff-id.

luet's rule for artifacts is "additions by path": only paths that the image beneath does not have. With an
index per layer the answer costs the size of the delta, and no base image is ever unpacked or read again.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from cosgen.build.layers import Layer
from cosgen.build.member import Kind, ancestors
from cosgen.build.packages import DATABASES, DistroPackage, parse_database

_SCHEMA = 1
_MOST_DATABASE = 512 << 20  # bytes; the largest of real systems have less than a fifth of it
_MOST_RELEASE = 64 << 10  # bytes of an os-release that are read
_OS_RELEASES = ("etc/os-release", "usr/lib/os-release")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerIndex:
    """What one layer holds, by name."""

    paths: Mapping[str, str]  # path -> letter of its Kind; implied directories included
    opaque: frozenset[str]  # directories whose earlier content is hidden
    packages: Mapping[str, tuple[DistroPackage, ...]]  # path of a package database -> what it lists
    unread: tuple[str, ...] = ()  # package databases that could not be read
    distribution: str = ""  # ID of the layer's os-release


def index_layer(layer: Layer) -> LayerIndex:
    """Index a layer from its headers; only package databases are read."""
    paths: dict[str, str] = {}
    opaque: set[str] = set()
    packages: dict[str, tuple[DistroPackage, ...]] = {}
    unread: list[str] = []
    distribution = ""
    for member in layer.members():
        if member.kind is Kind.OPAQUE:
            opaque.add(member.path)
            continue
        for ancestor in ancestors(member.path):
            paths.setdefault(ancestor, str(Kind.DIRECTORY))
        paths[member.path] = str(member.kind)
        if member.kind is not Kind.FILE or member.missing:
            continue
        if member.path in _OS_RELEASES:
            with layer.open(member) as file:
                distribution = _read_id(file.read(_MOST_RELEASE)) or distribution
        if is_database(member.path):
            found = None
            if member.size <= _MOST_DATABASE:
                with layer.open(member) as file:
                    found = parse_database(member.path, file.read())
            if found is None:
                unread.append(member.path)
            else:
                packages[member.path] = found
    return LayerIndex(
        paths=paths,
        opaque=frozenset(opaque),
        packages=packages,
        unread=tuple(unread),
        distribution=distribution,
    )


def _read_id(data: bytes) -> str:
    for line in data.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition("=")
        if key == "ID":
            return value.strip().strip("\"'")
    return ""


def is_database(path: str) -> bool:
    """Tell whether a path is, or ends in, that of a distribution's package database."""
    return any(path == name or path.endswith(f"/{name}") for name in DATABASES) or (
        "var/lib/dpkg/status.d/" in path and not path.endswith(".md5sums")
    )


class LowerView:
    """The paths of a stack of layers, as they look from above."""

    def __init__(self, indexes: Sequence[LayerIndex]) -> None:
        """Take the indexes bottom first."""
        self._top_first = tuple(reversed(indexes))

    def kind(self, path: str) -> str:
        """Return the letter of the path's Kind, or "" when nothing is there."""
        above = ancestors(path)
        for index in self._top_first:
            kind = index.paths.get(path)
            if kind == Kind.WHITEOUT:
                return ""
            if kind is not None:
                return kind
            if path in index.opaque:
                return ""
            for ancestor in above:
                over = index.paths.get(ancestor)
                if ancestor in index.opaque or (over is not None and over != Kind.DIRECTORY):
                    return ""
        return ""

    def packages(self, under: str = "") -> tuple[DistroPackage, ...]:
        """Return the packages of the databases seen from above, sorted; `under` limits to one directory."""
        prefix = f"{under}/" if under else ""
        names = sorted({path for index in self._top_first for path in index.packages})
        found: set[DistroPackage] = set()
        for path in names:
            if not path.startswith(prefix) or not self.kind(path):
                continue
            found.update(next(index.packages[path] for index in self._top_first if path in index.packages))
        return tuple(sorted(found))

    def distribution(self) -> str:
        """Return the ID of the topmost os-release, "" when there is none."""
        return next((index.distribution for index in self._top_first if index.distribution), "")

    def unread(self) -> tuple[str, ...]:
        """Return the databases that could not be read, sorted."""
        return tuple(sorted({path for index in self._top_first for path in index.unread}))


class IndexStore:
    """Indexes in a cache folder, one file per layer. Losing it costs only time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: dict[str, LayerIndex] = {}

    def find(self, diff_id: str) -> LayerIndex | None:
        """Return a kept index, or None when there is none or it cannot be read."""
        if diff_id not in self._memory:
            try:
                data = self._path(diff_id).read_bytes()
                self._memory[diff_id] = _decode(zstandard.decompress(data))
            except (OSError, ValueError, KeyError, TypeError, zstandard.ZstdError):
                return None
        return self._memory[diff_id]

    def keep(self, diff_id: str, index: LayerIndex) -> None:
        """Keep an index, in memory and on disk; a disk that cannot be written costs only time."""
        self._memory[diff_id] = index
        path = self._path(diff_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(zstandard.compress(_encode(index), 3))
            os.replace(file.name, path)  # noqa: PTH105 - a name, not a Path
        except OSError:
            return

    def missing(self, diff_ids: Iterable[str]) -> tuple[str, ...]:
        """Return those without an index, in order."""
        return tuple(diff_id for diff_id in diff_ids if self.find(diff_id) is None)

    def _path(self, diff_id: str) -> Path:
        hex_digest = diff_id.removeprefix("sha256:")
        return self._folder / "layers" / hex_digest[:2] / f"{hex_digest}.index.zst"


def _encode(index: LayerIndex) -> bytes:
    head = {
        "schema": _SCHEMA,
        "opaque": sorted(index.opaque),
        "unread": index.unread,
        "distribution": index.distribution,
        "packages": {path: [pkg.to_row() for pkg in found] for path, found in index.packages.items()},
    }
    names = "\0".join(f"{kind}{path}" for path, kind in index.paths.items())
    return json.dumps(head).encode("ascii") + b"\n" + names.encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> LayerIndex:
    line, _, names = data.partition(b"\n")
    head = json.loads(line)
    if head["schema"] != _SCHEMA:
        raise ValueError("another schema")
    text = names.decode("utf-8", "surrogateescape")
    return LayerIndex(
        paths={item[1:]: item[0] for item in text.split("\0")} if text else {},
        opaque=frozenset(head["opaque"]),
        packages={
            path: tuple(DistroPackage.from_row(row) for row in rows)
            for path, rows in head["packages"].items()
        },
        unread=tuple(head["unread"]),
        distribution=head["distribution"],
    )
