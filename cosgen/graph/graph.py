"""Think a tree through: resolve, stack, hash and digest every package, and say what is wrong."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Severity
from cosgen.graph.chain import Chain, CycleFound, Prefix, Trie, order_chain
from cosgen.graph.digest import platform_of
from cosgen.graph.dockerfile import render_builder, render_package
from cosgen.graph.fingerprint import builder_tag, spec_hash
from cosgen.graph.images import Imager
from cosgen.graph.lints import lint_graph
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.graph.order import components, find_cycle, topological_order
from cosgen.graph.rules import problem
from cosgen.graph.targets import choose_targets
from cosgen.graph.view import View
from cosgen.manifest.lock import Lock
from cosgen.manifest.project import Project
from cosgen.manifest.tree import Tree
from cosgen.manifest.version import Compat

_NO_SEEDS: Mapping[str, str] = MappingProxyType({})


def think(
    tree: Tree,
    *,
    seeds: Mapping[str, str] = _NO_SEEDS,
    select: Sequence[str] | None = None,
    skip: Collection[str] = (),
    compat: Compat = "head",
) -> Graph:
    """Think a tree through.

    Args:
        tree: All packages of one variant.
        seeds: Image reference -> digest it is pinned to.
        select: What is to be built, as category/name; what that needs is added. None for all.
        skip: Packages (category/name) that are not built for this variant.
        compat: Luet generation whose selectors are used.

    Returns:
        The graph. Packages with errors are in it, with the errors; they break none but what needs them.
    """
    return _Thinking(tree, seeds, compat).graph(select, skip)


def think_variant(project: Project, tree: Tree, lock: Lock) -> Graph:
    """Think one variant of a project through, with its selection, its skipped packages and its pins.

    Args:
        project: The project.
        tree: One of its trees.
        lock: What is pinned.
    """
    variant = tree.variant
    humans = {package.human for package in tree.packages}
    return think(
        tree,
        seeds=lock.seed_digests(platform_of(variant)),
        select=project.selected,
        skip=frozenset(human for human in humans if project.skipped(variant, human)),
        compat="head" if project.config.compat == "head" else "0.36",
    )


class _Thinking:
    def __init__(self, tree: Tree, seeds: Mapping[str, str], compat: Compat) -> None:
        self.tree = tree
        self.seeds = seeds
        self.packages = {Fingerprint(package.fingerprint): package for package in tree.packages}
        self.view = View(tree.packages, compat)
        self.hashes: dict[Fingerprint, str] = {}
        self.trie = Trie(lambda name: (self.packages[name], self.hash_of(name)))
        self.chains: dict[Fingerprint, tuple[Fingerprint, ...]] = {}
        self.imager = Imager(self.view, self.trie, self.packages, platform_of(tree.variant), seeds)

    def hash_of(self, name: Fingerprint) -> str:
        if name not in self.hashes:
            self.hashes[name] = spec_hash(self.packages[name])
        return self.hashes[name]

    def graph(self, select: Sequence[str] | None, skip: Collection[str]) -> Graph:
        needs = {name: self.view.needs(name) for name in self.packages}
        faults = self._cycles(needs)
        order = topological_order({name: self._before(name, below) for name, below in needs.items()})
        made: dict[Fingerprint, Node] = {}
        for name in order:
            made[name] = self._node(name, faults.get(name, ()), made)
        nodes = {name: made[name] for name in self.packages}
        for name, node in nodes.items():
            provider = self.view.redirects.get(name)
            if provider is not None:
                nodes[name] = self._redirected(node, made[provider])
        targets, refused = choose_targets(nodes, select, skip)
        lints = lint_graph(self.tree, nodes, self.view, self.seeds)
        problems = [*self.tree.problems, *refused, *lints]
        for node in nodes.values():
            problems += node.problems
        return Graph(
            tree=self.tree,
            nodes=MappingProxyType(nodes),
            order=order,
            images=MappingProxyType(self.imager.images),
            problems=tuple(sorted(dict.fromkeys(problems), key=_place)),
            targets=targets,
        )

    def _before(self, name: Fingerprint, needs: Sequence[Fingerprint]) -> Sequence[Fingerprint]:
        """Return what must be thought through first; other versions than the newest bring their chain."""
        if self.view.solution(name).is_newest:
            return needs
        try:
            return (*needs, *self._order(name)[:-1])
        except CycleFound:
            return needs

    def _cycles(self, needs: Mapping[Fingerprint, Sequence[Fingerprint]]) -> dict[Fingerprint, list[Problem]]:
        """Report each circle once, at its first member; the others are told apart by what they need."""
        faults: dict[Fingerprint, list[Problem]] = {}
        for members in components(needs):
            path = find_cycle(members, needs)
            if path:
                for name in members:
                    way = path if name == members[0] else find_cycle([name, *members], needs)
                    faults[name] = [
                        problem(
                            "CG403",
                            f"{self.packages[name].human} needs itself: {' -> '.join(map(self._human, way))}",
                            origin=self.packages[name].origin,
                        )
                    ]
        return faults

    def _human(self, name: Fingerprint) -> str:
        package = self.packages[name]
        return f"{package.human}@{package.definition.version}"

    def _node(self, name: Fingerprint, faults: Iterable[Problem], made: Mapping[Fingerprint, Node]) -> Node:
        package = self.packages[name]
        problems = [*faults, *self.view.problems(name)]
        broken = any(item.severity is Severity.ERROR for item in package.problems)
        places = () if broken else self._chain(name, problems)
        problems += self._inherited(name, places, made)
        hashable = bool(places)
        images = self.imager.images_of(name, places, problems) if hashable and not _errors(problems) else None
        target = places[-1] if places else None
        definition, spec = package.definition, package.spec
        return Node(
            package=package,
            requires=self.view.requires(name),
            final=self.view.final(name),
            copies=self.view.copies(name),
            runtime=self.view.runtime(name),
            needs=self.view.needs(name),
            chain=Chain(places) if places else (),
            images=images.keys if images else (),
            spec_hash="" if broken else self.hash_of(name),
            package_hash=target.package_hash if target else "",
            builder_tag=builder_tag(name, target.package_hash) if target else "",
            builder_dockerfile="" if broken else render_builder(definition, spec),
            package_dockerfile="" if broken else render_package(definition, spec),
            input_digest=images.digest if images else "",
            input_parts=images.parts if images else {},
            problems=tuple(dict.fromkeys(problems)),
        )

    def _chain(self, name: Fingerprint, problems: list[Problem]) -> tuple[Prefix, ...]:
        """Return the places of a chain, or () with the reason among the problems."""
        if self.view.is_unresolved(name):
            return ()
        try:
            chain = self._order(name)
        except CycleFound as error:
            if not any(item.id == "CG403" for item in problems):
                way = " -> ".join(map(self._human, error.path))
                origin = self.packages[name].origin
                what = f"{self.packages[name].human} needs a circle: {way}"
                problems.append(problem("CG403", what, origin=origin))
            return ()
        if any(self._is_broken(other) for other in chain[:-1]):
            return ()
        return self.trie.place(chain)

    def _is_broken(self, name: Fingerprint) -> bool:
        package = self.packages[name]
        return self.view.is_unresolved(name) or any(
            item.severity is Severity.ERROR for item in package.problems
        )

    def _order(self, name: Fingerprint) -> tuple[Fingerprint, ...]:
        """Return a chain; targets that take the newest of everything share what is beneath them."""
        solution = self.view.solution(name)
        if not solution.is_newest:
            return order_chain(name, lambda other: self.view.chained(other, solution))
        known = self.chains.get(name)
        if known is not None:
            return known
        below = sorted(self.view.chained(name, solution))
        if name in below or any(other not in self.chains for other in below):
            chain = order_chain(name, lambda other: self.view.chained(other, solution))
        else:
            merged: dict[Fingerprint, None] = {}
            for other in below:
                merged.update(dict.fromkeys(self.chains[other]))
            if name in merged:
                chain = order_chain(name, lambda other: self.view.chained(other, solution))
            else:
                merged[name] = None
                chain = tuple(merged)
        self.chains[name] = chain
        return chain

    def _inherited(
        self, name: Fingerprint, places: Sequence[Prefix], made: Mapping[Fingerprint, Node]
    ) -> list[Problem]:
        """Report the needs that cannot be used, each once."""
        package = self.packages[name]
        needs = dict.fromkeys((*self.view.needs(name), *(place.fingerprint for place in places[:-1])))
        bad = [other for other in needs if other in made and not made[other].can_be_built]
        return [
            problem(
                "CG404",
                f"{package.human} needs {self._human(other)}, which has errors",
                origin=package.origin,
            )
            for other in bad
        ]

    def _redirected(self, node: Node, provider: Node) -> Node:
        return replace(
            provider,
            package=node.package,
            redirect=provider.fingerprint,
            runtime=node.runtime,
            problems=(*(item for item in node.problems if item.id == "CG414"),),
        )


def _errors(problems: Iterable[Problem]) -> bool:
    return any(item.severity is Severity.ERROR for item in problems)


def _place(item: Problem) -> tuple[Origin, str, str]:
    return (item.origin or Origin(""), item.id, item.what)
