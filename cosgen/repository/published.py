"""What a channel has, as planning compares with it. Unreachable is an error, never "empty"."""

from collections.abc import Mapping

from cosgen.graph.plan_model import PublishedPackage
from cosgen.manifest.version import sort_key
from cosgen.repository.reader import Repository
from cosgen.repository.record import PackageRecord


def published_packages(repository: Repository | None, channel: str) -> Mapping[str, PublishedPackage]:
    """Return the packages of a channel by `<variant>:<category>/<name>`: of each the newest version.

    Args:
        repository: An open repository; None when the store answered that there is none yet.
        channel: Name of the channel; one that was never published to is empty.

    Raises:
        StoreError: The store does not answer.
        VerificationError: What it answers is damaged.
    """
    if repository is None or channel not in repository.channels():
        return {}
    snapshot = repository.snapshot(channel)
    published: dict[str, PublishedPackage] = {}
    for variant in snapshot.variants:
        newest: dict[str, PackageRecord] = {}
        for record in repository.packages(snapshot, variant):
            key = f"{variant}:{record.category}/{record.name}"
            other = newest.get(key)
            if other is None or sort_key(record.version) > sort_key(other.version):
                newest[key] = record
        for key, record in newest.items():
            published[key] = PublishedPackage(input_digest=record.input_digest, version=record.version)
    return published


def build_seconds(repository: Repository, channel: str) -> dict[str, float]:
    """Return what the builds of a channel's packages took, by the same keys; estimates for the next ones."""
    if channel not in repository.channels():
        return {}
    snapshot = repository.snapshot(channel)
    return {
        f"{variant}:{record.category}/{record.name}": record.seconds
        for variant in snapshot.variants
        for record in repository.packages(snapshot, variant)
        if record.seconds is not None
    }
