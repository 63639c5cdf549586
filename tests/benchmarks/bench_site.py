"""Site figures: build time cold, unchanged, with one package changed; page weight; time to the first search result."""

import dataclasses
import gzip
import tempfile
import time
from pathlib import Path

from cosgen.site.builder import SiteReport, build_site
from cosgen.site.model import SiteData
from cosgen.site.text import size
from tests.fakes.site_data import make_site

TARGETS = {2_000: 10.0, 10_000: 45.0}
ONE_CHANGED = 5.0
FIRST_RESULT = 300.0  # milliseconds


def main() -> None:
    """Print the figures beside their targets."""
    for count, target in TARGETS.items():
        data = make_site(count)
        with tempfile.TemporaryDirectory() as scratch:
            measure(data, Path(scratch) / "site", target)


def measure(data: SiteData, output: Path, target: float) -> None:
    """Build a site three times and search it once."""
    count = len(data.packages)
    cpu = time.process_time()
    cold, report = timed(data, output)
    cpu = time.process_time() - cpu
    same, _ = timed(data, output)
    changed, after = timed(change_one(data), output)
    index = (output / "search-index.json").read_bytes()
    pages = [path.stat().st_size for path in output.rglob("packages/*/*.html")]
    print(
        f"  {count:,} packages: cold {cold:.1f} s, {cpu:.1f} s of CPU (target {target:g}), ratio {cold / target:.2f}"
    )
    print(
        f"    unchanged {same:.1f} s; one changed {changed:.1f} s (target {ONE_CHANGED:g}), {after.written} files written"
    )
    print(
        f"    {report.files:,} files, {size(report.bytes)}; a package page {size(sum(pages) // len(pages))}"
    )
    print(f"    search index {size(len(index))}, {size(len(gzip.compress(index)))} compressed")
    print(f"    {first_result(output)}")


def timed(data: SiteData, output: Path) -> tuple[float, SiteReport]:
    """Build, and return seconds and the report."""
    start = time.perf_counter()
    report = build_site(data, output)
    return time.perf_counter() - start, report


def change_one(data: SiteData) -> SiteData:
    """Return the data with one description changed."""
    middle = len(data.packages) // 2
    packages = list(data.packages)
    packages[middle] = dataclasses.replace(packages[middle], description="Changed")
    return dataclasses.replace(data, packages=tuple(packages))


def first_result(output: Path) -> str:
    """Return how long the first result takes, from the key press, and from opening the page, in Chromium."""
    try:
        from tests.e2e.screenshots import chromium, served
    except ImportError:
        return "first search result: playwright is not installed"
    with served(output) as url, chromium() as browser:
        page = browser.new_page()
        page.goto(url + "packages/index.html")
        page.wait_for_function("document.querySelectorAll('.results li').length > 0")
        key = page.evaluate(
            """() => new Promise(done => {
              const q = document.querySelector('#q'), start = performance.now();
              q.value = 'agent'; q.dispatchEvent(new Event('input', {bubbles: true}));
              requestAnimationFrame(() => done(performance.now() - start)); })"""
        )
        page.goto(url + "packages/index.html?q=grub2")
        page.wait_for_function("document.querySelectorAll('.results li').length > 0")
        opened = page.evaluate("performance.now()")
    return f"first search result {key:.0f} ms after a key (target {FIRST_RESULT:g}), {opened:.0f} ms after opening the page"


if __name__ == "__main__":
    main()
