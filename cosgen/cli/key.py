"""`cosgen key`: make and rotate signing keys, add signatures, refresh what expires."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen.cli.context import ProjectOptions, project_options, tell_problems
from cosgen.cli.store import open_session, storage_options
from cosgen.errors import Severity, VerificationError
from cosgen.repository.sign import PASSWORD_VARIABLE, KeySources, generate_key, load_keys, private_pem
from cosgen.repository.signing import refresh, sign_with

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from cosgen.repository.tuf import Trust

_KEY = click.option(
    "--key", "sources", multiple=True, metavar="SOURCE", help="file:PATH or env:NAME (repeatable)."
)
_OUTPUT = click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("keys"))


@click.group()
def command() -> None:
    """Make and rotate signing keys, refresh signatures."""


@command.command("new")
@_OUTPUT
@click.option("--root-keys", default=3, show_default=True, help="How many root keys, for as many holders.")
@click.option("--threshold", default=2, show_default=True, help="How many of them must sign.")
def new_keys(output: Path, root_keys: int, threshold: int) -> None:
    """Make all keys, the first root and targets; nothing is uploaded."""
    from cosgen.repository.tuf import TOP_ROLES, RoleKeys  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_trust import new_trust  # noqa: PLC0415

    root = [generate_key() for _ in range(root_keys)]
    targets, online = generate_key(), generate_key()
    roles = {role: RoleKeys((online.public_key,)) for role in (*TOP_ROLES, "channels")}
    roles["root"] = RoleKeys(tuple(key.public_key for key in root), threshold)
    roles["targets"] = RoleKeys((targets.public_key,))
    trust = new_trust(roles, [*root, targets], datetime.now(UTC))
    for number, key in enumerate(root, 1):
        _write_key(output / f"root-{number}.pem", key)
    _write_key(output / "targets.pem", targets)
    _write_key(output / "online.pem", online)
    _write_trust(output, trust)
    click.echo(
        f"give each root-N.pem to its holder and keep targets.pem offline\n"
        f"secret COSGEN_SIGNING_KEY of CI: base64 -w0 {output}/online.pem\n"
        f"then: cosgen key publish {output}/tuf/*.json",
        err=True,
    )


@command.command("publish")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@storage_options
@project_options
def publish_keys(
    files: tuple[Path, ...], *, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Upload a new root, new targets, or both, once enough holders have signed."""
    from cosgen.repository.tuf import Trust  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_publish import find_trust, publish_trust  # noqa: PLC0415
    from cosgen.repository.tuf_trust import missing_signatures  # noqa: PLC0415

    session = open_session(options, storage, single_writer=single_writer).session
    old = find_trust(session.patient)
    given = {path.name.split(".")[-2]: path.read_bytes() for path in files}
    root = given.get("root") or (old.root if old else None)
    targets = given.get("targets") or (old.targets if old else None)
    if root is None or targets is None:
        raise click.UsageError("the first time, give both the root and the targets")
    checks = ((root, old.root if old else root, "root"), (targets, root, "targets"))
    for data, judge, role in checks:
        if role in given and (missing := missing_signatures(data, judge)):
            raise click.ClickException(
                f"{role} lacks {missing} signatures: let holders run `cosgen key sign`"
            )
    for key in publish_trust(session, Trust(root=root, targets=targets)):
        click.echo(key)


@command.command("sign")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_KEY
def sign(file: Path, sources: tuple[str, ...]) -> None:
    """Add signatures to a root or targets that others made."""
    from cosgen.repository.tuf_trust import add_signatures  # noqa: PLC0415  # slow to import

    file.write_bytes(add_signatures(file.read_bytes(), _load(sources)))


