"""Layers made in memory."""

import hashlib
import io
import tarfile

from cosgen.build.index import LowerView, index_layer
from cosgen.build.layers import Limits, TarLayer

Entry = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def file(
    name: str, data: bytes = b"", *, mode: int = 0o644, mtime: int = 0, xattrs: dict[str, str] | None = None
) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, mtime
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
    return info, data


def folder(name: str, *, mode: int = 0o755) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info


def link(name: str, target: str, *, hard: bool = False) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
    return info


def device(name: str) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
    return info


def layer(*entries: Entry, limits: Limits | None = None) -> TarLayer:
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            info, data = entry if isinstance(entry, tuple) else (entry, b"")
            tar.addfile(info, io.BytesIO(data))
    data = spool.getvalue()
    return TarLayer(io.BytesIO(data), f"sha256:{hashlib.sha256(data).hexdigest()}", limits or Limits())


def view(*layers: TarLayer) -> LowerView:
    return LowerView([index_layer(item) for item in layers])
