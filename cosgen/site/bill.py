"""Bills of materials: which components a published package holds, read from its attestation bundle.

Bundles are small but many, so they are fetched side by side, each once, and only so many in one build. A
bundle is somebody else's data: its digest is checked, and what it unpacks to is bounded.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import zstandard

from cosgen.errors import VerificationError
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.snapshot import load_object
from cosgen.storage.port import Store

Bill = Mapping[str, tuple[str, ...]]  # "deb/openssl" -> versions, sorted

READS = 2_000  # bundles that one build of a site reads
_BYTES = 256 << 20  # that a bundle may unpack to
_READERS = 8


class Bills:
    """Reads bills, each once."""

    def __init__(self, store: Store, reads: int = READS) -> None:
        self._store = store
        self._left = reads
        self._known: dict[str, Bill | None] = {}

    def fetch(self, records: Iterable[PackageRecord]) -> None:
        """Read the bills of some packages side by side, as far as the number of reads allows."""
        wanted = {r.attestation.key: r.attestation for r in records if r.attestation}
        new = [wanted[key] for key in sorted(wanted.keys() - self._known.keys())][: self._left]
        self._left -= len(new)
        with ThreadPoolExecutor(_READERS) as readers:
            found = readers.map(self._read, new)
            self._known.update({ref.key: bill for ref, bill in zip(new, found, strict=True)})

    def find(self, record: PackageRecord) -> Bill | None:
        """Return the bill of a package that was fetched; None when it has none that can be read."""
        return self._known.get(record.attestation.key) if record.attestation else None

    def _read(self, ref: ObjectRef) -> Bill | None:
        try:
            return read_bill(load_object(self._store, ref))
        except VerificationError:
            return None  # collected as garbage, or damaged: `cosgen repo fsck` tells which


def read_bill(bundle: bytes) -> Bill | None:
    """Return what the CycloneDX document in a bundle lists, files left out; None when there is none."""
    try:
        data = zstandard.ZstdDecompressor().stream_reader(bundle).read(_BYTES + 1)
        if len(data) > _BYTES:
            return None
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".cdx.json"):
                    file = archive.extractfile(member)
                    return _components(json.loads(file.read())) if file else None
    except (zstandard.ZstdError, tarfile.TarError, ValueError, RecursionError):
        return None
    return None


def _components(document: object) -> Bill | None:
    listed = document.get("components", []) if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    found: dict[str, set[str]] = {}
    for component in listed:
        if isinstance(component, dict) and component.get("type") != "file":
            found.setdefault(_name(component), set()).add(str(component.get("version") or ""))
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _name(component: Mapping[str, object]) -> str:
    """Return `deb/openssl` for a component with a package URL, its bare name for others."""
    kind, slash, _ = str(component.get("purl") or "").removeprefix("pkg:").partition("/")
    name = str(component.get("name") or "")
    return f"{kind}/{name}" if slash else name
