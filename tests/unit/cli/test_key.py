"""What `cosgen key` says of files that are none of its own."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cosgen.cli.main import cosgen


@pytest.mark.parametrize(
    "name", ["hostname", "online.pem", "1.snapshot.json", "root.json.bak", "x.root.json"]
)
def test_only_roots_and_targets_are_put_in_place(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    done = CliRunner().invoke(
        cosgen, ["key", "publish", str(tmp_path / name), "--storage", str(tmp_path / "repository")]
    )
    assert done.exit_code == 2
    assert "named like 2.root.json" in done.output
    assert not (tmp_path / "repository").exists()
