"""Where keys come from, and signatures on commits."""

import base64
import hashlib

import boto3
import moto
import pytest

from cosgen.errors import VerificationError
from cosgen.repository.rules_luet import RULES
from cosgen.repository.sign import (
    CommitVerifier,
    KeySources,
    Signature,
    generate_key,
    load_key,
    load_keys,
    load_public_key,
    private_pem,
    public_pem,
    sign_all,
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
    signed = sign_all(b"commit", [KEY])
    assert signed == sign_all(b"commit", [KEY])
    verifier = CommitVerifier({KEY.public_key.keyid: KEY.public_key})
    verifier.verify(b"commit", signed, "commit 1")
    with pytest.raises(VerificationError, match="does not fit its bytes"):
        verifier.verify(b"other", signed, "commit 1")
    with pytest.raises(VerificationError, match="0 of 1 trusted keys signed it"):
        verifier.verify(b"commit", [Signature("0" * 64, signed[0].value)], "commit 1")
    with pytest.raises(VerificationError, match="commit 1 is not signed"):
        verifier.verify(b"commit", [], "commit 1")


def test_a_threshold_counts_different_keys() -> None:
    other = generate_key()
    keys = {key.public_key.keyid: key.public_key for key in (KEY, other)}
    verifier = CommitVerifier(keys, 2)
    verifier.verify(b"commit", sign_all(b"commit", [KEY, other]), "commit 1")
    with pytest.raises(VerificationError, match="1 of 2 trusted keys signed it"):
        verifier.verify(b"commit", sign_all(b"commit", [KEY, KEY]), "commit 1")


def test_a_public_key_read_from_a_file_is_the_private_keys_own() -> None:
    where = KeySources({}, lambda _: public_pem(KEY.public_key))
    assert load_public_key("online.pub", where) == KEY.public_key
    with pytest.raises(VerificationError, match="holds no public key"):
        load_public_key("online.pem", KeySources({}, lambda _: private_pem(KEY)))


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_a_key_in_aws_kms_signs_without_leaving_it(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with moto.mock_aws():
        kms = boto3.client("kms", "eu-west-1")
        made = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["KeyId"]
        key = load_key("env:COSGEN_SIGNING_KEY", sources(COSGEN_SIGNING_KEY=f"awskms:{made}"))
        found = load_public_key("kms.pub", KeySources({}, lambda _: public_pem(key.public_key)))
        assert found == key.public_key
        # AWS signs the digest it is sent; moto hashes it once more, so that is what it signed.
        sent = hashlib.sha256(b"commit").digest()
        CommitVerifier({found.keyid: found}).verify(sent, sign_all(b"commit", [key]), "commit 1")
        with pytest.raises(VerificationError, match="awskms:no-such-key"):
            load_key("awskms:no-such-key", sources())
