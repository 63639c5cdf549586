"""Cross-checks before a publish: what a client could not install is not published."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cosgen.errors import Problem, PublishError
from cosgen.manifest.selector import matches
from cosgen.repository.record import PackageRecord
from cosgen.repository.session import Session
from cosgen.repository.snapshot import VariantIndex, load_records, name_number, shard_number


@dataclass(slots=True)
class Catalog:
    """All packages of a variant as it shall be; shards are read when a package of theirs is asked for."""

    session: Session
    base: VariantIndex | None
    new: Mapping[str, PackageRecord]  # of the shards that were read already, as they shall be
    _by_name: dict[tuple[str, str], list[PackageRecord]] = field(default_factory=dict)
    _loaded: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for record in self.new.values():
            self._add(record)
        if self.base is not None:
            count = self.base.shard_count()
            self._loaded = {shard_number(record, count) for record in self.new.values()}

    def find(self, category: str, name: str) -> list[PackageRecord]:
        """Return all versions of a package."""
        found = self._by_name.get((category, name))
        if found is None and self.base is not None:
            number = name_number(category, name, self.base.shard_count())
            self._load(lambda shard: shard == number)
            found = self._by_name.get((category, name))
        return found or []

    def everything(self) -> Iterable[PackageRecord]:
        """Return all packages; reads all shards."""
        self._load(lambda _: True)
        return [record for records in self._by_name.values() for record in records]

    def _load(self, wanted: Callable[[int], bool]) -> None:
        if self.base is None:
            return
        numbers = {n for n in self.base.numbers if wanted(n) and n not in self._loaded}
        for record in load_records(self.session.patient, self.base, lambda n: n in numbers):
            if record.fingerprint not in self.new:
                self._add(record)
        self._loaded |= numbers

    def _add(self, record: PackageRecord) -> None:
        self._by_name.setdefault((record.category, record.name), []).append(record)


def check_variant(
    session: Session,
    base: VariantIndex | None,
    new: Mapping[str, PackageRecord],
    added: Iterable[PackageRecord],
    variant: str,
    *,
    whole: bool,
    requirements: bool,
    beneath: Iterable[PackageRecord] = (),
) -> None:
    """Check a variant as it shall be.

    Args:
        session: The surroundings.
        base: The variant as it is.
        new: The records of the touched shards as they shall be, by fingerprint.
        added: What is new; its requirements are followed.
        variant: For messages.
        whole: `new` is the whole variant: somebody may need what was removed, so all are checked.
        requirements: Check that requirements can be met.
        beneath: Packages of foundations: they meet requirements, and their own are not followed.

    Raises:
        PublishError: With all problems.
    """
    problems = list(_check_tags(new.values(), variant))
    if requirements:
        catalog = Catalog(session, None if whole else base, new)
        theirs = _offers(beneath)
        problems.extend(_check_requirements(catalog, new.values() if whole else added, variant, theirs))
    if problems:
        raise PublishError(*problems)


def _check_tags(records: Iterable[PackageRecord], variant: str) -> Iterable[Problem]:
    seen: dict[str, PackageRecord] = {}
    for record in records:
        tag = record.fingerprint.replace("+", "-")
        if tag in seen:
            yield Problem(
                what=f"{variant}: {seen[tag].human} and {record.human} share the image tag {tag}",
                fix="change one of the versions: tags cannot hold `+`, it becomes `-`",
                id="CG520",
            )
        seen[tag] = record


def _offers(records: Iterable[PackageRecord]) -> Mapping[tuple[str, str], list[str]]:
    """Return the versions that packages have or provide, by name."""
    packages = list(records)
    found = _provided(packages)
    for record in packages:
        found.setdefault((record.category, record.name), []).append(record.version)
    return found


def _check_requirements(
    catalog: Catalog,
    start: Iterable[PackageRecord],
    variant: str,
    theirs: Mapping[tuple[str, str], list[str]],
) -> Iterable[Problem]:
    waiting, seen = list(start), set()
    provided: dict[tuple[str, str], list[str]] | None = None
    while waiting:
        record = waiting.pop()
        if record.fingerprint in seen:
            continue
        seen.add(record.fingerprint)
        for category, name, selector in references(record, "requires"):
            fitting = [r for r in catalog.find(category, name) if fits(r.version, selector)]
            if fitting:
                waiting.extend(fitting)
                continue
            if any(fits(version, selector) for version in theirs.get((category, name), ())):
                continue
            if provided is None:
                provided = _provided(catalog.everything())
            if not any(fits(version, selector) for version in provided.get((category, name), ())):
                yield _unmet(record, f"{category}/{name}", selector, variant)


def fits(version: str, selector: str) -> bool:
    """Tell whether a version meets a requirement; an empty selector and ">=0" take every version."""
    return selector in {"", ">=0"} or version == selector or matches(version, selector)


def references(record: PackageRecord, field_name: str) -> Iterable[tuple[str, str, str]]:
    """Yield category, name and version of what a record requires, provides, or is in conflict with."""
    found = record.definition.get(field_name)
    for item in found if isinstance(found, list | tuple) else ():
        if isinstance(item, Mapping):
            yield str(item.get("category", "")), str(item.get("name", "")), str(item.get("version", ""))


def _provided(records: Iterable[PackageRecord]) -> dict[tuple[str, str], list[str]]:
    provided: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for category, name, version in references(record, "provides"):
            provided.setdefault((category, name), []).append(version)
    return provided


def _unmet(record: PackageRecord, needed: str, selector: str, variant: str) -> Problem:
    return Problem(
        what=f"{variant}: {record.human} requires {needed} {selector}".rstrip()
        + ", which the channel would not have",
        fix="publish it together with this package, or correct the requirement",
        id="CG521",
    )
