"""What commands on a repository share: its place, its settings, and who runs them."""

import functools
import getpass
import os
import socket
from collections.abc import Callable, Mapping
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
from cosgen.repository.rules import problem
from cosgen.repository.session import Session
from cosgen.repository.sign import KeySources
from cosgen.repository.signing import sign_with
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


def open_session(options: ProjectOptions, storage: str, *, single_writer: bool = False) -> Opened:
    """Open the repository.

    Raises:
        PublishError: Neither the command line nor the project names one.
        ManifestError: The project's configuration has errors.
    """
    config = _config(options.project)
    url, base = storage, Path()
    if not url and config is not None:
        url, base = _configured(config), options.project
    if not url:
        raise PublishError(problem("CG539", "no place for the repository is configured"))
    store: Store = open_store(url, base=base)
    if single_writer or (config is not None and config.repository.single_writer):
        store = SingleWriterStore(store)
    counted = CountingStore(store)
    session = Session(store=counted, author=_author(), tool=f"cosgen {__version__}")
    if os.environ.get(SIGNING_VARIABLE):
        where = KeySources(os.environ, lambda path: Path(path).read_bytes())
        session = sign_with(session, [f"env:{SIGNING_VARIABLE}"], where)
    return Opened(session, counted, config)


def repository_settings(opened: Opened) -> Mapping[str, Json]:
    """Return what the log keeps of the project's configuration."""
    config = opened.config
    if config is None:
        return {}
    return {
        "name": config.repository.name or config.name,
        "description": config.repository.description,
        "url": config.repository.url,
    }


def _config(folder: Path) -> ProjectConfig | None:
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
