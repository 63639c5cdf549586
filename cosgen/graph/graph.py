"""Think a tree through: resolve, stack, hash and digest every package, and say what is wrong."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Severity
from cosgen.graph.chain import Chain, CycleFound, Element, make_element, order_chain
from cosgen.graph.digest import platform_of
from cosgen.graph.dockerfile import render_builder, render_package
from cosgen.graph.fingerprint import spec_hash
from cosgen.graph.foundation import copy_faults, finished_node, foundation_first
from cosgen.graph.images import Imager
from cosgen.graph.lints import lint_graph
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.graph.order import find_cycle, strong_components, topological_order
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
    trees: Sequence[str] = (),
) -> Graph:
    """Think a tree through.

    Args:
        tree: All packages of one variant.
        seeds: Image reference -> digest it is pinned to.
        select: What is to be built, as category/name; what that needs is added. None for all.
        skip: Packages (category/name) that are not built for this variant.
        compat: Luet generation whose selectors are used.
        trees: The tree roots in the order in which they are read.

    Returns:
        The graph. Packages with errors are in it, with the errors; they break none but what needs them.
    """
    return _Thinking(tree, seeds, compat, trees).graph(select, skip)


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
        trees=project.config.trees,
    )


class _Thinking:
    def __init__(self, tree: Tree, seeds: Mapping[str, str], compat: Compat, trees: Sequence[str]) -> None:
        self.tree = tree
        self.seeds = seeds
        packages = (*tree.packages, *tree.foundation)
        self.packages = {Fingerprint(package.fingerprint): package for package in packages}
        self.view = View(packages, compat, trees)
        self.broken = frozenset(
            name
            for name, package in self.packages.items()
            if self.view.is_unresolved(name) or _errors(package.problems)
        )
        self.hashes = {
            name: spec_hash(package)
            for name, package in self.packages.items()
            if not _errors(package.problems)
        }
        self.elements: dict[Fingerprint, Element] = {
            name: make_element(self.packages[name], hash_) for name, hash_ in self.hashes.items()
        }
        self.chains: dict[Fingerprint, tuple[Fingerprint, ...]] = {}
        self.unusable: set[Fingerprint] = set()
        self.imager = Imager(self.view, self.elements, self.packages, platform_of(tree.variant), seeds)

    def graph(self, select: Sequence[str] | None, skip: Collection[str]) -> Graph:
        needs = {name: self.view.needs(name) for name in self.packages}
        faults = self._cycles(needs)
        order = topological_order({name: self._before(name, below) for name, below in needs.items()})
        made: dict[Fingerprint, Node] = {}
        for name in order:
            made[name] = self._node(name, faults.get(name, ()))
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
        for members in strong_components(needs):
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

    def _node(self, name: Fingerprint, faults: Iterable[Problem]) -> Node:
        package = self.packages[name]
        if package.foundation is not None:
            return finished_node(package, package.foundation, self.view.runtime(name))
        problems = [*faults, *self.view.problems(name)]
        chain = None if _errors(package.problems) else self._chain(name, problems)
        problems += self._inherited(name, chain.names if chain else ())
        problems += copy_faults(package, (self.packages[other] for other in self.view.copies(name)))
        images = self.imager.images_of(chain, problems) if chain and not _errors(problems) else None
        if images is None:
            self.unusable.add(name)
        readable = name in self.hashes
        definition, spec = package.definition, package.spec
        return Node(
            package=package,
            requires=self.view.requires(name),
            final=self.view.final(name),
            copies=self.view.copies(name),
            runtime=self.view.runtime(name),
            needs=self.view.needs(name),
            chain=chain or (),
            images=images.keys if images else (),
            spec_hash=self.hashes.get(name, ""),
            package_hash=chain.package_hash if chain and chain.is_luets else "",
            builder_tag=chain.builder_tag(len(chain) - 1) if chain and chain.is_luets else "",
            builder_dockerfile=render_builder(definition, spec) if readable else "",
            package_dockerfile=render_package(definition, spec) if readable else "",
            input_digest=images.digest if images else "",
            input_parts=images.parts if images else {},
            problems=tuple(dict.fromkeys(problems)),
        )

    def _chain(self, name: Fingerprint, problems: list[Problem]) -> Chain | None:
        """Return the chain of a package, or None with the reason among the problems."""
        if name in self.broken:
            return None
        try:
            names = self._order(name)
        except CycleFound as error:
            if not any(item.id == "CG403" for item in problems):
                way = " -> ".join(map(self._human, error.path))
                origin = self.packages[name].origin
                what = f"{self.packages[name].human} needs a circle: {way}"
                problems.append(problem("CG403", what, origin=origin))
            return None
        if not self.broken.isdisjoint(names):
            return None
        names, fault = foundation_first(names, self.packages)
        if fault is not None:
            problems.append(fault)
            return None
        return Chain(names, self.elements)

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

    def _inherited(self, name: Fingerprint, chain: Sequence[Fingerprint]) -> list[Problem]:
        """Report the needs that cannot be used, each once."""
        needs = self.view.needs(name)
        if self.unusable.isdisjoint(needs) and self.unusable.isdisjoint(chain):
            return []
        package = self.packages[name]
        bad = [other for other in dict.fromkeys((*needs, *chain)) if other in self.unusable]
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
