"""`cosgen.lock`: seed images and foundations pinned by digest, as text in and text out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cosgen.errors import Origin, Problem

PATH = "cosgen.lock"
_VERSION = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFoundation:
    """One foundation as it was when it was locked."""

    name: str
    url: str
    reference: str
    snapshot: str  # id of the snapshot
    digest: str  # "sha256:" + 64 hex of its index
    root_digest: str = ""  # "sha256:" + 64 hex of its TUF root metadata; "" when it has none
    root_version: int = 0  # version of that metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What is pinned."""

    seeds: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Image reference and platform (`ref` or `ref platform`) -> "sha256:" + 64 hex."""
    foundations: tuple[LockedFoundation, ...] = ()  # sorted by name

    def seed_digests(self, platform: str) -> dict[str, str]:
        """Return reference -> digest for one OCI platform; an entry for the platform beats a general one."""
        general = {key: value for key, value in self.seeds.items() if " " not in key}
        own = {
            key.partition(" ")[0]: value for key, value in self.seeds.items() if key.endswith(f" {platform}")
        }
        return general | own


def write_lock(lock: Lock) -> str:
    """Return the text of a lock file: sorted, one trailing newline."""
    document = {
        "version": _VERSION,
        "seeds": dict(sorted(lock.seeds.items())),
        "foundations": [
            {name: getattr(item, name) for name in item.__dataclass_fields__}
            for item in sorted(lock.foundations, key=lambda item: item.name)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_lock(text: str, problems: list[Problem], path: str = PATH) -> Lock:
    """Read a lock file; what is wrong is added to `problems`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        column = getattr(error, "colno", 1)
        problems.append(_problem(f"not a lock file: {error}", Origin(path, line, column)))
        return Lock()
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        problems.append(_problem(f"the lock file is not of version {_VERSION}", Origin(path)))
        return Lock()
    return Lock(seeds=_seeds(document, path, problems), foundations=_foundations(document, path, problems))


def _problem(what: str, origin: Origin) -> Problem:
    return Problem(what=what, fix="run `cosgen lock --update`", id="CG050", origin=origin)


def _seeds(document: dict[str, object], path: str, problems: list[Problem]) -> Mapping[str, str]:
    seeds = document.get("seeds", {})
    if not isinstance(seeds, dict):
        problems.append(_problem("`seeds` is not a map", Origin(path)))
        return {}
    result: dict[str, str] = {}
    for reference, digest in sorted(seeds.items()):
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            result[reference] = digest
        else:
            problems.append(_problem(f"the digest of {reference!r} is {digest!r}", Origin(path)))
    return MappingProxyType(result)


def _foundations(
    document: dict[str, object], path: str, problems: list[Problem]
) -> tuple[LockedFoundation, ...]:
    items = document.get("foundations", [])
    found: list[LockedFoundation] = []
    for item in items if isinstance(items, list) else []:
        try:
            found.append(LockedFoundation(**item))
        except TypeError:
            problems.append(_problem(f"cannot read the foundation {str(item)[:60]}", Origin(path)))
    return tuple(sorted(found, key=lambda item: item.name))
