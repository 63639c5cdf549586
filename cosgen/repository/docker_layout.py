"""The same snapshot as luet's docker repository type: which tag of one registry repository holds what.

A pure plan; pushing is the upgrade room's. Every image has one layer: a single file at the root, or, for a
package, its file system as it is in the archive.

Source: luet 3f2397b6, pkg/installer/repository_docker.go and pkg/helpers/docker.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cosgen.errors import Problem, PublishError
from cosgen.repository.luet import LuetFileRef, RepositoryView, repository_yaml
from cosgen.repository.record import ObjectRef, PackageRecord

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_FILE_NAMES = {"tree": "tree.tar", "meta": "repository.meta.yaml.tar", "compilertree": "compilertree.tar"}
_SUFFIXES = {"zstd": ".zst", "gzip": ".gz", "none": ""}


class TagKind(StrEnum):
    """What the image of a tag holds."""

    PACKAGE = "package"  # the file system of a package
    METADATA = "metadata"  # what its build says of it
    INDEX = "index"  # tree, index or compiler tree
    POINTER = "pointer"  # a repository.yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTag:
    """One tag to push. Exactly one of `data` and `source` is given."""

    tag: str
    kind: TagKind
    member: str  # name of the single file in the image; "" for a package: its archive is the layer
    data: bytes | None = None  # content of the file
    source: ObjectRef | None = None  # the object in the store: the file, the layer, or a bundle with the file
    digest: str  # "sha256:" + 64 hex that tells what the image holds: of the file, archive or bundle
    plain: str = ""  # of a package: "sha256:" + 64 hex of the uncompressed archive
    human: str = ""  # of a package: category/name@version
    moves: bool = False  # True for tags that are overwritten: push them last, in this order


def docker_tag(name: str) -> str:
    """Return the tag for a file name or fingerprint: luet turns `+` into `-`, everything else stays.

    >>> docker_tag("z-test-1.0+2")
    'z-test-1.0-2'
    """
    return name.replace("+", "-")


def docker_layout(
    records: Iterable[PackageRecord],
    files: Mapping[str, LuetFileRef],
    views: Mapping[str, RepositoryView],
    *,
    seq: int,
) -> tuple[DockerTag, ...]:
    """Plan the tags of one variant of a snapshot, in push order: packages, index files, pins, pointers.

    A client that reads a pointer therefore finds everything it names. One registry repository holds one
    variant: the tags of packages have no room for more.

    Args:
        records: The packages of the variant.
        files: `tree`, `meta` and perhaps `compilertree`, as the snapshot keeps them; keys relative to `r/`.
        views: File names that clients follow, immutable ones (`s42-…`) and moving ones, with the view that
            each shows; its files and type are replaced.
        seq: The commit that made the snapshot; it prefixes the tags of the index files, which never change.

    Raises:
        PublishError: Two packages share a tag, or a name makes no tag.
    """
    packages = [tag for record in records for tag in _package_tags(record)]
    renamed = {name: (f"s{seq}-{_file_name(name, ref)}", ref) for name, ref in sorted(files.items())}
    index = [_index_tag(file_name, ref) for file_name, ref in renamed.values()]
    stored = {name: replace(ref, key=file_name) for name, (file_name, ref) in renamed.items()}
    pointers = [
        _pointer(name, views[name], stored) for name in sorted(views, key=lambda name: (_moves(name), name))
    ]
    tags = (*sorted(packages, key=lambda item: item.tag), *index, *pointers)
    _check(tags)
    return tags


def _package_tags(record: PackageRecord) -> Iterable[DockerTag]:
    yield DockerTag(
        tag=docker_tag(record.fingerprint),
        kind=TagKind.PACKAGE,
        member="",
        source=record.archive,
        digest=record.archive.digest,
        plain=record.content_digest,
        human=record.human,
    )
    if record.attestation is not None:
        name = f"{record.fingerprint}.metadata.yaml"
        yield DockerTag(
            tag=docker_tag(name),
            kind=TagKind.METADATA,
            member=name,
            source=record.attestation,
            digest=record.attestation.digest,
            human=record.human,
        )


def _index_tag(name: str, ref: LuetFileRef) -> DockerTag:
    source = ObjectRef(key=f"r/{ref.key}", digest=ref.digest, size=ref.size)
    return DockerTag(tag=docker_tag(name), kind=TagKind.INDEX, member=name, source=source, digest=ref.digest)


def _file_name(name: str, ref: LuetFileRef) -> str:
    return _FILE_NAMES[name] + _SUFFIXES[ref.compression]


def _pointer(name: str, view: RepositoryView, stored: Mapping[str, LuetFileRef]) -> DockerTag:
    text = repository_yaml(
        replace(
            view,
            type="docker",
            tree=stored["tree"],
            meta=stored["meta"],
            compilertree=stored.get("compilertree"),
        )
    )
    return DockerTag(
        tag=docker_tag(name),
        kind=TagKind.POINTER,
        member=name,
        data=text,
        digest=f"sha256:{hashlib.sha256(text).hexdigest()}",
        moves=_moves(name),
    )


def _moves(name: str) -> bool:
    return re.match(r"s\d+-", name) is None


def _check(tags: Iterable[DockerTag]) -> None:
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for item in tags:
        what = item.member or item.human
        if not _TAG.fullmatch(item.tag):
            fix = "use letters, digits, _, . and - in category, name and version, at most 128 in all"
            problems.append(Problem(what=f"{what}: {item.tag!r} is no registry tag", fix=fix, id="CG554"))
        if item.tag in seen:
            fix = "change a version; luet turns `+` into `-` in tags"
            both = f"{seen[item.tag]} and {what} would be one tag, {item.tag}"
            problems.append(Problem(what=both, fix=fix, id="CG555"))
        seen[item.tag] = what
    if problems:
        raise PublishError(*problems)
