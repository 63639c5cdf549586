"""Input digests: SHA-256 over everything that can change what a build yields. Equal digest, no rebuild.

Counted are the rendered spec, every file of the build context with its mode, the values the templates read,
the pins of the seed image and of images copied from, the platform, the digests of the image beneath, of
`copy` packages and of the packages joined for `requires_final_images`, and a schema number. Luet's tags leave
half of these out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from hashlib import sha256

from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.platform import Variant, find_arch
from cosgen.manifest.tree import ContextFile, Package

SCHEMA = 1  # raise it when what is built from equal inputs changes
_SHORT = 16  # hex digits of a part in an index
_HASHED = ("spec", "files", "values", "beneath")  # the other parts are words


def own_parts(package: Package, platform: str, pins: Mapping[str, str]) -> dict[str, str]:
    """Return digests of a package's own inputs under the names people know them by.

    Args:
        package: The package.
        platform: OCI platform it is built for.
        pins: Image reference -> "sha256:…" of what is pinned; its `image` and images it copies from count.
    """
    definition = package.definition
    identity = [definition.category, definition.name, definition.version]
    image = package.spec.image
    parts = {
        "spec": _digest([identity, plain(package.spec)]),
        "files": _digest_files(package.files),
        "values": _digest(package.values),
        "platform": platform,
        "seed": f"{image}@{pins[image]}" if pins.get(image) else image,
    }
    pinned = [f"{item}@{pins[item]}" for item in foreign_copies(package.spec) if pins.get(item)]
    return parts | {"copies": " ".join(pinned)} if pinned else parts


def foreign_copies(spec: BuildSpec) -> tuple[str, ...]:
    """Return the images, not packages, that a spec copies from, in the order of its entries."""
    copies = (item for item in spec.copy if item.package is None or not item.package.name)
    return tuple(item.image for item in copies if item.image)


def short_parts(parts: Mapping[str, str]) -> dict[str, str]:
    """Return the parts as an index keeps them: enough of each to tell whether it changed.

    >>> short_parts({"spec": "ab" * 32, "platform": "linux/amd64"})
    {'spec': 'abababababababab', 'platform': 'linux/amd64'}
    """
    return {name: value[:_SHORT] if name in _HASHED else value for name, value in parts.items()}


def parts_digest(parts: Mapping[str, str]) -> str:
    """Return one digest (64 hex) of a package's own inputs."""
    return _digest(sorted(parts.items()))


def input_digest(own: str, *, beneath: str = "", join: Iterable[str] = (), copies: Iterable[str] = ()) -> str:
    """Return the digest of one image or package.

    Args:
        own: Digest of its own inputs, as `parts_digest` gives it.
        beneath: Digest of the image it is built on; "" when it starts from a seed, a join or nothing.
        join: Digests of the packages joined to make its base, in order.
        copies: Digests of the packages it copies from, in the order of the entries.

    Returns:
        "sha256:" and 64 hex.
    """
    text = f"{SCHEMA}\nown {own}\non {beneath}\njoin {' '.join(join)}\ncopy {' '.join(copies)}\n"
    return "sha256:" + sha256(text.encode("ascii")).hexdigest()


def platform_of(variant: Variant) -> str:
    """Return the OCI platform of a variant; an architecture nobody knows is taken as written."""
    arch = find_arch(variant.arch)
    return arch.oci if arch else f"linux/{variant.arch}"


def plain(value: object) -> object:
    """Return frozen data as JSON values; empty fields are left out, so that new fields change no digest.

    Fields that do not count when values are compared, such as where they were read, are left out too.
    """
    if isinstance(value, str | int):
        return value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if is_dataclass(value):
        items = ((name, getattr(value, name)) for name in _field_names(value.__class__))
        return {name: plain(item) for name, item in items if item}
    return value


@lru_cache(maxsize=64)
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind) if item.compare)


@lru_cache(maxsize=1 << 12)
def _digest_files(files: tuple[ContextFile, ...]) -> str:
    return _digest([[file.name, file.mode, file.digest, file.link] for file in files])


def _digest(document: object) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()
