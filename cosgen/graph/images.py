"""Images: chains share their beginnings, so that their images form a trie; each distinct image is one node.

An element with an `image` of its own, or joined from final images, starts anew: what is beneath it in the
chain does not go into it. Virtual elements have no image and are passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosgen.errors import Problem
from cosgen.graph.chain import Chain, Element
from cosgen.graph.digest import input_digest, own_parts, parts_digest
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


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What goes into every image of one package, whatever it is stacked upon."""

    own: str  # digest of its own inputs
    seed: str
    join: tuple[Fingerprint, ...]
    join_digests: tuple[str, ...]
    copies: tuple[Fingerprint, ...]
    copy_digests: tuple[str, ...]


class Imager:
    """Makes image nodes, needs before dependents; `images` holds them, parents before children."""

    def __init__(
        self,
        view: View,
        elements: Mapping[Fingerprint, Element],
        packages: Mapping[Fingerprint, Package],
        platform: str,
        seeds: Mapping[str, str],
    ) -> None:
        """Start without images; `seeds` maps image references to digests."""
        self._view = view
        self._elements = elements
        self._packages = packages
        self._platform = platform
        self._seeds = seeds
        self._parts: dict[Fingerprint, dict[str, str]] = {}
        self._recipes: dict[Fingerprint, _Recipe] = {}
        self._keys: dict[tuple[ImageKey | None, Fingerprint], ImageKey] = {}
        self._digests: dict[Fingerprint, str] = {}  # of packages as targets
        self._finished: dict[ImageKey, str] = {}  # of foundations: digest -> reference of the image
        for name, package in packages.items():
            if package.foundation is not None:
                self._digests[name] = package.foundation.input_digest
                self._finished[ImageKey(package.foundation.input_digest)] = package.foundation.image
        self.images: dict[ImageKey, ImageNode] = {}

    def images_of(self, chain: Chain, problems: list[Problem]) -> Imaged | None:
        """Return the images of a chain, or None with the reason among the problems.

        Every package that the chain copies from or joins must have been asked for before.
        """
        name = chain.names[-1]
        parts = self._own(name)
        base: ImageKey | None = None
        parent: ImageKey | None = None
        keys: list[ImageKey] = []
        for at in range(self._start(chain.names), len(chain.names)):
            element = self._elements[chain.names[at]]
            if element.is_finished:
                base = parent = ImageKey(self._digests[chain.names[at]])
            elif not element.is_virtual:
                parent = self._image(chain, at, parent)
                keys.append(parent)
        if self._elements[name].is_virtual:
            self._digests[name] = input_digest(parts_digest(self._own(name)))
            return Imaged((), self._digests[name], parts)
        if not self._has_base(keys[0]):
            self._no_base(name, problems)
            return None
        self._digests[name] = keys[-1]
        beneath = keys[-2] if len(keys) > 1 else base or ""
        return Imaged(tuple(keys), keys[-1], {**parts, "beneath": self._beneath(name, beneath)})

    def _start(self, names: Sequence[Fingerprint]) -> int:
        """Return where in a chain what goes into the target's image begins."""
        for at in range(len(names) - 1, 0, -1):
            if self._elements[names[at]].starts_anew:
                return at
        return 0

    def _image(self, chain: Chain, at: int, parent: ImageKey | None) -> ImageKey:
        name = chain.names[at]
        below = None if self._elements[name].starts_anew else parent
        key = self._keys.get((below, name))
        if key is None:
            key = self._keys[below, name] = self._make(chain, at, below)
        return key

    def _make(self, chain: Chain, at: int, below: ImageKey | None) -> ImageKey:
        name = chain.names[at]
        recipe = self._recipe(name)
        digest = input_digest(
            recipe.own, beneath=below or "", join=recipe.join_digests, copies=recipe.copy_digests
        )
        key = ImageKey(digest)
        tag_collides = at and at < len(chain.names) - 1 and self._elements[name].has_image
        self.images[key] = ImageNode(
            key=key,
            fingerprint=name,
            parent=None if below in self._finished else below,
            seed=self._finished.get(below or key, recipe.seed),
            join=recipe.join,
            copies=recipe.copies,
            luet_package_tag=chain.prefix_hash(at + 1) if chain.is_luets else "",
            luet_builder_tag="" if tag_collides or not chain.is_luets else chain.builder_tag(at),
            input_digest=key,
        )
        return key

    def _recipe(self, name: Fingerprint) -> _Recipe:
        recipe = self._recipes.get(name)
        if recipe is None:
            join = self._view.final(name)
            copies = tuple(item for item in self._view.copy_sources(name) if item is not None)
            spec = self._packages[name].spec
            recipe = self._recipes[name] = _Recipe(
                own=parts_digest(self._own(name)),
                seed="" if spec.requires_final_images else spec.image,
                join=join,
                join_digests=tuple(self._digests.get(item, "") for item in join),
                copies=tuple(dict.fromkeys(copies)),
                copy_digests=tuple(self._digests.get(item, "") for item in copies),
            )
        return recipe

    def _own(self, name: Fingerprint) -> dict[str, str]:
        parts = self._parts.get(name)
        if parts is None:
            parts = self._parts[name] = own_parts(self._packages[name], self._platform, self._seeds)
        return parts

    def _beneath(self, name: Fingerprint, beneath: str) -> str:
        others = (*self._view.final(name), *self._view.copies(name))
        return input_digest("", beneath=beneath, join=[self._digests.get(item, "") for item in others])

    def _has_base(self, key: ImageKey) -> bool:
        first = self.images[key]
        return bool(first.seed or first.join or first.parent)

    def _no_base(self, name: Fingerprint, problems: list[Problem]) -> None:
        package = self._packages[name]
        what = f"{package.human} has steps, and neither an image nor requirements to run them in"
        problems.append(problem("CG405", what, origin=package.origin))
