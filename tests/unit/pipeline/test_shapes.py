"""Unit tests of cosgen.pipeline.shapes: which shape a project gets."""

import pytest

from cosgen.manifest.platform import Variant
from cosgen.pipeline.emit import emit_nodes, needs_graphs
from cosgen.pipeline.scene import Provider, Shape
from cosgen.pipeline.shapes import AUTO_STATIC, choose_shape
from tests.fakes.pipelines import config, nodes


@pytest.mark.parametrize("asked", ["auto", "child"])
def test_child_pipelines_are_of_gitlab_alone(asked: str) -> None:
    assert choose_shape(asked, Provider.GITLAB, 5) is Shape.CHILD
    assert choose_shape(asked, Provider.GITHUB, AUTO_STATIC) is Shape.STATIC
    assert choose_shape(asked, Provider.GITHUB, AUTO_STATIC + 1) is Shape.WORKERS
    assert needs_graphs(asked, Provider.GITHUB)
    assert not needs_graphs(asked, Provider.GITLAB)


@pytest.mark.parametrize("provider", Provider)
def test_a_project_for_both_forges_may_ask_for_child_pipelines(provider: Provider) -> None:
    asked = config(shape="child", providers=("github", "gitlab"))
    assert emit_nodes(asked, (Variant("", "x86_64"),), nodes(), provider, version="1")
