"""Distinct images are made once, and their digests know everything that can change them."""

from dataclasses import replace

from cosgen.errors import Origin
from cosgen.graph.graph import think
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.manifest.build_spec import BuildSpec, CopyField
from cosgen.manifest.platform import Variant
from cosgen.manifest.tree import ContextFile, Package
from tests.unit.graph.trees import VARIANT, package, ref, refs, seed, tree


def node(graph: Graph, name: str) -> Node:
    return graph.nodes[Fingerprint(name)]


def digest(packages: list[Package], name: str, *, variant: Variant = VARIANT, **options: object) -> str:
    return node(think(tree(packages, variant), **options), name).input_digest  # type: ignore[arg-type]


BASE = seed("t/base@1", "img:1")
MID = package("t/mid@1", requires=["t/base"])
TOP = package("t/top@1", requires=["t/mid"])


def test_common_beginnings_of_chains_share_their_images() -> None:
    graph = think(tree([BASE, MID, TOP, package("t/other@1", requires=["t/base"])]))
    assert len(graph.images) == 4
    assert node(graph, "top-t-1").images[:2] == node(graph, "mid-t-1").images
    assert next(iter(graph.images)) == node(graph, "base-t-1").images[0]
    for key, image in graph.images.items():
        assert key == image.input_digest
        assert image.parent is None or image.parent in graph.images


def test_siblings_are_stacked_on_each_other() -> None:
    siblings = [package(f"t/{name}@1", requires=["t/base"]) for name in ("c", "z")]
    graph = think(tree([BASE, *siblings, package("t/q@1", requires=["t/z", "t/c"])]))
    stacked = [graph.images[key].fingerprint for key in node(graph, "q-t-1").images]
    assert stacked == ["base-t-1", "c-t-1", "z-t-1", "q-t-1"]
    assert node(graph, "q-t-1").images[2] != node(graph, "z-t-1").images[-1]  # on c here, on base there


def test_the_digest_counts_all_that_is_beneath() -> None:
    before = digest([BASE, MID, TOP], "top-t-1")
    assert digest([BASE, MID, TOP], "top-t-1") == before
    changed = seed("t/base@1", "img:2")
    assert digest([changed, MID, TOP], "top-t-1") != before


def test_the_digest_counts_pins_platform_values_files_and_modes() -> None:
    before = digest([BASE], "base-t-1")
    assert digest([BASE], "base-t-1", seeds={"img:1": "sha256:" + "0" * 64}) != before
    assert digest([BASE], "base-t-1", variant=Variant("green", "arm64")) != before
    assert digest([replace(BASE, values='{"a":1}')], "base-t-1") != before
    files = tuple(replace(file, mode=0o755) for file in BASE.files)
    assert digest([replace(BASE, files=files)], "base-t-1") != before
    more = (*BASE.files, ContextFile(name="x", digest="0" * 64, mode=0o644, size=1))
    assert digest([replace(BASE, files=more)], "base-t-1") != before


def test_the_digest_does_not_count_where_the_project_lies_or_what_the_flavor_is_called() -> None:
    before = digest([BASE], "base-t-1")
    assert digest([replace(BASE, directory="elsewhere")], "base-t-1") == before
    assert digest([BASE], "base-t-1", variant=Variant("blue", "x86_64")) == before


def test_copied_packages_count_and_must_be_built_before() -> None:
    spec = BuildSpec(image="x", copy=(CopyField(package=ref("t/base"), source="/a", destination="/b"),))
    copier = package("t/copier@1", spec)
    graph = think(tree([BASE, copier]))
    assert node(graph, "copier-t-1").needs == ("base-t-1",)
    assert len(node(graph, "copier-t-1").chain) == 1
    changed = seed("t/base@1", "img:2")
    assert digest([changed, copier], "copier-t-1") != node(graph, "copier-t-1").input_digest
    assert graph.images[node(graph, "copier-t-1").images[-1]].copies == ("base-t-1",)


def test_a_pinned_image_that_is_copied_from_counts() -> None:
    spec = BuildSpec(image="x", copy=(CopyField(image="tools:1", source="/a", destination="/b"),))
    copier = package("t/copier@1", spec)
    before = digest([copier], "copier-t-1")
    one, two = ({"tools:1": f"sha256:{number}"} for number in ("1" * 64, "2" * 64))
    assert (
        len({before, digest([copier], "copier-t-1", seeds=one), digest([copier], "copier-t-1", seeds=two)})
        == 3
    )
    assert digest([BASE], "base-t-1", seeds=one) == digest([BASE], "base-t-1")
    what = [item.what for item in think(tree([copier]), seeds={"x": "sha256:" + "0" * 64}).problems]
    assert what == ["t/copier copies from tools:1, which no digest pins"]
    assert not think(tree([copier]), seeds=one | {"x": "sha256:" + "0" * 64}).problems


