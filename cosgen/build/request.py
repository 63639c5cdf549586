"""What is asked of a build, and what it reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cosgen.build.archive import Compression
from cosgen.build.join import JoinPart
from cosgen.build.provenance import Builder
from cosgen.errors import Problem
from cosgen.graph.model import Fingerprint, Graph

# Name of the local images when the project has no cache registry.
LOCAL_REPOSITORY = "cosgen/cache"


class Progress(Protocol):
    """Where a build tells how far it is. Methods are called from several threads."""

    def begin(self, total: int) -> None:
        """Learn how many pieces of work there are."""

    def step(self, name: str) -> None:
        """Start a named piece of work."""

    def detail(self, text: str) -> None:
        """Say one line to whoever asked for all."""

    def done(self, name: str, *, ok: bool = True) -> None:
        """End a named piece of work."""

    def log(self, name: str, text: str, *, ok: bool) -> None:
        """Take the whole log of a piece of work that has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Packages of one variant to build, and everything that decides how."""

    root: Path  # folder of the project
    graph: Graph
    targets: tuple[Fingerprint, ...]
    output: Path  # where artifacts go
    cache_folder: Path  # for path indexes; losing it costs only time
    platform: str  # OCI platform of the variant
    repository: str = LOCAL_REPOSITORY  # of the build cache
    has_registry: bool = False  # `repository` names a registry that may be asked
    pull: bool = False
    push: bool = False
    rebuild: bool = False  # build the targets anew, whatever is there
    luet_tags: bool = False  # also take and give the tags under which luet stores images
    caches: tuple[str, ...] = ()  # further repositories with luet's tags, of foundations
    seeds: Mapping[str, str] = field(default_factory=dict)  # image reference -> digest, from cosgen.lock
    jobs: int = 1
    keep_going: bool = True
    deadline: float | None = None  # time.monotonic()
    compression: Compression = field(default_factory=Compression)
    epoch: int | None = None  # SOURCE_DATE_EPOCH
    foundation: Callable[[Fingerprint], JoinPart] | None = None  # fetches what a foundation built
    network: str = ""  # of commands in builds; "" for the engine's default
    builder: Builder = field(default_factory=Builder)
    layer_ways: Sequence[str] = ("overlay2", "registry", "save")

    def fetch_finished(self, package: Fingerprint) -> JoinPart:
        """Return the archive of a foundation's package, fetched when it is not there.

        Raises:
            PublishError: The foundation cannot be read.
            VerificationError: The archive is not there any more, or not what was pinned.
        """
        if self.foundation is None:
            raise AssertionError("whoever has packages of foundations knows how to fetch them")
        return self.foundation(package)


class Status(StrEnum):
    """What became of a package."""

    BUILT = "built"
    EXTRACTED = "extracted"  # its image was there, its artifact was not
    KEPT = "kept"  # the output folder has it
    PULLED = "pulled"  # the cache registry had it
    FAILED = "failed"
    BLOCKED = "blocked"
    STOPPED = "stopped"


GOOD = frozenset({Status.BUILT, Status.EXTRACTED, Status.KEPT, Status.PULLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageResult:
    """What became of one package."""

    fingerprint: str
    human: str
    version: str
    input_digest: str
    status: Status
    seconds: float = 0.0
    size: int = 0  # bytes of the archive
    installed_size: int = 0  # bytes
    files: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    log: str = ""  # path in the output folder, "" when nothing ran


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What became of one image."""

    package: str  # category/name
    tag: str
    how: str  # "built", "pulled", "local", "luet", "failed", "blocked", "stopped"
    seconds: float = 0.0
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build did. Both lists are sorted."""

    variant: str
    engine: str  # "" when none was asked
    packages: tuple[PackageResult, ...]
    images: tuple[ImageResult, ...]
    seconds: float
    problems: tuple[Problem, ...] = ()  # of the build as a whole

    @property
    def failed(self) -> tuple[PackageResult, ...]:
        """Packages without an artifact."""
        return tuple(item for item in self.packages if item.status not in GOOD)
