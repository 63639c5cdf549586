"""From the address that a user writes to a store."""

import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from cosgen.errors import Problem
from cosgen.storage.http import HttpStore
from cosgen.storage.local import FolderStore
from cosgen.storage.memory import MemoryStore
from cosgen.storage.port import Store, StoreError
from cosgen.storage.s3 import S3Address, S3Store

_S3_OPTIONS = ("endpoint", "region", "profile", "style", "sse", "kms-key")
_STYLES: Mapping[str, bool] = {"path": True, "virtual": False}


def open_store(url: str, *, base: Path | None = None) -> Store:
    """Open a store; nothing is asked of it yet.

    Args:
        url: `s3://bucket/prefix[?endpoint=…&region=…&profile=…&style=path|virtual&sse=…&kms-key=…]`, a
        folder or
            `file://` URL, `http(s)://…` (read-only), or `memory:`.
        base: What a relative folder is relative to; None for the current one.

    Raises:
        StoreError: The address names no store.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    match scheme:
        case "s3":
            return S3Store(parse_s3(url))
        case "http" | "https":
            return HttpStore(url.rstrip("/"))
        case "memory":
            return MemoryStore()
        case "file":
            return FolderStore(Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)))
        case "" if url:
            return FolderStore((base or Path()) / url)
        case _:
            raise StoreError(_unknown(url))


def parse_s3(url: str) -> S3Address:
    """Read an `s3://` address.

    Raises:
        StoreError: It has no bucket, or an option that nobody knows.
    """
    parts = urllib.parse.urlsplit(url)
    options = dict(urllib.parse.parse_qsl(parts.query))
    unknown = sorted(set(options) - set(_S3_OPTIONS))
    style = options.get("style")
    if not parts.netloc or unknown or (style is not None and style not in _STYLES):
        raise StoreError(_unknown(url))
    return S3Address(
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=options.get("endpoint"),
        region=options.get("region"),
        profile=options.get("profile"),
        path_style=None if style is None else _STYLES[style],
        sse=options.get("sse"),
        kms_key=options.get("kms-key"),
    )


def _unknown(url: str) -> Problem:
    return Problem(
        what=f"{url!r} is not the address of a store",
        fix="write s3://bucket/prefix (options after `?`: "
        + ", ".join(_S3_OPTIONS)
        + "), a folder, or https://… to read",
        id="CG510",
    )
