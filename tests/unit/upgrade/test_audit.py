"""Unit tests for cosgen.upgrade.audit."""

import pytest

from cosgen.upgrade.audit import Change, ChangeKind, check_changes, scan_content

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def added(path: str, content: bytes = b"x") -> Change:
    return Change(path, ChangeKind.ADDED, len(content), scan_content([content]))


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        ("/etc/ssh/ssh_host_ed25519_key", "CG660"),
        ("/root/.ssh/id_rsa", "CG661"),
        ("/home/me/.aws/credentials", "CG661"),
        ("/etc/machine-id", "CG662"),
        ("/root/.bash_history", "CG663"),
        ("/var/cache/apt/archives/hello_1.deb", "CG664"),
        ("/tmp/x", "CG665"),
        ("/var/log/dpkg.log", "CG666"),
        ("/var/lib/systemd/random-seed", "CG667"),
    ],
)
def test_a_leftover_is_found_by_its_path(path: str, id_: str) -> None:
    assert [finding.id for finding in check_changes([added(path)])] == [id_]


@pytest.mark.parametrize(
    "path",
    ["/etc/ssh/ssh_host_ed25519_key.pub", "/root/.ssh/id_rsa.pub", "/usr/bin/app", "/tmp", "/etc/passwd"],
)
def test_what_may_ship_is_no_finding(path: str) -> None:
    assert check_changes([added(path)]) == ()


def test_a_planted_private_key_is_found_wherever_it_lies() -> None:
    findings = check_changes([added("/usr/share/doc/app/example.txt", b"x" * 100_000 + KEY)])
    assert [(finding.path, finding.id) for finding in findings] == [
        ("/usr/share/doc/app/example.txt", "CG668")
    ]


def test_a_key_across_two_chunks_is_found() -> None:
    content = b"y" * 1000 + KEY
    for cut in range(990, len(content)):
        assert scan_content([content[:cut], content[cut:]]) == ("CG668",)


def test_an_access_token_is_found() -> None:
    assert scan_content([b"token = AKIA" + b"ABCDEFGH12345678"]) == ("CG669",)


def test_an_empty_machine_id_may_ship() -> None:
    assert check_changes([added("/etc/machine-id", b"")]) == ()


def test_a_deleted_secret_is_no_finding() -> None:
    assert check_changes([Change("/root/.bash_history", ChangeKind.DELETED)]) == ()


def test_what_the_user_allows_may_ship() -> None:
    assert check_changes([added("/var/log/a"), added("/tmp/b")], allow=["/var/log/*", "/tmp/*"]) == ()
