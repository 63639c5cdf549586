"""Checks of a whole repository: the chain of the log, every object that something names, views, leftovers."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cosgen.errors import Problem, Severity, VerificationError
from cosgen.repository import pool
from cosgen.repository.commit import Tail, read_tail
from cosgen.repository.fsck_signed import CommitSignatures, check_followed
from cosgen.repository.gc import view_keys
from cosgen.repository.log import check_chain, read_commit
from cosgen.repository.record import ObjectRef
from cosgen.repository.session import Session
from cosgen.repository.snapshot import load_records, load_snapshot
from cosgen.repository.upload import stored_digest
from cosgen.repository.views import make_views


@dataclass(slots=True)
class FsckReport:
    """What was looked at and what is wrong."""

    commits: int = 0
    snapshots: int = 0
    objects: int = 0
    bytes: int = 0  # of the objects
    orphans: int = 0  # objects that nothing names; garbage collection takes them
    problems: list[Problem] = field(default_factory=list)


def check_repository(session: Session, *, deep: bool = False, orphans: bool = True) -> FsckReport:
    """Check everything; never writes.

    Args:
        session: The surroundings; its guard checks the newest commit.
        deep: Read every object and compare its digest, not only its size.
        orphans: List the store and count what nothing names.
    """
    report = FsckReport()
    try:
        tail = read_tail(session)
    except VerificationError as error:
        report.problems.extend(error.problems)
        return report
    _check_log(session, tail, report)
    named = dict(_named_objects(session, tail, report))
    for ref in named.values():
        _check_object(session, ref, report, deep=deep)
    _check_condemned(tail, named, report)
    _check_views(session, tail, report)
    report.problems.extend(check_followed(session, tail))
    if orphans:
        _count_orphans(session, tail, set(named), report)
    return report


def _check_log(session: Session, tail: Tail, report: FsckReport) -> None:
    after = None
    signatures = CommitSignatures(session)
    for seq in range(tail.commit.seq, -1, -1):
        try:
            commit = read_commit(session.patient, seq)
            if commit is None:
                report.problems.append(_hole(session.store.url, seq))
                after = None
                continue
            report.commits += 1
            if after is not None:
                check_chain(commit, after, session.store.url)
            report.problems.extend(signatures.check(commit))
            after = commit
        except VerificationError as error:
            report.problems.extend(error.problems)
            after = None


def _named_objects(session: Session, tail: Tail, report: FsckReport) -> Iterator[tuple[str, ObjectRef]]:
    for ref in tail.state.kept().values():
        yield ref.key, ref
        try:
            snapshot = load_snapshot(session.patient, ref)
            report.snapshots += 1
            for index in snapshot.variants.values():
                for shard in index.shards:
                    yield shard.key, shard
                for file in index.luet.values():
                    key = pool.CLIENT_ROOT + file.key
                    yield key, ObjectRef(key=key, digest=file.digest, size=file.size)
                for record in load_records(session.patient, index):
                    yield record.archive.key, record.archive
                    if record.attestation is not None:
                        yield record.attestation.key, record.attestation
        except VerificationError as error:
            report.problems.extend(error.problems)


def _check_object(session: Session, ref: ObjectRef, report: FsckReport, *, deep: bool) -> None:
    report.objects += 1
    report.bytes += ref.size
    stat = session.patient.head(ref.key)
    if stat is None:
        report.problems.append(_lost(session.store.url, ref, "is gone"))
    elif stat.size != ref.size:
        report.problems.append(_lost(session.store.url, ref, f"has {stat.size} bytes instead of {ref.size}"))
    elif (stat.digest is not None and stat.digest != ref.digest) or (
        deep and stored_digest(session.patient, ref.key, ref.size) != ref.digest
    ):
        report.problems.append(_lost(session.store.url, ref, "has other bytes"))


def _check_condemned(tail: Tail, named: dict[str, ObjectRef], report: FsckReport) -> None:
    for key in sorted(tail.state.off_limits() & named.keys()):
        problem = Problem(
            what=f"{key} is condemned, though a kept snapshot names it",
            fix="do not collect garbage; publish its package again, and report this as a bug",
            id="CG537",
        )
        report.problems.append(problem)


def _check_views(session: Session, tail: Tail, report: FsckReport) -> None:
    try:
        views = list(make_views(session, tail.commit, -1, {}))
    except VerificationError:
        return  # told already
    for view in views:
        blob = session.patient.get(view.key)
        if blob is None or blob.data != view.data:
            problem = Problem(
                what=f"{session.store.url}: {view.key} does not show commit {view.seq}",
                fix="run any command that writes: it brings the views to the newest commit",
                id="CG538",
                severity=Severity.WARNING,
            )
            report.problems.append(problem)


def _count_orphans(session: Session, tail: Tail, named: set[str], report: FsckReport) -> None:
    try:
        known = named | set(view_keys(session, tail.state)) | tail.state.off_limits()
    except VerificationError:
        return  # told already
    if tail.state.garbage is not None:
        known.add(tail.state.garbage.key)
    for prefix in pool.COLLECTED:
        report.orphans += sum(stat.key not in known for stat in session.patient.list(prefix))


def _hole(url: str, seq: int) -> Problem:
    return Problem(
        what=f"{url}: the log has no commit {seq}, though later ones are there",
        fix="restore _log/ from a mirror or an older version of the bucket",
        id="CG514",
    )


def _lost(url: str, ref: ObjectRef, why: str) -> Problem:
    return Problem(
        what=f"{url}: {ref.key} {why}",
        fix="remove it if it is there, then publish the package again or roll the channel back",
        id="CG536",
    )
