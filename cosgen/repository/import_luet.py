"""Take over a repository that luet wrote: its packages become a folder of artifacts that `publish` takes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosgen.build.artifact import RECORD_SUFFIX, ArtifactRecord, FileRef
from cosgen.errors import Problem, VerificationError
from cosgen.manifest.platform import Variant, find_arch
from cosgen.repository import luet_yaml
from cosgen.repository.luet_read import Fetch, LuetEntry, read_luet_repository
from cosgen.repository.luet_tar import SUFFIXES, decompress

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+~:@^=,-]*")  # becomes a file name


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was taken over."""

    packages: tuple[str, ...]  # fingerprints, sorted
    problems: tuple[Problem, ...]  # warnings: what was left out


def import_repository(
    fetch: Fetch, folder: Path, variant: Variant, *, reference: str = "repository.yaml", origin: str
) -> ImportReport:
    """Fetch every package, verify it, and write it as an artifact; what is there is not fetched again.

    Args:
        fetch: Gets a file of the repository.
        folder: Where the artifacts go.
        variant: Flavor and arch that the repository is for; luet does not say.
        reference: File name of the index to follow.
        origin: Where the repository lies; provenance names it.

    Raises:
        PublishError: The repository cannot be read.
        VerificationError: With every archive that is missing or not what the index says.
    """
    found = read_luet_repository(fetch, reference)
    folder.mkdir(parents=True, exist_ok=True)
    problems: list[Problem] = []
    for entry in found.entries:
        if not _NAME.fullmatch(entry.fingerprint):
            problems.append(_unsafe(entry))
            continue
        if (folder / f"{entry.fingerprint}{RECORD_SUFFIX}").exists():
            continue
        data = fetch(entry.archive)
        if data is None or (entry.sha256 and hashlib.sha256(data).hexdigest() != entry.sha256):
            problems.append(_wrong(entry, missing=data is None))
        else:
            _write(folder, entry, data, variant, origin)
    if problems:
        raise VerificationError(*problems)
    return ImportReport(tuple(entry.fingerprint for entry in found.entries), found.problems)


def _write(folder: Path, entry: LuetEntry, data: bytes, variant: Variant, origin: str) -> None:
    arch = find_arch(variant.arch)
    stem = entry.fingerprint
    content = decompress(data, entry.archive)
    compression = _compression(data)
    archive = _file(folder, f"{stem}.package.tar{SUFFIXES[compression]}", data)
    record = ArtifactRecord(
        fingerprint=stem,
        definition=entry.definition,
        finalize=entry.finalize,
        readme=None,
        flavor=variant.flavor,
        arch=variant.arch,
        platform=arch.oci if arch else f"linux/{variant.arch}",
        # What it was built from is not known; so a build from a tree always differs, and replaces it.
        input_digest=_digest(f"imported {archive.digest}".encode()),
        compression=compression,
        archive=archive,
        content_digest=_digest(content),
        metadata=_file(folder, f"{stem}.metadata.yaml", _metadata(entry)),
        sbom=_file(folder, f"{stem}.cdx.json", _sbom(entry)),
        provenance=_file(folder, f"{stem}.intoto.json", _provenance(entry, archive, origin)),
        files=entry.files,
        installed_size=len(content),
    )
    (folder / f"{stem}{RECORD_SUFFIX}").write_text(record.to_json())


def _metadata(entry: LuetEntry) -> bytes:
    package = {
        key: entry.definition[key] for key in ("name", "category", "version") if key in entry.definition
    }
    text = (
        f"compilespec: {luet_yaml.flow({'package': {key: str(value) for key, value in package.items()}})}\n"
    )
    return (text + luet_yaml.block({"files": entry.files, "path": entry.archive})).encode()


def _sbom(entry: LuetEntry) -> bytes:
    component = {
        "type": "operating-system",
        "group": entry.definition.get("category", ""),
        "name": entry.definition.get("name", ""),
        "version": entry.definition.get("version", ""),
    }
    return _json({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [component]})


def _provenance(entry: LuetEntry, archive: FileRef, origin: str) -> bytes:
    digest = {"sha256": archive.digest.removeprefix("sha256:")}
    return _json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": archive.name, "digest": digest}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://cosgen.dev/import/v1",
                    "externalParameters": {"repository": origin, "package": entry.fingerprint},
                    "resolvedDependencies": [
                        {"uri": f"{origin.rstrip('/')}/{entry.archive}", "digest": digest}
                    ],
                },
                "runDetails": {"builder": {"id": "imported: the builder is not known"}},
            },
        }
    )


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def _compression(data: bytes) -> str:
    magics = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
    return next((name for magic, name in magics.items() if data.startswith(magic)), "none")


def _file(folder: Path, name: str, data: bytes) -> FileRef:
    (folder / name).write_bytes(data)
    return FileRef(name=name, digest=_digest(data), size=len(data))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _wrong(entry: LuetEntry, *, missing: bool) -> Problem:
    why = "is missing" if missing else "does not have the checksum of the index"
    return Problem(
        what=f"{entry.archive} of {entry.fingerprint} {why}",
        fix="mend the old repository or take the package out of it, then import again; the rest is kept",
        id="CG559",
    )


def _unsafe(entry: LuetEntry) -> Problem:
    return Problem(
        what=f"{entry.fingerprint!r} cannot be a file name",
        fix="take the package out of the old repository, then import again; the rest is kept",
        id="CG552",
    )
