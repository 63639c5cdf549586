"""Generated trees have the shape they promise, and are the same every time."""

import random
from pathlib import Path

import pytest

from cosgen.manifest.loader import load_project, load_tree
from tests.benchmarks.trees import COS_WAVES, make_members, project_files, write_project


def test_the_small_tree_has_the_waves_of_the_real_one() -> None:
    members = make_members(73)
    assert tuple(sum(m.level == level for m in members) for level in range(6)) == COS_WAVES


@pytest.mark.parametrize(("packages", "depth", "widest"), [(349, 10, 30), (3246, 28, 152)])
def test_larger_trees_have_the_depth_and_width_of_known_ones(packages: int, depth: int, widest: int) -> None:
    members = make_members(packages)
    assert len(members) == packages
    assert max(member.level for member in members) == depth
    assert 0.8 * widest <= max(len(member.needs) for member in members) <= widest + 1


def test_every_package_builds_on_one_of_the_level_beneath() -> None:
    members = make_members(349)
    for member in members:
        levels = {members[need].level for need in member.needs}
        assert max(levels, default=-1) == (member.level - 1 if member.level else -1)
        assert not any(members[need].virtual for need in member.needs)


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = (list(project_files(make_members(200), random.Random(7))) for _ in range(2))
    assert first == second


def test_a_generated_tree_has_no_problems(tmp_path: Path) -> None:
    write_project(tmp_path, 120)
    project = load_project(tmp_path)
    tree = load_tree(project, project.variants[0])
    assert [*project.problems, *tree.problems] == []
    assert len(tree.packages) == 120
