"""A verified copy of a channel, which luet uses as a repository of type `disk`.

luet cannot check signatures. So the machine, or a host near it, follows the TUF metadata from a root it
trusts down to the archives: root -> timestamp -> TUF snapshot -> channel -> snapshot -> index -> archives.
Only bytes that were checked get their final name, and the file that luet reads first is replaced last.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.manifest.channel_names import reference_name
from cosgen.repository import pool
from cosgen.repository.codec import Json, decode, integer, text
from cosgen.repository.luet import RepositoryView, repository_yaml
from cosgen.repository.record import ObjectRef
from cosgen.repository.snapshot import Snapshot, VariantIndex, load_object, load_records
from cosgen.repository.tuf import PREFIX, channel_target
from cosgen.storage.port import Store, StoreError, check_key, read_chunks

_BASE = "store:///"
_STATE = ".cosgen-tuf"  # what was trusted the last time; it makes going backwards impossible


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRequest:
    """What to copy, and where to."""

    channel: str
    folder: Path
    variants: tuple[str, ...] = ()  # keys of variants; () for all
    root: bytes | None = None  # trusted root; None to go on from the last run
    prune: bool = True  # remove archives that the channel no longer has


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorReport:
    """What a mirror run did."""

    seq: int  # commit that moved the channel to where it is
    references: tuple[str, ...]  # file names for luet's `reference:`, sorted
    fetched: int  # files
    fetched_bytes: int
    kept: int  # files that were there and whole
    removed: int


def mirror(store: Store, request: MirrorRequest) -> MirrorReport:
    """Copy a channel, verifying everything.

    Args:
        store: Where the repository lies; only read.
        request: What to copy.

    Raises:
        VerificationError: Signatures, versions, expiry or digests are not right; the copy stays as it was.
        PublishError: The repository, the channel or a variant is not there.
    """
    document = read_channel(store, request.channel, request.folder / _STATE, request.root)
    snapshot_ref = ObjectRef.from_json(document.get("snapshot"))
    snapshot = Snapshot.decode(load_object(store, snapshot_ref))
    variants = _choose(snapshot, request)
    copy = _Copy(store, request.folder)
    wanted: set[str] = set()
    for index in variants.values():
        for ref in _objects(store, index):
            wanted.add(copy.fetch(ref))
    references = tuple(sorted(_point(request, document, variants)))
    removed = _prune(request.folder, wanted) if request.prune else 0
    return MirrorReport(
        seq=integer(document, "seq"),
        references=references,
        fetched=copy.fetched,
        fetched_bytes=copy.fetched_bytes,
        kept=copy.kept,
        removed=removed,
    )


def read_channel(store: Store, channel: str, state: Path, root: bytes | None) -> Mapping[str, Json]:
    """Return the verified document of a channel, through python-tuf's client.

    Args:
        store: Where the repository lies.
        channel: Name of the channel.
        state: Folder that keeps the metadata trusted so far.
        root: Trusted root; None to go on with what `state` has.

    Raises:
        VerificationError: The metadata is not to be trusted, or there is no root to start from.
        PublishError: There is no such channel.
    """
    (state / "targets").mkdir(parents=True, exist_ok=True)
    if root is None and not (state / "root.json").exists():
        fix = "get the repository's root.json over a channel you trust, and give it with --root"
        raise VerificationError(Problem(what="there is no trusted TUF root yet", fix=fix, id="CG571"))
    try:
        updater = Updater(
            str(state),
            _BASE + PREFIX,
            str(state / "targets"),
            f"{_BASE}{PREFIX}targets/",
            fetcher=_StoreFetcher(store),
            bootstrap=root,
        )
        updater.refresh()
        target = updater.get_targetinfo(channel_target(channel))
        if target is None:
            raise PublishError(_no_channel(store, channel))
        return decode(Path(updater.download_target(target)).read_bytes())
    except (RepositoryError, DownloadError) as error:
        raise VerificationError(_untrusted(store, error)) from error


class _StoreFetcher(FetcherInterface):
    """Serves python-tuf from any store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _fetch(self, url: str) -> Iterator[bytes]:
        blob = self._store.get(url.removeprefix(_BASE))
        if blob is None:
            raise DownloadHTTPError(f"no {url}", 404)
        return iter((blob.data,))


