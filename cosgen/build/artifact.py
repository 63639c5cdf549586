"""What a build leaves behind for one package, and how it lies in a folder.

A build writes, beside each other in the output folder (stem = the package's fingerprint):

- `<stem>.package.tar[.zst|.gz]`   the artifact, content of the package
- `<stem>.metadata.yaml`           luet's own metadata dialect, for stock tools
- `<stem>.cdx.json`                CycloneDX software bill of materials
- `<stem>.intoto.json`             in-toto statement with SLSA v1 provenance
- `<stem>.artifact.json`           `ArtifactRecord`, written last: it names the others by digest,
                                   so a folder without it holds no finished artifact.
"""

import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cosgen.build.rules import problem
from cosgen.errors import Problem, VerificationError

RECORD_SUFFIX = ".artifact.json"
RECORD_SCHEMA = 1
_SHORT_TEXT = 40  # characters
PARTIAL_PREFIX = ".partial-"  # files under way; left behind only by a killed process


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """One file of the artifact set: where, how large, and which bytes."""

    name: str  # file name in the output folder
    digest: str  # "sha256:" + 64 hex of the exact bytes
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRecord:
    """One finished package build. Everything `publish` needs, without the tree."""

    schema: int = RECORD_SCHEMA
    fingerprint: str
    definition: Mapping[str, object]  # the runtime definition: non-empty fields, luet's JSON names
    finalize: str | None  # text of finalize.yaml
    readme: str | None  # text of README.md
    flavor: str
    arch: str  # as in cosgen.yaml
    platform: str  # OCI platform, os/arch[/variant]
    input_digest: str  # "sha256:" + 64 hex
    compression: str  # "zstd", "gzip" or "none"
    archive: FileRef
    content_digest: str  # "sha256:" + 64 hex of the uncompressed tar
    metadata: FileRef
    sbom: FileRef
    provenance: FileRef
    files: tuple[str, ...]  # members that are not directories, archive order, no leading "/"
    installed_size: int  # bytes, sum of the members' sizes
    needs: tuple[str, ...] = ()  # fingerprints of the packages it is built from directly, sorted
    inputs: Mapping[str, str] = field(default_factory=dict)  # what the input digest is made of, shortened
    build: Mapping[str, object] = field(
        default_factory=dict
    )  # seconds, revision, run, log, cache; never hashed

    def to_json(self) -> str:
        """Return the record as canonical JSON (sorted keys, one trailing newline)."""
        mappings = {name: dict(getattr(self, name)) for name in _MAPPINGS}
        data = asdict(self) | mappings
        return json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ArtifactRecord":
        """Undo `to_json`.

        Raises:
            ValueError: The text is not a record of this schema.
        """
        try:
            data = json.loads(text)
        except RecursionError as error:
            raise ValueError("not an artifact record: it is nested too deeply") from error
        if not isinstance(data, dict) or data.get("schema") != RECORD_SCHEMA:
            raise ValueError(f"not an artifact record of schema {RECORD_SCHEMA}")
        try:
            _check_kinds(data)
            references = {name: _file_ref(data[name]) for name in _REFERENCES}
            mappings = {name: _shared(data[name]) for name in _MAPPINGS if name in data}
            fields = {
                **data,
                **references,
                **mappings,
                "files": tuple(data["files"]),
                "needs": tuple(map(sys.intern, data.get("needs", ()))),
            }
            return cls(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an artifact record: {error}") from error

    @property
    def references(self) -> tuple[FileRef, ...]:
        """The files the record names."""
        return (self.archive, self.metadata, self.sbom, self.provenance)


_REFERENCES = ("archive", "metadata", "sbom", "provenance")
_TEXTS = ("fingerprint", "flavor", "arch", "platform", "input_digest", "content_digest")
_COMPRESSIONS = ("zstd", "gzip", "none")
_MAPPINGS = ("definition", "inputs", "build")


def _check_kinds(data: Mapping[str, Any]) -> None:
    """See that each field is of its kind; raises TypeError."""
    texts = [data[name] for name in _TEXTS]
    texts += [text for name in ("finalize", "readme") if (text := data[name]) is not None]
    texts += [*_list(data["files"]), *_list(data.get("needs", []))]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("something stands where a text should")
    if data["compression"] not in _COMPRESSIONS:
        raise TypeError(f"it is compressed by {str(data['compression'])[:40]!r}")
    if not _is_size(data["installed_size"]):
        raise TypeError("its size is none")


def _file_ref(value: Mapping[str, Any]) -> FileRef:
    if not isinstance(value["name"], str) or not isinstance(value["digest"], str):
        raise TypeError("a file has no name or digest")
    if not _is_size(value["size"]):
        raise TypeError("a file has no size")
    value["name"].encode("utf-8", "surrogateescape")
    return FileRef(**value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("something stands where a list should")
    return value


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _shared(mapping: Mapping[str, object]) -> dict[str, object]:
    """Return a mapping whose short texts are kept once for all records: a hundred thousand have the same."""
    return {sys.intern(key): _shared_text(value) for key, value in mapping.items()}


def _shared_text(value: object) -> object:
    return sys.intern(value) if isinstance(value, str) and len(value) <= _SHORT_TEXT else value


def record_name(fingerprint: str) -> str:
    """Return the name of a package's record in the output folder."""
    return fingerprint + RECORD_SUFFIX


def store_record(folder: Path, record: ArtifactRecord) -> Path:
    """Write a record, last of its set and in one step."""
    path = folder / record_name(record.fingerprint)
    store_bytes(path, record.to_json().encode("utf-8", "surrogateescape"))
    return path


def store_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step: it has its old content or its new one, never a part."""
    partial = partial_path(path)
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Return where a file is written before it gets its name; no other thread or process uses it."""
    return path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{threading.get_ident()}-{path.name}")


def sweep(folder: Path) -> None:
    """Remove files that killed runs left half-written; their process ids are in the names."""
    for path in folder.glob(f"{PARTIAL_PREFIX}*"):
        process = path.name.removeprefix(PARTIAL_PREFIX).partition("-")[0]
        if process.isascii() and process.isdigit() and not _is_alive(int(process)):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def find_record(folder: Path, fingerprint: str) -> ArtifactRecord | None:
    """Return the record of a package whose files are all there with the sizes it names, or None.

    Digests are not computed: this answers "is it done?" in the time of a few `stat` calls.
    """
    path = folder / record_name(fingerprint)
    try:
        record = ArtifactRecord.from_json(path.read_text("utf-8", "surrogateescape"))
        whole = all((folder / ref.name).stat().st_size == ref.size for ref in record.references)
    except (OSError, ValueError):
        return None
    return record if whole and _names_are_plain(record) else None


def read_records(folder: Path) -> tuple[ArtifactRecord, ...]:
    """Return all records of a folder, sorted by fingerprint, after checking every file they name.

    Raises:
        VerificationError: With every record that cannot be read and every file that is missing, has another
            size or other bytes.
    """
    problems: list[Problem] = []
    records = sorted(iterate_records(folder, problems), key=lambda record: record.fingerprint)
    if problems:
        raise VerificationError(*problems)
    return tuple(records)


def iterate_records(folder: Path, problems: list[Problem]) -> Iterator[ArtifactRecord]:
    """Yield the records of a folder one by one, in the order of their files' names; the bad ones are told.

    Args:
        folder: Where artifacts are.
        problems: Gets what is wrong with records and with the files they name.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(RECORD_SUFFIX))
    for name in names:
        try:
            record = ArtifactRecord.from_json((folder / name).read_text("utf-8", "surrogateescape"))
        except (OSError, ValueError) as error:
            problems.append(problem("CG490", f"{name}: {error}"))
            continue
        faults = check_record(folder, record)
        problems.extend(faults)
        if not faults:
            yield record


def check_record(folder: Path, record: ArtifactRecord) -> tuple[Problem, ...]:
    """Return what is wrong with the files of a record; () when all bytes are as it says."""
    if not _names_are_plain(record):
        return (problem("CG490", f"the record of {record.fingerprint} names a file outside of its folder"),)
    return tuple(_wrong(folder, record, ref) for ref in record.references if not _is_right(folder, ref))


def _names_are_plain(record: ArtifactRecord) -> bool:
    return all(
        not {"/", "\0"} & set(ref.name) and ref.name not in ("", ".", "..") for ref in record.references
    )


def _is_right(folder: Path, ref: FileRef) -> bool:
    try:
        return file_ref(folder / ref.name) == ref
    except OSError:
        return False


def _wrong(folder: Path, record: ArtifactRecord, ref: FileRef) -> Problem:
    there = (folder / ref.name).is_file()
    what = "has other bytes than its record says" if there else "is missing"
    return problem("CG490", f"{ref.name} of {record.fingerprint} {what}")


def file_ref(path: Path) -> FileRef:
    """Return name, size and digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRef(name=path.name, digest=f"sha256:{digest}", size=os.fstat(file.fileno()).st_size)
