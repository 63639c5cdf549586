"""The `docker run` … `docker commit` way: a container's file system, looked through, as one layer."""

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from cosgen.build.container import ContainerSettings
from cosgen.errors import VerificationError
from cosgen.repository.client_config import MachineFile
from cosgen.upgrade.audit import (
    Change,
    ChangeKind,
    Finding,
    check_changes,
    check_environment,
    scan_content,
)
from cosgen.upgrade.channel_layer import CHANNEL_LABEL, channel_layer
from cosgen.upgrade.delivery import Delivered
from cosgen.upgrade.image import from_layers, push
from cosgen.upgrade.oci import ImageFacts
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.rootfs import Layer, union_layer
from cosgen.upgrade.systems import DeliveryRequest, flavor_name

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

    def container_settings(self, container: str) -> ContainerSettings:
        """Return environment and start command."""

    def frozen(self, container: str) -> AbstractContextManager[None]:
        """Let nothing in `container` run meanwhile."""

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
    settings: ContainerSettings
    changes: tuple[Change, ...]  # sorted by path
    findings: tuple[Finding, ...]  # what of it should not ship, sorted by path

    def of_kind(self, kind: ChangeKind) -> tuple[str, ...]:
        """Paths of one kind of change, sorted."""
        return tuple(change.path for change in self.changes if change.kind is kind)


def export_and_check(
    engine: ContainerSource, container: str, target: Path, *, allow: Sequence[str] = ()
) -> ContainerReport:
    """Export `container` to the file `target` and look through what differs from its image.

    A running container stands still meanwhile, and both are taken before it goes on: nothing ships that was
    not looked through.

    Args:
        engine: The engine the container lives in; the container may be running or stopped.
        container: Its name or id.
        target: File for the exported tar; the layer is made from it, so that what was checked is what ships.
        allow: Shell patterns over absolute paths that the user vouches for.
    """
    with engine.frozen(container):
        with target.open("wb") as file:
            for chunk in engine.export_container(container):
                file.write(chunk)
        diff = engine.container_diff(container)
    settings = engine.container_settings(container)
    changes = tuple(sorted((*_changes_in(target, diff), *_deleted(diff))))
    return ContainerReport(
        container=container,
        image=engine.container_image(container),
        platform=engine.container_platform(container),
        settings=settings,
        changes=changes,
        findings=(
            *check_environment(settings.environment, allow=allow),
            *check_changes(changes, allow=allow),
        ),
    )


def squash(exported: Path, target: Path, report: ContainerReport) -> Layer:
    """Make one deterministic layer of an exported container.

    Raises:
        VerificationError: The report has findings: nothing ships before they are removed or allowed.
    """
    if report.findings:
        raise VerificationError(*(finding.to_problem() for finding in report.findings))
    return union_layer([exported], target, title=f"container of {report.image}", exclude=_is_of_engine)


def push_container(
    registry: ImageRegistry,
    request: DeliveryRequest,
    report: ContainerReport,
    exported: Path,
    flavor: str,
    files: Sequence[MachineFile],
) -> Delivered:
    """Push a container as the image of a channel, with the channel's files on top; no tag is moved.

    Raises:
        VerificationError: The report has findings.
        PublishError: The container has a file where the channel's files need a folder (CG670).
    """
    layers = [squash(exported, exported.with_suffix(".layer"), report)]
    if files:
        with tarfile.open(exported, mode="r:") as tar:
            present = [info.name.strip("/").removeprefix("./") for info in tar if not info.isdir()]
        layers.append(channel_layer(files, exported.with_suffix(".channel"), present=present))
    facts = ImageFacts(
        platform=report.platform,
        created=request.created,
        labels={"org.opencontainers.image.base.name": report.image, CHANNEL_LABEL: request.channel},
        command=report.settings.command,
        entrypoint=report.settings.entrypoint,
        environment=report.settings.environment,
    )
    name = flavor_name(request.images, flavor)
    pushed = push(registry, name, [from_layers(layers, facts)], annotations=facts.labels)
    return Delivered(
        flavor=flavor,
        name=name,
        digest=pushed.digest,
        platforms=pushed.platforms,
        tags=(request.channel,),
        container=True,
    )


def _is_of_engine(name: str) -> bool:
    return name in _ENGINE_FILES or name.startswith(_ENGINE_TREES)


def _changes_in(exported: Path, diff: Mapping[str, str]) -> Iterator[Change]:
    with tarfile.open(exported, mode="r:") as tar:
        sizes = {info.name: info.size for info in tar}  # a hard link has the size of what it is a name of
        for info in tar:
            path = _as_told("/" + info.name.strip("/").removeprefix("./"))
            kind = diff.get(path)
            if kind is None or kind == ChangeKind.DELETED or _is_of_engine(path[1:]):
                continue
            content = _content(tar, info)
            hits = scan_content(_chunks(content)) if content else ()
            size = sizes.get(info.linkname, 0) if info.islnk() else info.size if info.isreg() else 0
            yield Change(path, ChangeKind(kind), size, hits)


def _as_told(path: str) -> str:
    """Return a path as the engine tells it in JSON: bytes that are no UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes] | None:
    """Open a regular file, or what a hard link is another name of."""
    try:
        return tar.extractfile(info) if info.isreg() or info.islnk() else None
    except KeyError:  # a hard link to nothing; `union_layer` refuses it
        return None


def _deleted(diff: Mapping[str, str]) -> Iterable[Change]:
    return (Change(path, ChangeKind.DELETED) for path, kind in diff.items() if kind == ChangeKind.DELETED)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