class _Copy:
    """Fetches objects into a folder, each under a temporary name until its digest is right."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self.fetched = self.fetched_bytes = self.kept = 0

    def fetch(self, ref: ObjectRef) -> str:
        """Copy an object unless it is there and whole; returns its name relative to the folder."""
        name = check_key(ref.key).removeprefix(pool.CLIENT_ROOT)
        path = self._folder / name
        if path.is_file() and path.stat().st_size == ref.size and _digest(path) == ref.digest:
            self.kept += 1
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        hashed = hashlib.sha256()
        try:
            with part.open("wb") as file:
                for chunk in read_chunks(self._store, ref.key, ref.size):
                    hashed.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if f"sha256:{hashed.hexdigest()}" != ref.digest:
                raise VerificationError(_tampered(self._store, ref))
            part.replace(path)
        except StoreError as error:
            raise VerificationError(_tampered(self._store, ref)) from error
        finally:
            part.unlink(missing_ok=True)
        self.fetched += 1
        self.fetched_bytes += ref.size
        return name


def _objects(store: Store, index: VariantIndex) -> Iterator[ObjectRef]:
    """Archives first, then the files that name them."""
    for record in load_records(store, index):
        yield record.archive
    for file in index.luet.values():
        yield ObjectRef(key=pool.CLIENT_ROOT + file.key, digest=file.digest, size=file.size)


def _choose(snapshot: Snapshot, request: MirrorRequest) -> dict[str, VariantIndex]:
    missing = [key for key in request.variants if key not in snapshot.variants]
    if missing:
        have = ", ".join(sorted(snapshot.variants)) or "none"
        raise PublishError(
            *(
                Problem(
                    what=f"channel {request.channel} has no variant {key}",
                    fix=f"choose among: {have}",
                    id="CG572",
                )
                for key in missing
            )
        )
    return {key: snapshot.variants[key] for key in request.variants or sorted(snapshot.variants)}


def _point(
    request: MirrorRequest, document: Mapping[str, Json], variants: Mapping[str, VariantIndex]
) -> Iterator[str]:
    """Write the files that luet reads first, and yield their names."""
    view = RepositoryView(
        name=text(document, "channel"),
        description="verified copy",
        urls=(),
        type="disk",
        revision=integer(document, "seq") + 1,
        last_update=integer(document, "time"),
        tree=next(iter(variants.values())).luet["tree"],
        meta=next(iter(variants.values())).luet["meta"],
    )
    for key, index in variants.items():
        files = index.luet
        own = replace(view, tree=files["tree"], meta=files["meta"], compilertree=files.get("compilertree"))
        names = [reference_name(request.channel, key)]
        if len(variants) == 1:
            names.append("repository.yaml")
        for name in names:
            _replace(request.folder / name, repository_yaml(own))
            yield name


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _prune(folder: Path, wanted: set[str]) -> int:
    """Remove archives and index files that are of no use; names that we do not give are left alone."""
    names = [*folder.glob("*.package.tar*"), *folder.glob("i/*.tar*")]
    stale = [path for path in names if path.relative_to(folder).as_posix() not in wanted]
    for path in stale:
        path.unlink()
    return len(stale)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _tampered(store: Store, ref: ObjectRef) -> Problem:
    return Problem(
        what=f"{store.url}: {ref.key} is missing, or does not have the digest that was signed",
        fix="try again; if it stays so, tell the owner of the repository (`cosgen repo fsck --deep`)",
        id="CG573",
    )


def _untrusted(store: Store, error: Exception) -> Problem:
    if isinstance(error, ExpiredMetadataError):
        fix = "the owner must run `cosgen key refresh`; check this machine's clock too"
    elif isinstance(error, DownloadError):
        fix = "check the URL, and that the repository is signed (`cosgen key new`, then publish)"
    else:
        fix = "do not use this repository until its owner has explained it"
    return Problem(what=f"{store.url} cannot be trusted: {error}", fix=fix, id="CG573")


def _no_channel(store: Store, channel: str) -> Problem:
    fix = "look at what there is: `cosgen channel ls`"
    return Problem(what=f"{store.url} has no signed channel {channel}", fix=fix, id="CG572")
