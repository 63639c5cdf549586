"""From folders of finished builds to what a publish takes in."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cosgen.build.artifact import ArtifactRecord, FileRef, read_records
from cosgen.errors import Problem, PublishError
from cosgen.manifest.platform import Variant, find_arch
from cosgen.repository import pool
from cosgen.repository.attestation import attestation
from cosgen.repository.publish_plan import Incoming
from cosgen.repository.record import ObjectRef, record_of
from cosgen.storage.port import FilePayload

Found = tuple[ArtifactRecord, Path]


def read_folders(folders: Iterable[Path]) -> tuple[Found, ...]:
    """Read the records of some folders and the folders in them; their files are verified by digest.

    Raises:
        PublishError: A folder is not there, or two builds of one package differ.
        VerificationError: A file is not what its record says.
    """
    found: dict[tuple[str, str, str], Found] = {}
    problems: list[Problem] = []
    for folder in sorted(_with_children(folders, problems)):
        for record in read_records(folder):
            key = (record.flavor, record.arch, record.fingerprint)
            other = found.setdefault(key, (record, folder))
            if other[0].archive.digest != record.archive.digest:
                problems.append(_two_builds(record, other[1], folder))
    if problems:
        raise PublishError(*problems)
    return tuple(found[key] for key in sorted(found))


def incoming(found: Iterable[Found]) -> tuple[Incoming, ...]:
    """Make what a publish takes in; attestation bundles are hashed here, and packed again when they are sent.

    Raises:
        PublishError: A build's platform is not that of its architecture.
    """
    packages: list[Incoming] = []
    problems: list[Problem] = []
    for artifact, folder in found:
        arch = find_arch(artifact.arch)
        if arch is None or arch.oci != artifact.platform:
            problems.append(_wrong_platform(artifact))
            continue
        bundle = attestation(artifact, folder)
        key = pool.attestation_key(bundle.digest)
        record = record_of(artifact, ObjectRef(key=key, digest=bundle.digest, size=bundle.size))
        packages.append(
            Incoming(
                variant=Variant(artifact.flavor, artifact.arch).key,
                record=record,
                archive=_file(folder, artifact.archive),
                attestation=bundle,
            )
        )
    if problems:
        raise PublishError(*problems)
    return tuple(packages)


def variants_of(found: Iterable[Found]) -> dict[str, tuple[Variant, str]]:
    """Return the variants that some builds are for, with their OCI platforms, by key."""
    variants = {}
    for artifact, _ in found:
        variant = Variant(artifact.flavor, artifact.arch)
        variants[variant.key] = (variant, artifact.platform)
    return dict(sorted(variants.items()))


def _with_children(folders: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            problems.append(_no_folder(folder))
            continue
        for path in (folder, *(child for child in folder.rglob("*") if child.is_dir())):
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


def _two_builds(record: ArtifactRecord, first: Path, second: Path) -> Problem:
    return Problem(
        what=f"{record.fingerprint} was built twice, with different bytes: {first} and {second}",
        fix="remove one of them",
        id="CG531",
    )


def _wrong_platform(artifact: ArtifactRecord) -> Problem:
    return Problem(
        what=f"{artifact.fingerprint} is for {artifact.platform}, but its architecture is {artifact.arch}",
        fix="build it again with the right --arch",
        id="CG532",
    )
