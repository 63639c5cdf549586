"""Requirements mean the newest versions that go together."""

import pytest

from cosgen.graph.graph import think
from cosgen.graph.model import Fingerprint, Graph
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.tree import Package
from tests.unit.graph.trees import package, refs, seed, tree


def chain(graph: Graph, name: str) -> list[str]:
    return [link.fingerprint for link in graph.nodes[name].chain]  # type: ignore[index]  # a plain name


def ids(graph: Graph, name: str) -> list[str]:
    return [item.id for item in graph.nodes[name].problems]  # type: ignore[index]  # a plain name


def conflicting(text: str, *others: str, requires: tuple[str, ...] = ()) -> Package:
    return package(
        text,
        BuildSpec(
            image="" if requires else "x",
            requires=refs(*requires),
            conflicts=refs(*others),
            steps=("make",),
        ),
    )


A = [seed("t/a@1.0"), seed("t/a@2.0"), seed("t/a@10.0")]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [(">=0", "10.0"), ("<=2.0", "2.0"), ("<2.0", "1.0"), ("!=10.0", "2.0"), ("2.0", "2.0"), ("=2.00", "2.0")],
)
def test_the_newest_version_that_is_accepted_is_chosen(selector: str, chosen: str) -> None:
    graph = think(tree([*A, package("t/b@1.0", requires=[f"t/a@{selector}"])]))
    assert chain(graph, "b-t-1.0") == [f"a-t-{chosen}", "b-t-1.0"]


def test_all_selectors_of_a_closure_count() -> None:
    graph = think(
        tree(
            [
                *A,
                package("t/b@1.0", requires=["t/a"]),
                package("t/c@1.0", requires=["t/a@<10"]),
                package("t/d@1.0", requires=["t/b", "t/c"]),
            ]
        )
    )
    assert chain(graph, "d-t-1.0") == ["a-t-2.0", "b-t-1.0", "c-t-1.0", "d-t-1.0"]
    assert chain(graph, "b-t-1.0") == ["a-t-10.0", "b-t-1.0"]
    assert graph.nodes["d-t-1.0"].can_be_built  # type: ignore[index]  # a plain name


def test_an_older_version_is_taken_when_the_newest_conflicts() -> None:
    graph = think(tree([*A, conflicting("t/b@1.0", "t/a@>=10"), package("t/c@1.0", requires=["t/a", "t/b"])]))
    assert chain(graph, "c-t-1.0") == ["a-t-2.0", "b-t-1.0", "c-t-1.0"]


def test_search_goes_back_behind_an_earlier_choice() -> None:
    graph = think(
        tree(
            [
                *A,
                package("t/m@1", requires=["t/a@<10"]),
                package("t/m@2", requires=["t/a@>=10"]),
                package("t/n@1", requires=["t/a@<=2.0"]),
                package("t/top@1", requires=["t/m", "t/n"]),
            ]
        )
    )
    assert chain(graph, "top-t-1") == ["a-t-2.0", "m-t-1", "n-t-1", "top-t-1"]


def test_what_cannot_be_satisfied_breaks_only_what_needs_it() -> None:
    graph = think(tree([*A, package("t/b@1", requires=["t/a@>20"]), package("t/c@1", requires=["t/b"])]))
    assert ids(graph, "b-t-1") == ["CG402"]
    assert ids(graph, "c-t-1")[:1] in (["CG402"], ["CG404"])
    assert chain(graph, "a-t-10.0") == ["a-t-10.0"]


def test_a_name_nobody_bears_is_told() -> None:
    graph = think(tree([package("t/b@1", requires=["t/zzz"]), package("t/c@1", requires=["t/b"])]))
    assert ids(graph, "b-t-1") == ["CG401"]
    assert ids(graph, "c-t-1") == ["CG404"]


