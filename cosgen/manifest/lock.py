"""`cosgen.lock`: seed images and foundations pinned by digest, as text in and text out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from cosgen.errors import Origin, Problem

LOCK_PATH = "cosgen.lock"
PATH = LOCK_PATH
KINDS = ("cosgen", "luet")
_VERSION = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFoundation:
    """One foundation as it was when it was locked."""

    name: str
    url: str
    reference: str  # the file that was followed
    snapshot: str  # key of the snapshot's root; of luet's own repositories the name of their index
    digest: str  # "sha256:" + 64 hex of that object
    size: int = 0  # bytes of that object
    kind: str = "cosgen"  # who wrote the repository: "cosgen" or "luet"
    channel: str = ""  # the channel that pointed there
    commit: int = 0  # commit that pointed it there; of luet's own repositories their revision
    commit_digest: str = ""  # "sha256:" + 64 hex of that commit; "" of luet's
    address: str = ""  # folder that clients read it from; "" when nobody told
    images: str = ""  # registry repository that holds its images; "" when it does not tell
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

    def foundation(self, name: str) -> LockedFoundation | None:
        """Return the pin of a foundation, or None when there is none."""
        return next((item for item in self.foundations if item.name == name), None)


def write_lock(lock: Lock) -> str:
    """Return the text of a lock file: sorted, one trailing newline."""
    document = {
        "version": _VERSION,
        "seeds": dict(sorted(lock.seeds.items())),
        "foundations": [
            {item.name: getattr(one, item.name) for item in fields(one)}
            for one in sorted(lock.foundations, key=lambda item: item.name)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_lock(text: str, problems: list[Problem], path: str = LOCK_PATH) -> Lock:
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
    if unknown := sorted(document.keys() - {"version", "seeds", "foundations"}):
        problems.append(_problem(f"nobody knows the key {unknown[0]!r}", Origin(path)))
    return Lock(seeds=_seeds(document, path, problems), foundations=_foundations(document, path, problems))


def _problem(what: str, origin: Origin) -> Problem:
    fix = "take the file back from git, or remove it and run `cosgen lock` to pin everything anew"
    return Problem(what=what, fix=fix, id="CG050", origin=origin)


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
    if not isinstance(items, list):
        problems.append(_problem("`foundations` is not a list", Origin(path)))
        return ()
    found: dict[str, LockedFoundation] = {}
    for item in items:
        why = _fault(item) or ("is there twice" if item["name"] in found else "")
        if why:
            problems.append(_problem(f"a foundation {why}: {str(item)[:60]}", Origin(path)))
        else:
            found[item["name"]] = LockedFoundation(**item)
    return tuple(found[name] for name in sorted(found))


def _fault(item: object) -> str:
    """Say what is wrong with the entry of a foundation; "" when nothing is."""
    if not isinstance(item, dict):
        return "is not a map"
    for one in fields(LockedFoundation):
        value = item.get(one.name)
        if type(value) is not one.type:
            return f"has no {one.name}" if value is None else f"has the {one.name} {value!r}"
        is_digest = one.name == "digest" or (one.name.endswith("_digest") and value)
        if is_digest and not _DIGEST.fullmatch(str(value)):
            return f"has the {one.name} {value!r}"
    if item["kind"] not in KINDS:
        return f"is of the kind {item['kind']!r}"
    unknown = sorted(item.keys() - {one.name for one in fields(LockedFoundation)})
    return f"has the key {unknown[0]!r}" if unknown else ""
