"""cosgen's own documentation: it builds strictly, its links lead somewhere, and its reference is what the code says."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

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
