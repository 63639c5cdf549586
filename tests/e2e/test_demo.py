"""The demo plays from nothing to the site, and the second time builds nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import ROOT, DockerEngine, Registry


@pytest.mark.docker
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_ends_with_a_site_and_the_second_time_builds_nothing(
    tmp_path: Path, docker_engine: DockerEngine, registry: Registry
) -> None:
    del docker_engine, registry  # they can run here; the demo starts its own
    first, second = (_play(tmp_path) for _ in range(2))
    assert (tmp_path / "site" / "index.html").is_file()
    assert re.search(r"^ +✗", first, re.MULTILINE) is None
    assert "0 that nothing names" in first
    assert re.search(r"\d+ images? built", first)
    assert re.search(r"\d+ images? built", second) is None
    assert f"file://{tmp_path}/site/index.html" in second


def _play(folder: Path) -> str:
    command = [sys.executable, "-m", "tests.e2e.demo", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