@command.command("rotate")
@click.argument("role", type=click.Choice(["root", "targets", "online"]))
@click.option("--renew", is_flag=True, help="Keep the keys, only move the expiry.")
@click.option("--count", default=3, show_default=True, help="How many new root keys.")
@click.option("--threshold", default=2, show_default=True, help="How many of them must sign.")
@_KEY
@_OUTPUT
@storage_options
@project_options
def rotate(  # noqa: PLR0913  # one argument for each option
    role: str,
    *,
    renew: bool,
    count: int,
    threshold: int,
    sources: tuple[str, ...],
    output: Path,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Replace the keys of a role; writes the new keys and metadata, nothing is uploaded."""
    from cosgen.repository.tuf import RoleKeys, Trust  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_publish import find_trust  # noqa: PLC0415
    from cosgen.repository.tuf_trust import rotate_root, rotate_targets  # noqa: PLC0415

    trust = find_trust(open_session(options, storage, single_writer=single_writer).session.patient)
    if trust is None:
        raise click.ClickException(
            "the repository has no root yet: `cosgen key new`, then `cosgen key publish`"
        )
    keys, now = list(_load(sources)), datetime.now(UTC)
    fresh = [] if renew else [generate_key() for _ in range(count if role == "root" else 1)]
    public = RoleKeys(tuple(key.public_key for key in fresh), threshold if role == "root" else 1)
    for number, key in enumerate(fresh, 1):
        _write_key(output / (f"root-{number}.pem" if role == "root" else f"{role}.pem"), key)
    top = {"root": ("root",), "targets": ("targets",), "online": ("snapshot", "timestamp")}[role]
    root, targets = trust.root, trust.targets
    if role != "targets" or not renew:
        root = rotate_root(root, dict.fromkeys(top, public) if fresh else {}, [*keys, *fresh], now)
    if role != "root":
        channels = public if role == "online" and fresh else None
        signers = fresh if role == "targets" and fresh else keys
        targets = rotate_targets(targets, _those_of(signers, root), now, channels)
    _write_trust(output, Trust(root=root, targets=targets))


@command.command("refresh")
@_KEY
@storage_options
@project_options
def refresh_signatures(
    sources: tuple[str, ...], *, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Sign the expiring roles of the repository again; CI runs it every day."""
    session = open_session(options, storage, single_writer=single_writer).session
    commit = refresh(sign_with(session, sources, _where()) if sources else session)
    click.echo(f"commit {commit.seq}: signed again")
    _tell_expiry(options, storage)


@command.command("status")
@storage_options
@project_options
def status(*, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Show until when each role is valid; fails when one has expired."""
    del single_writer
    if _tell_expiry(options, storage):
        raise SystemExit(VerificationError.exit_code)


def _tell_expiry(options: ProjectOptions, storage: str) -> bool:
    from cosgen.repository.tuf_publish import published_metadata  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_trust import expiries  # noqa: PLC0415

    now = datetime.now(UTC)
    found = expiries(published_metadata(open_session(options, storage).session.patient))
    for item in found:
        click.echo(f"{item.role}\tversion {item.version}\texpires {item.expires:%Y-%m-%d %H:%M} UTC")
    problems = [problem for item in found if (problem := item.problem(now))]
    tell_problems(problems)
    return any(problem.severity is Severity.ERROR for problem in problems)


def _those_of(signers: Iterable["CryptoSigner"], root: bytes) -> "list[CryptoSigner]":
    from tuf.api.metadata import Root  # noqa: PLC0415  # slow to import

    from cosgen.repository.tuf import load, owned, role_keys  # noqa: PLC0415

    return list(owned(signers, role_keys(load(root, Root), "targets").keys))


def _where() -> KeySources:
    return KeySources(os.environ, lambda path: Path(path).read_bytes())


def _load(sources: tuple[str, ...]) -> "tuple[CryptoSigner, ...]":
    return load_keys(sources, _where())


def _write_key(path: Path, key: "CryptoSigner") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = private_pem(key, os.environ.get(PASSWORD_VARIABLE, ""))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise click.ClickException(f"{path} is there already; give another --output") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_trust(output: Path, trust: "Trust") -> None:
    for key, data in trust.files:
        path = output / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        click.echo(path)
