"""Differences of whole snapshots: the repository's own comparison per variant, put together by package."""

from collections.abc import Callable, Iterable

from cosgen.repository.diff import PackageChange, diff
from cosgen.repository.record import PackageRecord
from cosgen.repository.snapshot import Snapshot, VariantIndex
from cosgen.site.model import Change, Diff

Load = Callable[[VariantIndex, frozenset[str]], Iterable[PackageRecord]]


def compare(before: Snapshot, after: Snapshot, load: Load) -> Diff:
    """Compare two snapshots over all their variants.

    Args:
        before: The first.
        after: The second.
        load: Reads the records of a variant, without the shards whose keys are given: shards that both
            snapshots share hold no difference and are never read.
    """
    found: dict[tuple[str, str, str], Change] = {}
    for key in sorted({*before.variants, *after.variants}):
        old, new = before.variants.get(key), after.variants.get(key)
        common = _keys(old) & _keys(new) if _same_layout(old, new) else frozenset()
        changes = diff(load(old, common) if old else (), load(new, common) if new else ()).packages
        for change in changes:
            _merge(found, change, key)
    every = sorted(found.values(), key=lambda change: (change.human, change.before, change.after))
    return Diff(
        added=tuple(change for change in every if not change.before),
        removed=tuple(change for change in every if not change.after),
        changed=tuple(change for change in every if change.before and change.after),
    )


def _same_layout(old: VariantIndex | None, new: VariantIndex | None) -> bool:
    return old is not None and new is not None and old.shard_count() == new.shard_count()


def _keys(index: VariantIndex | None) -> frozenset[str]:
    return frozenset(ref.key for ref in index.shards) if index else frozenset()


def _merge(found: dict[tuple[str, str, str], Change], change: PackageChange, variant: str) -> None:
    before, after = ", ".join(change.before), ", ".join(change.after)
    key = (change.package, before, after)
    old = found.get(key, Change(human=change.package, before=before, after=after))
    found[key] = Change(
        human=change.package,
        before=before,
        after=after,
        size_before=old.size_before + change.size_before,
        size_after=old.size_after + change.size_after,
        variants=(*old.variants, variant),
    )
