"""Where things lie in a repository, and what a web server says about each."""

import re

from cosgen.manifest import channel_names
from cosgen.storage.port import Headers

CLIENT_ROOT = channel_names.CLIENT_ROOT
LOG = "_log/"
HEAD = "_log/HEAD"
TIMESTAMP = "tuf/timestamp.json"
COLLECTED = ("r/", "x/", "a/")  # where garbage may lie

IMMUTABLE = "public, max-age=31536000, immutable"
VIEW = "public, max-age=30, s-maxage=30, stale-if-error=86400"
FRESH = "no-cache"

_CONTENT_TYPES = (
    (".json", "application/json"),
    (".yaml", "application/yaml"),
    (".zst", "application/zstd"),
    (".gz", "application/gzip"),
    (".tar", "application/x-tar"),
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_VIEW_NAME = re.compile(r"r/(?!s\d+-)[^/]*repository\.yaml|tuf/timestamp\.json")
_ARCHIVE_SUFFIXES = {"zstd": ".package.tar.zst", "gzip": ".package.tar.gz", "none": ".package.tar"}


def package_key(name: str, category: str, digest: str, compression: str) -> str:
    """Return the key of a package archive: flat, by content, nothing in it that a URL could change.

    >>> package_key("gtk+", "x11", "sha256:" + "ab" * 32, "zstd")
    'r/gtk_-x11-abababababababababababab.package.tar.zst'
    """
    stem = _UNSAFE.sub("_", f"{name}-{category}").lstrip(".-") or "package"
    return f"r/{stem}-{_hex(digest)[:24]}{_ARCHIVE_SUFFIXES[compression]}"


def attestation_key(digest: str) -> str:
    """Return the key of the bundle that holds a package's metadata, SBOM and provenance."""
    return f"a/{_hex(digest)}.att.tar.zst"


def shard_key(digest: str) -> str:
    """Return the key of a shard of package records."""
    return f"x/shard/{_hex(digest)}.json.zst"


def snapshot_key(digest: str) -> str:
    """Return the key of a snapshot's root."""
    return f"x/snap/{_hex(digest)}.json"


def garbage_key(digest: str) -> str:
    """Return the key of a long list of condemned objects."""
    return f"x/gc/{_hex(digest)}.json"


def log_key(seq: int) -> str:
    """Return the key of a commit."""
    return f"_log/{seq:012d}.json"


def generation(key: str, number: int) -> str:
    """Return the key that stands in for one that garbage collection has condemned.

    >>> generation("x/snap/ab.json", 2)
    'x/snap/ab.g2.json'
    """
    if number == 0:
        return key
    folder, _, name = key.rpartition("/")
    # A package's name may hold dots; the digest ends before the last suffix that we gave it.
    cut = name.find(".package.tar") if ".package.tar" in name else name.find(".")
    return f"{folder}/{name[:cut]}.g{number}{name[cut:]}"


def free_key(key: str, taken: frozenset[str] | set[str]) -> str:
    """Return the first generation of a key that is neither condemned nor a tombstone."""
    number = 0
    while generation(key, number) in taken:
        number += 1
    return generation(key, number)


def headers_of(key: str) -> Headers:
    """Return the headers of an object: immutable ones for ever, views for half a minute, hints never."""
    kind = next((text for suffix, text in _CONTENT_TYPES if key.endswith(suffix)), "application/octet-stream")
    if key in {HEAD, TIMESTAMP}:
        return Headers("application/json", FRESH)
    return Headers(kind, VIEW if _VIEW_NAME.fullmatch(key) else IMMUTABLE)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
