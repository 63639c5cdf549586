"""Foundations: published repositories, pinned by `cosgen lock`, and then read exactly as they were pinned.

Whatever is read of a pinned foundation follows digests from the lock: snapshot, shards, archives. It is kept
by digest in a folder, so that a second run needs no network. Signatures are checked when the pin is made
(`foundation_pin.py`): they speak of what the channel holds now, and a build uses what it held when pinned.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cosgen.build.image_maker import package_tag
from cosgen.errors import CosgenError, Origin, PublishError, VerificationError
from cosgen.manifest.channel_names import reference_name
from cosgen.manifest.config import FoundationConfig
from cosgen.manifest.foundation import Foundation, FoundationPackage, choose_parts, decode_package
from cosgen.manifest.lock import LockedFoundation
from cosgen.manifest.platform import Variant, find_arch
from cosgen.repository import pool
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.rules_foundation import RULES, problem
from cosgen.repository.session import Session
from cosgen.repository.snapshot import Snapshot, decode_shard, load_object
from cosgen.storage.open import open_store
from cosgen.storage.port import StoreError, digest_of, read_chunks
from cosgen.storage.retry import Clock, Patience, SystemClock

_PATIENCE = Patience(attempts=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationPlace:
    """Where a foundation is, and what is known of it before it is asked."""

    config: FoundationConfig
    base: Path  # what a relative folder is relative to
    trust: bytes | None = None  # TUF root that the project trusts it by
    pinned: LockedFoundation | None = None  # what the lock says
    clock: Clock = field(default_factory=SystemClock)

    @property
    def name(self) -> str:
        """Its name in the project."""
        return self.config.name

    def open(self) -> Session:
        """Return a session that reads it; nothing is asked yet."""
        store = open_store(root_url(self.config.url), base=self.base)
        return Session(store=store, clock=self.clock, patience=_PATIENCE)


def root_url(url: str) -> str:
    """Return the address of a repository's root for that of the folder that clients read.

    >>> root_url("https://repo.example.org/r/"), root_url("s3://b/x/r?region=eu"), root_url("../repository")
    ('https://repo.example.org', 's3://b/x?region=eu', '../repository')
    """
    address, mark, options = url.partition("?")
    address = address.rstrip("/").removesuffix("/" + pool.CLIENT_ROOT.rstrip("/"))
    return f"{address}{mark}{options}"


@contextmanager
def reading(place: FoundationPlace) -> Iterator[None]:
    """Tell whatever goes wrong as one problem (CG686); those of foundations stay as they are."""
    try:
        yield
    except CosgenError as error:
        if error.problems[0].id in RULES:
            raise
        what = f"the foundation {place.name} cannot be read: {error.problems[0].what}"
        raise PublishError(problem("CG686", what)) from error


@dataclass(frozen=True, slots=True)
class PinnedFoundation:
    """A foundation as it was pinned: what it offers, and its archives."""

    place: FoundationPlace
    pinned: LockedFoundation
    cache: Path  # objects by digest; losing it costs only time
    snapshot: Snapshot

    def records(self, variant: Variant) -> tuple[PackageRecord, ...]:
        """Return all it offers to one of our variants.

        Raises:
            PublishError: It has nothing for the variant (CG690), or cannot be read (CG686).
            VerificationError: What is pinned is not there any more (CG691).
        """
        index = self.snapshot.variants[self.variant_for(variant)]
        found: list[PackageRecord] = []
        for shard in index.shards:
            found += decode_shard(_load(self.place, self.cache, shard))
        return tuple(found)

    def variant_for(self, variant: Variant) -> str:
        """Return the key of the foundation's variant that one of ours builds on.

        Raises:
            PublishError: There is none (CG690).
        """
        arch = find_arch(variant.arch)
        fitting = {
            key: index.flavor
            for key, index in self.snapshot.variants.items()
            if index.arch == variant.arch or (arch is not None and find_arch(index.arch) == arch)
        }
        wanted = self.place.config.flavor or variant.flavor
        found = [key for key, flavor in fitting.items() if flavor == wanted]
        if not found and not self.place.config.flavor and len(fitting) == 1:
            found = list(fitting)
        if not found:
            have = ", ".join(self.snapshot.variants) or "none"
            what = f"the foundation {self.place.name} has nothing for {variant.key}; it has {have}"
            raise PublishError(problem("CG690", what))
        return found[0]

    def reference_for(self, variant: Variant) -> str:
        """Return the repository file that clients of one of our variants follow."""
        return reference_name(self.pinned.channel, self.variant_for(variant))

    def archive(self, record: PackageRecord) -> Path:
        """Return the path of a package's archive, fetched when it is not there, its digest checked."""
        return self.fetch(record.archive)

    def fetch(self, ref: ObjectRef) -> Path:
        """Return the path of an object, fetched when it is not there, its digest checked."""
        path = object_path(self.cache, ref.digest)
        if not (path.is_file() and path.stat().st_size == ref.size):
            _fetch(self.place, ref, path)
        return path

    def offers(self, record: PackageRecord) -> FoundationPackage:
        """Return what a record is to those who build on it."""
        images = self.pinned.images
        return FoundationPackage(
            definition=decode_package(record.definition),
            finalize=record.finalize,
            input_digest=record.input_digest,
            image=f"{images}:{package_tag(record.input_digest)}" if images else "",
            needs=record.needs,
        )


