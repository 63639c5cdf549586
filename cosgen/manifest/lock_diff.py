"""What differs between two lock files, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cosgen.manifest.lock import Lock, LockedFoundation

_SHORT = 19  # characters of a digest that people compare


@dataclass(frozen=True, slots=True)
class PinChange:
    """One pin that is new, moved, or gone."""

    kind: str  # "seed" or "foundation"
    name: str
    before: str  # "" when it is new
    after: str  # "" when it is gone

    def __str__(self) -> str:
        sign = "+" if not self.before else "-" if not self.after else "~"
        way = " -> ".join(text for text in (self.before, self.after) if text)
        return f"{sign} {self.kind} {self.name}  {way}"


def diff_locks(old: Lock, new: Lock) -> tuple[PinChange, ...]:
    """Return every pin that differs: foundations first, each kind sorted by name."""
    before = {item.name: item for item in old.foundations}
    after = {item.name: item for item in new.foundations}
    moved = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
    places = {name: _places(before.get(name), after.get(name)) for name in moved}
    return (*_changes("foundation", places), *_changes("seed", _digests(old.seeds, new.seeds)))


def _digests(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (old.get(name, "")[:_SHORT], new.get(name, "")[:_SHORT]) for name in {*old, *new}}


def _changes(kind: str, pairs: Mapping[str, tuple[str, str]]) -> Iterator[PinChange]:
    for name, (before, after) in sorted(pairs.items()):
        if before != after:
            yield PinChange(kind, name, before, after)


def _places(old: LockedFoundation | None, new: LockedFoundation | None) -> tuple[str, str]:
    """Say where a foundation was and is: its address and images too when nothing else differs."""
    before, after = _place(old), _place(new)
    if old is not None and new is not None and before == after:
        return f"{old.url} {old.reference} {old.images}", f"{new.url} {new.reference} {new.images}"
    return before, after


def _place(item: LockedFoundation | None) -> str:
    if item is None:
        return ""
    where = f"{item.channel or item.reference}, commit {item.commit}, {item.digest[:_SHORT]}"
    return f"{where}, root {item.root_version}" if item.root_digest else where
