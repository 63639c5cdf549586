"""What must not ship in an operating system image: secrets, and traces of the machine it was made on."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cosgen.errors import Problem

_WINDOW = 256  # bytes carried over between chunks, longer than any pattern's shortest match


class ChangeKind(StrEnum):
    """How a path of a container differs from its image."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One path that differs from the image; `path` is absolute, `hits` comes from `scan_content`."""

    path: str
    kind: ChangeKind
    size: int = 0  # bytes, 0 for what is not a regular file
    hits: tuple[str, ...] = ()  # ids of the content rules that a regular file's bytes match


@dataclass(frozen=True, slots=True)
class Finding:
    """A change that should not ship, and why."""

    path: str
    id: str
    why: str
    fix: str

    def to_problem(self) -> Problem:
        """Tell the finding as a problem."""
        return Problem(what=f"{readable(self.path)}: {self.why}", fix=self.fix, id=self.id)


@dataclass(frozen=True, slots=True)
class _PathRule:
    id: str
    patterns: tuple[str, ...]  # shell patterns over the absolute path; `*` also matches "/"
    why: str
    fix: str
    empty_is_fine: bool = False


@dataclass(frozen=True, slots=True)
class _ContentRule:
    id: str
    pattern: re.Pattern[bytes]
    why: str
    fix: str


_REMOVE = "remove it in the container before the commit, or keep it with --allow PATTERN"

# Order: what is worst first. A path is reported once, by the first rule that knows it.
PATH_RULES: tuple[_PathRule, ...] = (
    _PathRule(
        "CG660",
        ("/etc/ssh/ssh_host_*_key", "/etc/dropbear/*_key"),
        "an SSH host key: every machine would have the same one",
        _REMOVE,
    ),
    _PathRule(
        "CG661",
        (
            "*/.ssh/id_*[!b]",
            "*/.aws/credentials",
            "*/.docker/config.json",
            "*/.netrc",
            "*/.kube/config",
            "*/.git-credentials",
            "*/.config/gcloud/*",
            "*/.azure/*",
            "*/.gnupg/private-keys-v1.d/*",
            "*/.pypirc",
            "*/.npmrc",
            "*/.vault-token",
            "*/.cargo/credentials*",
            "*/.config/gh/hosts.yml",
            "*/.config/containers/auth.json",
            "*/.terraform.d/credentials*",
            "*/.my.cnf",
            "*/.pgpass",
            "*.keytab",
            "/etc/wireguard/*",
            "/etc/NetworkManager/system-connections/*",
        ),
        "a file where credentials are kept",
        _REMOVE,
    ),
    _PathRule(
        "CG662",
        ("/etc/machine-id", "/var/lib/dbus/machine-id"),
        "the identity of one machine",
        "make it empty (`: > /etc/machine-id`): it is then made anew at first boot",
        empty_is_fine=True,
    ),
    _PathRule(
        "CG663",
        (
            "*/.bash_history",
            "*/.ash_history",
            "*/.zsh_history",
            "*/.python_history",
            "*/.node_repl_history",
            "*/.psql_history",
            "*/.mysql_history",
            "*/.sqlite_history",
            "*/.local/share/fish/fish_history",
            "*/.lesshst",
            "*/.viminfo",
        ),
        "the history of somebody's shell or editor",
        _REMOVE,
    ),
    _PathRule(
        "CG664",
        (
            "/var/cache/apt/archives/*.deb",
            "/var/cache/dnf/*",
            "/var/cache/zypp/*",
            "/var/cache/apk/*",
            "/var/cache/pacman/pkg/*",
            "/var/lib/apt/lists/*_*",
            "*/.cache/*",
        ),
        "a package manager's or program's cache",
        "clean it (`apt-get clean`, `zypper clean -a`, …), or keep it with --allow PATTERN",
    ),
    _PathRule("CG665", ("/tmp/*", "/var/tmp/*", "/run/*"), "a temporary file", _REMOVE),  # noqa: S108  # patterns, not files
    _PathRule(
        "CG666",
        ("/var/log/*",),
        "a log of the machine it was made on",
        "empty or remove it, or keep it with --allow PATTERN",
        empty_is_fine=True,
    ),
    _PathRule(
        "CG667",
        (
            "/var/lib/systemd/random-seed",
            "/var/lib/systemd/credential.secret",
            "/var/lib/urandom/random-seed",
            "/var/lib/NetworkManager/secret_key",
            "/var/lib/cloud/instance*",
            "/etc/udev/rules.d/70-persistent-*",
        ),
        "state that must be different on each machine",
        _REMOVE,
    ),
)

