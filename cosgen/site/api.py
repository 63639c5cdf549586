"""The static JSON API: canonical JSON files with published JSON Schemas (2020-12). Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cosgen.site.model import Build, Change, Channel, Diff, Move, Package, SiteData
from cosgen.site.text import channel_path, diff_path, iso_time, package_path, slug

SCHEMA = 1

Json = Mapping[str, Any]


def api_files(data: SiteData) -> Iterable[tuple[str, str]]:
    """Yield path and text of every API file but the packages'."""
    yield "api/v1/index.json", dump(index_json(data))
    for channel in data.channels:
        yield f"api/v1/c/{slug(channel.name)}.json", dump(channel_json(channel))
    yield from _diff_files(data)
    for name, schema in SCHEMAS.items():
        yield f"api/v1/schema/{name}.schema.json", dump(schema, indent=1)


def dump(value: Json, *, indent: int | None = None) -> str:
    """Return canonical JSON: sorted keys, one trailing newline."""
    separators = None if indent else (",", ":")
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=indent, separators=separators) + "\n"


def package_api_path(package: Package) -> str:
    """Path of a package in the API."""
    return f"api/v1/p/{slug(package.category)}/{slug(package.name)}.json"


def index_json(data: SiteData) -> Json:
    """Return the entry document: the channels, the packages, and where each is told of."""
    return {
        "schema": SCHEMA,
        "title": data.info.title,
        "repository": data.info.repository_url,
        "channels": [
            {
                "name": channel.name,
                "snapshot": channel.snapshot,
                "seq": channel.seq,
                "published": iso_time(channel.published),
                "page": channel_path(channel.name),
                "api": f"api/v1/c/{slug(channel.name)}.json",
            }
            for channel in data.channels
        ],
        "packages": [package.human for package in data.packages],
    }


def channel_json(channel: Channel) -> Json:
    """Return all that is known of a channel."""
    return {
        "schema": SCHEMA,
        "name": channel.name,
        "snapshot": channel.snapshot,
        "seq": channel.seq,
        "revision": channel.revision,
        "published": iso_time(channel.published),
        "signature": channel.signature,
        "signature_note": channel.signature_note,
        "root": channel.root_digest,
        "description": channel.told.description,
        "expires": iso_time(channel.expires) if channel.expires else None,
        "packages": channel.packages,
        "size": channel.size,
        "lag_seconds": channel.lag,
        "variants": [
            {
                "key": state.variant.key,
                "flavor": state.variant.flavor,
                "arch": state.variant.arch,
                "packages": state.packages,
                "size": state.size,
                "changed": iso_time(state.changed),
                "reference": state.pointer,
                "lag_seconds": state.lag,
            }
            for state in channel.variants
        ],
        "history": [_move_json(move) for move in channel.history],
    }


def _move_json(move: Move) -> Json:
    return {
        "seq": move.seq,
        "operation": move.operation,
        "snapshot": move.snapshot,
        "previous": move.previous,
        "time": iso_time(move.time),
        "author": move.author,
        "run": move.run_url,
        "revision": move.revision,
        "tag": move.tag,
        "note": move.note,
        "packages": move.packages,
        "size": move.size,
        "diff": None if move.diff is None else diff_path(move.previous, move.snapshot),
    }


def _diff_files(data: SiteData) -> Iterable[tuple[str, str]]:
    done: set[str] = set()
    for move in data.moves:
        path = diff_path(move.previous, move.snapshot)
        if move.diff is not None and path not in done:
            done.add(path)
            yield path, dump(diff_json(move.previous, move.snapshot, move.diff))


def diff_json(before: str, after: str, diff: Diff) -> Json:
    """Return the difference of two snapshots."""
    return {
        "schema": SCHEMA,
        "before": before,
        "after": after,
        "added": [_change_json(change) for change in diff.added],
        "removed": [_change_json(change) for change in diff.removed],
        "changed": [_change_json(change) for change in diff.changed],
        "components": [
            {
                "name": change.name,
                "before": change.before,
                "after": change.after,
                "packages": list(change.packages),
            }
            for change in diff.components
        ],
        "uncompared": diff.uncompared,
    }


def _change_json(change: Change) -> Json:
    return {
        "package": change.human,
        "before": change.before,
        "after": change.after,
        "size_before": change.size_before,
        "size_after": change.size_after,
        "variants": list(change.variants),
    }


def package_json(package: Package) -> Json:
    """Return all that is known of a package, with every build's full list of files."""
    return {
        "schema": SCHEMA,
        "category": package.category,
        "name": package.name,
        "description": package.description,
        "license": package.license,
        "uri": list(package.uris),
        "labels": dict(package.labels),
        "bundle": package.bundle,
        "page": package_path(package.category, package.name),
        "requires": list(package.requires),
        "required_by": list(package.dependents),
        "builds": [_build_json(build) for build in package.builds],
    }


def _build_json(build: Build) -> Json:
    return {
        "version": build.version,
        "variant": build.variant.key,
        "channels": list(build.channels),
        "digest": build.digest,
        "size": build.size,
        "installed_size": build.installed_size,
        "input_digest": build.input_digest,
        "archive": build.key,
        "attestation": build.attestation,
        "sbom_digest": build.sbom_digest,
        "provenance_digest": build.provenance_digest,
        "requires": {edge.human: edge.selector for edge in build.requires},
        "seconds": round(build.seconds, 3),
        "log": build.log_url,
        "revision": build.revision,
        "files": list(build.files),
    }


