"""What the signatures of channels are worth: each is followed as a verifying client follows it.

The first root of trust comes from the repository itself, unless the project pins keys (then all that was read
was checked against those). So "verified" means: signed by the keys of this root, fresh, and saying what the
log says. Whether the root is the right one is for readers to compare: its digest is told.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosgen.errors import PublishError, VerificationError
from cosgen.repository.codec import DecodeError, mapping
from cosgen.repository.reader import Repository
from cosgen.repository.signing import Signatures
from cosgen.storage.port import StoreError

FIRST_ROOT = "tuf/1.root.json"


@dataclass(frozen=True, slots=True)
class ChannelSignature:
    """The state of one channel's signature."""

    state: str  # "verified", "signed", "unsigned", "expired" or "wrong"
    note: str = ""
    root: str = ""  # "sha256:" + 64 hex of the first root; "" when there is none


def check_signatures(repository: Repository) -> Mapping[str, ChannelSignature]:
    """Check the signature of every channel.

    Raises:
        StoreError: The store does not answer, which says nothing about a signature.
    """
    channels = repository.channels()
    root = repository.session.patient.get(FIRST_ROOT)
    if root is None:
        return dict.fromkeys(channels, _of_log(repository))
    digest = f"sha256:{hashlib.sha256(root.data).hexdigest()}"
    with tempfile.TemporaryDirectory(prefix="cosgen-tuf-") as scratch:
        return {
            name: ChannelSignature(*_follow(repository, name, Path(scratch), root.data), digest)
            for name in channels
        }


def _of_log(repository: Repository) -> ChannelSignature:
    """Tell what the signatures of the log are worth where no root of trust is published."""
    guard = repository.session.guard
    if not repository.commit.signatures:
        return ChannelSignature("unsigned")
    if isinstance(guard, Signatures) and guard.pins.channels.keys:
        return ChannelSignature(
            "verified", "the log, by the keys that the project names; there is no TUF root"
        )
    return ChannelSignature("signed", "by keys that nothing published vouches for")


def _follow(repository: Repository, name: str, state: Path, root: bytes) -> tuple[str, str]:
    from cosgen.repository.mirror import read_channel  # noqa: PLC0415  # TUF is slow to import

    try:
        document = read_channel(repository.session.patient, name, state, root)
        signed = str(mapping(document.get("snapshot")).get("digest"))
    except VerificationError as error:
        return _failure(error)
    except DecodeError as error:
        return "wrong", str(error)
    except StoreError:
        raise
    except PublishError:
        return "unsigned", "it is not among the channels that are signed"
    if signed != repository.channel(name).snapshot.digest:
        return "wrong", f"what is signed is another snapshot than the log's, {signed[7:19]}"
    return "verified", ""


def _failure(error: VerificationError) -> tuple[str, str]:
    """Return the state that a failed check stands for; a store that did not answer is no state."""
    from tuf.api.exceptions import ExpiredMetadataError  # noqa: PLC0415  # TUF is slow to import

    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, StoreError):
            raise cause
    expired = any(isinstance(cause, ExpiredMetadataError) for cause in causes)
    return ("expired" if expired else "wrong"), str(causes[-1])


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
