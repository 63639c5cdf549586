"""Reads the snapshots of a repository, and what differs between them, each object once."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cosgen.repository.reader import Repository
from cosgen.repository.record import ObjectRef, PackageRecord
from cosgen.repository.snapshot import Snapshot, VariantIndex, load_records
from cosgen.site.bill import Bills
from cosgen.site.compare import compare
from cosgen.site.model import Diff


@dataclass(slots=True)
class SnapshotReader:
    """Reads each object once: shards are shared by most snapshots."""

    repository: Repository
    bills: Bills
    shards: dict[str, tuple[PackageRecord, ...]] = field(default_factory=dict)
    diffs: dict[tuple[str, str], Diff] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)

    def records(
        self, index: VariantIndex, leave_out: frozenset[str] = frozenset()
    ) -> Iterable[PackageRecord]:
        """Yield the records of a variant, but for those of the shards that are left out."""
        for number, ref in zip(index.numbers, index.shards, strict=True):
            if ref.key in leave_out:
                continue
            if ref.key not in self.shards:
                one = replace(index, shards=(ref,), numbers=(number,))
                self.shards[ref.key] = tuple(load_records(self.repository.session.patient, one))
            yield from self.shards[ref.key]

    def find(self, ref: ObjectRef) -> Snapshot | None:
        """Return a snapshot; None when garbage collection has taken it."""
        if ref.key not in self.there:
            self.there[ref.key] = self.repository.session.patient.head(ref.key) is not None
        return self.repository.snapshot(ref) if self.there[ref.key] else None

    def compare(self, before: ObjectRef, after: ObjectRef) -> Diff | None:
        """Return what differs; None when one of the two is gone."""
        key = before.digest, after.digest
        if key not in self.diffs:
            old, new = self.find(before), self.find(after)
            if old is None or new is None:
                return None
            self.diffs[key] = compare(old, new, self.records, self.bills)
        return self.diffs[key]
