"""Pinning a foundation: what its channel holds now, seen to be signed, and not older than what was pinned."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.manifest.lock import LockedFoundation
from cosgen.repository.client_address import client_url
from cosgen.repository.codec import Json, integer
from cosgen.repository.commit import read_tail
from cosgen.repository.description import read_description
from cosgen.repository.foundation import FoundationPlace, reading, root_url
from cosgen.repository.foundation_luet import pin_luet
from cosgen.repository.log import State, read_commit
from cosgen.repository.record import ObjectRef
from cosgen.repository.rules_foundation import problem
from cosgen.repository.session import Session
from cosgen.storage.port import Store, digest_of

_SUFFIX = "-repository.yaml"
_TUF = "tuf/"


def pin(place: FoundationPlace) -> LockedFoundation:
    """Return what a foundation's channel holds now, checked against signatures and the pin there is.

    Raises:
        PublishError: It cannot be read (CG686), or has no such channel (CG689).
        VerificationError: It went back in time (CG687), or is not to be trusted (CG688).
    """
    with reading(place):
        session = place.open()
        tail = read_tail(session)
        if tail.commit.seq < 0:
            if (found := pin_luet(place)) is not None:
                _refuse_exchange(place)
                return found
            what = f"{session.store.url} holds no repository"
            raise PublishError(problem("CG686", f"the foundation {place.name} cannot be read: {what}"))
        _check_history(place, session)
        channel = channel_of(place.config.reference, tail.state, place.name)
        state = tail.state.channels[channel]
        snapshot, seq = state.snapshot, state.seq
        root = _root(place, session.patient)
        if root is not None:
            document, root = _verified(place, session, channel, root)
            snapshot, seq = ObjectRef.from_json(document.get("snapshot")), integer(document, "seq")
        commit = read_commit(session.patient, seq)
    told = commit.state.channels.get(channel) if commit is not None else None
    if commit is None or told is None or told.snapshot != snapshot:
        what = f"the log and the signatures of the foundation {place.name} do not agree on {channel}"
        raise VerificationError(problem("CG688", what))
    if place.pinned is not None and place.pinned.channel == channel and seq < place.pinned.commit:
        raise VerificationError(_back_in_time(place, f"{channel} is at commit {seq}"))
    return LockedFoundation(
        name=place.name,
        url=place.config.url,
        reference=place.config.reference,
        snapshot=snapshot.key,
        digest=snapshot.digest,
        size=snapshot.size,
        channel=channel,
        commit=seq,
        commit_digest=commit.digest,
        address=_address(place, tail.state),
        images=place.config.images or read_description(tail.state.settings).cache,
        root_digest=digest_of(root) if root is not None else "",
        root_version=_version_of(root) if root is not None else 0,
    )


def _refuse_exchange(place: FoundationPlace) -> None:
    """Refuse what luet wrote where there was a log, or signatures must be: anybody can take those away."""
    if place.trust is not None:
        what = (
            f"the foundation {place.name} is to be trusted by its signatures, and luet's repository has none"
        )
        raise VerificationError(problem("CG688", what))
    if place.pinned is not None and place.pinned.kind != "luet":
        raise VerificationError(_back_in_time(place, "luet's repository is there, and its log is gone"))


def _address(place: FoundationPlace, state: State) -> str:
    """Return where clients read a foundation: where it says, else where we read it from the web."""
    told = str(state.settings.get("url") or "")
    url = place.config.url
    return client_url(told or (root_url(url) if url.startswith(("http://", "https://")) else ""))


def channel_of(reference: str, state: State, foundation: str) -> str:
    """Return the channel that a repository file follows.

    Raises:
        PublishError: None of that name (CG689).
    """
    if reference == "repository.yaml":
        found = str(state.settings.get("default") or "").partition("/")[0]
    else:
        stem = reference.removesuffix(_SUFFIX)
        fitting = [name for name in state.channels if stem == name or stem.startswith(f"{name}-")]
        found = max(fitting, key=len, default="")
    if found not in state.channels:
        have = ", ".join(sorted(state.channels)) or "none"
        what = f"the foundation {foundation} has no {reference}; its channels: {have}"
        raise PublishError(problem("CG689", what))
    return found


def _check_history(place: FoundationPlace, session: Session) -> None:
    """See that the commit that was pinned is still what it was."""
    pinned = place.pinned
    if pinned is None or not pinned.commit_digest:
        return
    commit = read_commit(session.patient, pinned.commit)
    if commit is None:
        raise VerificationError(_back_in_time(place, f"its log ends before commit {pinned.commit}"))
    if commit.digest != pinned.commit_digest:
        why = f"its commit {pinned.commit} is not the one that was seen"
        raise VerificationError(_back_in_time(place, why))


def _back_in_time(place: FoundationPlace, why: str) -> Problem:
    return problem("CG687", f"the foundation {place.name} went back in time: {why}")


def _root(place: FoundationPlace, store: Store) -> bytes | None:
    """Return the TUF root to start from: the project's, the pinned one, or at first the newest there is."""
    pinned = place.pinned
    if place.trust is not None:
        return place.trust
    if pinned is not None and pinned.root_digest:
        blob = store.get(f"{_TUF}{pinned.root_version}.root.json")
        if blob is None or digest_of(blob.data) != pinned.root_digest:
            what = f"root {pinned.root_version} of the foundation {place.name} is not the one that was pinned"
            raise VerificationError(problem("CG688", what))
        return blob.data
    newest, version = None, 1
    while (blob := store.get(f"{_TUF}{version}.root.json")) is not None:
        newest, version = blob.data, version + 1
    return newest


def _verified(
    place: FoundationPlace, session: Session, channel: str, root: bytes
) -> tuple[Mapping[str, Json], bytes]:
    """Return the signed document of a channel, and the newest root on the way there."""
    from cosgen.repository.mirror import read_channel  # noqa: PLC0415 - slow to import

    with tempfile.TemporaryDirectory(prefix="cosgen-foundation-") as folder:
        try:
            document = read_channel(session.patient, channel, Path(folder), root)
        except VerificationError as error:
            what = f"the foundation {place.name} is not to be trusted now: {error.problems[0].what}"
            raise VerificationError(problem("CG688", what)) from error
        return document, (Path(folder) / "root.json").read_bytes()


def _version_of(root: bytes) -> int:
    from cosgen.repository.tuf import version_of  # noqa: PLC0415 - slow to import

    return version_of(root)
