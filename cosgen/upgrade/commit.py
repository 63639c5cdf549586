"""The `docker run` … `docker commit` way: a container's file system, looked through, as one layer."""

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cosgen.errors import VerificationError
from cosgen.upgrade.audit import Change, ChangeKind, Finding, check_changes, scan_content
from cosgen.upgrade.rootfs import Layer, union_layer

_CHUNK = 1 << 20  # bytes

# What the engine puts into every container; never part of the system.
_ENGINE_FILES = frozenset({".dockerenv", ".dockerinit", "run/.containerenv", "dev/console"})
_ENGINE_TREES = ("proc/", "sys/", "dev/pts/", "dev/shm/", "dev/mqueue/")


class ContainerSource(Protocol):
    """The part of a container engine that a commit needs."""

    def container_platform(self, container: str) -> str:
        """Return the platform, os/arch[/variant], of the image that `container` runs."""

    def container_image(self, container: str) -> str:
        """Return the reference or id of the image that `container` was made from."""

    def container_diff(self, container: str) -> Mapping[str, str]:
        """Return absolute path → "added", "changed" or "deleted", against the image."""

    def export_container(self, container: str) -> Iterator[bytes]:
        """Yield the container's merged file system as an uncompressed tar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerReport:
    """What a container holds that its image does not."""

    container: str
    image: str  # what it was made from
    platform: str  # os/arch[/variant]
    changes: tuple[Change, ...]  # sorted by path
    findings: tuple[Finding, ...]  # what of it should not ship, sorted by path

    def of_kind(self, kind: ChangeKind) -> tuple[str, ...]:
        """Paths of one kind of change, sorted."""
        return tuple(change.path for change in self.changes if change.kind is kind)


def export_and_check(
    engine: ContainerSource, container: str, target: Path, *, allow: Sequence[str] = ()
) -> ContainerReport:
    """Export `container` to the file `target` and look through what differs from its image.

    Args:
        engine: The engine the container lives in; the container may be running or stopped.
        container: Its name or id.
        target: File for the exported tar; the layer is made from it, so that what was checked is what ships.
        allow: Shell patterns over absolute paths that the user vouches for.
    """
    diff = engine.container_diff(container)
    with target.open("wb") as file:
        for chunk in engine.export_container(container):
            file.write(chunk)
    changes = tuple(sorted((*_changes_in(target, diff), *_deleted(diff))))
    return ContainerReport(
        container=container,
        image=engine.container_image(container),
        platform=engine.container_platform(container),
        changes=changes,
        findings=check_changes(changes, allow=allow),
    )


def squash(exported: Path, target: Path, report: ContainerReport) -> Layer:
    """Make one deterministic layer of an exported container.

    Raises:
        VerificationError: The report has findings: nothing ships before they are removed or allowed.
    """
    if report.findings:
        raise VerificationError(*(finding.to_problem() for finding in report.findings))
    return union_layer([exported], target, title=f"container of {report.image}", exclude=_is_of_engine)


def _is_of_engine(name: str) -> bool:
    return name in _ENGINE_FILES or name.startswith(_ENGINE_TREES)


def _changes_in(exported: Path, diff: Mapping[str, str]) -> Iterator[Change]:
    with tarfile.open(exported, mode="r:") as tar:
        for info in tar:
            path = "/" + info.name.strip("/").removeprefix("./")
            kind = diff.get(path)
            if kind is None or kind == ChangeKind.DELETED or _is_of_engine(path[1:]):
                continue
            hits = scan_content(_chunks(tar, info)) if info.isreg() else ()
            yield Change(path, ChangeKind(kind), info.size if info.isreg() else 0, hits)


def _deleted(diff: Mapping[str, str]) -> Iterable[Change]:
    return (Change(path, ChangeKind.DELETED) for path, kind in diff.items() if kind == ChangeKind.DELETED)


def _chunks(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(info)
    if file is None:
        return
    while chunk := file.read(_CHUNK):
        yield chunk
