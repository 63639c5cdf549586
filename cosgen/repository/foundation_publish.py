"""Publishing on a foundation: what clients find there, and what of it goes into our own repository too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from cosgen.errors import PublishError
from cosgen.manifest.platform import Variant
from cosgen.repository.checks import fits, references
from cosgen.repository.codec import Json
from cosgen.repository.foundation import PinnedFoundation
from cosgen.repository.publish_plan import Incoming
from cosgen.repository.record import PackageRecord
from cosgen.repository.rules_foundation import problem
from cosgen.storage.port import FilePayload

Found = tuple[PinnedFoundation, PackageRecord]


def needed_beneath(own: Iterable[PackageRecord], theirs: Mapping[str, Found]) -> tuple[Found, ...]:
    """Return what of foundations the packages of a variant need at run time, sorted by fingerprint.

    Args:
        own: Our packages; they come before packages of foundations.
        theirs: What foundations offer, by fingerprint.
    """
    waiting = list(own)
    ours = {(record.category, record.name) for record in waiting}
    by_name: dict[tuple[str, str], list[str]] = {}
    for fingerprint, (_, record) in theirs.items():
        provided = {(category, name) for category, name, _ in references(record, "provides")}
        for key in {(record.category, record.name), *provided}:
            by_name.setdefault(key, []).append(fingerprint)
    found: set[str] = set()
    while waiting:
        for category, name, selector in references(waiting.pop(), "requires"):
            for fingerprint in () if (category, name) in ours else by_name.get((category, name), ()):
                record = theirs[fingerprint][1]
                provides = (record.category, record.name) != (category, name)
                if fingerprint not in found and (provides or fits(record.version, selector)):
                    found.add(fingerprint)
                    waiting.append(record)
    return tuple(theirs[fingerprint] for fingerprint in sorted(found))


def republished(variant: str, found: Sequence[Found]) -> Iterator[Incoming]:
    """Yield the packages of foundations whose settings say that we publish them too, fetched."""
    for foundation, record in found:
        if not foundation.place.config.publish:
            continue
        if foundation.pinned.kind == "luet":
            what = f"{record.human} cannot be published as it is: luet's index tells too little of it"
            fix = "take the repository over with `cosgen repo import`, and publish that"
            raise PublishError(problem("CG692", what, fix=fix))
        archive = record.archive
        bundle = record.attestation
        payload = FilePayload(foundation.fetch(bundle), bundle.size, bundle.digest) if bundle else None
        yield Incoming(
            variant=variant,
            record=record if bundle else replace(record, sbom=None, provenance=None),
            archive=FilePayload(foundation.fetch(archive), archive.size, archive.digest),
            attestation=payload,
        )


def told_to_clients(foundations: Iterable[PinnedFoundation], variants: Iterable[Variant]) -> list[Json]:
    """Return what the log keeps of foundations: the repositories that clients read beside ours.

    Those whose packages we publish too are not needed, and those without an address cannot be read.
    """
    return [
        {
            "name": one.pinned.name,
            "url": one.pinned.address,
            "references": {variant.key: one.reference_for(variant) for variant in variants},
            "priority": one.place.config.priority,
        }
        for one in foundations
        if one.pinned.address and not one.place.config.publish
    ]


def check_reachable(found: Iterable[Found]) -> None:
    """See that clients can read the packages of foundations that ours need.

    Raises:
        PublishError: Nobody knows an address for them, and they are not published with ours (CG692).
    """
    lost: dict[str, list[str]] = {}
    for foundation, record in found:
        if not (foundation.pinned.address or foundation.place.config.publish):
            lost.setdefault(foundation.place.name, []).append(record.human)
    if lost:
        raise PublishError(
            *(
                problem("CG692", f"clients have no address for {', '.join(names)} of the foundation {name}")
                for name, names in sorted(lost.items())
            )
        )
