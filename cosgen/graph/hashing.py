"""Hashes as the Go libraries under luet compute them: `hashstructure` v2 and the module `h1` directory hash.

Source: mitchellh/hashstructure v2 (format 2, FNV-1 64 bit), golang.org/x/mod/sumdb/dirhash Hash1.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = 0xFFFFFFFFFFFFFFFF


def fnv1(data: bytes) -> int:
    """Return the 64 bit FNV-1 (not 1a) hash of `data`.

    >>> fnv1(b"")
    14695981039346656037
    """
    value = _OFFSET
    for byte in data:
        value = value * _PRIME & _MASK ^ byte
    return value


@lru_cache(maxsize=1 << 16)
def hash_text(text: str) -> int:
    """Return the hash of a string: of its UTF-8 bytes."""
    return fnv1(text.encode("utf-8", "surrogateescape"))


def hash_integer(number: int) -> int:
    """Return the hash of a signed 64 bit integer."""
    return fnv1(number.to_bytes(8, "little", signed=True))


def hash_bool(value: bool) -> int:  # a value to hash, not a switch
    """Return the hash of a boolean.

    >>> hash_bool(True)
    12638153115695167454
    """
    return fnv1(b"\x01" if value else b"\x00")


def hash_ordered(first: int, second: int) -> int:
    """Return the hash of two hashes in this order."""
    return fnv1(first.to_bytes(8, "little") + second.to_bytes(8, "little"))


def hash_finished(value: int) -> int:
    """Return the hash that ends an unordered combination.

    >>> hash_finished(0) == hash_integer(0)
    True
    """
    return fnv1(value.to_bytes(8, "little"))


def hash_list(hashes: Iterable[int]) -> int:
    """Return the hash of a list, from its elements' hashes; 0 when it is empty."""
    value = 0
    for item in hashes:
        value = hash_ordered(value, item)
    return value


def hash_texts(texts: Iterable[str]) -> int:
    """Return the hash of a list of strings.

    >>> hash_texts(["a", "b"])
    2712570657419664240
    """
    return hash_list(map(hash_text, texts))


def hash_mapping(mapping: Mapping[str, str]) -> int:
    """Return the hash of a map of strings; the order of its items does not count.

    >>> hash_mapping({"a": "b"})
    3629586248519120669
    """
    value = 0
    for key, item in mapping.items():
        value ^= hash_ordered(hash_text(key), hash_text(item))
    return hash_finished(value)


def hash_struct(name: str, fields: Iterable[tuple[str, int]]) -> int:
    """Return the hash of a structure from its name and its fields' names and hashes, in declaration order."""
    value = hash_text(name)
    for field, item in fields:
        value = hash_finished(value ^ _hash_field(field, item))
    return value


@lru_cache(maxsize=1 << 15)
def _hash_field(field: str, value: int) -> int:
    return hash_ordered(hash_text(field), value)


def hash_directory(files: Iterable[tuple[str, str]]) -> str:
    """Return the `h1:` hash of a directory.

    Args:
        files: Name ("/" separators, relative) and sha256 (64 hex) of each file, sorted by name as bytes.
    """
    listing = "".join(f"{digest}  {name}\n" for name, digest in files)
    total = sha256(listing.encode("utf-8", "surrogateescape")).digest()
    return "h1:" + b64encode(total).decode("ascii")
