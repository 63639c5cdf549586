"""Keys: where they come from, and signatures on commits of the log.

A key is an ed25519, ECDSA or RSA private key in PEM, named by its source: `file:PATH`, or `env:NAME` for a
variable that holds the PEM itself or its base64 (CI systems mangle line breaks). Nothing here prints a key.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cosgen.errors import Problem, VerificationError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key

PASSWORD_VARIABLE = "COSGEN_KEY_PASSWORD"  # noqa: S105  # the name of a variable
_PEM_START = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class KeySources:
    """What key sources are resolved with: the environment, and how a file is read."""

    environment: Mapping[str, str]
    read: Callable[[str], bytes]  # raises OSError


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed some bytes, and the signature in hex."""

    keyid: str
    value: str

    def to_json(self) -> dict[str, str]:
        """Return the signature as it stands in a commit entry."""
        return {"keyid": self.keyid, "sig": self.value}


@dataclass(frozen=True, slots=True)
class CommitSigner:
    """Signs commits of the log with the key of the `channels` role."""

    key: "CryptoSigner"

    @property
    def keyid(self) -> str:
        """Public name of the key: a digest of its public half."""
        return str(self.key.public_key.keyid)

    def sign(self, payload: bytes) -> Signature:
        """Sign exact bytes; with ed25519 the same bytes give the same signature."""
        signature = self.key.sign(payload)
        return Signature(signature.keyid, signature.signature)


@dataclass(frozen=True, slots=True)
class CommitVerifier:
    """Checks commits against the keys the `channels` role has, or once had."""

    keys: Mapping[str, "Key"]  # by key id

    def verify(self, payload: bytes, signature: Signature, what: str) -> None:
        """Check a signature.

        Args:
            payload: The exact bytes that were signed.
            signature: As stored.
            what: What is checked, for the error ("commit 42").

        Raises:
            VerificationError: The key is unknown or the signature does not fit.
        """
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError as Failed  # noqa: PLC0415, I001  # slow to import
        from securesystemslib.signer import Signature as Signed  # noqa: PLC0415  # slow to import

        key = self.keys.get(signature.keyid)
        if key is None:
            _refuse(what, f"it is signed by key {signature.keyid[:12]}, which this repository never trusted")
        try:
            key.verify_signature(Signed(signature.keyid, signature.value), payload)
        except (UnverifiedSignatureError, Failed) as error:
            _refuse(what, f"its signature by key {signature.keyid[:12]} does not fit its bytes", error)


def generate_key() -> "CryptoSigner":
    """Make a new ed25519 key."""
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415  # slow to import

    return CryptoSigner.generate_ed25519()


def private_pem(key: "CryptoSigner", password: str = "") -> bytes:
    """Return the private half as PKCS #8 PEM, encrypted when a password is given."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # slow to import

    if not password:
        return bytes(key.private_bytes)
    private = serialization.load_pem_private_key(key.private_bytes, None)
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )


def load_keys(sources: Iterable[str], where: KeySources) -> tuple["CryptoSigner", ...]:
    """Load the keys that some sources name.

    Raises:
        VerificationError: With one problem for each source that gives no key.
    """
    keys: list[CryptoSigner] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            keys.append(load_key(source, where))
        except VerificationError as error:
            problems.extend(error.problems)
    if problems:
        raise VerificationError(*problems)
    return tuple(keys)


def load_key(source: str, where: KeySources) -> "CryptoSigner":
    """Load one private key.

    Args:
        source: `file:PATH` or `env:NAME`.
        where: Environment and file reading.

    Raises:
        VerificationError: There is no key there, or it cannot be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # slow to import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    pem = _pem(source, where)
    password = where.environment.get(PASSWORD_VARIABLE, "").encode() if b"ENCRYPTED" in pem else None
    if password == b"":
        fix = f"set {PASSWORD_VARIABLE} to its password"
        raise VerificationError(Problem(what=f"the key {source} is encrypted", fix=fix, id="CG560"))
    try:
        return CryptoSigner(load_pem_private_key(pem, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = Problem(
            what=f"{source} holds no private key that can sign",
            fix="give a PEM file of an ed25519, ECDSA or RSA private key, and the right password",
            id="CG560",
        )
        raise VerificationError(problem) from error


def _pem(source: str, where: KeySources) -> bytes:
    scheme, _, place = source.partition(":")
    if scheme == "file" and place:
        try:
            return where.read(place)
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            fix = "check the path, or make a key with `cosgen key new`"
            problem = Problem(what=f"key file {place}: {reason}", fix=fix, id="CG561")
            raise VerificationError(problem) from error
    if scheme == "env" and place:
        return _pem_of_variable(place, where.environment)
    problem = Problem(
        what=f"{source!r} does not name a key",
        fix="write file:PATH, or env:NAME for a variable that holds the PEM or its base64",
        id="CG562",
    )
    raise VerificationError(problem)


def _pem_of_variable(name: str, environment: Mapping[str, str]) -> bytes:
    text = environment.get(name, "").strip()
    if not text:
        problem = Problem(
            what=f"the variable {name} is not set, or empty",
            fix=f"give the job the secret {name}; secrets do not reach pull requests from forks",
            id="CG561",
        )
        raise VerificationError(problem)
    if text.startswith(_PEM_START):
        return text.replace("\\n", "\n").encode() + b"\n"
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        problem = Problem(
            what=f"the variable {name} holds neither PEM nor base64 of it",
            fix=f"set it to the output of: base64 -w0 KEY.pem (it has {len(text)} characters now)",
            id="CG560",
        )
        raise VerificationError(problem) from error


def _refuse(what: str, why: str, cause: Exception | None = None) -> NoReturn:
    problem = Problem(
        what=f"{what} cannot be trusted: {why}",
        fix="do not use this repository until its owner has explained it; `cosgen repo fsck` tells more",
        id="CG563",
    )
    raise VerificationError(problem) from cause
