"""`cosgen key`: make and rotate signing keys, add signatures, refresh what expires."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosgen.cli.context import ProjectOptions, project_options, tell_problems
from cosgen.cli.group import Group
from cosgen.cli.store import (
    Opened,
    key_sources,
    open_session,
    project_config,
    project_pins,
    storage_options,
)
from cosgen.errors import Severity, VerificationError
from cosgen.repository.pins import Pins, RolePin, lifetimes_of
from cosgen.repository.sign import (
    PASSWORD_VARIABLE,
    generate_key,
    load_key,
    load_keys,
    load_public_key,
    private_pem,
    public_pem,
)
from cosgen.repository.signing import refresh

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, Signer

    from cosgen.repository.tuf import RoleKeys, Trust

_TRUST_NAME = re.compile(r"(?:[0-9]+\.)?(root|targets)\.json")
_KEY = click.option(
    "--key",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="file:PATH, env:NAME or awskms:KEY (repeatable).",
)
_OUTPUT = click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("keys"))


@click.group(cls=Group)
def command() -> None:
    """Make and rotate signing keys, refresh signatures."""


@command.command("new")
@_OUTPUT
@click.option("--root-keys", type=int, help="How many root keys, for as many holders.  [default: 3]")
@click.option(
    "--threshold", type=int, help="How many of them must sign.  [default: signing.root.threshold, or 2]"
)
@_KEY
@project_options
def new_keys(
    output: Path,
    root_keys: int | None,
    threshold: int | None,
    sources: tuple[str, ...],
    options: ProjectOptions,
) -> None:
    """Make keys, the first root and targets; nothing is uploaded.

    Roles whose public keys stand in cosgen.yaml under `signing` keep those: their holders sign with --key
    here, or later with `cosgen key sign`.
    """
    from cosgen.repository.tuf import TOP_ROLES  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_trust import new_trust  # noqa: PLC0415

    pins = project_pins(project_config(options.project), options.project)
    usual = pins.root.threshold if pins.root.keys else 2
    root, fresh_root = _role(pins.root, root_keys or 3, threshold or usual)
    targets, fresh_targets = _role(pins.targets, 1, pins.targets.threshold)
    online, fresh_online = _role(pins.channels, 1, pins.channels.threshold)
    roles = {**dict.fromkeys((*TOP_ROLES, "channels"), online), "root": root, "targets": targets}
    signers = [*_load(sources), *fresh_root, *fresh_targets]
    trust = new_trust(roles, signers, datetime.now(UTC), _lifetimes(pins))
    for number, key in enumerate(fresh_root, 1):
        _write_key(output / f"root-{number}.pem", key)
    for name, fresh in (("targets", fresh_targets), ("online", fresh_online)):
        for key in fresh:
            _write_key(output / f"{name}.pem", key)
    _write_trust(output, trust)
    click.echo("\n".join(_next_steps(output, trust)), err=True)


def _role(pin: RolePin, count: int, threshold: int) -> "tuple[RoleKeys, list[CryptoSigner]]":
    """Return the keys of a role: those that are pinned, else new ones."""
    from cosgen.repository.tuf import RoleKeys  # noqa: PLC0415  # slow to import

    fresh = [] if pin.keys else [generate_key() for _ in range(count)]
    return RoleKeys(pin.keys or tuple(key.public_key for key in fresh), threshold), fresh


def _next_steps(output: Path, trust: "Trust") -> Iterator[str]:
    from cosgen.repository.tuf_trust import missing_signatures  # noqa: PLC0415  # slow to import

    for (key, data), role in zip(trust.files, ("root", "targets"), strict=True):
        if missing := missing_signatures(data, trust.root):
            yield f"{role} lacks {missing} signatures: cosgen key sign {output / key} --key SOURCE"
    yield "give each root-N.pem to its holder, keep targets.pem offline, name the .pub files in cosgen.yaml"
    yield f"secret COSGEN_SIGNING_KEY of CI: base64 -w0 {output}/online.pem"
    yield f"then: cosgen key publish {output}/tuf/*.json --key file:{output}/online.pem"


@command.command("public")
@click.argument("source")
def show_public(source: str) -> None:
    """Print the public half of a key, for `signing` in cosgen.yaml.

    Example: cosgen key public awskms:alias/cosgen > keys/online.pub
    """
    print(public_pem(load_key(source, key_sources()).public_key).decode(), end="")


@command.command("publish")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@_KEY
@storage_options
@project_options
def publish_keys(
    files: tuple[Path, ...],
    *,
    sources: tuple[str, ...],
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Put a new root, new targets, or both in place, once enough holders have signed.

    Everything online is signed again first, so that clients of the old root and of the new one accept it:
    give the online key, and while it is replaced the old one and the new one.
    """
    from cosgen.repository.rotation import install_trust  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf import Trust  # noqa: PLC0415
    from cosgen.repository.tuf_publish import find_trust  # noqa: PLC0415

    given = {_role_of(path): path.read_bytes() for path in files}
    opened = _open(options, storage, single_writer=single_writer, sources=sources)
    old = find_trust(opened.session.patient)
    root = given.get("root") or (old.root if old else None)
    targets = given.get("targets") or (old.targets if old else None)
    if root is None or targets is None:
        raise click.UsageError("the first time, give both the root and the targets")
    new = Trust(root=root, targets=targets, lifetimes=_lifetimes(opened.guard.pins))
    commit = install_trust(opened.session, opened.guard, new)
    for key, data in new.files:
        if data in given.values():
            click.echo(key)
    if commit is not None:
        click.echo(f"commit {commit.seq}: signed by them")


