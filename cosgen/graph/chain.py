"""Chains: luet stacks all build dependencies of a target into one line of images, each on the one before.

A chain is the depth-first post-order over the requirements, each package's sorted by fingerprint, the target
last. Packages built from final images have no requirements here.

Source: luet 3f2397b6, assertion.go, imagehashtree.go.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, overload

from cosgen.graph.fingerprint import builder_tag, hash_line
from cosgen.graph.model import Fingerprint, Link
from cosgen.manifest.tree import Package

if TYPE_CHECKING:
    from hashlib import _Hash


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


class Prefix:
    """One place in the trie of chains: a package, and what lies beneath it."""

    __slots__ = ("above", "below", "build_hash", "package", "package_hash", "state")

    def __init__(self, package: Package | None, below: "Prefix | None", line: bytes, base: bytes) -> None:
        """Put a package on what lies beneath; `base` names the builder of a first element."""
        self.package = package
        self.below = below
        self.above: dict[Fingerprint, Prefix] = {}
        self.state: _Hash = sha256() if below is None else below.state.copy()
        self.state.update(line)
        self.package_hash = self.state.hexdigest()
        first = below is None or below.package is None
        self.build_hash = sha256(base).hexdigest() if first or below is None else below.package_hash

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the package at this place."""
        return Fingerprint(self.package.fingerprint if self.package else "")


class Trie:
    """All chains of a tree, common beginnings shared; each place knows luet's hashes."""

    def __init__(self, packages: Callable[[Fingerprint], tuple[Package, str]]) -> None:
        """Make an empty trie; `packages` gives a package and its spec hash."""
        self._packages = packages
        self._root = Prefix(None, None, b"", b"")
        self._lines: dict[Fingerprint, tuple[Package, bytes, bytes]] = {}

    def place(self, chain: Iterable[Fingerprint]) -> tuple[Prefix, ...]:
        """Return the places of a chain, first element first."""
        here = self._root
        places: list[Prefix] = []
        for fingerprint in chain:
            following = here.above.get(fingerprint)
            if following is None:
                following = here.above[fingerprint] = Prefix(
                    self._line(fingerprint)[0], here, *self._line(fingerprint)[1:]
                )
            here = following
            places.append(here)
        return tuple(places)

    def _line(self, fingerprint: Fingerprint) -> tuple[Package, bytes, bytes]:
        lines = self._lines.get(fingerprint)
        if lines is None:
            package, hash_ = self._packages(fingerprint)
            lines = (package, hash_line(package, hash_), hash_line(package, hash_, as_base=True))
            self._lines[fingerprint] = lines
        return lines


class Chain(Sequence[Link]):
    """The links of a chain, target last; each is made when it is looked at."""

    __slots__ = ("_places",)

    def __init__(self, places: tuple[Prefix, ...]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Link: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Link, ...]: ...
    def __getitem__(self, at: int | slice) -> Link | tuple[Link, ...]:
        if isinstance(at, slice):
            return tuple(self._link(place) for place in self._places[at])
        return self._link(self._places[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self._places)

    def __repr__(self) -> str:
        return f"Chain({' <- '.join(place.fingerprint for place in self._places)})"

    def _link(self, place: Prefix) -> Link:
        target = self._places[-1]
        own_image = place is not target and place.package is not None and place.package.spec.image
        return Link(
            fingerprint=place.fingerprint,
            build_hash=place.build_hash,
            package_hash=place.package_hash,
            builder_tag=place.build_hash
            if own_image
            else builder_tag(place.fingerprint, target.package_hash),
        )
