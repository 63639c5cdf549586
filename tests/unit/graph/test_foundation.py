"""Packages of foundations: resolved into, stacked upon, joined, and never built."""

from dataclasses import replace

from cosgen.errors import Origin
from cosgen.graph.affected import affected
from cosgen.graph.graph import think
from cosgen.graph.model import Fingerprint, Graph
from cosgen.graph.plan import Action, plan_builds
from cosgen.manifest.build_spec import BuildSpec, CopyField
from cosgen.manifest.definition import Definition
from cosgen.manifest.foundation import Foundation, FoundationPackage, choose_parts, lay_beneath
from cosgen.manifest.tree import Package, Tree
from tests.unit.graph.trees import VARIANT, package, ref, refs, seed, tree


def offer(
    text: str, *, needs: tuple[str, ...] = (), runtime: tuple[str, ...] = (), image: str = "r/f"
) -> FoundationPackage:
    it = ref(text)
    definition = replace(
        Definition(name=it.name, category=it.category, version=it.version), requires=refs(*runtime)
    )
    digest = "sha256:" + (text.encode().hex() * 8)[:64]
    return FoundationPackage(
        definition=definition,
        finalize=None,
        input_digest=digest,
        image=f"{image}:in-{digest[7:]}" if image else "",
        needs=needs,
    )


OFFERS = (
    offer("f/base@1.0"),
    offer("f/lib@1.0", needs=("base-f-1.0",), runtime=("f/base",)),
    offer("f/tool@1.0", needs=("base-f-1.0",)),
    offer("f/top@2.0", needs=("lib-f-1.0",)),
)


def foundation(*offers: FoundationPackage, name: str = "cos") -> Foundation:
    return Foundation(
        name=name, url="https://f", origin=Origin("cosgen.yaml"), packages={VARIANT.key: offers or OFFERS}
    )


def above(
    *own: Package,
    overriding: frozenset[tuple[str, str]] = frozenset(),
    offers: tuple[FoundationPackage, ...] = OFFERS,
) -> Tree:
    beneath, shadowed = lay_beneath(own, [foundation(*offers)], VARIANT.key, overriding)
    return replace(tree(own), foundation=beneath, shadowed=tuple(shadowed))


def thought(tree_: Tree) -> Graph:
    """Think a tree through with all images of the foundation pinned."""
    seeds = {item.image: "sha256:" + "0" * 64 for item in OFFERS}
    return think(tree_, seeds=seeds)


def image_of(graph: Graph, name: str) -> tuple[str, str]:
    """Return the seed that a package's first image starts from, and its input digest."""
    first = graph.images[graph.nodes[Fingerprint(name)].images[0]]
    assert first.parent is None
    return first.seed, first.input_digest


def digest_of(text: str) -> FoundationPackage:
    return next(item for item in OFFERS if item.definition.human == text)


def test_a_package_starts_from_the_image_of_the_foundation_and_only_it_is_built() -> None:
    graph = thought(above(package("a/own@1.0", requires=["f/base"])))
    assert graph.problems == ()
    assert graph.targets == ("own-a-1.0",)
    assert image_of(graph, "own-a-1.0")[0] == digest_of("f/base").image
    assert graph.nodes[Fingerprint("base-f-1.0")].foundation == "cos"
    assert [image.fingerprint for image in graph.images.values()] == ["own-a-1.0"]


def test_of_several_the_one_that_holds_the_others_is_built_upon() -> None:
    graph = thought(above(package("a/own@1.0", requires=["f/base", "f/lib", "f/top"])))
    assert graph.problems == ()
    assert image_of(graph, "own-a-1.0")[0] == digest_of("f/top").image


def test_own_packages_stack_on_what_the_foundation_built_whatever_their_names() -> None:
    own = (package("a/aaa@1.0", requires=["f/base"]), package("a/own@1.0", requires=["a/aaa", "f/lib"]))
    graph = thought(above(*own))
    assert graph.problems == ()
    assert [link.fingerprint for link in graph.nodes[Fingerprint("own-a-1.0")].chain] == [
        "base-f-1.0",
        "lib-f-1.0",
        "aaa-a-1.0",
        "own-a-1.0",
    ]
    assert image_of(graph, "own-a-1.0")[0] == digest_of("f/lib").image
    assert image_of(graph, "aaa-a-1.0")[0] == digest_of("f/base").image
    assert len(graph.images) == 3, "aaa once on base alone, once on lib; own on the latter"


def test_images_that_cannot_be_stacked_are_refused_by_name() -> None:
    graph = thought(above(package("a/own@1.0", requires=["f/lib", "f/tool"])))
    assert [problem.id for problem in graph.problems] == ["CG423"]
    assert "f/lib, f/tool" in graph.problems[0].what