def _role_of(path: Path) -> str:
    found = _TRUST_NAME.fullmatch(path.name)
    if found is None:
        raise click.UsageError(f"{path} is no root and no targets; they are named like 2.root.json")
    return found[1]


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
@click.option("--threshold", type=int, help="How many of the new keys must sign.  [default: as before]")
@click.option("--public", multiple=True, metavar="FILE", help="Take this public key, make none (repeatable).")
@_KEY
@_OUTPUT
@storage_options
@project_options
def rotate(  # noqa: PLR0913  # one argument for each option
    role: str,
    *,
    renew: bool,
    count: int,
    threshold: int | None,
    public: tuple[str, ...],
    sources: tuple[str, ...],
    output: Path,
    storage: str,
    single_writer: bool,
    options: ProjectOptions,
) -> None:
    """Replace the keys of a role; writes the new keys and metadata, nothing is uploaded.

    Give the root keys with --key (or let their holders sign later), and the targets key for `targets` and
    `online`. Then: cosgen key publish.
    """
    from cosgen.repository.tuf import RoleKeys, Trust  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf_publish import find_trust  # noqa: PLC0415
    from cosgen.repository.tuf_trust import rotate_root, rotate_targets  # noqa: PLC0415

    opened = _open(options, storage, single_writer=single_writer)
    trust = find_trust(opened.session.patient)
    if trust is None:
        raise click.ClickException(
            "the repository has no root yet: `cosgen key new`, then `cosgen key publish`"
        )
    keys, now, lifetimes = list(_load(sources)), datetime.now(UTC), _lifetimes(opened.guard.pins)
    fresh = [] if renew or public else [generate_key() for _ in range(count if role == "root" else 1)]
    named = tuple(load_public_key(path, key_sources()) for path in public)
    new = RoleKeys(named or tuple(key.public_key for key in fresh), threshold or _threshold(trust.root, role))
    for number, key in enumerate(fresh, 1):
        _write_key(output / (f"root-{number}.pem" if role == "root" else f"{role}.pem"), key)
    top = {"root": ("root",), "targets": ("targets",), "online": ("snapshot", "timestamp")}[role]
    root, targets = trust.root, trust.targets
    if role == "root" or new.keys:
        changed = dict.fromkeys(top, new) if new.keys else {}
        root = rotate_root(root, changed, [*keys, *fresh], now, lifetimes)
    if role != "root":
        channels = new if role == "online" and new.keys else None
        signers = _those_of([*keys, *fresh], trust.root, root)
        targets = rotate_targets(targets, signers, now, channels, lifetimes)
    written = {"root": role == "root" or bool(new.keys), "targets": role != "root"}
    _write_trust(output, Trust(root=root, targets=targets), written)


