"""JSON that a registry sent, read with care: nothing in it is what it should be until it was looked at."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cosgen.build.rules import problem
from cosgen.errors import VerificationError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_LAYERS = 4096


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of a blob."""

    digest: str  # "sha256:" + 64 hex
    size: int  # bytes
    media_type: str
    title: str = ""  # a file name, "" when it has none


def read_document(data: bytes, where: str) -> Mapping[str, object]:
    """Return a JSON object.

    Raises:
        VerificationError: It is none (CG482); `where` says in the message what it was to be.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _strange(where, "not JSON") from error
    if not isinstance(found, dict):
        raise _strange(where, "not a JSON object")
    return found


def read_descriptor(value: object, where: str) -> Descriptor:
    """Return a descriptor.

    Raises:
        VerificationError: It is none, or names a digest or file that cannot be (CG482).
    """
    if not isinstance(value, dict):
        raise _strange(where, "not a descriptor of a blob")
    digest, size, notes = value.get("digest"), value.get("size"), value.get("annotations") or {}
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _strange(where, f"it names the digest {str(digest)[:80]!r}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _strange(where, f"it names the size {str(size)[:40]!r}")
    title = notes.get(TITLE, "") if isinstance(notes, dict) else ""
    if not isinstance(title, str) or title.startswith(".") or not title.isprintable() or "/" in title:
        raise _strange(where, f"it names the file {str(title)[:80]!r}")
    return Descriptor(digest, size, str(value.get("mediaType", "")), title)


def read_layers(document: Mapping[str, object], where: str) -> tuple[Descriptor, ...]:
    """Return the layers of a manifest, in order.

    Raises:
        VerificationError: It has none, too many, or one that is no descriptor (CG482).
    """
    layers = document.get("layers")
    if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        raise _strange(
            where, "it has no list of layers" if not isinstance(layers, list) else f"{len(layers)} layers"
        )
    return tuple(read_descriptor(layer, where) for layer in layers)


def _strange(where: str, what: str) -> VerificationError:
    return VerificationError(problem("CG482", f"{where}: {what}"))
