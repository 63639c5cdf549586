"""Fixtures for real engines; see `tests/engines.py` for what they are and how to use them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NoReturn, TypeVar

import pytest

from tests import base_images, engines, s3_engines
from tests.engines import DockerEngine, MissingEngine, Registry
from tests.s3_engines import S3Server

T = TypeVar("T")


def _hear_sigint() -> None:
    """Hear SIGINT, also in the background of a shell that ignores it there, and let what is started hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _missing(error: MissingEngine) -> NoReturn:
    if os.environ.get("COSGEN_REQUIRE_ENGINES") == "1":
        pytest.fail(f"an engine is required (COSGEN_REQUIRE_ENGINES=1): {error}", pytrace=False)
    pytest.skip(f"engine missing: {error}")


def _get(make: Callable[[], T]) -> T:
    try:
        return make()
    except MissingEngine as error:
        _missing(error)


def _started(context: AbstractContextManager[T]) -> Iterator[T]:
    value = _get(context.__enter__)
    try:
        yield value
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """Give a Docker engine, an existing one or our own."""
    yield from _started(engines.find_or_start_docker())


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """Give a container registry on loopback."""
    yield from _started(engines.start_registry())


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Server]:
    """Give the S3 server that is closest to S3."""
    yield from _started(s3_engines.start_seaweedfs())


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3Server]:
    """Give the quickest S3 server with conditional writes."""
    yield from _started(s3_engines.start_moto())


@pytest.fixture(scope="session")
def rclone_s3() -> Iterator[S3Server]:
    """Give an S3 server that ignores conditions."""
    yield from _started(s3_engines.start_rclone())


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine) -> str:
    """Give the reference of a small image with a shell."""
    return _get(lambda: base_images.import_busybox(docker_engine))


@pytest.fixture(scope="session")
def debian_image(docker_engine: DockerEngine) -> str:
    """Give the reference of a Debian image in which apt works with host networking."""
    return _get(lambda: base_images.get_debian(docker_engine))


@pytest.fixture(scope="session")
def node_tool() -> Callable[[str], tuple[str, ...]]:
    """Give a function from a Node.js tool's name to the command that runs it."""
    return lambda name: _get(lambda: engines.node_tool(name))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of a Chromium for playwright."""
    return _get(engines.find_chromium)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which golden files are written anew instead of compared."""
    parser.addoption("--update-golden", action="store_true", help="Write golden files anew; read the diff.")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Tell whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


def pytest_configure(config: pytest.Config) -> None:
    """Keep the machine's own AWS settings, proxies and Docker contexts out of the tests."""
    del config
    _hear_sigint()
    for name in [name for name in os.environ if name.startswith(("AWS_", "TUF_"))]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
