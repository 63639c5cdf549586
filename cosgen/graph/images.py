"""Images: chains share their beginnings, so that their images form a trie; each distinct image is one node.

An element with an `image` of its own, or joined from final images, starts anew: what is beneath it in the
chain does not go into it. Virtual elements have no image and are passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosgen.errors import Problem
from cosgen.graph.chain import Prefix, Trie
from cosgen.graph.digest import input_digest, own_parts
from cosgen.graph.fingerprint import builder_tag
from cosgen.graph.model import Fingerprint, ImageKey, ImageNode
from cosgen.graph.rules import problem
from cosgen.graph.view import View
from cosgen.manifest.tree import Package


@dataclass(frozen=True, slots=True)
class Imaged:
    """The images of one chain, the digest of its target and what that is made of."""

    keys: tuple[ImageKey, ...]
    digest: str
    parts: Mapping[str, str]


class Imager:
    """Makes image nodes, needs before dependents; `images` holds them, parents before children."""

    def __init__(
        self,
        view: View,
        trie: Trie,
        packages: Mapping[Fingerprint, Package],
        platform: str,
        seeds: Mapping[str, str],
    ) -> None:
        """Start without images; `seeds` maps image references to digests."""
        self._view = view
        self._trie = trie
        self._packages = packages
        self._platform = platform
        self._seeds = seeds
        self._parts: dict[Fingerprint, dict[str, str]] = {}
        self._keys: dict[Prefix, ImageKey] = {}
        self._digests: dict[Fingerprint, str] = {}  # of packages as targets
        self.images: dict[ImageKey, ImageNode] = {}

    def images_of(
        self, name: Fingerprint, places: Sequence[Prefix], problems: list[Problem]
    ) -> Imaged | None:
        """Return the images of a chain, or None with the reason among the problems.

        Every package that the chain copies from or joins must have been asked for before.
        """
        parts = self._own(name)
        parent: ImageKey | None = None
        keys: list[ImageKey] = []
        for place in places:
            package = self._packages[place.fingerprint]
            if package.spec.is_virtual:
                continue
            parent = self._image(place, places[-1], parent)
            if package.spec.image or package.spec.requires_final_images:
                keys.clear()
            keys.append(parent)
        if self._packages[name].spec.is_virtual:
            self._digests[name] = input_digest(parts)
            return Imaged((), self._digests[name], parts)
        if not keys or not self._has_base(keys[0]):
            self._no_base(name, problems)
            return None
        self._digests[name] = keys[-1]
        beneath = keys[-2] if len(keys) > 1 else ""
        return Imaged(tuple(keys), keys[-1], {**parts, "beneath": self._beneath(name, beneath)})

    def _image(self, place: Prefix, target: Prefix, parent: ImageKey | None) -> ImageKey:
        key = self._keys.get(place)
        if key is not None:
            return key
        name = place.fingerprint
        spec = self._packages[name].spec
        join = self._view.final(name)
        below = None if spec.image or spec.requires_final_images else parent
        copies = [item for item in self._view.copy_sources(name) if item is not None]
        key = ImageKey(
            input_digest(
                self._own(name),
                beneath=below or "",
                join=[self._digests.get(item, "") for item in join],
                copies=[self._digests.get(item, "") for item in copies],
            )
        )
        self._keys[place] = key
        if key not in self.images:
            self.images[key] = ImageNode(
                key=key,
                fingerprint=name,
                parent=below,
                seed="" if spec.requires_final_images else spec.image,
                join=join,
                copies=tuple(dict.fromkeys(copies)),
                luet_package_tag=place.package_hash,
                luet_builder_tag=self._builder_tag(place, target),
                input_digest=key,
            )
        return key

    def _builder_tag(self, place: Prefix, target: Prefix) -> str:
        """Return the tag of a builder, "" where luet would overwrite the package image beneath with it."""
        if place is target or not self._packages[place.fingerprint].spec.image:
            return builder_tag(place.fingerprint, target.package_hash)
        is_first = place.below is None or place.below.package is None
        return place.build_hash if is_first else ""

    def _own(self, name: Fingerprint) -> dict[str, str]:
        parts = self._parts.get(name)
        if parts is None:
            package = self._packages[name]
            seed = self._seeds.get(package.spec.image, "") if package.spec.image else ""
            parts = self._parts[name] = own_parts(package, self._platform, seed)
        return parts

    def _beneath(self, name: Fingerprint, beneath: str) -> str:
        others = (*self._view.final(name), *self._view.copies(name))
        return input_digest({}, beneath=beneath, join=[self._digests.get(item, "") for item in others])

    def _has_base(self, key: ImageKey) -> bool:
        first = self.images[key]
        return bool(first.seed or first.join or first.parent)

    def _no_base(self, name: Fingerprint, problems: list[Problem]) -> None:
        package = self._packages[name]
        what = f"{package.human} has steps, and neither an image nor requirements to run them in"
        problems.append(problem("CG405", what, origin=package.origin))
