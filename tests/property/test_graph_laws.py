"""Laws of graphs, plans and schedules, on random graphs."""

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from cosgen.graph.affected import explain_affected
from cosgen.graph.graph import think
from cosgen.graph.model import Fingerprint, Graph
from cosgen.graph.order import find_cycle, strong_components, topological_order
from cosgen.graph.plan import Action, PublishedPackage, index_published, plan_builds, plan_to_json
from cosgen.manifest.tree import Package
from tests.unit.graph.trees import package, seed, tree

Needs = dict[str, list[str]]


@st.composite
def dags(draw: st.DrawFn, most: int = 14) -> Needs:
    names = [f"p{number:02}" for number in range(draw(st.integers(1, most)))]
    order = draw(st.permutations(names))
    return {
        name: draw(st.lists(st.sampled_from(order[:at]), unique=True, max_size=4)) if at else []
        for at, name in enumerate(order)
    }


def packages_of(needs: Needs) -> list[Package]:
    """Make packages that all come down to one with an image: further images would discard what is beneath."""
    return [
        seed("t/base@1"),
        *(
            package(f"t/{name}@1", requires=[f"t/{other}" for other in below] or ["t/base"])
            for name, below in needs.items()
        ),
    ]


def graph_of(needs: Needs) -> Graph:
    return think(tree(packages_of(needs)))


def beneath(graph: Graph, name: Fingerprint) -> set[Fingerprint]:
    found: set[Fingerprint] = set()
    waiting = list(graph.nodes[name].needs)
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph.nodes[other].needs
    return found


@settings(deadline=None)  # the machine may be busy
@given(dags())
def test_a_chain_holds_the_closure_once_and_in_order(needs: Needs) -> None:
    graph = graph_of(needs)
    for name, node in graph.nodes.items():
        chain = [link.fingerprint for link in node.chain]
        assert sorted(chain) == sorted({name, *beneath(graph, name)})
        place = {item: at for at, item in enumerate(chain)}
        assert all(place[need] < place[item] for item in chain for need in graph.nodes[item].needs)
    order = {name: at for at, name in enumerate(graph.order)}
    assert all(order[need] < order[name] for name, node in graph.nodes.items() for need in node.needs)


@settings(deadline=None)  # the machine may be busy
@given(dags(), st.randoms(use_true_random=False))
def test_the_order_of_packages_changes_nothing(needs: Needs, chance: random.Random) -> None:
    shuffled = packages_of(needs)
    chance.shuffle(shuffled)
    assert plan_to_json(plan_builds([think(tree(shuffled))])) == plan_to_json(plan_builds([graph_of(needs)]))


@settings(deadline=None)  # the machine may be busy
@given(dags(), st.data())
def test_a_change_changes_the_digests_of_what_is_built_on_it_and_of_nothing_else(
    needs: Needs, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(needs)))
    before = graph_of(needs)
    changed = [
        package(f"t/{name}@1", item.spec, files={"build.yaml": "changed"})
        if item.definition.name == name
        else item
        for item in packages_of(needs)
    ]
    after = think(tree(changed))
    concerned = {
        key
        for key, node in after.nodes.items()
        if name in {link.fingerprint.partition("-")[0] for link in node.chain}
    }
    different = {
        key for key, node in after.nodes.items() if node.input_digest != before.nodes[key].input_digest
    }
    assert different == concerned
    told = explain_affected(after, [f"packages/t/{name}-1/build.yaml"])
    assert different <= set(told)


@settings(deadline=None)  # the machine may be busy
@given(dags(), st.data())
def test_every_need_of_what_is_built_is_before_it_or_published(needs: Needs, data: st.DataObject) -> None:
    graph = graph_of(needs)
    kept = data.draw(st.sets(st.sampled_from(sorted(graph.nodes))))
    index = index_published(
        (
            "green-x86_64",
            node.package.human,
            PublishedPackage(input_digest=node.input_digest, version="1", present=name in kept),
        )
        for name, node in graph.nodes.items()
    )
    plan = plan_builds([graph], published=index)
    actions = {node.fingerprint: node.action for node in plan.nodes}
    assert {name for name, action in actions.items() if action is Action.KEEP} == kept
    by_key = plan.by_key
    for node in plan.to_build:
        above = _above(node.key, {key: item.needs for key, item in by_key.items()})
        wanted = {name for name in beneath(graph, Fingerprint(node.fingerprint)) if name not in kept}
        assert {by_key[key].fingerprint for key in above} == wanted
        assert all(by_key[need].level < node.level for need in node.needs)
    seen: set[str] = set()
    for node in sorted(plan.to_build, key=lambda item: -item.bottom_level):
        assert set(node.needs) <= seen
        seen.add(node.key)


def _above(key: str, needs: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = list(needs[key])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += needs[other]
    return found


@settings(deadline=None)  # the machine may be busy
@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=3)
    )
)
def test_components_are_found_and_every_cycle_has_a_path(needs: Needs) -> None:
    found = strong_components(needs)
    assert sorted(name for members in found for name in members) == sorted(needs)
    known = {name: [other for other in below if other in needs] for name, below in needs.items()}
    for members in found:
        path = find_cycle(members, known)
        is_cyclic = len(members) > 1 or members[0] in known[members[0]]
        assert bool(path) == is_cyclic
        if path:
            assert path[0] == path[-1]
            assert all(two in known[one] for one, two in pairwise(path))
    assert sorted(topological_order(needs)) == sorted(needs)
