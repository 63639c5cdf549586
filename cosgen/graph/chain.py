"""Chains: luet stacks all build dependencies of a target into one line of images, each on the one before.

A chain is the depth-first post-order over the requirements, each package's sorted by fingerprint, the target
last. Packages built from final images have no requirements here.

Source: luet 3f2397b6, assertion.go, imagehashtree.go.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import overload

from cosgen.graph.fingerprint import builder_tag, hash_line
from cosgen.graph.model import Fingerprint, Link
from cosgen.manifest.tree import Package


class CycleFound(Exception):  # noqa: N818 - it is an answer, caught where the chain is asked for
    """A chain leads back into itself."""

    def __init__(self, path: Sequence[Fingerprint]) -> None:
        super().__init__(" -> ".join(path))
        self.path = tuple(path)


def order_chain(
    target: Fingerprint, requires: Callable[[Fingerprint], Iterable[Fingerprint]]
) -> tuple[Fingerprint, ...]:
    """Return the chain of a target, itself last.

    Args:
        target: Where the chain ends.
        requires: The direct requirements of a package, in any order.

    Raises:
        CycleFound: A package needs itself, over others or not.
    """
    done: dict[Fingerprint, None] = {}
    path: dict[Fingerprint, None] = {target: None}
    work = [(target, iter(sorted(set(requires(target)))))]
    while work:
        node, rest = work[-1]
        for other in rest:
            if other in path:
                way = [*path, other]
                raise CycleFound(way[way.index(other) :])
            if other not in done:
                path[other] = None
                work.append((other, iter(sorted(set(requires(other))))))
                break
        else:
            work.pop()
            del path[node]
            done[node] = None
    return tuple(done)


@dataclass(frozen=True, slots=True)
class Element:
    """What a package contributes to every chain it is in."""

    fingerprint: Fingerprint
    line: bytes  # stands for it in the hash of a chain
    base_line: bytes  # names its builder where it comes first
    has_image: bool  # `image` is written in its build spec
    starts_anew: bool  # it is built on a seed or a join, not on what is beneath it
    is_virtual: bool
    is_finished: bool = False  # it is of a foundation: its image is a seed, luet's hash of it unknown


def make_element(package: Package, spec_hash: str) -> Element:
    """Return what a package contributes to chains, given its spec hash."""
    spec = package.spec
    return Element(
        fingerprint=Fingerprint(package.fingerprint),
        line=hash_line(package, spec_hash),
        base_line=hash_line(package, spec_hash, as_base=True),
        has_image=bool(spec.image),
        starts_anew=bool(spec.image) or spec.requires_final_images or package.foundation is not None,
        is_virtual=spec.is_virtual,
        is_finished=package.foundation is not None,
    )


class Chain(Sequence[Link]):
    """The links of a chain, target last; each is made, and its hashes computed, when it is looked at."""

    __slots__ = ("_elements", "_hash", "_rolled", "is_luets", "names")

    def __init__(self, names: tuple[Fingerprint, ...], elements: Mapping[Fingerprint, Element]) -> None:
        """Make a chain of at least one package; `elements` has every name."""
        self.names = names
        self._elements = elements
        self._hash = ""
        self._rolled = (0, sha256())  # the longest prefix hashed so far
        # Luet would give it the same hashes: all that goes into them is known.
        self.is_luets = not any(elements[name].is_finished for name in names)

    @property
    def package_hash(self) -> str:
        """Luet's PackageHash of the target."""
        if not self._hash:
            lines = b"".join([self._elements[name].line for name in self.names])
            self._hash = sha256(lines).hexdigest()
        return self._hash

    def prefix_hash(self, length: int) -> str:
        """Return the hash over the first elements: PackageHash of the last, BuildHash of what follows.

        Asked for in rising order, each element is hashed once.
        """
        if not length:
            return sha256(self._elements[self.names[0]].base_line).hexdigest()
        done, rolled = self._rolled
        if length < done:
            done, rolled = 0, sha256()
        for name in self.names[done:length]:
            rolled.update(self._elements[name].line)
        self._rolled = (length, rolled)
        return rolled.hexdigest()

    def builder_tag(self, at: int) -> str:
        """Return the tag of the builder at one place."""
        if self._elements[self.names[at]].has_image and at < len(self.names) - 1:
            return self.prefix_hash(at)
        return builder_tag(self.names[at], self.package_hash)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Link: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Link, ...]: ...
    def __getitem__(self, at: int | slice) -> Link | tuple[Link, ...]:
        places = range(len(self.names))[at]
        if isinstance(places, range):
            return tuple(self._link(place) for place in places)
        return self._link(places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Chain({' <- '.join(self.names)})"

    def _link(self, at: int) -> Link:
        return Link(
            fingerprint=self.names[at],
            build_hash=self.prefix_hash(at),
            package_hash=self.prefix_hash(at + 1),
            builder_tag=self.builder_tag(at),
        )
