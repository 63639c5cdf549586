"""What commands on a repository share: its place, its settings, and who runs them."""

import functools
import getpass
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import urlencode

import click

from cosgen import __version__
from cosgen.cli.context import ProjectOptions, stop_on_errors
from cosgen.errors import PublishError
from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.loader import load_project
from cosgen.repository.codec import Json
from cosgen.repository.pins import LIFETIMES_SETTING, NO_PINS, Pins, read_pins
from cosgen.repository.rules import problem
from cosgen.repository.session import Session
from cosgen.repository.sign import KeySources, load_keys
from cosgen.repository.signing import Signatures
from cosgen.storage.counting import CountingStore
from cosgen.storage.open import open_store
from cosgen.storage.port import Store
from cosgen.storage.single import SingleWriterStore

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_GRACE_DAYS = 14.0
SIGNING_VARIABLE = "COSGEN_SIGNING_KEY"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session on the repository that the command line or the project names."""

    session: Session
    counted: CountingStore
    config: ProjectConfig | None  # None outside of a project
    guard: Signatures


def storage_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --storage and --single-writer."""

    @click.option(
        "--storage",
        default="",
        envvar="COSGEN_STORAGE",
        metavar="URL",
        help="Place of the repository: s3://bucket/prefix or a folder.  [default: the project's]",
    )
    @click.option(
        "--single-writer",
        is_flag=True,
        help="Promise that nothing else ever writes there; for stores without conditional writes.",
    )
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


def open_session(
    options: ProjectOptions,
    storage: str,
    *,
    single_writer: bool = False,
    sources: Sequence[str] = (),
    adopt: bool = False,
) -> Opened:
    """Open the repository.

    Args:
        options: The project.
        storage: Where the repository is; "" for where the project says.
        single_writer: Nothing else writes there.
        sources: Private keys to sign with; () for those in the environment.
        adopt: Take a newest commit that nobody signed as ours.

    Raises:
        PublishError: Neither the command line nor the project names one.
        ManifestError: The project's configuration has errors.
        VerificationError: A key cannot be read.
    """
    config = project_config(options.project)
    url, base = storage, Path()
    if not url and config is not None:
        url, base = _configured(config), options.project
    if not url:
        raise PublishError(problem("CG539", "no place for the repository is configured"))
    store: Store = open_store(url, base=base)
    if single_writer or (config is not None and config.repository.single_writer):
        store = SingleWriterStore(store)
    counted = CountingStore(store)
    guard = Signatures(
        keys=load_keys(sources or _sources(), key_sources()),
        pins=project_pins(config, options.project),
        adopt=adopt,
        tell=lambda text: print(text, file=sys.stderr),
    )
    session = Session(store=counted, guard=guard, author=_author(), tool=f"cosgen {__version__}")
    return Opened(session, counted, config, guard)


def key_sources(folder: Path = Path()) -> KeySources:
    """Return how keys are found: in the environment, and in files relative to a folder."""
    return KeySources(os.environ, lambda path: (folder / path).read_bytes())


def project_pins(config: ProjectConfig | None, folder: Path) -> Pins:
    """Return what the project says of its keys.

    Raises:
        VerificationError: A public key cannot be read.
    """
    return NO_PINS if config is None else read_pins(config.signing, key_sources(folder))


def _sources() -> tuple[str, ...]:
    """Return the variables that hold keys: COSGEN_SIGNING_KEY, COSGEN_SIGNING_KEY_2 and so on."""
    names = re.compile(rf"{SIGNING_VARIABLE}(_\d+)?")
    return tuple(f"env:{name}" for name in sorted(os.environ) if names.fullmatch(name) and os.environ[name])


def repository_settings(opened: Opened) -> Mapping[str, Json]:
    """Return what the log keeps of the project's configuration."""
    config = opened.config
    if config is None:
        return {}
    return {
        "name": config.repository.name or config.name,
        "description": config.repository.description,
        "url": config.repository.url,
        LIFETIMES_SETTING: dict(opened.guard.pins.days),
    }


def project_config(folder: Path) -> ProjectConfig | None:
    """Return the settings of the project in a folder, or None when there is no project.

    Raises:
        ManifestError: They have errors.
    """
    if not (folder / "cosgen.yaml").is_file():
        return None
    project = load_project(folder, environment=os.environ)
    stop_on_errors(project.problems)
    return project.config


def _configured(config: ProjectConfig) -> str:
    url = config.repository.storage
    if not url.startswith("s3:") or "?" in url:
        return url
    extra = {"endpoint": config.repository.endpoint, "region": config.repository.region}
    query = urlencode({key: value for key, value in extra.items() if value})
    return f"{url}?{query}" if query else url


def _author() -> str:
    environment = os.environ
    if environment.get("GITHUB_ACTIONS") == "true":
        run = f"{environment.get('GITHUB_SERVER_URL')}/{environment.get('GITHUB_REPOSITORY')}"
        return f"{environment.get('GITHUB_ACTOR')} {run}/actions/runs/{environment.get('GITHUB_RUN_ID')}"
    if environment.get("GITLAB_CI") == "true":
        return f"{environment.get('GITLAB_USER_LOGIN')} {environment.get('CI_JOB_URL')}"
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return ""
