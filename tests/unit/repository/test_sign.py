"""Where keys come from, and signatures on commits."""

import base64

import pytest

from cosgen.errors import VerificationError
from cosgen.repository.rules_luet import RULES
from cosgen.repository.sign import (
    CommitSigner,
    CommitVerifier,
    KeySources,
    Signature,
    generate_key,
    load_key,
    load_keys,
    private_pem,
)

KEY = generate_key()
PEM = private_pem(KEY)


def sources(**environment: str) -> KeySources:
    files = {"k.pem": PEM, "junk": b"junk"}

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    return KeySources(environment, read)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("file:k.pem", ""),
        ("env:KEY", PEM.decode()),
        ("env:KEY", PEM.decode().replace("\n", "\\n")),
        ("env:KEY", base64.b64encode(PEM).decode()),
        ("env:KEY", base64.encodebytes(PEM).decode()),
    ],
)
def test_a_key_is_found_in_every_form_that_ci_keeps(source: str, value: str) -> None:
    assert load_key(source, sources(KEY=value)).public_key == KEY.public_key


def test_an_encrypted_key_asks_for_its_password() -> None:
    locked = base64.b64encode(private_pem(KEY, "secret")).decode()
    with pytest.raises(VerificationError, match="is encrypted"):
        load_key("env:KEY", sources(KEY=locked))
    with pytest.raises(VerificationError, match="holds no private key"):
        load_key("env:KEY", sources(KEY=locked, COSGEN_KEY_PASSWORD="wrong"))
    found = load_key("env:KEY", sources(KEY=locked, COSGEN_KEY_PASSWORD="secret"))
    assert found.public_key == KEY.public_key


def test_all_sources_without_a_key_are_told_at_once_and_no_secret_is_shown() -> None:
    names = ["file:none", "env:NONE", "file:junk", "env:BAD", "kms:1", "k.pem"]
    with pytest.raises(VerificationError) as caught:
        load_keys(names, sources(BAD="s3cr3t!"))
    assert len(caught.value.problems) == len(names)
    assert "s3cr3t" not in str(caught.value)
    assert {problem.id for problem in caught.value.problems} <= RULES.keys()


def test_a_commit_is_verified_by_the_key_that_signed_it() -> None:
    signature = CommitSigner(KEY).sign(b"commit")
    assert signature == CommitSigner(KEY).sign(b"commit")
    verifier = CommitVerifier({KEY.public_key.keyid: KEY.public_key})
    verifier.verify(b"commit", signature, "commit 1")
    with pytest.raises(VerificationError, match="does not fit its bytes"):
        verifier.verify(b"other", signature, "commit 1")
    with pytest.raises(VerificationError, match="never trusted"):
        verifier.verify(b"commit", Signature("0" * 64, signature.value), "commit 1")
