"""Keys: where they come from, and signatures on commits of the log.

A private key is named by its source: `file:PATH`; `env:NAME` for a variable that holds one; or `awskms:KEY`
for a key that never leaves AWS KMS. Files and variables hold ed25519, ECDSA or RSA keys in PEM, variables too
their base64 (CI systems mangle line breaks) or an `awskms:` source. Nothing here prints a private key.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cosgen.errors import Problem, VerificationError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Key, Signer

PASSWORD_VARIABLE = "COSGEN_KEY_PASSWORD"  # noqa: S105  # the name of a variable
KMS = "awskms"
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


def sign_all(payload: bytes, keys: "Iterable[Signer]") -> tuple[Signature, ...]:
    """Sign exact bytes with some keys, in the order of their ids; ed25519 gives the same bytes each time.

    Raises:
        VerificationError: A key cannot be used: the service that has it refuses.
    """
    signatures: list[Signature] = []
    for key in sorted(keys, key=lambda item: str(item.public_key.keyid)):
        try:
            made = key.sign(payload)
        except Exception as error:  # each key service has errors of its own
            raise VerificationError(cannot_sign(key.public_key.keyid, error)) from error
        signatures.append(Signature(made.keyid, made.signature))
    return tuple(signatures)


@dataclass(frozen=True, slots=True)
class CommitVerifier:
    """Checks commits against the keys that may sign them."""

    keys: "Mapping[str, Key]"  # by key id
    threshold: int = 1  # how many of them must have signed

    def verify(self, payload: bytes, signatures: Sequence[Signature], what: str) -> None:
        """Check the signatures over some bytes.

        Args:
            payload: The exact bytes that were signed.
            signatures: As stored.
            what: What is checked, for the error ("commit 42").

        Raises:
            VerificationError: Too few of the keys signed it, or a signature does not fit.
        """
        if not signatures:
            raise VerificationError(unsigned(what))
        known = {item.keyid: item for item in signatures if item.keyid in self.keys}
        for signature in known.values():
            self._check(payload, signature, what)
        if len(known) < self.threshold:
            who = ", ".join(sorted(item.keyid[:12] for item in signatures))
            _refuse(what, f"{len(known)} of {self.threshold} trusted keys signed it; signed by {who}")

    def _check(self, payload: bytes, signature: Signature, what: str) -> None:
        from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError as Failed  # noqa: PLC0415, I001  # slow to import
        from securesystemslib.signer import Signature as Signed  # noqa: PLC0415  # slow to import

        try:
            self.keys[signature.keyid].verify_signature(Signed(signature.keyid, signature.value), payload)
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


def public_pem(key: "Key") -> bytes:
    """Return a public key as PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # slow to import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    held = str(key.keyval["public"])
    if held.startswith(_PEM_START):
        return held.strip().encode() + b"\n"
    # TUF has the bare 32 bytes of an ed25519 key, in hex.
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(held)).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_public_key(path: str, where: KeySources) -> "Key":
    """Load a public key from a PEM file; its id is that of the private key.

    Raises:
        VerificationError: There is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # slow to import
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    from securesystemslib.signer import SSlibKey  # noqa: PLC0415

    pem = _file(path, where)
    try:
        return SSlibKey.from_crypto(load_pem_public_key(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = Problem(
            what=f"{path} holds no public key that can verify",
            fix="give a PEM file of a public key: `cosgen key public SOURCE` prints it",
            id="CG560",
        )
        raise VerificationError(problem) from error


def load_keys(sources: Iterable[str], where: KeySources) -> tuple["Signer", ...]:
    """Load the keys that some sources name.

    Raises:
        VerificationError: With one problem for each source that gives no key.
    """
    keys: list[Signer] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            keys.append(load_key(source, where))
        except VerificationError as error:
            problems.extend(error.problems)
    if problems:
        raise VerificationError(*problems)
    return tuple(keys)


def load_key(source: str, where: KeySources) -> "Signer":
    """Load one private key.

    Args:
        source: `file:PATH`, `env:NAME` or `awskms:KEY`.
        where: Environment and file reading.

    Raises:
        VerificationError: There is no key there, or it cannot be read.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # slow to import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    scheme, _, place = source.partition(":")
    held = where.environment.get(place, "").strip() if scheme == "env" else source
    if held.startswith(f"{KMS}:"):
        return _kms_key(held)
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
        return _file(place, where)
    if scheme == "env" and place:
        return _pem_of_variable(place, where.environment)
    problem = Problem(
        what=f"{source!r} does not name a key",
        fix="write file:PATH, env:NAME for a variable that holds the PEM or its base64, or awskms:KEY",
        id="CG562",
    )
    raise VerificationError(problem)


def _file(path: str, where: KeySources) -> bytes:
    try:
        return where.read(path)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        fix = "check the path, or make a key with `cosgen key new`"
        raise VerificationError(Problem(what=f"key file {path}: {reason}", fix=fix, id="CG561")) from error


def _kms_key(source: str) -> "Signer":
    from securesystemslib.signer import AWSSigner  # noqa: PLC0415  # slow to import

    try:
        uri, key = AWSSigner.import_(source.removeprefix(f"{KMS}:"))
        return AWSSigner.from_priv_key_uri(uri, key)
    except Exception as error:  # the service has dozens of errors of its own
        problem = Problem(
            what=f"{source}: {error}",
            fix="check its name, AWS_DEFAULT_REGION and the credentials (kms:GetPublicKey, kms:Sign)",
            id="CG561",
        )
        raise VerificationError(problem) from error


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


def unsigned(what: str) -> Problem:
    """Say that something carries no signature though it should."""
    return Problem(
        what=f"{what} is not signed",
        fix="do not use it: somebody without the key wrote it; or, if it is yours and from before there were "
        "keys: `cosgen key refresh --adopt`",
        id="CG515",
    )


def cannot_sign(keyid: str, error: Exception) -> Problem:
    """Say that a key at hand could not be used."""
    return Problem(
        what=f"the key {keyid[:12]} does not sign: {error.__cause__ or error}",
        fix="look whether its service answers and allows signing; nothing was committed",
        id="CG574",
    )


def _refuse(what: str, why: str, cause: Exception | None = None) -> NoReturn:
    problem = Problem(
        what=f"{what} cannot be trusted: {why}",
        fix="do not use this repository until its owner has explained it; `cosgen repo fsck` tells more",
        id="CG563",
    )
    raise VerificationError(problem) from cause
