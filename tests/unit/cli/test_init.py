"""`cosgen init` writes the starter, with the user's names, and never over anybody's files."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosgen.cli import init
from cosgen.errors import ManifestError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(init.command, arguments, catch_exceptions=True)


def test_the_starter_is_written_with_the_name_of_the_folder(tmp_path: Path) -> None:
    result = run(str(tmp_path / "acme-os"))
    assert result.exit_code == 0
    config = (tmp_path / "acme-os" / "cosgen.yaml").read_text()
    assert "name: acme-os\n" in config
    assert "s3://acme-os-repository" in config
    assert "ghcr.io/my-org/acme-os/cache" in config
    assert (tmp_path / "acme-os" / ".gitignore").is_file()


def test_every_word_of_the_starter_can_be_said_by_the_user(tmp_path: Path) -> None:
    result = run(
        *(str(tmp_path), "--name", "x", "--seed", "local/seed:1", "--storage", "../repository"),
        *("--url", "http://127.0.0.1:8000", "--registry", "127.0.0.1:5000/x"),
    )
    assert result.exit_code == 0
    text = "".join(path.read_text() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    for word in (init.NAME, init.SEED, init.STORAGE, init.URL, init.REGISTRY):
        assert word not in text
    for word in ("image: local/seed:1", "storage: ../repository", "cache: 127.0.0.1:5000/x/cache"):
        assert word in text


def test_nothing_is_written_when_one_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    result = run(str(tmp_path), "--name", "x")
    assert isinstance(result.exception, ManifestError)
    assert [problem.id for problem in result.exception.problems] == ["CG702"]
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize("name", ["-rf", "a b", "../x", "a/b", "ä"])
def test_a_name_that_could_not_stand_in_a_tag_is_refused(tmp_path: Path, name: str) -> None:
    result = run(str(tmp_path), "--name", name)
    assert isinstance(result.exception, ManifestError)
    assert not list(tmp_path.iterdir())


def test_the_starter_is_found_when_cosgen_runs_from_a_checkout() -> None:
    assert (init.starter_folder() / "cosgen.yaml").is_file()
