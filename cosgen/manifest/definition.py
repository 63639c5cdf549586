"""Package definitions: what a package is, and what it asks of others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from yaml.nodes import Node

from cosgen.errors import Origin
from cosgen.manifest.decoder import Decoder

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A package definition, or a reference to one (luet uses one structure for both).

    In a reference only `name`, `category` and `version` matter, and `version` may be a selector
    (`>=1.0`); the other fields still count in luet's hash of the spec that holds the reference.

    Source: luet 3f2397b6, pkg/api/core/types/package.go.
    """

    name: str = ""
    category: str = ""
    version: str = ""
    requires: tuple["Definition", ...] = ()
    conflicts: tuple["Definition", ...] = ()
    provides: tuple["Definition", ...] = ()
    hidden: bool = False
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    annotations: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    description: str = ""
    license: str = ""
    uri: tuple[str, ...] = ()
    use_flags: tuple[str, ...] = ()
    state: str = ""
    id: int = 0
    path: str = ""
    treedir: str = ""
    buildtimestamp: str = ""
    dockerfile: str = ""
    origin: Origin | None = field(default=None, compare=False, repr=False)  # of a reference, as it was read

    @property
    def human(self) -> str:
        """`category/name`, as users type it."""
        return f"{self.category}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """`name-category-version`: luet's key and file stem. Ambiguous in theory, checked unique per tree."""
        return f"{self.name}-{self.category}-{self.version}"


_TEXT_FIELDS = frozenset(
    (
        "name",
        "category",
        "version",
        "state",
        "description",
        "license",
        "path",
        "treedir",
        "buildtimestamp",
        "dockerfile",
    )
)
_LIST_FIELDS = frozenset(("uri", "use_flags"))
_MAP_FIELDS = frozenset(("labels", "annotations"))
_REFERENCE_FIELDS = frozenset(("requires", "conflicts", "provides"))

# Every field of a definition as it is spelled in a manifest; other keys are values for templates only.
FIELDS = _TEXT_FIELDS | _LIST_FIELDS | _MAP_FIELDS | _REFERENCE_FIELDS | {"hidden", "id"}


def decode_definition(
    decoder: Decoder,
    node: Node,
    *,
    name: str = "package",
    coerce: bool = False,
    is_reference: bool = False,
) -> Definition:
    """Read a definition, or a reference to one, from its node.

    Args:
        decoder: Where problems go.
        node: The map that holds it.
        name: What to call it in problems.
        coerce: Accept numbers and booleans for texts, as inside build specs.
        is_reference: It names another package: keep where it was read.
    """
    fields = decoder.fields(node, name)
    values: dict[str, object] = {}
    for key in fields.keys() & _TEXT_FIELDS:
        values[key] = decoder.text(fields[key], key, coerce=coerce)
    for key in fields.keys() & _LIST_FIELDS:
        values[key] = decoder.texts(fields[key], key, coerce=coerce)
    for key in fields.keys() & _MAP_FIELDS:
        values[key] = MappingProxyType(decoder.text_map(fields[key], key, coerce=coerce))
    for key in fields.keys() & _REFERENCE_FIELDS:
        values[key] = decode_references(decoder, fields[key], key, coerce=coerce)
    if "hidden" in fields:
        values["hidden"] = decoder.flag(fields["hidden"], "hidden")
    if "id" in fields:
        values["id"] = decoder.integer(fields["id"], "id")
    if is_reference:
        values["origin"] = decoder.read_at(node)
    return Definition(**values)  # type: ignore[arg-type]  # each key was decoded to its field's type


def decode_references(
    decoder: Decoder, node: Node, name: str, *, coerce: bool = False
) -> tuple[Definition, ...]:
    """Read a list of references to packages."""
    return tuple(
        decode_definition(decoder, item, name=f"{name}[{index}]", coerce=coerce, is_reference=True)
        for index, item in enumerate(decoder.entries(node, name))
    )
