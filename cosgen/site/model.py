"""All that the site shows, as one frozen value made from published metadata alone.

Times are seconds since 1970 (UTC), sizes are bytes, digests are "sha256:" + 64 hex. Every tuple is sorted
unless its comment says otherwise, so that the same metadata gives the same pages.
"""

from dataclasses import dataclass, field

from cosgen.manifest.platform import Variant
from cosgen.repository.description import DescribedChannel, Description


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInfo:
    """What the project says of itself; every field but `title` may be ""."""

    title: str
    url: str = ""  # where the site will live, for feeds and badges; ends with "/"
    description: str = ""
    repository_url: str = ""  # what clients configure
    source_url: str = ""  # web address of the source repository, for links to commits
    generator: str = ""  # "cosgen 0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package that differs between two snapshots. `before` or `after` is "" when it was not there."""

    human: str
    before: str = ""  # version
    after: str = ""
    size_before: int = 0
    size_after: int = 0
    variants: tuple[str, ...] = ()  # keys of the variants it changed in


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentChange:
    """One component of bills of materials that differs. `before` or `after` is "" when it was not there."""

    name: str  # with its kind: "deb/openssl"
    before: str = ""  # version; several are joined by ", "
    after: str = ""
    packages: tuple[str, ...] = ()  # human names of the packages whose bills say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What changes from one snapshot to another, each list by package name."""

    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    components: tuple[ComponentChange, ...] = ()  # by name
    variants: tuple[str, ...] = ()  # keys of the variants that were compared
    uncompared: int = 0  # packages that differ and have no bill of materials to compare

    @property
    def is_empty(self) -> bool:
        """Nothing differs."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One entry of the commit log that moved a channel."""

    seq: int
    operation: str  # publish, promote, rollback, yank
    channel: str
    snapshot: str
    previous: str = ""  # snapshot the channel left; "" for its first
    time: int
    author: str = ""
    run_url: str = ""
    revision: str = ""  # commit of the source repository
    note: str = ""
    tag: str = ""  # tag of the source repository, when the publish came from one
    packages: int = 0
    size: int = 0
    diff: Diff | None = None  # None when `previous` is gone, or lies beyond the depth asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantState:
    """What a channel holds for one variant."""

    variant: Variant
    packages: int
    size: int
    changed: int  # when this variant's content last changed in the channel
    pointer: str  # client pointer file: `stable-green-x86_64-repository.yaml`
    lag: int = 0  # seconds behind the channel's freshest variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What following `other` in place of this channel would change."""

    other: str
    diff: Diff


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One client file or command, as the client-file code writes it."""

    variant: str
    generation: str
    transport: str
    mode: str
    place: str
    name: str  # file name; "" for a command
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedSnapshot:
    """What a tag was published as: all that a forge's release of it is made from."""

    info: SiteInfo
    tag: str
    move: Move
    origin: int  # the commit that made the snapshot, which names its pins
    references: tuple[tuple[str, str], ...]  # key of a variant -> file name that pins the snapshot
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel as published."""

    name: str
    snapshot: str
    seq: int
    revision: str = ""
    published: int
    author: str = ""
    signature: str = "unsigned"  # "verified", "signed", "unsigned", "expired" or "wrong"
    signature_note: str = ""
    root_digest: str = ""  # of the first root of trust; "" when none is published
    expires: int = 0  # when the channel's signature runs out; 0 when unsigned
    variants: tuple[VariantState, ...]
    history: tuple[Move, ...] = ()  # newest first
    differences: tuple[Difference, ...] = ()
    snippets: tuple[Snippet, ...] = ()  # in the order to show them
    lag: int = 0  # seconds behind the freshest channel
    stale_after: int = 7 * 86400  # seconds of lag that are told of
    told: DescribedChannel = field(default_factory=DescribedChannel)  # what it is for, as its publisher says

    @property
    def is_signed(self) -> bool:
        """There is a signature, whatever it is worth."""
        return self.signature != "unsigned"

    @property
    def packages(self) -> int:
        """Distinct entries over all variants."""
        return sum(state.packages for state in self.variants)

    @property
    def size(self) -> int:
        """Sum of the archives over all variants, in bytes."""
        return sum(state.size for state in self.variants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A run-time edge as the definition declares it."""

    human: str
    selector: str = ""  # ">=1.0"; "" when any version does


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One published artifact of a package, and where it is offered."""

    version: str
    variant: Variant
    channels: tuple[str, ...]  # in the site's channel order
    digest: str
    size: int
    installed_size: int = 0
    input_digest: str = ""
    key: str = ""  # pool key of the archive, relative to the repository
    attestation: str = ""  # pool key of the bundle with SBOM and provenance; "" when there is none
    sbom_digest: str = ""
    provenance_digest: str = ""
    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()
    provides: tuple[Requirement, ...] = ()
    files: tuple[str, ...] = ()
    seconds: float = 0.0  # how long the build took; 0 when not recorded
    log_url: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A `category/name` over all channels and variants. Hidden packages never become one."""

    category: str
    name: str
    description: str = ""
    license: str = ""
    uris: tuple[str, ...] = ()  # upstream addresses, as written
    labels: tuple[tuple[str, str], ...] = ()
    readme: str = ""
    builds: tuple[Build, ...]  # newest version first, then by variant
    requires: tuple[str, ...] = ()  # human names, union over builds
    dependents: tuple[str, ...] = ()
    bundle: bool = False  # nothing but requirements: a meta package

    @property
    def human(self) -> str:
        """`category/name`."""
        return f"{self.category}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One build in the graph of a variant."""

    human: str
    version: str
    seconds: float
    needs: tuple[str, ...]  # human names


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildGraph:
    """The builds of one variant in one channel, in any order."""

    variant: Variant
    channel: str
    nodes: tuple[GraphNode, ...]
    edges: str  # "build": builds recorded what they needed; "runtime": what they require when installed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """A channel at one move."""

    seq: int
    snapshot: str
    time: int
    size: int
    packages: int
    seconds: float  # sum of the build times of what the snapshot holds; 0 when not recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A channel over its moves, oldest first."""

    channel: str
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What a derivative builds on, or can build on."""

    name: str
    packages: tuple[str, ...]  # human names that are published


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteData:
    """Everything the pages, the index, the API and the feed are made from."""

    info: SiteInfo
    channels: tuple[Channel, ...]  # most stable last published order: as the repository lists them
    variants: tuple[Variant, ...]
    packages: tuple[Package, ...]
    graphs: tuple[BuildGraph, ...] = ()
    trends: tuple[Trend, ...] = ()
    foundations: tuple[Foundation, ...] = ()
    project: Description = field(default_factory=Description)  # as its last publisher described it

    @property
    def moves(self) -> tuple[Move, ...]:
        """All moves of all channels, newest first."""
        every = [move for channel in self.channels for move in channel.history]
        return tuple(sorted(every, key=lambda move: (-move.seq, move.channel)))
