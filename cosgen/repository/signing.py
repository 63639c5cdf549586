"""Connects signing with a session: commits are signed, and TUF follows each of them before the views do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cosgen.errors import Problem, VerificationError
from cosgen.repository.commit import Change, append, make_commit, read_tail
from cosgen.repository.log import Commit
from cosgen.repository.session import Session
from cosgen.repository.sign import CommitSigner, KeySources, load_keys
from cosgen.repository.views import roll_forward

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


def sign_with(session: Session, sources: Sequence[str], where: KeySources) -> Session:
    """Return a session that signs with the online keys that some sources name.

    Raises:
        VerificationError: A source gives no key.
    """
    keys = load_keys(sources, where)
    return with_keys(session, keys) if keys else session


def with_keys(session: Session, keys: "tuple[CryptoSigner, ...]") -> Session:
    """Return a session that signs with some keys."""

    def sign(session: Session, commit: Commit) -> None:
        from cosgen.repository.tuf import OnlineKeys  # noqa: PLC0415  # slow to import
        from cosgen.repository.tuf_publish import publish_tuf  # noqa: PLC0415

        publish_tuf(session, commit, OnlineKeys(channels=keys, snapshot=keys, timestamp=keys))

    return replace(session, signer=CommitSigner(keys[0]), after_commit=sign)


def refresh(session: Session) -> Commit:
    """Sign everything online again with a commit that changes nothing else, so that nothing expires.

    Raises:
        VerificationError: There is nothing published, or no key to sign with.
    """
    if session.after_commit is None:
        problem = Problem(
            what="there is no key to sign with",
            fix="set COSGEN_SIGNING_KEY, or give --key file:PATH",
            id="CG569",
        )
        raise VerificationError(problem)
    while True:
        tail = read_tail(session)
        if tail.commit.seq < 0:
            fix = "publish something first; it is signed then"
            raise VerificationError(Problem(what="the repository is empty", fix=fix, id="CG569"))
        tail = roll_forward(session, tail)
        change = Change(op="refresh", state=tail.state, txn=session.new_txn(), details={})
        commit = make_commit(session, tail, change)
        if append(session, commit):
            roll_forward(session, replace(tail, commit=commit))
            return commit
