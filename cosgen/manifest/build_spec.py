"""Build specs: how a package is built (`build.yaml` after rendering)."""

from dataclasses import dataclass

from yaml.nodes import Node

from cosgen.manifest import definition
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.definition import Definition, decode_definition, decode_references
from cosgen.manifest.nodes import is_map


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyField:
    """One `copy:` entry: files taken from another package's image, or from any image."""

    package: Definition | None = None
    image: str = ""
    source: str = ""
    destination: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subpackage:
    """A further runtime package cut from the finished artifact by patterns."""

    definition: Definition
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """A rendered and decoded `build.yaml`; fields as in the manifest, lists in file order.

    Source: luet 3f2397b6, pkg/api/core/types/compilerspec.go.
    """

    image: str = ""
    seed: str = ""
    requires: tuple[Definition, ...] = ()
    conflicts: tuple[Definition, ...] = ()
    provides: tuple[Definition, ...] = ()
    prelude: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    copy: tuple[CopyField, ...] = ()
    retrieve: tuple[str, ...] = ()
    requires_final_images: bool = False
    unpack: bool = False
    package_dir: str = ""
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    subpackages: tuple[Subpackage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """No steps, not `unpack`, no `package_dir`: nothing of its own goes into the artifact."""
        return not self.steps and not self.unpack and not self.package_dir

    @property
    def is_virtual(self) -> bool:
        """Empty, and neither image nor requires: no image is built at all."""
        return self.is_empty and not self.image and not self.requires


_TEXT_FIELDS = frozenset(("image", "seed", "package_dir"))
_LIST_FIELDS = frozenset(("prelude", "steps", "env", "retrieve", "includes", "excludes"))
_REFERENCE_FIELDS = frozenset(("requires", "conflicts", "provides"))
_FLAG_FIELDS = frozenset(("unpack", "requires_final_images"))

# Every field of a build spec as it is spelled in `build.yaml`.
FIELDS = _TEXT_FIELDS | _LIST_FIELDS | _REFERENCE_FIELDS | _FLAG_FIELDS | {"copy", "subpackages"}
# Accepted by luet and without effect.
_IGNORED_MAPS = frozenset(("build_options", "package"))
IGNORED_FIELDS = _IGNORED_MAPS | {"join", "step"}


def decode_build_spec(decoder: Decoder, node: Node) -> BuildSpec:
    """Read a rendered `build.yaml`.

    Fields of build specs accept numbers and booleans for texts (`1.0` reads as "1"). Fields that
    definitions have as well are also read as such, and there luet is strict.
    """
    fields = decoder.fields(node, "build.yaml")
    values: dict[str, object] = {}
    for key in fields.keys() & _TEXT_FIELDS:
        values[key] = decoder.text(fields[key], key, coerce=True)
    for key in fields.keys() & _LIST_FIELDS:
        values[key] = decoder.texts(fields[key], key, coerce=True)
    for key in fields.keys() & _REFERENCE_FIELDS:
        values[key] = decode_references(decoder, fields[key], key)
    for key in fields.keys() & _FLAG_FIELDS:
        values[key] = decoder.flag(fields[key], key)
    if "copy" in fields:
        values["copy"] = tuple(
            _decode_copy(decoder, item) for item in decoder.entries(fields["copy"], "copy")
        )
    if "subpackages" in fields:
        values["subpackages"] = tuple(
            _decode_subpackage(decoder, item)
            for item in decoder.entries(fields["subpackages"], "subpackages")
        )
    for key in fields.keys() & _IGNORED_MAPS:
        if not is_map(fields[key]):
            decoder.wrong(fields[key], key, "a map")
    if fields.keys() & (definition.FIELDS - _REFERENCE_FIELDS):
        decode_definition(decoder, node, name="build.yaml")
    return BuildSpec(**values)  # type: ignore[arg-type]  # each key was decoded to its field's type


def _decode_copy(decoder: Decoder, node: Node) -> CopyField:
    fields = decoder.fields(node, "copy")
    texts = {
        key: decoder.text(fields[key], f"copy.{key}", coerce=True)
        for key in fields.keys() & {"image", "source", "destination"}
    }
    package = fields.get("package")
    reference = (
        decode_definition(decoder, package, name="copy.package", coerce=True, is_reference=True)
        if package
        else None
    )
    return CopyField(package=reference, **texts)


def _decode_subpackage(decoder: Decoder, node: Node) -> Subpackage:
    fields = decoder.fields(node, "subpackages")
    patterns = {
        key: decoder.texts(fields[key], f"subpackages.{key}", coerce=True)
        for key in fields.keys() & {"includes", "excludes"}
    }
    return Subpackage(
        definition=decode_definition(decoder, node, name="subpackages", coerce=True), **patterns
    )