def _object(title: str, properties: Json, optional: Iterable[str] = ()) -> Json:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": sorted(set(properties) - set(optional)),
        "additionalProperties": False,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _document(name: str, body: Json) -> Json:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cosgen:site:v1:{name}",
        **body,
    }


_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TIME: Json = {"type": "string", "format": "date-time"}
_NUMBER: Json = {"const": SCHEMA}
_FLAG: Json = {"type": "boolean"}
_DIGEST: Json = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
_CHANGE = _object(
    "A package that differs; before or after is empty when it was not there",
    {
        "package": _TEXT,
        "before": _TEXT,
        "after": _TEXT,
        "size_before": _COUNT,
        "size_after": _COUNT,
        "variants": _list(_TEXT),
    },
)
_COMPONENT = _object(
    "A component of bills of materials that differs, and the packages whose bills say so",
    {"name": _TEXT, "before": _TEXT, "after": _TEXT, "packages": _list(_TEXT)},
)
_VARIANT = _object(
    "One flavor on one architecture",
    {
        "key": _TEXT,
        "flavor": _TEXT,
        "arch": _TEXT,
        "packages": _COUNT,
        "size": _COUNT,
        "changed": _TIME,
        "reference": _TEXT,
        "lag_seconds": _COUNT,
    },
)
_MOVE = _object(
    "One entry of the commit log that moved the channel",
    {
        "seq": _COUNT,
        "operation": _TEXT,
        "snapshot": _TEXT,
        "previous": _TEXT,
        "time": _TIME,
        "author": _TEXT,
        "run": _TEXT,
        "revision": _TEXT,
        "tag": _TEXT,
        "note": _TEXT,
        "packages": _COUNT,
        "size": _COUNT,
        "diff": {"type": ["string", "null"]},
    },
)
_BUILD = _object(
    "One published artifact",
    {
        "version": _TEXT,
        "variant": _TEXT,
        "channels": _list(_TEXT),
        "digest": _DIGEST,
        "size": _COUNT,
        "installed_size": _COUNT,
        "input_digest": _DIGEST,
        "archive": _TEXT,
        "attestation": _TEXT,
        "sbom_digest": _DIGEST,
        "provenance_digest": _DIGEST,
        "requires": {"type": "object", "additionalProperties": _TEXT},
        "seconds": {"type": "number", "minimum": 0},
        "log": _TEXT,
        "revision": _TEXT,
        "files": _list(_TEXT),
    },
)
_CHANNEL_LINE = _object(
    "A channel and where it is told of",
    {"name": _TEXT, "snapshot": _TEXT, "seq": _COUNT, "published": _TIME, "page": _TEXT, "api": _TEXT},
)
_NUMBERS = _list(_COUNT)

# Name -> JSON Schema; published at api/v1/schema/<name>.schema.json.
SCHEMAS: Mapping[str, Json] = {
    "index": _document(
        "index",
        _object(
            "The channels and packages of a repository",
            {
                "schema": _NUMBER,
                "title": _TEXT,
                "repository": _TEXT,
                "channels": _list(_CHANNEL_LINE),
                "packages": _list(_TEXT),
            },
        ),
    ),
    "channel": _document(
        "channel",
        _object(
            "A channel with its history, newest first",
            {
                "schema": _NUMBER,
                "name": _TEXT,
                "snapshot": _TEXT,
                "seq": _COUNT,
                "revision": _TEXT,
                "published": _TIME,
                "signature": {"enum": ["verified", "signed", "unsigned", "expired", "wrong"]},
                "signature_note": _TEXT,
                "root": _DIGEST,
                "description": _TEXT,
                "expires": {"type": ["string", "null"], "format": "date-time"},
                "packages": _COUNT,
                "size": _COUNT,
                "lag_seconds": _COUNT,
                "variants": _list(_VARIANT),
                "history": _list(_MOVE),
            },
        ),
    ),
    "package": _document(
        "package",
        _object(
            "A package over all channels and variants",
            {
                "schema": _NUMBER,
                "category": _TEXT,
                "name": _TEXT,
                "description": _TEXT,
                "license": _TEXT,
                "uri": _list(_TEXT),
                "labels": {"type": "object", "additionalProperties": _TEXT},
                "bundle": _FLAG,
                "page": _TEXT,
                "requires": _list(_TEXT),
                "required_by": _list(_TEXT),
                "builds": _list(_BUILD),
            },
        ),
    ),
    "diff": _document(
        "diff",
        _object(
            "What changes from one snapshot to another",
            {
                "schema": _NUMBER,
                "before": _TEXT,
                "after": _TEXT,
                "added": _list(_CHANGE),
                "removed": _list(_CHANGE),
                "changed": _list(_CHANGE),
                "components": _list(_COMPONENT),
                "uncompared": _COUNT,
            },
        ),
    ),
    "search": _document(
        "search",
        _object(
            "The search index in columns; see where and sets for which channels offer a package",
            {
                "schema": _NUMBER,
                "channels": _list(_TEXT),
                "variants": _list(_list(_TEXT)),
                "categories": _list(_TEXT),
                "names": _list(_TEXT),
                "category": _NUMBERS,
                "version": _list(_TEXT),
                "about": _list(_TEXT),
                "where": _NUMBERS,
                "sets": _list(_NUMBERS),
                "bundle": _NUMBERS,
            },
        ),
    ),
}
