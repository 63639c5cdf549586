"""A plan as a value: every package of every variant, with what is to be done about it and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from cosgen.errors import Problem

PLAN_SCHEMA = 1
_NO_PARTS: Mapping[str, str] = MappingProxyType({})


class Action(StrEnum):
    """What a plan says of a package: its artifact is there, is to be made, or cannot be made."""

    KEEP = "keep"
    BUILD = "build"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPackage:
    """What a channel's index tells of one package of one variant.

    Plans are made against a mapping of keys to these; whoever reads a repository makes that mapping with
    `index_published`.
    """

    input_digest: str  # "sha256:" + 64 hex
    version: str
    present: bool = True  # False: the index lists it, but the store does not hold its artifact
    parts: Mapping[str, str] = field(
        default_factory=lambda: _NO_PARTS
    )  # as `Node.input_parts`, or shortened; empty when not recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNode:
    """One package of one variant in a plan.

    `needs`, `level`, `bottom_level` and `slack` speak of the graph of what is to be built: kept nodes are
    taken out of it and their neighbours joined. Kept nodes have no needs, level 0 and zero times.
    """

    key: str  # "<variant.key>:<category>/<name>@<version>"; unique in a plan
    fingerprint: str
    human: str  # category/name
    version: str
    variant: str  # Variant.key
    flavor: str
    arch: str  # as in cosgen.yaml
    platform: str  # OCI platform, os/arch[/variant]
    action: Action
    reason: str  # one line, for people
    needs: tuple[str, ...] = ()  # keys to build (or blocked) before, sorted
    input_digest: str = ""  # "sha256:" + 64 hex; "" when blocked by an error
    estimate: float = 0.0  # seconds of work
    level: int = 0  # 0 = needs nothing that is to be built
    bottom_level: float = 0.0  # seconds from its start to the end of the longest path below it
    slack: float = 0.0  # seconds it may start late without the whole taking longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, in which order, and how long it should take.

    `nodes` are sorted by key. `queues` are the keys each worker starts from, in order of priority;
    together they hold every node to build once.
    """

    schema: int = PLAN_SCHEMA
    project: str = ""
    channel: str = ""  # "" when planned against none
    since: str = ""  # git revision, "" when planned against none
    nodes: tuple[PlanNode, ...] = ()
    queues: tuple[tuple[str, ...], ...] = ()
    critical_path: tuple[str, ...] = ()  # keys, first to start first
    work_seconds: float = 0.0  # sum of the estimates of what is to be built
    critical_seconds: float = 0.0  # length of the critical path
    wall_seconds: float = 0.0  # simulated for `len(queues)` workers
    problems: tuple[Problem, ...] = ()  # of planning itself: blocked packages, versions not raised

    @property
    def to_build(self) -> tuple[PlanNode, ...]:
        """The nodes to build, in key order."""
        return tuple(node for node in self.nodes if node.action is Action.BUILD)

    @property
    def by_key(self) -> dict[str, PlanNode]:
        """The nodes under their keys."""
        return {node.key: node for node in self.nodes}


def package_key(variant: str, human: str, version: str = "") -> str:
    """Return the key of a package in a plan, or, without a version, in a published index.

    >>> package_key("green-x86_64", "system/cos", "0.8.10")
    'green-x86_64:system/cos@0.8.10'
    """
    return f"{variant}:{human}@{version}" if version else f"{variant}:{human}"


def index_published(
    packages: Iterable[tuple[str, str, PublishedPackage]],
) -> dict[str, PublishedPackage]:
    """Return published packages under the keys that planning asks for.

    Args:
        packages: Variant key, category/name and facts of each; of several versions of one name the last
            stands for the name.
    """
    found: dict[str, PublishedPackage] = {}
    for variant, human, item in packages:
        found[package_key(variant, human)] = item
        found[package_key(variant, human, item.version)] = item
    return found


def count_actions(nodes: Iterable[PlanNode]) -> dict[Action, int]:
    """Return how many nodes there are of each action."""
    counts = dict.fromkeys(Action, 0)
    for node in nodes:
        counts[node.action] += 1
    return counts
