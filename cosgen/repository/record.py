"""What a repository knows of one published package."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cosgen.build.artifact import ArtifactRecord, FileRef
from cosgen.repository import pool
from cosgen.repository.codec import DecodeError, Json, integer, mapping, text, texts, whole
from cosgen.storage.port import is_digest, is_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """One immutable object: where it is, and which bytes it has."""

    key: str
    digest: str  # "sha256:" + 64 hex
    size: int  # bytes

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"key": self.key, "digest": self.digest, "size": self.size}

    @classmethod
    def from_json(cls, value: Json) -> "ObjectRef":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        return cls.checked(data.get("key"), data.get("digest"), data.get("size"))

    @classmethod
    def checked(cls, key: Json, digest: Json, size: Json) -> "ObjectRef":
        """Make a reference of what somebody else wrote; raises `DecodeError`."""
        if not isinstance(key, str) or not is_key(key):
            raise DecodeError(f"{str(key)[:60]!r} is no key of an object")
        if not isinstance(digest, str) or not is_digest(digest):
            raise DecodeError(f"{str(digest)[:60]!r} is no digest")
        return cls(key=key, digest=digest, size=whole(size))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """One package version of one variant, as published. Immutable, and free of clocks and hosts."""

    fingerprint: str
    definition: Mapping[str, object]  # the runtime definition, luet's JSON names
    finalize: str | None
    readme: str | None
    input_digest: str
    compression: str  # "zstd", "gzip" or "none"
    archive: ObjectRef
    content_digest: str  # of the uncompressed tar
    attestation: ObjectRef | None  # bundle of metadata, SBOM and provenance
    sbom: FileRef | None = None  # in that bundle
    provenance: FileRef | None = None  # in that bundle
    files: tuple[str, ...] = field(repr=False)
    installed_size: int  # bytes
    seconds: float | None = None  # what the build took; an estimate for the next one
    revision: str = ""  # commit of the source repository that it was built from
    log: str = ""  # address of the run that built it, where its log is; "" when nobody else can see it
    needs: tuple[str, ...] = ()  # fingerprints of the packages it was built from directly, sorted
    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)  # the input digest by part, shortened

    @property
    def name(self) -> str:
        """Name of the package."""
        return str(self.definition.get("name", ""))

    @property
    def category(self) -> str:
        """Category of the package."""
        return str(self.definition.get("category", ""))

    @property
    def version(self) -> str:
        """Version of the package."""
        return str(self.definition.get("version", ""))

    @property
    def human(self) -> str:
        """`category/name@version`, as people read it."""
        return f"{self.category}/{self.name}@{self.version}"

    @property
    def archive_name(self) -> str:
        """Base name of the archive in the pool."""
        return self.archive.key.rpartition("/")[2]

    @property
    def archive_digest(self) -> str:
        """`sha256:` + 64 hex of the archive as stored."""
        return self.archive.digest

    @property
    def build_stamp(self) -> str:
        """Text that differs exactly when the archive does."""
        return self.archive.digest

    def same_package(self, other: "PackageRecord") -> bool:
        """Tell whether clients would see no difference; provenance and build times may differ."""
        return (
            self.archive.digest == other.archive.digest
            and self.definition == other.definition
            and (self.finalize, self.readme, self.input_digest, self.files)
            == (other.finalize, other.readme, other.input_digest, other.files)
        )

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form, empty fields left out."""
        data: dict[str, Json] = {
            "fingerprint": self.fingerprint,
            "definition": self.definition,
            "input_digest": self.input_digest,
            "compression": self.compression,
            "archive": self.archive.to_json(),
            "content_digest": self.content_digest,
            "files": self.files,
            "installed_size": self.installed_size,
        }
        optional: dict[str, Json] = {
            "finalize": self.finalize,
            "readme": self.readme,
            "attestation": self.attestation.to_json() if self.attestation else None,
            "seconds": self.seconds,
            "revision": self.revision or None,
            "sbom": _file_json(self.sbom),
            "provenance": _file_json(self.provenance),
            "log": self.log or None,
            "needs": self.needs or None,
            "inputs": self.inputs or None,
        }
        return data | {key: value for key, value in optional.items() if value is not None}

    @classmethod
    def from_json(cls, value: Json) -> "PackageRecord":
        """Read the JSON form; raises `DecodeError`."""
        data = mapping(value)
        attestation = data.get("attestation")
        seconds = data.get("seconds")
        return cls(
            fingerprint=text(data, "fingerprint"),
            definition=mapping(data.get("definition")),
            finalize=text(data, "finalize") if "finalize" in data else None,
            readme=text(data, "readme") if "readme" in data else None,
            input_digest=text(data, "input_digest"),
            compression=text(data, "compression"),
            archive=ObjectRef.from_json(data.get("archive")),
            content_digest=text(data, "content_digest"),
            attestation=ObjectRef.from_json(attestation) if attestation is not None else None,
            files=texts(data, "files"),
            installed_size=integer(data, "installed_size"),
            seconds=float(seconds) if isinstance(seconds, int | float) else None,
            revision=text(data, "revision") if "revision" in data else "",
            sbom=_file_of(data.get("sbom")),
            provenance=_file_of(data.get("provenance")),
            log=text(data, "log") if "log" in data else "",
            needs=texts(data, "needs"),
            inputs={name: str(value) for name, value in mapping(data.get("inputs", {})).items()},
        )


def _file_json(file: FileRef | None) -> Json:
    return {"name": file.name, "digest": file.digest, "size": file.size} if file else None


def _file_of(value: Json) -> FileRef | None:
    if value is None:
        return None
    data = mapping(value)
    return FileRef(name=text(data, "name"), digest=text(data, "digest"), size=integer(data, "size"))


def record_of(artifact: ArtifactRecord, attestation: ObjectRef | None) -> PackageRecord:
    """Make the record of a finished build; its archive gets its place in the pool."""
    definition = artifact.definition
    key = pool.package_key(
        str(definition.get("name", "")),
        str(definition.get("category", "")),
        artifact.archive.digest,
        artifact.compression,
    )
    seconds = artifact.build.get("seconds")
    return PackageRecord(
        fingerprint=artifact.fingerprint,
        definition=definition,
        finalize=artifact.finalize,
        readme=artifact.readme,
        input_digest=artifact.input_digest,
        compression=artifact.compression,
        archive=ObjectRef(key=key, digest=artifact.archive.digest, size=artifact.archive.size),
        content_digest=artifact.content_digest,
        attestation=attestation,
        files=artifact.files,
        installed_size=artifact.installed_size,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        revision=str(artifact.build.get("revision", "")),
        sbom=artifact.sbom if attestation else None,
        provenance=artifact.provenance if attestation else None,
        log=str(artifact.build.get("run", "")),
        needs=artifact.needs,
        inputs=artifact.inputs,
    )
