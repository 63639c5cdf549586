"""Package definitions: what a package is, and what it asks of others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A package definition, or a reference to one (luet uses one structure for both).

    In a reference only `name`, `category` and `version` matter, and `version` may be a selector
    (`>=1.0`); the other fields still count in luet's hash of the spec that holds the reference.

    Source: luet 3f2397b6, pkg/api/core/types/package.go.
    """

    name: str = ""
    category: str = ""
    version: str = ""
    requires: tuple["Definition", ...] = ()
    conflicts: tuple["Definition", ...] = ()
    provides: tuple["Definition", ...] = ()
    hidden: bool = False
    labels: Mapping[str, str] = field(default=_EMPTY)
    annotations: Mapping[str, str] = field(default=_EMPTY)
    description: str = ""
    license: str = ""
    uri: tuple[str, ...] = ()
    use_flags: tuple[str, ...] = ()
    state: str = ""
    id: int = 0
    path: str = ""
    treedir: str = ""
    buildtimestamp: str = ""
    dockerfile: str = ""

    @property
    def human(self) -> str:
        """`category/name`, as users type it."""
        return f"{self.category}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """`name-category-version`: luet's key and file stem. Ambiguous in theory, checked unique per tree."""
        return f"{self.name}-{self.category}-{self.version}"
