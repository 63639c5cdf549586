"""Offline trust: the first root and targets, their rotation, and until when anything is valid.

The holders of root keys need not meet: each adds a signature to the file, until nothing is missing.

Source: TUF specification 1.0.34, sections 5.3 and 6.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from securesystemslib.signer import Signer
from tuf.api.metadata import DelegatedRole, Delegations, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from cosgen.errors import Problem, Severity, VerificationError
from cosgen.repository.tuf import (
    CHANNELS,
    LIFETIMES,
    OFFLINE_ROLES,
    ROLES,
    TOP_ROLES,
    WARN_SHARE,
    RoleKeys,
    Trust,
    expiry,
    load,
    owned,
    parse,
    role_keys,
    signed_bytes,
)


def new_trust(
    roles: Mapping[str, RoleKeys],
    signers: Iterable[Signer],
    now: datetime,
    lifetimes: Mapping[str, timedelta] = LIFETIMES,
) -> Trust:
    """Make the first root and targets of a repository.

    Args:
        roles: Keys and thresholds of all `ROLES`.
        signers: Private keys at hand; those that root or targets name sign them.
        now: The time, in UTC.
        lifetimes: How long root and targets hold.

    Raises:
        VerificationError: A role has fewer keys than its threshold.
    """
    check_roles(roles)
    root = Root(version=1, expires=expiry(now, "root", lifetimes), consistent_snapshot=True)
    _fill_root(root, roles)
    targets = Targets(
        version=1, expires=expiry(now, "targets", lifetimes), delegations=_delegate(roles[CHANNELS])
    )
    private = tuple(signers)
    return Trust(
        root=signed_bytes(root, owned(private, roles["root"].keys)),
        targets=signed_bytes(targets, owned(private, roles["targets"].keys)),
    )


def rotate_root(
    root: bytes,
    roles: Mapping[str, RoleKeys],
    signers: Iterable[Signer],
    now: datetime,
    lifetimes: Mapping[str, timedelta] = LIFETIMES,
) -> bytes:
    """Make the next root, with new keys for some of the top roles; old and new root keys sign it.

    The result counts only when enough of both have signed (`missing_signatures`); further holders add theirs
    with `add_signatures`.

    Args:
        root: The newest root.
        roles: The roles that change, among `TOP_ROLES`; empty to renew the expiry alone.
        signers: Private keys at hand.
        now: The time, in UTC.
        lifetimes: How long it holds.
    """
    old = load(root, Root)
    merged = {role: roles.get(role) or role_keys(old, role) for role in TOP_ROLES}
    check_roles(merged)
    new = Root(version=old.version + 1, expires=expiry(now, "root", lifetimes), consistent_snapshot=True)
    _fill_root(new, merged)
    owners = {key.keyid: key for key in (*role_keys(old, "root").keys, *merged["root"].keys)}
    return signed_bytes(new, owned(signers, tuple(owners.values())))


def rotate_targets(
    targets: bytes,
    signers: Iterable[Signer],
    now: datetime,
    channels: RoleKeys | None = None,
    lifetimes: Mapping[str, timedelta] = LIFETIMES,
) -> bytes:
    """Make the next targets: a new expiry and, when given, new keys for the role `channels`.

    All signers at hand that are keys of `targets` must be passed, none else: those of the root that is there,
    and of the one that follows it, so that clients of both accept it.
    """
    old = load(targets, Targets)
    delegations = old.delegations if channels is None else _delegate(channels)
    new = Targets(version=old.version + 1, expires=expiry(now, "targets", lifetimes), delegations=delegations)
    return signed_bytes(new, tuple(signers))


def add_signatures(data: bytes, signers: Iterable[Signer]) -> bytes:
    """Add signatures to metadata that others have signed before; the signed part stays as it is."""
    metadata = parse(data)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def missing_signatures(data: bytes, root: bytes) -> int:
    """Return how many signatures a new root or targets still lacks, under the keys of `root`.

    Args:
        data: The new root or targets.
        root: The root before it; for a first root, the root itself.
    """
    metadata = parse(data)
    trusted = load(root, Root)
    payload = metadata.signed_bytes
    results = [trusted.get_verification_result(metadata.signed.type, payload, metadata.signatures)]
    if isinstance(metadata.signed, Root):
        results.append(metadata.signed.get_verification_result("root", payload, metadata.signatures))
    return max(max(0, result.threshold - len(result.signed)) for result in results)


@dataclass(frozen=True, slots=True)
class RoleExpiry:
    """Until when a role's metadata is valid."""

    role: str
    version: int
    expires: datetime

    def problem(self, now: datetime, lifetimes: Mapping[str, timedelta] = LIFETIMES) -> Problem | None:
        """Return an error when it has expired, a warning when half of its lifetime has passed, else None."""
        left = self.expires - now
        command = (
            "cosgen key refresh"
            if self.role not in OFFLINE_ROLES
            else f"cosgen key rotate {self.role} --renew"
        )
        fix = f"run `{command}`; the emitted pipelines refresh the online roles every day"
        if left <= timedelta(0):
            what = (
                f"TUF {self.role} expired on {self.expires:%Y-%m-%d %H:%M} UTC; verifying clients refuse it"
            )
            return Problem(what=what, fix=fix, id="CG565")
        if left < lifetimes[self.role] * WARN_SHARE:
            what = f"TUF {self.role} expires on {self.expires:%Y-%m-%d %H:%M} UTC, in {_in_words(left)}"
            return Problem(what=what, fix=fix, id="CG566", severity=Severity.WARNING)
        return None


def expiries(metadata: Sequence[bytes]) -> tuple[RoleExpiry, ...]:
    """Return the expiry of each piece of metadata, in the order of `ROLES`."""
    found: list[RoleExpiry] = []
    for data in metadata:
        signed = parse(data).signed
        delegated = isinstance(signed, Targets) and not signed.delegations
        found.append(RoleExpiry(CHANNELS if delegated else signed.type, signed.version, signed.expires))
    return tuple(sorted(found, key=lambda item: ROLES.index(item.role)))


def check_roles(roles: Mapping[str, RoleKeys]) -> None:
    """Check that each role has keys enough.

    Raises:
        VerificationError: A threshold is below 1 or above the number of different keys.
    """
    problems = [
        Problem(
            what=f"role `{role}` needs {entry.threshold} signatures but has {len(entry.keys)} keys",
            fix="give it more keys or a lower threshold (at least 1)",
            id="CG564",
        )
        for role, entry in roles.items()
        if not 1 <= entry.threshold <= len({key.keyid for key in entry.keys})
    ]
    if problems:
        raise VerificationError(*problems)


def _fill_root(root: Root, roles: Mapping[str, RoleKeys]) -> None:
    for role in TOP_ROLES:
        for key in roles[role].keys:
            root.add_key(key, role)
        root.roles[role].threshold = roles[role].threshold


def _delegate(channels: RoleKeys) -> Delegations:
    role = DelegatedRole(
        CHANNELS,
        [key.keyid for key in channels.keys],
        channels.threshold,
        terminating=True,
        paths=[f"{CHANNELS}/*"],
    )
    return Delegations({key.keyid: key for key in channels.keys}, {CHANNELS: role})


def _in_words(left: timedelta) -> str:
    return f"{left.days} days" if left.days > 1 else f"{int(left.total_seconds() // 3600)} hours"
