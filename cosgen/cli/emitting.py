"""What `cosgen ci` and `cosgen check` share: the files that should be, and those that are."""
# ruff: noqa: PLC0415 - whoever finds nothing changed must not wait for what emits

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cosgen import __version__

if TYPE_CHECKING:
    from cosgen.graph.model import Graph
    from cosgen.manifest.platform import Variant
    from cosgen.manifest.project import Project
    from cosgen.pipeline.drift import GeneratedFile
    from cosgen.pipeline.units import BuildNode

FOLDERS = {"github": (".github/workflows",), "gitlab": (".gitlab/cosgen",)}


class Emitter:
    """Emits the pipelines of a project; asks for its graphs once, and only where a provider needs them."""

    def __init__(
        self,
        project: "Project",
        variants: Sequence["Variant"],
        root: Path,
        *,
        shape: str = "",
        graphs: Callable[[], Iterable["Graph"]],
    ) -> None:
        """Take a project and those of its variants that are asked for.

        Args:
            project: The project.
            variants: Some of its variants.
            root: Its folder.
            shape: Instead of `ci.shape`; "" for that.
            graphs: Returns the graphs of the variants.
        """
        self._project = project
        self._variants = variants
        self._root = root
        self._shape = shape or project.config.ci.shape
        self._graphs = graphs

    def emit(self, provider: str) -> tuple["GeneratedFile", ...]:
        """Return the files of one provider.

        Raises:
            ManifestError: A file would break a limit or a security rule, or a name cannot stand in one.
        """
        from cosgen.pipeline.emit import emit_nodes, needs_graphs
        from cosgen.pipeline.scene import Provider

        return emit_nodes(
            self._project.config,
            self._variants,
            self._nodes if needs_graphs(self._shape, Provider(provider)) else (),
            Provider(provider),
            version=__version__,
            shape=self._shape,
            proxy=proxy_text(self._root),
        )

    @cached_property
    def _nodes(self) -> tuple["BuildNode", ...]:
        from cosgen.pipeline.units import nodes_of

        return nodes_of(self._graphs())


def present_files(root: Path, provider: str) -> dict[str, str]:
    """Return path -> text of the files that are where a provider's generated ones go."""
    paths = [path for folder in FOLDERS[provider] for path in sorted((root / folder).glob("*.yml"))]
    if provider == "gitlab" and (root / ".gitlab-ci.yml").is_file():
        paths.append(root / ".gitlab-ci.yml")
    return {path.relative_to(root).as_posix(): path.read_text("utf-8", "replace") for path in paths}


def proxy_text(root: Path) -> str | None:
    """Return the text of the project's proxy workflow, or None when it has none."""
    from cosgen.pipeline.actions import PROXY_PATH

    path = root / PROXY_PATH
    return path.read_text("utf-8", "replace") if path.is_file() else None
