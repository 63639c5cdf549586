"""Collections: `collection.yaml`, a list of definitions that share a directory and its `build.yaml`."""

from dataclasses import dataclass

from yaml.nodes import Node

from cosgen.errors import Origin
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.definition import Definition, decode_definition
from cosgen.manifest.scalars import Scalar
from cosgen.manifest.values import Value, decode_json_values, decode_values, report_json_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One package as a manifest file declares it, before rendering."""

    definition: Definition
    raw: dict[Scalar, Value]  # all keys, for templates; never changed
    origin: Origin
    keys: tuple[tuple[str, Origin], ...]  # keys as written with their places, for lints
    override: bool  # `override: true`: meant to replace a package of an earlier tree


def decode_collection(decoder: Decoder, node: Node | None) -> tuple[Entry, ...]:
    """Read the entries of a collection, in file order."""
    if node is None:
        return ()
    fields = decoder.fields(node, "collection.yaml")
    for key in sorted(fields.keys() - {"packages"}):
        report_json_faults(fields[key], decoder)
    packages = fields.get("packages")
    if packages is None:
        return ()
    return tuple(_entry(decoder, item, json=True) for item in decoder.entries(packages, "packages"))


def decode_single(decoder: Decoder, node: Node | None) -> Entry:
    """Read a `definition.yaml`; an empty file is a package without a name."""
    if node is None:
        origin = Origin(decoder.path)
        return Entry(definition=Definition(), raw={}, origin=origin, keys=(), override=False)
    return _entry(decoder, node, json=False)


def _entry(decoder: Decoder, node: Node, *, json: bool) -> Entry:
    raw = decode_json_values(node, decoder) if json else decode_values(node, decoder, json=True)
    fields = decoder.fields(node, "package")
    return Entry(
        definition=decode_definition(decoder, node),
        raw=raw if isinstance(raw, dict) else {},
        origin=decoder.origin(node),
        keys=tuple((key, decoder.origin(pair[0])) for key, pair in decoder.items(node).items()),
        override="override" in fields and decoder.flag(fields["override"], "override"),
    )
