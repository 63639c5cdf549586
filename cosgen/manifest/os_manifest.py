"""The OS manifest, `manifest.yaml`: which packages make the system and its media, in all its forms."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from yaml.nodes import Node

from cosgen.errors import Problem
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.nodes import compose, is_list, is_map, is_null, is_scalar, map_pairs

_SCHEME = re.compile(r"(?P<scheme>[a-z]+):(?://)?(?P<rest>.*)", re.DOTALL)
_SECTIONS = {"isoimage": "image"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OsManifest:
    """A manifest, both generations brought to one form."""

    name: str = ""  # output name
    label: str = ""  # volume label of the ISO
    build: tuple[str, ...] = ()  # further packages to build
    sections: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """ISO section (rootfs, uefi, image, initramfs) -> sources as written, in order."""
    disks: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Raw disk model -> pairs of source and target."""
    repositories: tuple[str, ...] = ()  # addresses packages are taken from
    present: bool = False  # there is a manifest
    origins: tuple[str, ...] = ()  # files it was read from, relative to the project root

    @property
    def packages(self) -> tuple[str, ...]:
        """All packages it names, as sorted category/name."""
        sources = [*self.build, *(item for section in self.sections.values() for item in section)]
        sources += [source for disk in self.disks.values() for source, _ in disk]
        names = (package_of(source) for source in sources)
        return tuple(sorted({name for name in names if name}))


def package_of(source: str) -> str | None:
    """Return the category/name a source means, or None for an image or a path.

    >>> package_of("channel:system/cos@0.8"), package_of("docker:quay.io/x/y:1"), package_of("live/grub2")
    ('system/cos', None, 'live/grub2')
    """
    match = _SCHEME.fullmatch(source)
    if match and match["scheme"] == "channel":
        source = match["rest"]
    elif match:
        return None
    name = source.partition("@")[0]
    if name.count("/") != 1 or name.startswith((".", "/")):
        return None
    return name


def decode_manifest(
    text: str,
    path: str,
    problems: list[Problem],
    read: Callable[[str], str | None] = lambda _: None,
) -> OsManifest:
    """Read a manifest of any generation.

    Args:
        text: Its text.
        path: Where it was read, relative to the project root.
        problems: Where problems go.
        read: Returns the text of a manifest named by `extends`, or None when there is none.
    """
    return _decode(text, path, problems, read, (path,))


def _decode(
    text: str, path: str, problems: list[Problem], read: Callable[[str], str | None], chain: tuple[str, ...]
) -> OsManifest:
    node = compose(text, path, problems)
    if node is None or is_null(node):
        return OsManifest(present=True, origins=(path,))
    decoder = Decoder(path, problems, id="CG030")
    if not is_map(node):
        decoder.wrong(node, path, "a map")
        return OsManifest(present=True, origins=(path,))
    fields = {key: value for key, (_, value) in map_pairs(node).items() if not is_null(value)}
    base = _base(decoder, fields, problems, read, chain)
    return replace(_Reading(decoder, fields, base).manifest(), origins=(path, *base.origins))


def _base(
    decoder: Decoder,
    fields: Mapping[str, Node],
    problems: list[Problem],
    read: Callable[[str], str | None],
    chain: tuple[str, ...],
) -> OsManifest:
    if "extends" not in fields:
        return OsManifest()
    node = fields["extends"]
    name = decoder.text(node, "extends")
    folder = decoder.path.rpartition("/")[0]
    target = f"{folder}/{name}" if folder else name
    if name.startswith("/") or ".." in name.split("/"):
        decoder.report(
            node, f"`extends: {name}` lies outside the project", "use a path inside it", id="CG025"
        )
        return OsManifest()
    if target in chain:
        way = " extends ".join([*chain, target])
        decoder.report(node, f"manifests extend each other: {way}", "let one stand alone", id="CG031")
        return OsManifest()
    text = read(target)
    if text is None:
        decoder.report(node, f"{target!r} does not exist", "correct `extends`", id="CG031")
        return OsManifest()
    return _decode(text, target, problems, read, (*chain, target))