def test_a_foundation_whose_images_nobody_knows_can_only_be_joined() -> None:
    offers = (offer("f/base@1.0", image=""),)
    copying = BuildSpec(image="img", steps=("x",), copy=(CopyField(package=ref("f/base"), source="a"),))
    joining = BuildSpec(requires=refs("f/base"), requires_final_images=True, steps=("x",))
    own = (
        package("a/on@1.0", requires=["f/base"]),
        package("a/copy@1.0", copying),
        package("a/join@1.0", joining),
    )
    graph = think(above(*own, offers=offers), seeds={"img": "sha256:" + "0" * 64})
    assert sorted((item.id, item.what.partition(" ")[0]) for item in graph.problems) == [
        ("CG424", "a/copy"),
        ("CG424", "a/on"),
    ]
    assert graph.nodes[Fingerprint("join-a-1.0")].final == ("base-f-1.0",)


def test_joins_follow_runtime_requirements_into_the_foundation() -> None:
    joining = BuildSpec(requires=refs("f/lib", "a/own"), requires_final_images=True, steps=("x",))
    graph = thought(above(package("a/own@1.0", requires=["f/base"]), package("a/os@1.0", joining)))
    assert graph.problems == ()
    assert set(graph.nodes[Fingerprint("os-a-1.0")].final) == {"base-f-1.0", "lib-f-1.0", "own-a-1.0"}


def test_what_the_foundation_was_built_from_decides_what_is_built_anew() -> None:
    own = package("a/own@1.0", requires=["f/base"])
    digests = {
        image_of(
            think(above(own, offers=(replace(OFFERS[0], input_digest=f"sha256:{one * 64}"),))), "own-a-1.0"
        )[1]
        for one in "0123"
    }
    assert len(digests) == 4


def test_luet_has_no_tags_for_what_stands_on_a_foundation() -> None:
    graph = think(
        above(package("a/own@1.0", requires=["f/base"]), seed("a/alone@1.0", "img@sha256:" + "0" * 64))
    )
    tags = {image.fingerprint: bool(image.luet_package_tag) for image in graph.images.values()}
    assert tags == {"own-a-1.0": False, "alone-a-1.0": True}
    assert graph.nodes[Fingerprint("own-a-1.0")].package_hash == ""


def test_an_override_takes_the_place_and_is_reported() -> None:
    own = (
        package("f/base@3.0", BuildSpec(image="img", steps=("x",))),
        package("a/own@1.0", requires=["f/base"]),
    )
    over = above(*own, overriding=frozenset({("f", "base")}))
    assert over.shadowed == (("f/base@1.0", "foundation cos"),)
    graph = think(over)
    assert graph.nodes[Fingerprint("own-a-1.0")].needs == ("base-f-3.0",)


def test_what_nothing_reaches_is_left_out() -> None:
    beneath = above(package("a/own@1.0", requires=["f/lib"])).foundation
    assert [item.human for item in beneath] == ["f/base", "f/lib"]


def test_parts_are_taken_with_what_they_require() -> None:
    assert [item.definition.human for item in choose_parts(OFFERS, ["f/l*"])] == ["f/base", "f/lib"]
    assert choose_parts(OFFERS, []) == OFFERS


def test_of_two_foundations_the_first_counts() -> None:
    first = foundation(offer("f/base@1.0", image="r/first"), name="first")
    second = foundation(offer("f/base@1.0", image="r/second"), name="second")
    beneath, _ = lay_beneath([package("a/own@1.0", requires=["f/base"])], [first, second], VARIANT.key, ())
    assert [item.foundation.name for item in beneath if item.foundation] == ["first"]


def test_a_plan_keeps_what_the_foundation_built() -> None:
    joining = BuildSpec(requires=refs("f/lib", "a/own"), requires_final_images=True, steps=("x",))
    graph = thought(above(package("a/own@1.0", requires=["f/base"]), package("a/os@1.0", joining)))
    plan = plan_builds([graph], published={})
    actions = {node.human: node.action for node in plan.nodes}
    assert actions == {
        "a/own": Action.BUILD,
        "a/os": Action.BUILD,
        "f/base": Action.KEEP,
        "f/lib": Action.KEEP,
    }
    assert {node.reason for node in plan.nodes if node.action is Action.KEEP} == {
        "built by the foundation cos"
    }


def test_a_change_of_files_never_concerns_what_the_foundation_built() -> None:
    graph = think(
        above(package("a/own@1.0", requires=["f/base"]), package("a/other@1.0", requires=["f/base"]))
    )
    assert affected(graph, ["packages/a/own-1.0/build.yaml"]) == {"own-a-1.0"}


def test_an_image_of_the_foundation_that_no_digest_pins_is_told() -> None:
    own = above(package("a/own@1.0", requires=["f/base"]))
    assert [problem.id for problem in think(own).problems] == ["CG411"]
    assert thought(own).problems == ()
