"""Signs what a session writes, and checks who wrote what it reads.

A commit is sealed before it is written: the keys at hand, the roles of the repository, what the project pins
and every expiry are looked at, and the TUF files are made in memory. So a key that may not sign stops a
command while the channel is as it was. After the commit the files are uploaded, then the timestamp moves, and
then the views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cosgen.errors import Problem, Severity, VerificationError
from cosgen.repository import pool
from cosgen.repository.codec import mapping
from cosgen.repository.commit import Change, Tail, append, make_commit, read_tail
from cosgen.repository.log import Commit, State, TrustFiles
from cosgen.repository.pins import LIFETIMES_SETTING, NO_PINS, Pins, check_roles_pinned, lifetimes_of
from cosgen.repository.session import Followed, Session
from cosgen.repository.sign import CommitVerifier, sign_all, unsigned
from cosgen.repository.views import roll_forward

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signature, Signer

    from cosgen.repository.tuf import RoleKeys, Trust
    from cosgen.repository.tuf_publish import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """The guard of a session; looks for root and targets at most once for each commit."""

    keys: "tuple[Signer, ...]" = ()  # private keys at hand
    pins: Pins = NO_PINS
    adopt: bool = False  # take a commit that nobody signed as ours, and sign what follows
    tell: Callable[[str], None] = lambda _: None  # told once when nothing is signed
    following: "Trust | None" = None  # what is about to be put in place; see rotation.py
    _found: dict[int, TrustFiles | None] = field(default_factory=dict, repr=False)  # by number of the commit
    _made: "dict[str, tuple[Trust, Files]]" = field(
        default_factory=dict, repr=False
    )  # by digest of the commit
    _told: list[str] = field(default_factory=list, repr=False)

    def verify(self, session: Session, tail: Tail) -> None:
        """Check who signed the newest commit; those before it are covered by the chain."""
        commit = tail.commit
        what = f"{session.store.url}: commit {commit.seq}"
        allowed = self._allowed(session, tail)
        if allowed is None:
            if self.pins.demand and not self.adopt:
                raise VerificationError(unsigned(what))
            self._tell_unsigned(session)
            return
        if self.adopt and not commit.signatures:
            return
        verifier = CommitVerifier({key.keyid: key for key in allowed[0]}, allowed[1])
        verifier.verify(commit.payload(), commit.signatures, what)

    def seal(self, session: Session, tail: Tail, commit: Commit) -> Commit:
        """Sign a commit and make its TUF files, or say why that cannot be; nothing is written."""
        trust = self.trust(session, tail, commit.state)
        if not self.keys:
            if trust is not None or self.pins.demand:
                raise VerificationError(_no_key(session.store.url))
            return commit
        keys = self._pinned_keys()
        if trust is None:
            return commit.signed(sign_all(commit.payload(), keys))
        from cosgen.repository.tuf import owned  # noqa: PLC0415  # slow to import
        from cosgen.repository.tuf_publish import derive_tuf  # noqa: PLC0415

        _check_fresh(trust, commit.time)
        sealed = commit.signed(sign_all(commit.payload(), owned(keys, _roles(trust)["channels"].keys)))
        self._made[sealed.digest] = (trust, derive_tuf(sealed, trust, self.keys))
        return sealed

    def follow(self, session: Session, tail: Tail) -> Followed:
        """Upload the TUF files of the newest commit, also when somebody died over them."""
        trust, files = self._made.get(tail.commit.digest, (None, None))
        trust = trust or self.trust(session, tail)
        if trust is None:
            return Followed(None)
        if not self.keys:
            raise VerificationError(_no_key(session.store.url))
        from cosgen.repository.tuf_publish import Known, publish_tuf  # noqa: PLC0415  # slow to import

        hint = tail.hint
        known = Known()
        if hint is not None and hint.trust is not None and pool.TIMESTAMP in hint.views:
            known = Known(seq=hint.commit.seq, etag=hint.views[pool.TIMESTAMP])
        etag = publish_tuf(session, tail.commit, trust, self.keys, files=files, known=known)
        return Followed(TrustFiles(trust.following or trust.root, trust.targets), etag)

    def trust(self, session: Session, tail: Tail, state: State | None = None) -> "Trust | None":
        """Return root and targets as they are at a commit, verified; None when the repository has none.

        Args:
            session: The repository.
            tail: The commit.
            state: Where it is said how long signatures hold; None for the state of the commit.
        """
        if self.following is not None:
            return self.following
        files = self.files(session, tail)
        if files is None:
            return None
        from cosgen.repository.tuf import LIFETIMES, Trust  # noqa: PLC0415  # slow to import

        days = mapping((state or tail.state).settings.get(LIFETIMES_SETTING, {}))
        trust = Trust(root=files.root, targets=files.targets, lifetimes=lifetimes_of(days, LIFETIMES))
        check_trust(trust, self.pins)
        return trust

    def files(self, session: Session, tail: Tail) -> TrustFiles | None:
        """Return the newest root and targets: those of the hint while it names the newest commit."""
        hint, seq = tail.hint, tail.commit.seq
        if hint is not None and hint.looked and hint.commit.seq == seq:
            return hint.trust
        if seq not in self._found:
            self._found[seq] = _look(session, hint.trust if hint else None)
        return self._found[seq]

    def with_days(self, state: State) -> State:
        """Return a state that says how long signatures hold, as the project does."""
        if not self.pins.days:
            return state
        return replace(state, settings={**state.settings, LIFETIMES_SETTING: dict(self.pins.days)})

    def _allowed(self, session: Session, tail: Tail) -> "tuple[tuple[Key, ...], int] | None":
        if self.pins.channels.keys:
            return self.pins.channels.keys, self.pins.channels.threshold
        trust = replace(self, following=None).trust(session, tail)
        if trust is None:
            return None
        roles = _roles(trust)["channels"]
        return roles.keys, roles.threshold

    def _pinned_keys(self) -> "tuple[Signer, ...]":
        pin = self.pins.channels
        usable = tuple(key for key in self.keys if not pin.keys or key.public_key.keyid in pin.ids)
        if pin.keys and len(usable) < pin.threshold:
            have = ", ".join(key.public_key.keyid[:12] for key in self.keys)
            raise VerificationError(_pinned(f"the key at hand ({have}) is none of `signing.channels.keys`"))
        return usable

    def _tell_unsigned(self, session: Session) -> None:
        if not self._told:
            self._told.append(session.store.url)
            self.tell(f"{session.store.url} is not signed: nothing proves who wrote it")


def check_trust(trust: "Trust", pins: Pins) -> None:
    """Check root and targets: against themselves, and against what the project pins.

    Raises:
        VerificationError: They are not signed as they must be, or have other keys.
    """
    from cosgen.repository.tuf import parse, role_keys, verify_role  # noqa: PLC0415  # slow to import

    root = trust.roots()[0]
    verify_role(root, "root", trust.root)
    verify_role(root, "targets", trust.targets)
    check_roles_pinned(pins, {"targets": role_keys(root, "targets"), **_roles(trust)}, _pinned)
    if pins.root.keys:
        metadata = parse(trust.root)
        good = {
            key.keyid
            for key in pins.root.keys
            if key.keyid in metadata.signatures
            and _fits(key, metadata.signatures[key.keyid], metadata.signed_bytes)
        }
        if len(good) < pins.root.threshold:
            short = f"{len(good)} of the keys in `signing.root.keys` signed root {root.version}"
            raise VerificationError(_pinned(f"{short}, and {pins.root.threshold} must"))


def refresh(session: Session) -> Commit:
    """Sign everything online again with a commit that changes nothing else, so that nothing expires.

    Raises:
        VerificationError: There is nothing published, or no key to sign with.
    """
    guard = session.guard
    if not isinstance(guard, Signatures) or not guard.keys:
        raise VerificationError(
            Problem(
                what="there is no key to sign with",
                fix="set COSGEN_SIGNING_KEY, or give --key file:PATH",
                id="CG569",
            )
        )
    while True:
        tail = read_tail(session)
        if tail.commit.seq < 0:
            fix = "publish something first; it is signed then"
            raise VerificationError(Problem(what="the repository is empty", fix=fix, id="CG569"))
        state = guard.with_days(tail.state)
        change = Change(op="refresh", state=state, txn=session.new_txn(), details={})
        commit = make_commit(session, tail, change)
        if append(session, commit):
            roll_forward(session, replace(tail, commit=commit))
            return commit


def _look(session: Session, base: TrustFiles | None) -> TrustFiles | None:
    from cosgen.repository.tuf_publish import find_trust  # noqa: PLC0415  # slow to import

    return find_trust(session.patient, base)


def _roles(trust: "Trust") -> "Mapping[str, RoleKeys]":
    from tuf.api.metadata import Targets  # noqa: PLC0415  # slow to import

    from cosgen.repository.tuf import CHANNELS, load, role_keys  # noqa: PLC0415

    return {CHANNELS: role_keys(load(trust.targets, Targets), CHANNELS)}


def _check_fresh(trust: "Trust", now: int) -> None:
    from cosgen.repository.tuf_trust import expiries  # noqa: PLC0415  # slow to import

    at = datetime.fromtimestamp(now, UTC)
    found = [
        item.problem(at, trust.lifetimes) for item in expiries((trust.following or trust.root, trust.targets))
    ]
    expired = [problem for problem in found if problem is not None and problem.severity is Severity.ERROR]
    if expired:
        raise VerificationError(*expired)


def _fits(key: "Key", signature: "Signature", payload: bytes) -> bool:
    from securesystemslib.exceptions import UnverifiedSignatureError  # noqa: PLC0415  # slow to import

    try:
        key.verify_signature(signature, payload)
    except UnverifiedSignatureError:
        return False
    return True


def _no_key(url: str) -> Problem:
    return Problem(
        what=f"{url} is signed, or must be, and there is no key at hand",
        fix="give the job the secret COSGEN_SIGNING_KEY; nothing was written",
        id="CG575",
    )


def _pinned(what: str) -> Problem:
    return Problem(
        what=f"the keys are not those that the project trusts: {what}",
        fix="use the right key, or change `signing` in cosgen.yaml together with the rotation",
        id="CG576",
    )
