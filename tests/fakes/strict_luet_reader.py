"""A luet client that forgives nothing: reads a repository as luet does, and stops where luet would break.

Written from the description of luet's formats alone; it shares no code with the writer.
"""

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
import zstandard

Fetch = Callable[[str], bytes]

# What yaml.v2 makes of a plain scalar that is not a string. Anything of the kind that stands unquoted where luet
# wants a string is fatal in the tree and silently wrong in the index.
_NOT_STRING = re.compile(
    r"(?:[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+|0[xob][0-9a-fA-F_]+|"
    r"y|n|yes|no|on|off|true|false|null|~|)",
    re.IGNORECASE,
)


class LuetBreaksError(Exception):
    """A stock client would fail, hang or silently miss packages."""


@dataclass(frozen=True)
class StrictPackage:
    """A package that a client can install."""

    definition: Mapping[str, Any]
    entry: Mapping[str, Any]
    finalize: str | None


@dataclass(frozen=True)
class StrictRepository:
    name: str
    revision: int
    last_update: str
    packages: Mapping[str, StrictPackage]  # by fingerprint


def read(fetch: Fetch, reference: str = "repository.yaml") -> StrictRepository:
    """Sync a repository as a client does, checking every rule on the way."""
    view = _mapping(_typed(fetch(reference)), reference)
    _check_view(view)
    files = view["repo_files"]
    blobs = {kind: _fetch_file(fetch, files[kind], kind) for kind in ("tree", "meta")}
    if "compilertree" in files:
        _members(_fetch_file(fetch, files["compilertree"], "compilertree"))
    tree = _read_tree(blobs["tree"])
    index = _read_index(blobs["meta"])
    if tree.keys() != index.keys():
        raise LuetBreaksError(f"tree and index differ: {sorted(tree.keys() ^ index.keys())}")
    packages = {
        key: StrictPackage(definition, index[key], finalize) for key, (definition, finalize) in tree.items()
    }
    _check_requirements(packages)
    return StrictRepository(view["name"], view["revision"], view["last_update"], packages)


def fetch_package(fetch: Fetch, package: StrictPackage) -> bytes:
    """Download an archive as the client does: base name of `path`, sha256 over the stored bytes."""
    data = fetch(package.entry["path"].rpartition("/")[2])
    if hashlib.sha256(data).hexdigest() != package.entry["checksums"]["sha256"]:
        raise LuetBreaksError("Artifact integrity check failure; the client's cache is poisoned now")
    names = [member.name for member in _members(data).values() if not member.isdir()]
    if list(package.entry.get("files") or ()) != names:
        raise LuetBreaksError("`files` is not what the archive has")
    return data


def _check_view(view: Mapping[str, Any]) -> None:
    for key, kind in (("name", str), ("last_update", str), ("revision", int), ("enable", bool)):
        if not isinstance(view.get(key), kind):
            raise LuetBreaksError(f"{key} is {view.get(key)!r}, not {kind.__name__}")
    if not isinstance(view.get("urls"), list | None) or not view["last_update"].isdigit():
        raise LuetBreaksError("urls is no list, or last_update no number in a string")
    if view["revision"] < 1 or view.get("index") != []:
        raise LuetBreaksError("revision below 1, or an inline index")
    for file in ("tree", "meta"):
        if file not in view.get("repo_files", {}):
            raise LuetBreaksError(f"Invalid repository without the {file} key file.")


def _fetch_file(fetch: Fetch, file: Mapping[str, Any], kind: str) -> bytes:
    if "+" in file["filename"]:
        raise LuetBreaksError("S3 reads + as a blank")
    data = fetch(file["filename"])
    wanted = file["checksums"]["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", wanted) or hashlib.sha256(data).hexdigest() != wanted:
        raise LuetBreaksError(f"while fetching {kind!r}: file integrity check failure")
    return _decompress(data)


def _decompress(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return reader.read()
    return data


def _members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(_decompress(data))) as archive:
        found = {member.name: member for member in archive}
    for name in found:
        if name.startswith(("/", "./")) or ".." in name.split("/"):
            raise LuetBreaksError(f"member {name!r} is not plainly relative")
    return found