def test_the_digest_does_not_count_where_a_reference_stands() -> None:
    here, there = (
        package("t/top@1", BuildSpec(requires=(replace(ref("t/base@1"), origin=Origin("build.yaml", line)),)))
        for line in (1, 2)
    )
    assert digest([BASE, here], "top-t-1") == digest([BASE, there], "top-t-1")


def test_final_images_join_the_runtime_closure_in_order() -> None:
    joined = package("t/os@1", BuildSpec(requires=refs("t/b"), requires_final_images=True, steps=("x",)))
    b = package("t/b@1", requires=["t/base"], runtime=["t/a"])
    a = package("t/a@1", requires=["t/base"])
    graph = think(tree([BASE, joined, a, b]))
    os_node = node(graph, "os-t-1")
    assert os_node.final == ("a-t-1", "b-t-1")
    assert [link.fingerprint for link in os_node.chain] == ["os-t-1"]
    assert graph.images[os_node.images[0]].join == ("a-t-1", "b-t-1")
    assert os_node.needs == ("a-t-1", "b-t-1")


def test_an_image_of_its_own_discards_the_chain_and_says_so() -> None:
    late = seed("t/late@1", "other")
    top = package("t/ztop@1", requires=["t/base", "t/late"])
    graph = think(tree([BASE, late, top]))
    assert len(node(graph, "ztop-t-1").chain) == 3
    assert [graph.images[key].fingerprint for key in node(graph, "ztop-t-1").images] == [
        "late-t-1",
        "ztop-t-1",
    ]
    assert "CG407" in [item.id for item in graph.problems]
    chain = node(graph, "ztop-t-1").chain
    assert chain[1].builder_tag == chain[0].package_hash  # luet's collision


def test_a_virtual_element_is_passed_over() -> None:
    empty = package("t/zempty@1", BuildSpec())
    graph = think(tree([BASE, empty, package("t/top@1", requires=["t/base", "t/zempty"])]))
    assert [graph.images[key].fingerprint for key in node(graph, "top-t-1").images] == ["base-t-1", "top-t-1"]
    assert node(graph, "zempty-t-1").images == ()
    assert node(graph, "zempty-t-1").input_digest
    assert "CG409" in [item.id for item in graph.problems]


def test_work_without_an_image_to_start_from_is_an_error_and_keeps_luets_hash() -> None:
    graph = think(tree([package("t/a@1", BuildSpec(steps=("x",)))]))
    assert [item.id for item in node(graph, "a-t-1").problems] == ["CG405"]
    assert node(graph, "a-t-1").package_hash
    assert not node(graph, "a-t-1").can_be_built


def test_a_pinned_seed_is_not_warned_of() -> None:
    pinned = seed("t/p@1", "img@sha256:" + "a" * 64)
    assert [item.id for item in think(tree([pinned, BASE])).problems] == ["CG411"]
    assert [item.id for item in think(tree([BASE]), seeds={"img:1": "sha256:" + "0" * 64}).problems] == []


def test_a_circle_over_copy_is_an_error_and_keeps_luets_hash() -> None:
    one = package(
        "t/a@1", BuildSpec(image="x", copy=(CopyField(package=ref("t/b"), source="/", destination="/"),))
    )
    two = package("t/b@1", requires=["t/a"])
    graph = think(tree([one, two]))
    assert {item.id for item in graph.problems} >= {"CG403"}
    assert node(graph, "a-t-1").package_hash
    assert not node(graph, "b-t-1").can_be_built


def test_selection_brings_what_it_needs_and_skips_are_refused_when_needed() -> None:
    graph = think(tree([BASE, MID, TOP]), select=["t/mid"])
    assert graph.targets == ("base-t-1", "mid-t-1")
    graph = think(tree([BASE, MID, TOP]), skip=["t/top"])
    assert graph.targets == ("base-t-1", "mid-t-1")
    refused = think(tree([BASE, MID, TOP]), skip=["t/mid"])
    assert "CG417" in [item.id for item in refused.problems]
    unknown = think(tree([BASE]), select=["t/nobody"])
    assert "CG416" in [item.id for item in unknown.problems]
