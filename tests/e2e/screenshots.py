"""Pictures of the site, for people to look at: python -m tests.e2e.screenshots [SITE] [OUTPUT]."""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from cosgen.site.builder import build_site
from cosgen.site.preview import address, make_server
from tests.fakes.site_data import make_site

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PAGES = {
    "index": "index.html",
    "channel": "c/nightly/index.html",
    "stable": "c/stable/index.html",
    "search": "packages/index.html?q=grub",
    "category": "packages/system/index.html",
    "package": "packages/system/cos.html",
    "bundle": "packages/meta/cos-minimal.html",
    "releases": "releases/index.html",
    "release": "releases/stable-14.html",
    "graph": "graph.html",
    "trends": "trends.html",
    "derive": "derive.html",
    "api": "api/index.html",
    "missing": "404.html",
}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback for a while."""
    server = make_server(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def take(site: Path, output: Path) -> None:
    """Take a picture of each kind of page: wide and light, wide and dark, and on a phone."""
    output.mkdir(parents=True, exist_ok=True)
    with served(site) as url, chromium() as browser:
        for mode, width in (("light", 1280), ("dark", 1280), ("phone", 360)):
            size = ViewportSize(width=width, height=800)
            page = browser.new_page(viewport=size, color_scheme="dark" if mode == "dark" else "light")
            for name, path in PAGES.items():
                page.goto(url + path)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=output / f"{name}-{mode}.png", full_page=True)
            page.close()


def main() -> None:
    """Take pictures of a site, or of one made of believable data."""
    output = Path(sys.argv[2] if len(sys.argv) > 2 else "build/screenshots")
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]), output)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            build_site(make_site(60), Path(scratch) / "site")
            take(Path(scratch) / "site", output)
    sys.stdout.write(f"{output}\n")


if __name__ == "__main__":
    main()
