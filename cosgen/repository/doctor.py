"""`repo doctor`: what a store can, and whether a repository may be kept in it."""

from dataclasses import dataclass

from cosgen.errors import Problem, Severity
from cosgen.repository.session import Session
from cosgen.storage.probe import MAX_SKEW, StoreClass, probe, refuse_class_c


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, for people, and what is wrong."""

    lines: tuple[str, ...]
    problems: tuple[Problem, ...]


def examine(session: Session, *, single_writer: bool) -> Examined:
    """Probe a store; writes and removes one object.

    Raises:
        StoreError: The store cannot be written at all.
    """
    found = probe(session.patient, session.new_txn(), now=session.clock.now())
    problems: list[Problem] = []
    if found.store_class is StoreClass.C and not single_writer:
        problems.append(refuse_class_c(session.store.url))
    if found.skew is not None and abs(found.skew) > MAX_SKEW:
        problems.append(skewed(found.skew, Severity.WARNING))
    lines = (
        f"store\t{session.store.url}",
        f"class\t{found.store_class}\t{_MEANINGS[found.store_class]}",
        f"checks bytes\t{_word(found.checks_bodies)}",
        f"keeps headers\t{_word(found.keeps_headers)}",
        f"may delete\t{_word(found.deletes)}\tonly garbage collection needs it",
        f"clock ahead\t{'not told' if found.skew is None else f'{found.skew:.0f} s'}",
    )
    return Examined(lines, tuple(problems))


_MEANINGS = {
    StoreClass.A: "create-only and If-Match are kept: any number of publishers",
    StoreClass.B: "create-only is kept: any number of publishers; views are looked at twice",
    StoreClass.C: "no condition is kept: one writer only",
}


def _word(value: bool | None) -> str:
    return "not told" if value is None else "yes" if value else "no"


def skewed(skew: float, severity: Severity) -> Problem:
    """Say that the store's clock is so many seconds ahead of ours."""
    return Problem(
        what=f"the store's clock is {skew:.0f} s ahead of this machine's",
        fix="set this machine's clock: signatures expire by it, and garbage is collected by it",
        id="CG541",
        severity=severity,
    )
