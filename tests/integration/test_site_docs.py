"""cosgen's own documentation: it builds strictly, its links lead somewhere, and its reference is what the code says."""

import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import click
import pytest

from cosgen.cli.main import cosgen

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("docs") / "site"
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-f",
        str(ROOT / "site/mkdocs.yml"),
        "-d",
        str(output),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


class Links(HTMLParser):
    """Collects ids, links, and what a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values["id"]} if "id" in values else set()
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag in {"script", "img", "link"}:
            self.loads.append(values.get("src") or values.get("href") or "")


def test_every_link_leads_somewhere(docs: Path) -> None:
    found = {path: Links(path.read_text(encoding="utf-8")) for path in docs.rglob("*.html")}
    missing = []
    for page, read in found.items():
        here = "http://docs/" + page.relative_to(docs).as_posix()
        for link in read.links if page.name != "404.html" else ():
            parts = urlsplit(urljoin(here, link))
            target = docs / unquote(parts.path).lstrip("/")
            if parts.netloc != "docs":
                continue
            if not target.is_file() or (parts.fragment and parts.fragment not in found[target].ids):
                missing.append((here, link))
    assert not missing


def test_nothing_is_loaded_from_elsewhere(docs: Path) -> None:
    for page in docs.rglob("*.html"):
        loads = Links(page.read_text(encoding="utf-8")).loads
        assert not [load for load in loads if urlsplit(load).scheme or load.startswith("//")], page


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "site/reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def console_lines() -> list[tuple[str, str]]:
    """Return file and text of every `$ cosgen …` line that the documentation shows."""
    folders = (ROOT / "site/docs", ROOT / "templates")
    paths = sorted([ROOT / "README.md", *(path for folder in folders for path in folder.rglob("*.md"))])
    return [
        (path.relative_to(ROOT).as_posix(), line.strip()[2:])
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("$ cosgen ")
    ]


@pytest.mark.parametrize(("file", "line"), console_lines())
def test_every_command_that_is_shown_exists_with_its_options(file: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cosgen
    context = click.Context(command, info_name="cosgen")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None and command.invoke_without_command:
            break  # a word for the group itself: `cosgen ci gitlab`
        assert found is not None, line
        command, context, words = found, click.Context(found, parent=context), words[1:]
    known = {
        name
        for parameter in command.get_params(context)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    known.add("--help")
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    assert not unknown, f"{file}: {line}: no option {unknown}"
    if isinstance(command, click.Group):
        assert command.invoke_without_command or not words or words[0].startswith("-"), line
