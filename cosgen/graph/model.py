"""What thinking about a tree yields: resolved dependencies, chains and images, as frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NewType

from cosgen.errors import Problem
from cosgen.manifest.tree import Package, Tree

Fingerprint = NewType("Fingerprint", str)  # luet's `name-category-version`
ImageKey = NewType("ImageKey", str)  # names one node of the trie of images


_NO_PARTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One element of a target's chain, with the hashes it has at that place (luet-specs 6)."""

    fingerprint: Fingerprint
    build_hash: str  # 64 hex; = package_hash of the element before, but for the first
    package_hash: str  # 64 hex; the tag of the package image
    builder_tag: str  # the tag of the builder image at this place of this chain


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNode:
    """One distinct package image (with its builder): a prefix of one or more chains.

    `parent` is the image below, None when it starts from a seed, from a join or from nothing.
    """

    key: ImageKey  # = input digest: equal key, equal image
    fingerprint: Fingerprint  # the package whose builder and package image this is
    parent: ImageKey | None
    seed: str  # image reference it starts from; "" when `parent` or a join is the base
    join: tuple[Fingerprint, ...]  # whose artifacts, in this order, make the base (RFI); or ()
    copies: tuple[Fingerprint, ...]  # packages whose own images `copy:` reads
    luet_package_tag: str  # tags under which luet would store them; "" when it has none
    luet_builder_tag: str
    input_digest: str  # "sha256:" + 64 hex over everything that can change the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """All that is known of one package as a build target."""

    package: Package
    requires: tuple[Fingerprint, ...]  # resolved direct build requirements, sorted
    final: tuple[Fingerprint, ...]  # packages joined for `requires_final_images`, in order; () otherwise
    copies: tuple[Fingerprint, ...]  # packages read by `copy:`, sorted
    runtime: tuple[Fingerprint, ...]  # resolved direct runtime requirements, sorted
    needs: tuple[Fingerprint, ...]  # sorted union of requires, final, copies: must be built before
    chain: Sequence[Link]  # target last; empty when the chain cannot be made
    images: tuple[ImageKey, ...]  # one per chain element that has an image, target's last; () when virtual
    spec_hash: str
    package_hash: str  # "" when the chain cannot be made
    builder_tag: str
    builder_dockerfile: str  # text with `SEEDIMAGE` as base, as in the golden data
    package_dockerfile: str  # text with `BUILDERIMAGE` as base
    input_digest: str  # "sha256:" + 64 hex; "" when it cannot be built
    input_parts: Mapping[str, str] = field(
        default_factory=lambda: _NO_PARTS
    )  # what the digest is made of, by name
    redirect: Fingerprint | None = None  # luet finds this package in its place; all but `package` is its
    problems: tuple[Problem, ...] = ()  # resolution and chain problems of this package

    @property
    def foundation(self) -> str:
        """Name of the foundation it is of, which built it; "" for our own packages."""
        return self.package.foundation.name if self.package.foundation else ""

    @property
    def can_be_built(self) -> bool:
        """No error stands in the way; warnings do not."""
        return bool(self.input_digest)

    @property
    def fingerprint(self) -> Fingerprint:
        """Luet's key, `name-category-version`."""
        return Fingerprint(self.package.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A tree thought through. `order` lists fingerprints so that needs come before their dependents."""

    tree: Tree
    nodes: Mapping[Fingerprint, Node]  # in fingerprint order
    order: tuple[Fingerprint, ...]
    images: Mapping[ImageKey, ImageNode]  # parents before children
    problems: tuple[Problem, ...]  # the tree's and the graph's, sorted by origin
    targets: tuple[Fingerprint, ...] = ()  # what is to be built, in fingerprint order; redirected ones not
