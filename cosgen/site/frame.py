"""What surrounds every page of a release site: title, menu, footer."""

from pathlib import Path

from cosgen.site.model import SiteData
from cosgen.site.page import Page, View, current_mark
from cosgen.site.pages import menu


def frame_values(data: SiteData, entry: str, page: Page) -> View:
    """Return the values that every template of the site gets besides the page's own.

    Args:
        data: All that is shown.
        entry: First page of the project's own docs, as `docs_entry` finds it.
        page: The page to surround.
    """
    entries = [
        {**item, "mark": current_mark(here=bool(item["active"]))} for item in menu(data, entry, page.section)
    ]
    return {"info": data.info, "menu": entries, "title": page.title, "about": page.about, **page.view}


def docs_entry(docs: Path | None) -> str:
    """Return the first page of the project's own docs that is not their index, or ""."""
    if docs is None or not docs.is_dir():
        return ""
    pages = sorted(path.relative_to(docs) for path in docs.rglob("*.md"))
    found = next((path for path in pages if path != Path("index.md")), None)
    return found.with_suffix(".html").as_posix() if found else ""
