"""Unit tests for cosgen.site.guide: it tells what is published, and what it says to write is right."""

import dataclasses
from pathlib import Path
from typing import Any

from cosgen.manifest.loader import load_project, load_tree
from cosgen.repository.description import Description
from cosgen.site.guide import guide_page
from cosgen.site.model import SiteData
from tests.fakes.site_data import make_site


def view(data: SiteData) -> dict[str, Any]:
    return dict(guide_page(data).view)


def test_it_tells_what_the_manifest_names() -> None:
    rows = {row["name"]: [one["human"] for one in row["packages"]] for row in view(make_site(60))["made"]}
    assert rows["Machines upgrade to"] == ["system/cos"]
    assert rows["The system"] == ["system/cos"]
    assert rows["The EFI partition"] == ["live/grub2-efi-image"]


def test_it_tells_which_values_each_variant_was_made_with() -> None:
    (table,) = view(make_site(60))["values"]
    cells = {row["name"]: row["cells"] for row in table["rows"]}
    assert table["columns"] == ["blue-arm64", "blue-x86_64", "green-arm64", "green-x86_64"]
    assert cells["golang_arch"] == ["arm64", "amd64", "arm64", "amd64"]


def test_its_example_builds_on_the_package_that_most_are_built_on() -> None:
    data = make_site(60)
    bases = view(data)["bases"]
    counts: dict[str, int] = {}
    for node in data.graphs[0].nodes:
        for need in node.needs:
            counts[need] = counts.get(need, 0) + 1
    assert counts[bases[0]["human"]] == max(counts.values())
    assert view(data)["base"]["human"] == bases[0]["human"]


def test_it_starts_from_the_address_above_the_folder_of_clients() -> None:
    start = view(make_site(20))["start"]
    assert start == "cosgen init my-os --from https://repo.example.org --reference stable-repository.yaml\n"


def test_the_project_it_says_to_write_has_no_error(tmp_path: Path) -> None:
    told = view(make_site(60))
    (tmp_path / "packages/hello").mkdir(parents=True)
    (tmp_path / "values").mkdir()
    (tmp_path / "cosgen.yaml").write_text(told["project"])
    (tmp_path / "packages/hello/definition.yaml").write_text(told["definition"])
    (tmp_path / "packages/hello/build.yaml").write_text(told["build"])
    for variant in make_site(20).variants:
        (tmp_path / f"values/{variant.key}.yaml").write_text(told["own_values"])
    project = load_project(tmp_path)
    assert not [problem for problem in project.problems if "foundation" not in problem.what]
    assert project.config.foundations[0].reference == "stable-repository.yaml"
    tree = load_tree(project, project.variants[0])
    (package,) = [package for package in tree.packages if package.definition.name == "hello"]
    assert "hello" in package.rendered
    assert package.spec.requires[0].human == told["base"]["human"]


def test_a_publisher_that_told_nothing_leaves_a_guide_without_gaps() -> None:
    data = dataclasses.replace(make_site(20), project=Description(), graphs=(), foundations=())
    told = view(data)
    assert (told["made"], told["values"], told["bases"], told["foundations"]) == ([], [], [], [])
    assert "None of systemd" in told["foundation_text"]