@command.command("refresh")
@click.option("--adopt", is_flag=True, help="Sign also when nobody signed the newest commit: it is yours.")
@_KEY
@storage_options
@project_options
def refresh_signatures(
    sources: tuple[str, ...], *, adopt: bool, storage: str, single_writer: bool, options: ProjectOptions
) -> None:
    """Sign the expiring roles of the repository again; CI runs it every day."""
    opened = _open(options, storage, single_writer=single_writer, sources=sources, adopt=adopt)
    commit = refresh(opened.session)
    click.echo(f"commit {commit.seq}: signed again")
    _tell_expiry(opened)


@command.command("status")
@storage_options
@project_options
def status(*, storage: str, single_writer: bool, options: ProjectOptions) -> None:
    """Show until when each role is valid; fails when one has expired, or the keys are not the project's."""
    opened = _open(options, storage, single_writer=single_writer)
    if _tell_expiry(opened):
        raise SystemExit(VerificationError.exit_code)


def _tell_expiry(opened: Opened) -> bool:
    from cosgen.repository.signing import check_trust  # noqa: PLC0415  # slow to import
    from cosgen.repository.tuf import Trust  # noqa: PLC0415
    from cosgen.repository.tuf_publish import find_trust, published_metadata  # noqa: PLC0415
    from cosgen.repository.tuf_trust import expiries  # noqa: PLC0415

    store, now = opened.session.patient, datetime.now(UTC)
    trust = find_trust(store)
    if trust is None:
        click.echo(f"{store.url} is not signed: there is no root", err=True)
        return opened.guard.pins.demand
    check_trust(Trust(root=trust.root, targets=trust.targets), opened.guard.pins)
    found = expiries(published_metadata(store))
    for item in found:
        click.echo(f"{item.role}\tversion {item.version}\texpires {item.expires:%Y-%m-%d %H:%M} UTC")
    lifetimes = _lifetimes(opened.guard.pins)
    problems = [problem for item in found if (problem := item.problem(now, lifetimes))]
    tell_problems(problems)
    return any(problem.severity is Severity.ERROR for problem in problems)


def _open(
    options: ProjectOptions,
    storage: str,
    *,
    single_writer: bool,
    sources: tuple[str, ...] = (),
    adopt: bool = False,
) -> Opened:
    return open_session(options, storage, single_writer=single_writer, sources=sources, adopt=adopt)


def _lifetimes(pins: Pins) -> Mapping[str, timedelta]:
    from cosgen.repository.tuf import LIFETIMES  # noqa: PLC0415  # slow to import

    return lifetimes_of(pins.days, LIFETIMES)


def _threshold(root: bytes, role: str) -> int:
    from tuf.api.metadata import Root  # noqa: PLC0415  # slow to import

    from cosgen.repository.tuf import load, role_keys  # noqa: PLC0415

    return role_keys(load(root, Root), "timestamp" if role == "online" else role).threshold


def _those_of(signers: "Iterable[Signer]", *roots: bytes) -> "list[Signer]":
    """Return the signers that are keys of `targets` under any of some roots."""
    from tuf.api.metadata import Root  # noqa: PLC0415  # slow to import

    from cosgen.repository.tuf import load, owned, role_keys  # noqa: PLC0415

    keys = {key.keyid: key for root in roots for key in role_keys(load(root, Root), "targets").keys}
    return list(owned(signers, tuple(keys.values())))


def _load(sources: tuple[str, ...]) -> "tuple[Signer, ...]":
    return load_keys(sources, key_sources())


def _write_key(path: Path, key: "CryptoSigner") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = private_pem(key, os.environ.get(PASSWORD_VARIABLE, ""))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise click.ClickException(f"{path} is there already; give another --output") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    path.with_suffix(".pub").write_bytes(public_pem(key.public_key))


def _write_trust(output: Path, trust: "Trust", written: Mapping[str, bool] | None = None) -> None:
    for key, data in trust.files:
        if written is not None and not written[key.split(".")[-2]]:
            continue
        path = output / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        click.echo(path)
