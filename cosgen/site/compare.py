"""Differences of whole snapshots: the repository's own comparison per variant, put together by package."""

from collections.abc import Callable, Iterable, Sequence

from cosgen.manifest.version import sort_key
from cosgen.repository.diff import PackageChange, diff
from cosgen.repository.record import PackageRecord
from cosgen.repository.snapshot import Snapshot, VariantIndex, shared_shards
from cosgen.site.bill import Bill, Bills
from cosgen.site.model import Change, ComponentChange, Diff

Load = Callable[[VariantIndex, frozenset[str]], Iterable[PackageRecord]]
_Pair = tuple[PackageRecord | None, PackageRecord | None]  # newest before, newest after


def compare(before: Snapshot, after: Snapshot, load: Load, bills: Bills) -> Diff:
    """Compare two snapshots over all their variants.

    Args:
        before: The first.
        after: The second.
        load: Reads the records of a variant, without the shards whose keys are given: shards that both
            snapshots share hold no difference and are never read.
        bills: Reads bills of materials.
    """
    found: dict[tuple[str, str, str], Change] = {}
    pairs: list[tuple[str, _Pair]] = []
    for key in sorted({*before.variants, *after.variants}):
        old, new = before.variants.get(key), after.variants.get(key)
        common = shared_shards(old, new)
        olds, news = list(load(old, common)) if old else [], list(load(new, common)) if new else []
        changes = diff(olds, news).packages
        for change in changes:
            _merge(found, change, key)
        newest = _newest(olds), _newest(news)
        pairs += [(c.package, (newest[0].get(c.package), newest[1].get(c.package))) for c in changes]
    every = sorted(found.values(), key=lambda change: (change.human, change.before, change.after))
    components, uncompared = _compare_bills(pairs, bills)
    return Diff(
        added=tuple(change for change in every if not change.before),
        removed=tuple(change for change in every if not change.after),
        changed=tuple(change for change in every if change.before and change.after),
        components=components,
        variants=tuple(sorted({*before.variants, *after.variants})),
        uncompared=uncompared,
    )


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


def _newest(records: Iterable[PackageRecord]) -> dict[str, PackageRecord]:
    ordered = sorted(records, key=lambda record: (sort_key(record.version), record.version))
    return {f"{record.category}/{record.name}": record for record in ordered}


def _compare_bills(
    pairs: Sequence[tuple[str, _Pair]], bills: Bills
) -> tuple[tuple[ComponentChange, ...], int]:
    """Compare the bills of the newest versions; also return how many packages have none."""
    bills.fetch(record for _, pair in pairs for record in pair if record)
    found: dict[tuple[str, str, str], set[str]] = {}
    uncompared = set()
    for package, (old, new) in pairs:
        before, after = bills.find(old) if old else {}, bills.find(new) if new else {}
        if before is None or after is None:
            uncompared.add(package)
            continue
        for name, versions in _differences(before, after):
            found.setdefault((name, *versions), set()).add(package)
    changes = tuple(
        ComponentChange(name=name, before=before, after=after, packages=tuple(sorted(packages)))
        for (name, before, after), packages in sorted(found.items())
    )
    return changes, len(uncompared)


def _differences(before: Bill, after: Bill) -> Iterable[tuple[str, tuple[str, str]]]:
    for name in before.keys() | after.keys():
        old, new = before.get(name, ()), after.get(name, ())
        if old != new:
            yield name, (", ".join(old), ", ".join(new))