CONTENT_RULES: tuple[_ContentRule, ...] = (
    _ContentRule(
        "CG668",
        re.compile(rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
        "a private key",
        _REMOVE,
    ),
    _ContentRule(
        "CG669",
        re.compile(
            rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key id
            rb"|\bgh[pousr]_[A-Za-z0-9]{36,}\b"  # GitHub token
            rb"|\bgithub_pat_[A-Za-z0-9_]{40,}\b"
            rb"|\bglpat-[A-Za-z0-9_-]{20,}\b"  # GitLab token
            rb"|\bxox[abpr]-[A-Za-z0-9-]{20,}\b"  # Slack token
        ),
        "an access token",
        _REMOVE,
    ),
)


# A variable whose name says that its value is one to keep.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)(?:$|_)",
    re.IGNORECASE,
)
ENVIRONMENT_ID = "CG676"
ENVIRONMENT_WHY = "a variable that is named as a secret"
ENVIRONMENT_FIX = "make the container without it (a build needs no -e), or keep it with --allow env:NAME"


def check_environment(environment: Iterable[str], *, allow: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return which variables of a container should not ship, sorted by name.

    Args:
        environment: `NAME=value` each.
        allow: Shell patterns over `env:NAME` that the user vouches for.
    """
    pairs = [entry.partition("=")[::2] for entry in environment]
    wanted = [(name, value) for name, value in pairs if value and not _matches(f"env:{name}", allow)]
    return tuple(
        sorted((found for name, value in wanted for found in _secret_in(name, value)), key=lambda f: f.path)
    )


def _secret_in(name: str, value: str) -> Iterator[Finding]:
    hits = scan_content([value.encode("utf-8", "surrogateescape")])
    rule = next((rule for rule in CONTENT_RULES if rule.id in hits), None)
    if rule is not None:
        yield Finding(f"env:{name}", rule.id, rule.why, ENVIRONMENT_FIX)
    elif _SECRET_NAME.search(name):
        yield Finding(f"env:{name}", ENVIRONMENT_ID, ENVIRONMENT_WHY, ENVIRONMENT_FIX)


def check_changes(changes: Iterable[Change], *, allow: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return what among `changes` should not ship, sorted by path.

    Args:
        changes: What was added or changed; deletions are never findings.
        allow: Shell patterns over absolute paths that the user vouches for.
    """
    wanted = (
        change
        for change in changes
        if change.kind is not ChangeKind.DELETED and not _matches(change.path, allow)
    )
    return tuple(
        sorted((found for change in wanted for found in _findings(change)), key=lambda f: (f.path, f.id))
    )


def readable(path: str) -> str:
    r"""Return a path as it may be shown: what would steer a terminal is written as an escape.

    >>> readable("/etc/a\x1b[2J")
    '/etc/a\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def scan_content(chunks: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of the content rules that match a file, given in chunks of any size, sorted."""
    hits: set[str] = set()
    tail = b""
    for chunk in chunks:
        window = tail + chunk
        hits.update(rule.id for rule in CONTENT_RULES if rule.pattern.search(window))
        tail = window[-_WINDOW:]
    return tuple(sorted(hits))


def _findings(change: Change) -> Iterator[Finding]:
    for rule in PATH_RULES:
        if _matches(change.path, rule.patterns) and not (rule.empty_is_fine and change.size == 0):
            yield Finding(change.path, rule.id, rule.why, rule.fix)
            return
    for content_rule in CONTENT_RULES:
        if content_rule.id in change.hits:
            yield Finding(change.path, content_rule.id, content_rule.why, content_rule.fix)
            return


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
