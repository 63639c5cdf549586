"""Foundations that luet's own `create-repo` wrote: one index, followed by its digest; archives by theirs.

Such a repository is rewritten in place, so what was pinned may be gone; what was read before is kept. Its
images are those of finished packages as luet pushes them: tagged by fingerprint, with their own files only.
"""

import hashlib
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from cosgen.errors import PublishError, VerificationError
from cosgen.graph.fingerprint import image_id
from cosgen.manifest.foundation import FoundationPackage, decode_package
from cosgen.manifest.lock import LockedFoundation
from cosgen.manifest.platform import Variant
from cosgen.repository import luet_yaml
from cosgen.repository.foundation import FoundationPlace, PinnedFoundation, keep, object_path, reading
from cosgen.repository.luet_read import LuetEntry, read_luet_repository
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.rules_foundation import problem
from cosgen.repository.snapshot import Snapshot
from cosgen.storage.open import open_store
from cosgen.storage.port import digest_of

_SECONDS = 30
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")  # it names a file of the cache, too


def pin_luet(place: FoundationPlace) -> LockedFoundation | None:
    """Return what a repository that luet wrote holds now; None when there is none.

    Raises:
        PublishError: It cannot be read (CG686).
        VerificationError: It is an older state than the one that was pinned (CG687).
    """
    config = place.config
    with reading(place):
        data = fetch(place, config.reference)
        if data is None:
            return None
        view = _mapping(luet_yaml.parse(data, config.reference))
    told = str(view.get("revision") or 0)
    if not _NUMBER.fullmatch(told):
        raise PublishError(problem("CG686", f"the foundation {place.name} has no revision: {told[:40]!r}"))
    revision = int(told)
    pinned = place.pinned
    if pinned is not None and pinned.kind == "luet" and revision < pinned.commit:
        what = (
            f"the foundation {place.name} went back in time: its revision is {revision}, was {pinned.commit}"
        )
        raise VerificationError(problem("CG687", what))
    return LockedFoundation(
        name=place.name,
        url=config.url,
        reference=config.reference,
        snapshot=config.reference,
        digest=digest_of(data),
        size=len(data),
        kind="luet",
        commit=revision,
        address=config.url.rstrip("/") if config.url.startswith(("http://", "https://")) else "",
        images=config.images,
    )


def open_luet(place: FoundationPlace, pinned: LockedFoundation, cache: Path) -> "LuetFoundation":
    """Open a repository that luet wrote exactly as it was pinned.

    Raises:
        PublishError: It cannot be read (CG686).
        VerificationError: What was pinned is not there any more (CG691), or has no checksums (CG688).
    """
    index = load(place, cache, ObjectRef(key=pinned.snapshot, digest=pinned.digest, size=pinned.size))
    listed = _mapping(_mapping(luet_yaml.parse(index, pinned.snapshot)).get("repo_files"))
    digests: dict[str, str] = {}
    for kind in ("tree", "meta"):
        file = _mapping(listed.get(kind))
        sha256 = str(_mapping(file.get("checksums")).get("sha256") or "")
        if not _SHA256.fullmatch(sha256):
            what = (
                f"the foundation {place.name} has no checksum of its {kind}, so that nothing can be verified"
            )
            raise VerificationError(problem("CG688", what))
        digests[str(file.get("filename"))] = f"sha256:{sha256}"

    def get(name: str) -> bytes | None:
        if name == pinned.snapshot:
            return index
        return load(place, cache, ObjectRef(key=name, digest=digests[name], size=0))

    with reading(place):
        found = read_luet_repository(get, pinned.snapshot)
    return LuetFoundation(place, pinned, cache, Snapshot(), found.entries)


@dataclass(frozen=True, slots=True)
class LuetFoundation(PinnedFoundation):
    """A repository that luet wrote, as it was pinned. It is of one variant, and does not say of which."""

    entries: tuple[LuetEntry, ...] = ()

    def records(self, variant: Variant) -> tuple[PackageRecord, ...]:
        """Return all it offers and gives a checksum of."""
        del variant
        return tuple(_record(entry) for entry in self.entries if _SHA256.fullmatch(entry.sha256))

    def variant_for(self, variant: Variant) -> str:
        """Return "": there is only one."""
        del variant
        return ""

    def reference_for(self, variant: Variant) -> str:
        """Return the repository file that clients follow."""
        del variant
        return self.pinned.reference

    def fetch(self, ref: ObjectRef) -> Path:
        """Return the path of an archive, fetched when it is not there, its digest checked."""
        path = object_path(self.cache, ref.digest)
        if not path.is_file():
            load(self.place, self.cache, ref)
        return path

    def offers(self, record: PackageRecord) -> FoundationPackage:
        """Return what a package is to those who build on it: its image is that of its own files."""
        images = self.pinned.images
        return FoundationPackage(
            definition=decode_package(record.definition),
            finalize=record.finalize,
            input_digest=record.input_digest,
            image=f"{images}:{image_id(record.fingerprint)}" if images else "",
        )


def load(place: FoundationPlace, cache: Path, ref: ObjectRef) -> bytes:
    """Return a file by its digest: out of the cache, or from where the foundation lies."""
    path = object_path(cache, ref.digest)
    if path.is_file():
        data = path.read_bytes()
        if digest_of(data) == ref.digest:
            return data
    with reading(place):
        found = fetch(place, ref.key)
    if found is None or digest_of(found) != ref.digest:
        what = (
            f"{ref.key} of the foundation {place.name} is gone, or not what was pinned ({ref.digest[:19]}…)"
        )
        fix = (
            f"luet rewrites its index in place: run `cosgen lock --update {place.name}` for what is there now"
        )
        raise VerificationError(problem("CG691", what, fix=fix))
    keep(path, found)
    return found


def fetch(place: FoundationPlace, name: str) -> bytes | None:
    """Get a file of a repository that luet wrote; None when there is none. Names may hold any character.

    Raises:
        PublishError: It cannot be read (CG686).
    """
    url = place.config.url
    if url.startswith(("http://", "https://")):
        return _get(f"{url.rstrip('/')}/{urllib.parse.quote(name)}", place)
    if "://" in url:
        blob = open_store(url).get(name)
        return blob.data if blob else None
    path = place.base / url / name
    return path.read_bytes() if path.is_file() else None


def _get(url: str, place: FoundationPlace) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - http and https alone
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        if error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
            return None
        raise PublishError(problem("CG686", f"the foundation {place.name}: {url}: {error}")) from error
    except OSError as error:
        raise PublishError(problem("CG686", f"the foundation {place.name}: {url}: {error}")) from error


def _record(entry: LuetEntry) -> PackageRecord:
    digest = f"sha256:{entry.sha256}"
    return PackageRecord(
        fingerprint=entry.fingerprint,
        definition=entry.definition,
        finalize=entry.finalize,
        readme=None,
        # What it was built from is not known; what came of it is.
        input_digest=f"sha256:{hashlib.sha256(f'imported {digest}'.encode()).hexdigest()}",
        compression=entry.compression,
        archive=ObjectRef(key=entry.archive, digest=digest, size=0),
        content_digest="",
        attestation=None,
        files=entry.files,
        installed_size=0,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
