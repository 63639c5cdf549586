"""Build specs: how a package is built (`build.yaml` after rendering)."""

from dataclasses import dataclass

from cosgen.manifest.definition import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyField:
    """One `copy:` entry: files taken from another package's image, or from any image."""

    package: Definition | None = None
    image: str = ""
    source: str = ""
    destination: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subpackage:
    """A further runtime package cut from the finished artifact by patterns."""

    definition: Definition
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """A rendered and decoded `build.yaml`; fields as in the manifest, lists in file order.

    Source: luet 3f2397b6, pkg/api/core/types/compilerspec.go.
    """

    image: str = ""
    seed: str = ""
    requires: tuple[Definition, ...] = ()
    conflicts: tuple[Definition, ...] = ()
    provides: tuple[Definition, ...] = ()
    prelude: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    copy: tuple[CopyField, ...] = ()
    retrieve: tuple[str, ...] = ()
    requires_final_images: bool = False
    unpack: bool = False
    package_dir: str = ""
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    subpackages: tuple[Subpackage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """No steps, not `unpack`, no `package_dir`: nothing of its own goes into the artifact."""
        return not self.steps and not self.unpack and not self.package_dir

    @property
    def is_virtual(self) -> bool:
        """Empty, and neither image nor requires: no image is built at all."""
        return self.is_empty and not self.image and not self.requires
