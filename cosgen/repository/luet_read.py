"""Read a repository that luet's `create-repo` wrote, with all its quirks, over any transport.

Source: luet 3f2397b6, pkg/installer/repository.go; quirks of several years are tolerated where clients do.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cosgen.errors import Problem, PublishError, Severity, VerificationError
from cosgen.repository import luet_yaml
from cosgen.repository.luet_tar import decompress

_MOST = 1 << 30  # bytes of the tree or the index, unpacked
Fetch = Callable[[str], bytes | None]  # name relative to the repository; None when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class LuetEntry:
    """One package that the repository offers."""

    fingerprint: str
    definition: Mapping[str, object]
    finalize: str | None
    archive: str  # base name
    sha256: str  # "" when the repository does not say
    compression: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LuetRepository:
    """What a client would see, and what it would silently miss."""

    name: str
    entries: tuple[LuetEntry, ...]  # sorted by fingerprint
    problems: tuple[Problem, ...]  # warnings


def read_luet_repository(fetch: Fetch, reference: str = "repository.yaml") -> LuetRepository:
    """Read a repository through one of its `repository.yaml` files.

    Args:
        fetch: Gets a file of the repository.
        reference: File name of the index to follow.

    Raises:
        PublishError: A file is missing or is not what luet writes.
        VerificationError: A file does not have its checksum.
    """
    view = _mapping(luet_yaml.parse(_get(fetch, reference), reference))
    listed = _mapping(view.get("repo_files"))
    trees = _members(_blob(fetch, listed, "tree"), "the tree")
    meta = _members(_blob(fetch, listed, "meta"), "the index")
    index = _index(meta)
    definitions = dict(_definitions(trees))
    return LuetRepository(
        str(view.get("name", "")),
        tuple(
            _entry(key, *definitions[key], index[key]) for key in sorted(definitions.keys() & index.keys())
        ),
        tuple(_one_sided(definitions, index)),
    )


def _blob(fetch: Fetch, listed: Mapping[str, object], kind: str) -> bytes:
    file = _mapping(listed.get(kind))
    name = str(file.get("filename", ""))
    if not name:
        raise PublishError(_unreadable(f"repository.yaml names no {kind}"))
    data = _get(fetch, name)
    wanted = _mapping(file.get("checksums")).get("sha256")
    if wanted and hashlib.sha256(data).hexdigest() != wanted:
        fix = "try again: the repository may be in the middle of an upload"
        raise VerificationError(Problem(what=f"{name} does not have its checksum", fix=fix, id="CG557"))
    return decompress(data, name, limit=_MOST)


def _members(data: bytes, name: str) -> dict[str, bytes]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            return {
                member.name.removeprefix("./"): file.read()
                for member in archive
                if member.isreg() and not member.issparse() and (file := archive.extractfile(member))
            }
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise PublishError(_unreadable(f"{name} is no tar archive: {error}")) from error


def _index(members: Mapping[str, bytes]) -> dict[str, Mapping[str, object]]:
    document = _mapping(luet_yaml.parse(members.get("repository.meta.yaml", b""), "the index"))
    entries = (_mapping(item) for item in _items(document.get("index")))
    return {_key(_mapping(_mapping(entry.get("compilationspec")).get("package"))): entry for entry in entries}


def _definitions(
    members: Mapping[str, bytes],
) -> Iterator[tuple[str, tuple[Mapping[str, object], str | None]]]:
    for path, text in members.items():
        folder, _, name = path.rpartition("/")
        if name == "definition.yaml":
            packages = [_mapping(luet_yaml.parse(text, path))]
        elif name == "collection.yaml":
            packages = [
                _mapping(item) for item in _items(_mapping(luet_yaml.parse(text, path)).get("packages"))
            ]
        else:
            continue
        finalize = members.get(f"{folder}/finalize.yaml")
        for package in packages:
            yield _key(package), (package, finalize.decode("utf-8", "replace") if finalize else None)


def _entry(
    key: str, package: Mapping[str, object], finalize: str | None, entry: Mapping[str, object]
) -> LuetEntry:
    return LuetEntry(
        fingerprint=key,
        definition=_definition(package),
        finalize=finalize,
        archive=str(entry.get("path", "")).rpartition("/")[2],
        sha256=str(_mapping(entry.get("checksums")).get("sha256", "")),
        compression=str(entry.get("compressiontype") or "none"),
        files=tuple(str(name) for name in _items(entry.get("files"))),
    )


def _definition(package: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in package.items():
        if key in {"id", "path", "treedir"} or value in ("", "null", "~", None, [], {}):
            continue
        if key in {"requires", "conflicts", "provides"}:
            kept[key] = [
                {name: item[name] for name in ("name", "category", "version") if item.get(name)}
                for item in map(_mapping, _items(value))
            ]
        else:
            kept[key] = str(value).lower() == "true" if key == "hidden" else value
    return {key: value for key, value in kept.items() if value not in (False, [])}


def _one_sided(tree: Mapping[str, object], index: Mapping[str, object]) -> Iterator[Problem]:
    for key in sorted(tree.keys() ^ index.keys()):
        has, lacks = ("tree", "index") if key in tree else ("index", "tree")
        yield Problem(
            what=f"{key} is in the {has} but not in the {lacks}; clients cannot install it",
            fix="it is left out; build it again if it is wanted",
            id="CG558",
            severity=Severity.WARNING,
        )


def _key(package: Mapping[str, object]) -> str:
    return "-".join(str(package.get(part, "")) for part in ("name", "category", "version"))


def _get(fetch: Fetch, name: str) -> bytes:
    data = fetch(name)
    if data is None:
        raise PublishError(_unreadable(f"there is no {name}"))
    return data


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _unreadable(what: str) -> Problem:
    return Problem(what=f"not a repository that luet wrote: {what}", fix="check the URL", id="CG556")
