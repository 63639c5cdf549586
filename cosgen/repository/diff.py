"""What differs between two snapshots of one variant: as values, as JSON, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from cosgen.manifest.version import sort_key
from cosgen.repository.record import PackageRecord


class Component(Protocol):
    """One entry of a software bill of materials, as `diff` compares it."""

    @property
    def name(self) -> str:
        """Name with its type, for example `deb/openssl`."""

    @property
    def version(self) -> str:
        """Version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentChange:
    """A component of some packages that is new, gone, or of another version."""

    name: str
    before: tuple[str, ...]  # versions, sorted; () when it is new
    after: tuple[str, ...]  # versions, sorted; () when it is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """One package, `category/name`, that is new, gone, or not the same as before."""

    package: str
    before: tuple[str, ...]  # versions, oldest first; () when it is new
    after: tuple[str, ...]  # versions, oldest first; () when it is gone
    size_before: int  # bytes of the archives that changed or went away
    size_after: int  # bytes of the archives that changed or came
    rebuilt: tuple[str, ...] = ()  # versions in both, with another content

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDiff:
    """What a machine gets when it moves from one snapshot to another."""

    packages: tuple[PackageChange, ...]  # sorted by name
    components: tuple[ComponentChange, ...] = ()  # sorted by name
    same: int = 0  # package versions that are alike

    def of_kind(self, kind: str) -> tuple[PackageChange, ...]:
        """Return the `added`, `removed` or `changed` packages."""
        return tuple(change for change in self.packages if change.kind == kind)

    @property
    def download(self) -> int:
        """Bytes of archives that are in the second snapshot only."""
        return sum(change.size_after for change in self.packages)

    def to_json(self) -> dict[str, object]:
        """Return the diff as JSON values (schema: docs, machine interfaces)."""
        return {
            "schema": 1,
            "same": self.same,
            "download": self.download,
            **{
                kind: [asdict(change) for change in self.of_kind(kind)]
                for kind in ("added", "removed", "changed")
            },
            "components": [asdict(change) for change in self.components],
        }

    def to_markdown(self) -> str:
        """Return the diff as Markdown tables, for release notes and pull requests; ends with a newline."""
        if not self.packages:
            return f"No package differs; {self.same} are the same.\n"
        counts = {kind: len(self.of_kind(kind)) for kind in ("added", "changed", "removed")}
        summary = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        parts = [f"{summary}, {self.same} the same; {human_size(self.download)} to download.\n"]
        rows = [
            (change.package, change.kind, _versions(change), human_difference(change))
            for change in self.packages
        ]
        parts.append(_table(("Package", "Change", "Version", "Size"), rows))
        if self.components:
            parts.append(_table(("Component", "Before", "After"), map(_component_row, self.components)))
        return "\n".join(parts)


def diff(
    before: Iterable[PackageRecord],
    after: Iterable[PackageRecord],
    *,
    shared: int = 0,
    components: tuple[Iterable[Component], Iterable[Component]] | None = None,
) -> SnapshotDiff:
    """Compare two snapshots of a variant.

    Args:
        before: Packages of the first, any order.
        after: Packages of the second, any order.
        shared: Package versions that both have alike and that are not given.
        components: What the bills of materials of both list, when that is to be compared too.
    """
    old, new = _by_fingerprint(before), _by_fingerprint(after)
    touched = {key for key in old.keys() | new.keys() if not _alike(old.get(key), new.get(key))}
    names = sorted({_name(old.get(key) or new[key]) for key in touched})
    grouped_old, grouped_new = _group(old, names), _group(new, names)
    return SnapshotDiff(
        packages=tuple(_change(name, grouped_old[name], grouped_new[name], touched) for name in names),
        components=_component_changes(*components) if components else (),
        same=shared + len(old.keys() & new.keys() - touched),
    )


def human_size(size: int) -> str:
    """Return a number of bytes for people.

    >>> human_size(0), human_size(1536), human_size(5 << 30)
    ('0 B', '1.5 KiB', '5.0 GiB')
    """
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def human_difference(change: PackageChange) -> str:
    """Return how a package's size moved: `12.0 KiB`, or `12.0 KiB (+1.0 KiB)` for a changed one."""
    if change.kind == "removed":
        return f"-{human_size(change.size_before)}"
    if change.kind == "added":
        return human_size(change.size_after)
    delta = change.size_after - change.size_before
    return f"{human_size(change.size_after)} ({'+' if delta >= 0 else ''}{human_size(delta)})"


def _by_fingerprint(records: Iterable[PackageRecord]) -> dict[str, PackageRecord]:
    return {record.fingerprint: record for record in records}


def _name(record: PackageRecord) -> str:
    return f"{record.category}/{record.name}"


def _alike(old: PackageRecord | None, new: PackageRecord | None) -> bool:
    return old is not None and new is not None and old.same_package(new)


def _group(records: Mapping[str, PackageRecord], names: Sequence[str]) -> dict[str, list[PackageRecord]]:
    groups: dict[str, list[PackageRecord]] = {name: [] for name in names}
    for record in records.values():
        if (name := _name(record)) in groups:
            groups[name].append(record)
    for group in groups.values():
        group.sort(key=lambda record: (sort_key(record.version), record.version))
    return groups


def _change(
    name: str, old: list[PackageRecord], new: list[PackageRecord], touched: set[str]
) -> PackageChange:
    known = {record.fingerprint for record in old}
    return PackageChange(
        package=name,
        before=tuple(record.version for record in old),
        after=tuple(record.version for record in new),
        size_before=sum(record.archive.size for record in old if record.fingerprint in touched),
        size_after=sum(record.archive.size for record in new if record.fingerprint in touched),
        rebuilt=tuple(
            record.version for record in new if record.fingerprint in touched and record.fingerprint in known
        ),
    )


def _component_changes(
    before: Iterable[Component], after: Iterable[Component]
) -> tuple[ComponentChange, ...]:
    old, new = _versions_by_name(before), _versions_by_name(after)
    return tuple(
        ComponentChange(name=name, before=old.get(name, ()), after=new.get(name, ()))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _versions_by_name(components: Iterable[Component]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for component in components:
        found.setdefault(component.name, set()).add(component.version)
    return {name: tuple(sorted(versions)) for name, versions in found.items()}


def _versions(change: PackageChange) -> str:
    before, after = ", ".join(change.before), ", ".join(change.after)
    if change.kind != "changed":
        return before or after
    return f"{after} (rebuilt)" if before == after else f"{before} → {after}"


def _component_row(change: ComponentChange) -> tuple[str, ...]:
    return change.name, ", ".join(change.before) or "–", ", ".join(change.after) or "–"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
