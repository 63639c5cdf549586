"""Build the site: mkdocs writes the narrative pages, templates the packages' pages, and only what changed.

mkdocs takes 3 ms for each page whatever is on it, which no site of 10,000 packages can afford; so it gets
the pages that people write and the few that grow with channels, and package pages go through the same
templates straight into the output folder. Beside the output lies a state file with a digest of what each
page was made from: a page whose values did not change is neither rendered nor written. The output is the
same with and without it.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2

from cosgen.errors import Problem, PublishError
from cosgen.site.api import api_files, dump, package_api_path, package_json
from cosgen.site.feed import feed_files
from cosgen.site.frame import docs_entry, frame_values
from cosgen.site.model import SiteData
from cosgen.site.package_page import package_page
from cosgen.site.page import Page
from cosgen.site.pages import category_pages, menu, narrative_pages
from cosgen.site.picture import badge
from cosgen.site.render import make_environment, template_folders
from cosgen.site.search import search_index
from cosgen.site.text import badge_path, package_path, short

MARKER = ".nojekyll"  # also keeps GitHub Pages from leaving files out
STATE_SCHEMA = 1

_BADGES = {"verified": "#0b6b63", "signed": "#2d5393", "expired": "#a3262a", "wrong": "#a3262a"}  # else brown
State = dict[str, tuple[str, int]]  # path -> digest of what the file was made from, its size


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """What a build did."""

    output: Path
    pages: int  # HTML pages in the site
    files: int  # all files
    written: int  # files whose bytes changed
    rendered: int  # package and category pages that had to be rendered
    removed: int
    bytes: int


class _Writer:
    """Writes files below a folder when their bytes or their inputs changed, and forgets none."""

    def __init__(self, output: Path, state: State) -> None:
        self.output = output
        self.before = state
        self.after: State = {}
        self.written = 0
        self.rendered = 0
        self._folders: set[Path] = set()

    def made(self, path: str, key: str, make: Callable[[], str]) -> None:
        """Keep the file when `key` is as before and the file is there, else make and write it."""
        old = self.before.get(path)
        if old and old[0] == key and self._size(path) == old[1]:
            self.after[path] = old
            return
        self.rendered += path.endswith(".html")
        self.put(path, _bytes(make()), key=key)

    def put(self, path: str, content: bytes, *, key: str = "") -> None:
        """Write bytes, unless the file holds them already."""
        target = self.output / path
        self.after[path] = (key or "bytes", len(content))
        if self._size(path) == len(content) and target.read_bytes() == content:
            return
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        target.write_bytes(content)
        self.written += 1

    def sweep(self) -> int:
        """Remove files that this build did not make; return how many."""
        gone = [path for path in _files_below(self.output) if path not in self.after]
        for path in gone:
            (self.output / path).unlink()
        folders = {self.output / parent for path in gone for parent in Path(path).parents if parent != Path()}
        for folder in sorted(folders, reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
        return len(gone)

    def _size(self, path: str) -> int:
        try:
            return (self.output / path).stat().st_size
        except FileNotFoundError:
            return -1


def _files_below(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def build_site(data: SiteData, output: Path, *, docs: Path | None = None, clean: bool = False) -> SiteReport:
    """Write the site.

    Args:
        data: All that is shown.
        output: Folder of the site: absent, empty, or written by an earlier build.
        docs: The project's own Markdown pages; an `index.md` there opens the first page.
        clean: Make everything anew.

    Returns:
        What was done.

    Raises:
        PublishError: `output` holds other files (CG603), or a page of `docs` cannot be built (CG604, CG609).
    """
    _check_output(output)
    output.mkdir(parents=True, exist_ok=True)
    state_path = output.with_name(f".{output.name}.state.json")
    writer = _Writer(output, {} if clean else _read_state(state_path))
    _write_narrative(data, docs, writer)
    for path, text in _plain_files(data):
        writer.put(path, _bytes(text))
    _write_packages(data, docs, writer)
    removed = writer.sweep()
    state_path.write_text(
        json.dumps({"schema": STATE_SCHEMA, "files": writer.after}, sort_keys=True), encoding="utf-8"
    )
    return SiteReport(
        output=output,
        pages=sum(path.endswith(".html") for path in writer.after),
        files=len(writer.after),
        written=writer.written,
        rendered=writer.rendered,
        removed=removed,
        bytes=sum(size for _, size in writer.after.values()),
    )


def _check_output(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()) and not (output / MARKER).exists():
        what = f"{output} holds files that no site build made"
        raise PublishError(Problem(what=what, fix="choose another --output, or empty the folder", id="CG603"))


def _read_state(path: Path) -> State:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if found.get("schema") != STATE_SCHEMA:
        return {}
    return {name: (str(key), int(size)) for name, (key, size) in found["files"].items()}


def _plain_files(data: SiteData) -> Iterable[tuple[str, str]]:
    yield MARKER, ""
    yield "robots.txt", "User-agent: *\nAllow: /\n"
    index = search_index(data)
    yield "search-index.json", index
    yield "search-index.js", f"globalThis.cosgenIndex = {index.rstrip()};\n"  # for pages opened as files
    yield from api_files(data)
    yield from feed_files(data)
    for channel in data.channels:
        color = _BADGES.get(channel.signature, "#6a4a00")
        yield badge_path(channel.name), badge(channel.name, short(channel.snapshot), color)


def _write_narrative(data: SiteData, docs: Path | None, writer: _Writer) -> None:
    from cosgen.site.mkdocs_build import build_narrative  # noqa: PLC0415  # mkdocs is slow to import

    pages = {page.path: page for page in narrative_pages(data)}
    with tempfile.TemporaryDirectory(prefix="cosgen-site-") as scratch:
        staging = Path(scratch) / "site"
        build_narrative(data, pages, docs, staging)
        for path in _files_below(staging):
            writer.put(path, (staging / path).read_bytes())


def _write_packages(data: SiteData, docs: Path | None, writer: _Writer) -> None:
    known = frozenset(package.human for package in data.packages)
    environment = make_environment(known)
    entry = docs_entry(docs)
    frame = _digest(
        _templates_digest(), repr(data.info), repr(menu(data, entry, "packages")), repr(data.variants)
    )
    frame = _digest(frame, repr([channel.name for channel in data.channels]))

    def render(page: Page) -> str:
        return _render(environment, data, entry, page)

    for package in data.packages:
        api = dump(package_json(package))
        linked = [human in known for human in (*package.requires, *package.dependents)]
        key = _digest(
            frame, api, package.readme, repr([build.conflicts for build in package.builds]), repr(linked)
        )
        path = package_path(package.category, package.name)
        writer.made(path, key, lambda package=package: render(package_page(data, package, known)))  # type: ignore[misc]  # bound now
        writer.made(package_api_path(package), key, lambda api=api: api)  # type: ignore[misc]  # bound now
    for page in category_pages(data):
        writer.made(page.path, _digest(frame, page.title, repr(page.view)), lambda page=page: render(page))  # type: ignore[misc]  # bound now


def _render(environment: jinja2.Environment, data: SiteData, entry: str, page: Page) -> str:
    base = "/".join([".."] * page.path.count("/")) or "."
    values = frame_values(data, entry, page)
    text = environment.get_template(page.template).render(base_url=base, **values)
    return text.rstrip("\n") + "\n"


def _templates_digest() -> str:
    hasher = hashlib.sha256()
    for folder in template_folders():
        for path in sorted(folder.rglob("*.html")):
            hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for module in sorted(Path(__file__).parent.glob("*.py")):
        hasher.update(module.read_bytes())
    return hasher.hexdigest()


def _bytes(text: str) -> bytes:
    """Encode; half a surrogate pair, which JSON may hold, becomes its escape, as JSON has it."""
    return text.encode("utf-8", "backslashreplace")


def _digest(*parts: str) -> str:
    return hashlib.sha256(_bytes("\0".join(parts))).hexdigest()[:32]


def remove_site(output: Path) -> None:
    """Remove a built site and its state; a folder that no build made stays."""
    _check_output(output)
    shutil.rmtree(output, ignore_errors=True)
    output.with_name(f".{output.name}.state.json").unlink(missing_ok=True)
