"""Build contexts: the files of a package directory and the two Dockerfiles, as one deterministic tar."""

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from cosgen.build.archive import DEFAULT_EPOCH
from cosgen.build.rules import problem
from cosgen.errors import BuildError
from cosgen.manifest.tree import ContextFile

_IN_MEMORY = 8 << 20  # bytes; larger contexts are kept in a file without a name
_URL_SCHEMES = ("http://", "https://", "ftp://", "git://", "git@")


def write_context(
    root: Path,
    files: Sequence[ContextFile],
    texts: Mapping[str, str],
    retrieved: Sequence[Path] = (),
) -> IO[bytes]:
    """Return a context, at its beginning. Owners are root, times constant.

    Args:
        root: Folder of the project.
        files: The package's own files; symlinks stay symlinks.
        texts: Dockerfiles by name.
        retrieved: Files of the output folder, put in under their base names.

    Raises:
        BuildError: A file changed since its digest was taken, or is gone.
    """
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    with tarfile.open(
        fileobj=spool, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for folder in _folders(files):
            tar.addfile(_info(folder, 0o755, kind=tarfile.DIRTYPE))
        for file in files:
            _add(tar, root, file)
        for path in retrieved:
            with path.open("rb") as source:
                tar.addfile(_info(path.name, 0o644, size=path.stat().st_size), source)
        for name, text in sorted(texts.items()):
            data = text.encode("utf-8", "surrogateescape")
            tar.addfile(_info(name, 0o644, size=len(data)), io.BytesIO(data))
    spool.seek(0)
    return spool


def find_retrieved(output: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of the output folder that `retrieve` patterns match, sorted by name."""
    wanted = [pattern for pattern in patterns if not pattern.startswith(_URL_SCHEMES)]
    if not wanted or not output.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(output.iterdir())
        if path.is_file() and any(fnmatchcase(path.name, pattern) for pattern in wanted)
    )


def _folders(files: Sequence[ContextFile]) -> Iterator[str]:
    parents = {parent for file in files for parent in Path(file.name).parents if parent.name}
    yield from sorted(str(parent) for parent in parents)


def _add(tar: tarfile.TarFile, root: Path, file: ContextFile) -> None:
    if file.link:
        info = _info(file.name, 0o777, kind=tarfile.SYMTYPE)
        info.linkname = file.link
        tar.addfile(info)
        return
    path = root / file.source
    try:
        with path.open("rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() != file.digest:
                raise BuildError(problem("CG456", f"{file.source} changed while the build ran"))
            source.seek(0)
            tar.addfile(_info(file.name, file.mode & 0o7777, size=file.size), source)
    except OSError as error:
        raise BuildError(problem("CG456", f"{file.source}: {error.strerror or error}")) from error


def _info(name: str, mode: int, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.type, info.mtime = mode, size, kind, DEFAULT_EPOCH
    return info