def open_pinned(place: FoundationPlace, cache: Path) -> PinnedFoundation:
    """Open a foundation exactly as the lock pins it.

    Raises:
        PublishError: It cannot be read (CG686), and what is needed was not read before.
        VerificationError: What is pinned is not there any more (CG691).
    """
    pinned = place.pinned
    if pinned is None:
        raise AssertionError("whoever opens a foundation has seen that it is pinned")
    if pinned.kind == "luet":
        from cosgen.repository.foundation_luet import open_luet  # noqa: PLC0415 - it needs this module

        return open_luet(place, pinned, cache)
    ref = ObjectRef(key=pinned.snapshot, digest=pinned.digest, size=pinned.size)
    return PinnedFoundation(place, pinned, cache, Snapshot.decode(_load(place, cache, ref)))


def as_foundation(opened: PinnedFoundation, variants: Mapping[str, Variant], origin: Origin) -> Foundation:
    """Return what a pinned foundation offers to our variants, as a value to think about."""
    config = opened.place.config
    arches = sorted({variant.arch for variant in variants.values()})
    if opened.pinned.kind == "luet" and len(arches) > 1:
        what = f"the foundation {config.name} is luet's, of one architecture; we have {', '.join(arches)}"
        raise PublishError(problem("CG690", what, fix="keep one architecture in `arches`"))
    return Foundation(
        name=config.name,
        url=config.url,
        origin=origin,
        packages={
            key: choose_parts([*map(opened.offers, opened.records(variant))], config.packages)
            for key, variant in variants.items()
        },
    )


def object_path(cache: Path, digest: str) -> Path:
    """Return where an object is kept."""
    hex_ = digest.removeprefix("sha256:")
    return cache / hex_[:2] / hex_


def _load(place: FoundationPlace, cache: Path, ref: ObjectRef) -> bytes:
    """Return an object by its digest: out of the cache, or from where the foundation lies."""
    path = object_path(cache, ref.digest)
    if path.is_file():
        data = path.read_bytes()
        if digest_of(data) == ref.digest:
            return data
    with reading(place):
        try:
            data = load_object(place.open().patient, ref)
        except VerificationError as error:
            raise _gone(place, ref) from error
    keep(path, data)
    return data


def _fetch(place: FoundationPlace, ref: ObjectRef, path: Path) -> None:
    """Fetch a large object piece by piece; it gets its name when its digest is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        part = Path(file.name)
        try:
            with reading(place):
                for chunk in _chunks(place, ref):
                    hashed.update(chunk)
                    file.write(chunk)
            file.flush()
            if f"sha256:{hashed.hexdigest()}" != ref.digest:
                raise _gone(place, ref)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _chunks(place: FoundationPlace, ref: ObjectRef) -> Iterator[bytes]:
    try:
        yield from read_chunks(place.open().patient, ref.key, ref.size)
    except StoreError as error:
        if error.problems[0].id == "CG501":
            raise _gone(place, ref) from error
        raise


def _gone(place: FoundationPlace, ref: ObjectRef) -> VerificationError:
    what = (
        f"{ref.key} of the foundation {place.name} is gone, or not what cosgen.lock pins ({ref.digest[:19]}…)"
    )
    fix = f"run `cosgen lock --update {place.name}` for what the foundation has now; or ask its owners"
    return VerificationError(problem("CG691", what, fix=fix))


def keep(path: Path, data: bytes) -> None:
    """Write an object whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
