"""From folders of finished builds to what a publish takes in."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.artifact import ArtifactRecord, FileRef, iterate_records
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.manifest.platform import Variant, find_arch
from cosgen.repository import pool
from cosgen.repository.attestation import attestation
from cosgen.repository.publish_plan import Incoming
from cosgen.repository.record import ObjectRef, record_of
from cosgen.storage.port import FilePayload


@dataclass(frozen=True, slots=True)
class Builds:
    """Finished builds as a publish takes them in."""

    packages: tuple[Incoming, ...]  # sorted by flavor, architecture, fingerprint
    variants: Mapping[str, tuple[Variant, str]]  # those they are for, with their OCI platforms, by key


def read_builds(folders: Iterable[Path]) -> Builds:
    """Read the builds of some folders and the folders in them; their files are verified by digest.

    Each record is let go before the next is read: a hundred thousand of them do not fit small machines.

    Raises:
        PublishError: A folder is not there, two builds of one package differ, or a build's platform is not
            that of its architecture.
        VerificationError: A file is not what its record says.
    """
    found: dict[tuple[str, str, str], Incoming] = {}
    variants: dict[str, tuple[Variant, str]] = {}
    problems: list[Problem] = []
    broken: list[Problem] = []
    for folder in sorted(_with_children(folders, problems)):
        for artifact in iterate_records(folder, broken):
            key = (artifact.flavor, artifact.arch, artifact.fingerprint)
            if key in found:
                problems += _two_builds(artifact, found[key], folder)
            elif _is_wrong_platform(artifact):
                problems.append(_wrong_platform(artifact))
            else:
                found[key] = taken = incoming(artifact, folder)
                variants[taken.variant] = (Variant(artifact.flavor, artifact.arch), artifact.platform)
    if broken:
        raise VerificationError(*broken, *problems)
    if problems:
        raise PublishError(*problems)
    return Builds(tuple(found[key] for key in sorted(found)), dict(sorted(variants.items())))


def incoming(artifact: ArtifactRecord, folder: Path) -> Incoming:
    """Make what a publish takes in of one build; its attestation is hashed, and packed anew when sent."""
    bundle = attestation(artifact, folder)
    key = pool.attestation_key(bundle.digest)
    return Incoming(
        variant=Variant(artifact.flavor, artifact.arch).key,
        record=record_of(artifact, ObjectRef(key=key, digest=bundle.digest, size=bundle.size)),
        archive=_file(folder, artifact.archive),
        attestation=bundle,
    )


def _with_children(folders: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            problems.append(_no_folder(folder))
            continue
        inner = (Path(place) / name for place, names, _ in os.walk(folder) for name in names)
        for path in (folder, *inner):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


def _file(folder: Path, ref: FileRef) -> FilePayload:
    return FilePayload(folder / ref.name, ref.size, ref.digest)


def _no_folder(folder: Path) -> Problem:
    return Problem(
        what=f"there is no folder {folder}",
        fix="give the folder that `cosgen build --output` wrote to",
        id="CG530",
    )


def _two_builds(artifact: ArtifactRecord, first: Incoming, folder: Path) -> Iterator[Problem]:
    if first.record.archive.digest != artifact.archive.digest:
        place = first.archive.path.parent if isinstance(first.archive, FilePayload) else ""
        yield Problem(
            what=f"{artifact.fingerprint} was built twice, with different bytes: {place} and {folder}",
            fix="remove one of them",
            id="CG531",
        )


def _is_wrong_platform(artifact: ArtifactRecord) -> bool:
    arch = find_arch(artifact.arch)
    return arch is None or arch.oci != artifact.platform


def _wrong_platform(artifact: ArtifactRecord) -> Problem:
    return Problem(
        what=f"{artifact.fingerprint} is for {artifact.platform}, but its architecture is {artifact.arch}",
        fix="build it again with the right --arch",
        id="CG532",
    )