class _Reading:
    """Reads one manifest over its base."""

    def __init__(self, decoder: Decoder, fields: Mapping[str, Node], base: OsManifest) -> None:
        self.decoder = decoder
        self.fields = fields
        self.base = base

    def manifest(self) -> OsManifest:
        iso = self._map("iso") or self._map("packages")
        label = self._text(self.fields, "label") or self._text(iso, "label") or self.base.label
        sections = dict(self.base.sections)
        for key, node in iso.items():
            if is_list(node) or is_map(node):
                name = _SECTIONS.get(key, key)
                sections[name] = self._changed(node, key, sections.get(name, ()))
        build = self.base.build
        if "build" in self.fields:
            build = self._changed(self.fields["build"], "build", build)
        return OsManifest(
            name=self._text(self.fields, "name") or self.base.name,
            label=label,
            build=build,
            sections=MappingProxyType(dict(sorted(sections.items()))),
            disks=MappingProxyType({**self.base.disks, **self._disks()}),
            repositories=self._repositories() or self.base.repositories,
            present=True,
        )

    def _map(self, key: str) -> dict[str, Node]:
        node = self.fields.get(key)
        if node is None:
            return {}
        if not is_map(node):
            self.decoder.wrong(node, key, "a map")
            return {}
        return {name: value for name, (_, value) in map_pairs(node).items() if not is_null(value)}

    def _text(self, fields: Mapping[str, Node], key: str) -> str:
        node = fields.get(key)
        return str(node.value) if node is not None and is_scalar(node) else ""

    def _changed(self, node: Node, name: str, base: tuple[str, ...]) -> tuple[str, ...]:
        """Read a list, or a map of `add` and `remove` over the base's list."""
        if not is_map(node):
            return self._sources(node, name)
        pairs = map_pairs(node)
        for key, (key_node, _) in pairs.items():
            if key not in {"add", "remove"}:
                self.decoder.report(
                    key_node,
                    f"unknown key `{name}.{key}`",
                    "a changed list has `add` and `remove`",
                    id="CG030",
                )
        added = self._sources(pairs["add"][1], f"{name}.add") if "add" in pairs else ()
        removed = self._sources(pairs["remove"][1], f"{name}.remove") if "remove" in pairs else ()
        names = {package_of(item) or item for item in base}
        for item in removed:
            if (package_of(item) or item) not in names:
                self.decoder.report(
                    pairs["remove"][1],
                    f"`{name}.remove` names {item!r}, which the extended manifest does not have",
                    "remove the line",
                    id="CG032",
                )
        gone = {package_of(item) or item for item in removed}
        kept = tuple(item for item in base if (package_of(item) or item) not in gone)
        return kept + tuple(item for item in added if item not in kept)

    def _sources(self, node: Node, name: str) -> tuple[str, ...]:
        return tuple(item for item in self.decoder.texts(node, name) if item)

    def _disks(self) -> dict[str, tuple[tuple[str, str], ...]]:
        raw = self._map("raw_disk")
        if "packages" in raw:  # the first form had no models
            return {"": self._disk(raw["packages"], "raw_disk")}
        disks = {}
        for model, node in sorted(raw.items()):
            if is_map(node) and (pair := map_pairs(node).get("packages")):
                disks[model] = self._disk(pair[1], f"raw_disk.{model}")
        return disks

    def _disk(self, node: Node, name: str) -> tuple[tuple[str, str], ...]:
        found = []
        for item in self.decoder.entries(node, f"{name}.packages"):
            fields = self.decoder.fields(item, f"{name}.packages")
            texts = {key: self.decoder.text(fields[key], key) for key in ("name", "target") if key in fields}
            found.append((texts.get("name", ""), texts.get("target", "")))
        return tuple(pair for pair in found if pair[0])

    def _repositories(self) -> tuple[str, ...]:
        found: list[str] = []
        nodes = [self.fields[key] for key in ("repositories",) if key in self.fields]
        luet = self._map("luet")
        nodes += [luet["repositories"]] if "repositories" in luet else []
        for node in nodes:
            for item in self.decoder.entries(node, "repositories"):
                fields = self.decoder.fields(item, "repositories") if is_map(item) else {}
                if "uri" in fields:
                    found.append(self.decoder.text(fields["uri"], "uri"))
                elif "urls" in fields:
                    found += self.decoder.texts(fields["urls"], "urls")
                elif is_scalar(item):
                    found.append(str(item.value))
        return tuple(found)