def _read_tree(data: bytes) -> dict[str, tuple[Mapping[str, Any], str | None]]:
    texts: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if member.name in texts or member.mtime or member.uid or member.gid:
                raise LuetBreaksError(f"{member.name}: double, or not reproducible")
            texts[member.name] = file.read() if file else b""
    packages: dict[str, tuple[Mapping[str, Any], str | None]] = {}
    for name, text in texts.items():
        folder, _, base = name.rpartition("/")
        if base == "finalize.yaml":
            continue
        if base != "definition.yaml":
            raise LuetBreaksError(f"{name}: clients would render or expand it")
        definition = _mapping(_typed(text), name)
        key = _check_package(definition, name)
        if (
            folder != "/".join(definition[part] for part in ("category", "name", "version"))
            or key in packages
        ):
            raise LuetBreaksError(f"{name}: not where its fingerprint says, or double")
        finalize = texts.get(f"{folder}/finalize.yaml")
        packages[key] = (definition, finalize.decode() if finalize is not None else None)
    return packages


def _read_index(data: bytes) -> dict[str, Mapping[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        if [member.name for member in members] != ["repository.meta.yaml"]:
            raise LuetBreaksError(f"meta holds {members}")
        file = archive.extractfile(members[0])
        document = _typed(file.read() if file else b"")
    entries: dict[str, Mapping[str, Any]] = {}
    for entry in _mapping(document, "index").get("index", []):
        if "compilationspec" not in entry or "package" not in entry["compilationspec"]:
            raise LuetBreaksError("panic: entry without compilationspec")
        key = _check_package(entry["compilationspec"]["package"], "index")
        path, checksums = entry["path"], entry["checksums"]
        if "/" in path or "+" in path or not re.fullmatch(r"[0-9a-f]{64}", checksums.get("sha256", "")):
            raise LuetBreaksError(f"{key}: path {path!r}, checksums {checksums}")
        if any(name.startswith("/") for name in entry.get("files") or ()):
            raise LuetBreaksError(f"{key}: absolute file names")
        if key in entries:
            raise LuetBreaksError(f"{key}: twice in the index")
        _check_package(entry["runtime"], "runtime")
        entries[key] = entry
    return entries


def _check_package(package: Mapping[str, Any], where: str) -> str:
    for key in ("name", "category", "version"):
        if not isinstance(package.get(key), str) or not package[key]:
            raise LuetBreaksError(f"{where}: {key} is {package.get(key)!r}")
    for key in ("labels", "annotations"):
        if not all(isinstance(value, str) for value in (package.get(key) or {}).values()):
            raise LuetBreaksError(f"{where}: {key} must be strings")
    for key in ("requires", "conflicts", "provides"):
        for reference in package.get(key) or ():
            _check_package(reference, f"{where} {key}")
    return f"{package['name']}-{package['category']}-{package['version']}"


def _check_requirements(packages: Mapping[str, StrictPackage]) -> None:
    names = {(package.definition["category"], package.definition["name"]) for package in packages.values()}
    for package in packages.values():
        for provided in package.definition.get("provides") or ():
            names.add((provided["category"], provided["name"]))
    for key, package in packages.items():
        for wanted in package.definition.get("requires") or ():
            if (wanted["category"], wanted["name"]) not in names:
                raise LuetBreaksError(f"{key} requires {wanted}, which nobody has")


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise LuetBreaksError(f"{what} is no mapping")
    return value


def _typed(text: bytes) -> object:
    """Read YAML as Go's yaml.v2 does: quoted is a string, plain is looked at."""
    node = yaml.compose(text.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return None if node is None else _value(node)


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        pairs = [(_value_key(key), _value(value)) for key, value in node.value]
        if len({key for key, _ in pairs}) != len(pairs):
            raise LuetBreaksError("double key")
        return dict(pairs)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if _is_plain(node) and _NOT_STRING.fullmatch(node.value):
        known: dict[str, Any] = {"true": True, "false": False, "null": None}
        return known[node.value] if node.value in known else int(node.value)
    return node.value


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style


def _value_key(node: yaml.Node) -> str:
    if _is_plain(node) and _NOT_STRING.fullmatch(node.value):
        raise LuetBreaksError(f"key {node.value!r} is read as something else")
    return str(node.value)