def test_a_provider_hides_the_package_and_is_built_in_its_place() -> None:
    provider = package("t/p@1", BuildSpec(image="x", steps=("make",)), provides=["u/real@>=0"])
    graph = think(tree([provider, seed("u/real@3"), package("t/c@1", requires=["u/real"])]))
    assert chain(graph, "c-t-1") == ["p-t-1", "c-t-1"]
    hidden = graph.nodes["real-u-3"]  # type: ignore[index]  # a plain name
    assert hidden.redirect == "p-t-1"
    assert hidden.package_hash == graph.nodes["p-t-1"].package_hash  # type: ignore[index]  # a plain name
    assert "CG406" in [item.id for item in graph.problems]
    assert "real-u-3" not in graph.targets


def test_what_a_build_spec_provides_counts_in_place_of_the_definitions() -> None:
    spec = BuildSpec(image="x", steps=("make",), provides=refs("u/new@>=0"))
    provider = package("t/p@1", spec, provides=["u/old@>=0"])
    needs = [package("t/c@1", requires=["u/new"]), package("t/d@1", requires=["u/old"])]
    graph = think(tree([provider, *needs]))
    assert chain(graph, "c-t-1") == ["p-t-1", "c-t-1"]
    assert ids(graph, "d-t-1") == ["CG401"]
    before = think(tree([provider, *needs]), compat="0.36")
    assert ids(before, "c-t-1") == ["CG401"]
    assert chain(before, "d-t-1") == ["p-t-1", "d-t-1"]


def test_a_selector_is_not_tested_against_a_provided_version() -> None:
    provider = package("t/p@1", BuildSpec(image="x"), provides=["u/real@1.0"])
    graph = think(
        tree([provider, package("t/c@1", requires=["u/real@>=0"]), package("t/d@1", requires=["u/real@1.0"])])
    )
    assert ids(graph, "c-t-1") == ["CG401"] or ids(graph, "c-t-1") == ["CG402"]
    assert chain(graph, "d-t-1") == ["p-t-1", "d-t-1"]


def test_cycles_are_told_with_their_path_and_break_what_needs_them() -> None:
    graph = think(
        tree(
            [
                package("t/a@1", requires=["t/b"]),
                package("t/b@1", requires=["t/c"]),
                package("t/c@1", requires=["t/a"]),
                package("t/d@1", requires=["t/c"]),
                seed("t/e@1"),
            ]
        )
    )
    (fault,) = [item for item in graph.nodes["a-t-1"].problems if item.id == "CG403"]  # type: ignore[index]
    assert "t/a@1 -> t/b@1 -> t/c@1 -> t/a@1" in fault.what
    assert not graph.nodes["d-t-1"].can_be_built  # type: ignore[index]
    assert graph.nodes["e-t-1"].can_be_built  # type: ignore[index]


def test_a_long_way_down_needs_no_recursion() -> None:
    packages = [seed("t/p0@1")] + [package(f"t/p{i}@1", requires=[f"t/p{i - 1}"]) for i in range(1, 3000)]
    graph = think(tree(packages))
    assert len(graph.nodes["p2999-t-1"].chain) == 3000  # type: ignore[index]


def test_generations_differ_in_what_a_selector_accepts() -> None:
    packages = [seed("t/a@1.0"), seed("t/a@1.5-1"), package("t/b@1", requires=["t/a@>=1.5"])]
    newest = think(tree(packages)).nodes[Fingerprint("b-t-1")]
    assert newest.requires == ("a-t-1.5-1",)
    older = think(tree(packages), compat="0.36").nodes[Fingerprint("b-t-1")]
    assert [item.id for item in older.problems] == ["CG402"]
    ranged = [*packages[:2], package("t/b@1", requires=["t/a@>=1.0,<1.2"])]
    assert think(tree(ranged), compat="0.36").nodes[Fingerprint("b-t-1")].requires == ("a-t-1.0",)
    assert think(tree(ranged)).nodes[Fingerprint("b-t-1")].requires == ()
