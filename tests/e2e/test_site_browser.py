"""The site in real Chromium: search, filters, tabs, copying, themes, a phone, the keyboard, a screen reader's rules."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from cosgen.site.builder import build_site
from tests.e2e.screenshots import CHROMIUM, PAGES, chromium, served
from tests.engines import MissingEngine, node_tool
from tests.fakes.site_data import make_site

pytestmark = [pytest.mark.browser, pytest.mark.e2e]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "site"
    build_site(make_site(120), folder)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    with served(folder) as url:
        yield url


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: str) -> Iterator[Page]:
    """A page that fails its test on console errors, page errors, and requests off the origin."""
    page = context.new_page()
    faults: list[str] = []
    page.on(
        "console",
        lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(site) else faults.append(request.url))
    yield page
    assert not faults


def test_search_finds_and_ranks_names_first(page: Page, site: str) -> None:
    page.goto(site + "packages/index.html")
    page.get_by_label("Search").fill("grub")
    expect(page.locator(".results li a").first).to_have_text("system/grub2")
    expect(page.locator("#found")).to_have_text("2 packages")
    page.locator(".results li a").first.click()
    expect(page.locator("h1")).to_have_text("system/grub2")


def test_search_works_in_a_folder_opened_as_files(browser: Browser, folder: Path) -> None:
    page = browser.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto((folder / "packages/index.html").as_uri() + "?q=grub")
    page.locator(".results li a").first.click()
    expect(page.locator("h1")).to_have_text("system/grub2")
    assert not faults
    page.close()


def test_a_name_with_a_plus_is_found_and_its_page_opens(page: Page, site: str) -> None:
    page.goto(site + "packages/index.html?q=gtk%2B")
    page.locator(".results li a").first.click()
    expect(page.locator("h1")).to_have_text("toolkit/gtk+")


ODD = ("index", "a_b", "-x", "..", "ä/ö", "日本 語", "<b>&'\"", "%2e%2e", "_2b", "+", "A.b-c", "é" * 60)


def test_the_browser_finds_the_page_of_every_name(browser: Browser, tmp_path: Path) -> None:
    data = make_site(20)
    odd = [dataclasses.replace(data.packages[0], category=name, name=name) for name in ODD]
    build_site(dataclasses.replace(data, packages=(*odd, *data.packages)), tmp_path / "site")
    with served(tmp_path / "site") as url:
        page = browser.new_page()
        for name in ODD:
            page.goto(url + "packages/index.html?" + urlencode({"category": name}))
            page.locator(".results li a").first.click()
            expect(page.locator("h1")).to_have_text(f"{name}/{name}")
        page.close()


def test_a_visitor_gets_from_the_first_page_to_following_and_to_what_changed(page: Page, site: str) -> None:
    page.goto(site + "index.html")
    page.get_by_role("link", name="Follow it (stable)").click()
    expect(page.locator("h2#follow")).to_be_in_viewport()
    expect(page.locator("figure.code:visible").first).to_be_in_viewport()
    page.goto(site + "index.html")
    page.get_by_role("link", name="What changed in stable").click()
    expect(page.locator("h1")).to_have_text("stable v0.9.1")
    expect(page.locator("ul.diff").first).to_be_in_viewport()


def test_filters_narrow_and_are_kept_in_the_address(page: Page, site: str) -> None:
    page.goto(site + "packages/index.html")
    expect(page.locator("#found")).to_have_text("120 packages")
    page.get_by_label("Category").select_option("meta")
    expect(page.locator("#found")).to_have_text("2 packages")
    page.get_by_label("Channel").select_option("stable")
    page.get_by_label("Architecture").select_option("arm64")
    page.reload()
    expect(page.locator("#found")).to_have_text("2 packages")
    expect(page.get_by_label("Category")).to_have_value("meta")


def test_more_results_come_on_demand(page: Page, site: str) -> None:
    page.goto(site + "packages/index.html")
    expect(page.locator(".results li")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".results li")).to_have_count(100)


def test_copy_buttons_copy_the_exact_text(page: Page, site: str) -> None:
    page.goto(site + "c/stable/index.html")
    figure = page.locator("figure.code:visible").first
    text = figure.locator("pre").evaluate("node => node.textContent")
    figure.get_by_role("button").click()
    assert page.evaluate("navigator.clipboard.readText()") == text
    expect(page.locator("#said")).to_contain_text("Copied")


def test_tabs_remember_the_choice_on_every_page(page: Page, site: str) -> None:
    page.goto(site + "c/stable/index.html")
    page.get_by_role("tab", name="green-arm64").click()
    expect(page.locator("[role=tab][aria-selected=true]:visible").nth(1)).to_have_text("elemental ≤ 0.2")
    page.locator("[role=tab]:visible", has_text="elemental ≥ 0.3").click()
    page.goto(site + "c/testing/index.html")
    chosen = page.locator("[role=tab][aria-selected=true]:visible")
    expect(chosen.nth(0)).to_have_text("green-arm64")
    expect(chosen.nth(1)).to_have_text("elemental ≥ 0.3")
    assert "os-green" in page.locator("figure.code:visible pre").first.inner_text()


def test_tabs_work_by_keyboard(page: Page, site: str) -> None:
    page.goto(site + "c/stable/index.html")
    page.get_by_role("tab", name="blue-arm64").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="blue-x86_64")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="green-x86_64")).to_have_attribute("aria-selected", "true")


def test_the_first_tab_stop_skips_to_the_content(page: Page, site: str) -> None:
    page.goto(site + "index.html")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_the_theme_follows_the_system_until_it_is_chosen(browser: Browser, site: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(site + "index.html")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator(".theme-switch").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.goto(site + "trends.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_phone(browser: Browser, site: str, name: str) -> None:
    page = browser.new_page(viewport=ViewportSize(width=360, height=740))
    page.goto(site + PAGES[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def axe_violations(browser: Browser, urls: list[str], scheme: str) -> dict[str, object]:
    """Return what axe-core finds on some pages."""
    try:
        axe = Path(node_tool("axe")[0]).read_text(encoding="utf-8")
    except MissingEngine as missing:
        pytest.skip(str(missing))
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True)
    page = context.new_page()
    found = {}
    for url in urls:
        page.goto(url)
        page.wait_for_load_state("networkidle")
        page.evaluate(axe)
        result = page.evaluate("axe.run(document)")
        found[url] = [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in result["violations"]]
    context.close()
    return {url: violations for url, violations in found.items() if violations}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser: Browser, site: str, scheme: str) -> None:
    assert not axe_violations(browser, [site + path for path in PAGES.values()], scheme)


def test_every_page_reads_without_javascript(browser: Browser, site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + "c/stable/index.html")
    assert page.locator("figure.code:visible").count() > 40
    expect(page.locator("time").first).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d"))
    page.goto(site + "packages/index.html")
    page.get_by_role("link", name="system", exact=True).click()
    page.get_by_role("link", name="system/grub2", exact=True).click()
    expect(page.locator("h1")).to_have_text("system/grub2")
    context.close()


def test_the_graph_zooms_by_buttons_and_keys(page: Page, site: str) -> None:
    page.goto(site + "graph.html")
    svg = page.locator(".zoom svg:visible").first
    before = svg.get_attribute("viewBox")
    page.get_by_role("button", name="Zoom in").first.click()
    zoomed = svg.get_attribute("viewBox")
    assert zoomed != before
    page.locator(".zoom .frame:visible").first.focus()
    page.keyboard.press("ArrowRight")
    assert svg.get_attribute("viewBox") != zoomed


def test_ages_are_told_by_the_browser(page: Page, site: str) -> None:
    page.goto(site + "c/stable/index.html")
    expect(page.locator("time .age").first).to_contain_text("ago")


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build and serve cosgen's own documentation."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    config = Path(__file__).resolve().parents[2] / "site/mkdocs.yml"
    mkdocs = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-f",
        str(config),
        "-d",
        str(folder),
    ]
    subprocess.run(mkdocs, check=True)
    with served(folder) as url:
        yield url


def test_the_documentation_is_searched_from_every_page(browser: Browser, docs: str) -> None:
    page = browser.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(docs) else faults.append(request.url))
    page.goto(docs + "howto/sign.html")
    page.get_by_label("Search the documentation").fill("roll back")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("place")
    page.get_by_label("Search the documentation").fill("cosgen channel rollback")
    first = page.locator(".results li a").first
    expect(first).to_have_text("cosgen channel rollback")
    first.click()
    expect(page).to_have_url(re.compile(r"reference/commands\.html#"))
    assert not faults
    page.close()


@pytest.mark.parametrize(
    "path", ["index.html", "search.html?q=sign", "howto/sign.html", "reference/configuration.html"]
)
def test_the_documentation_fits_a_phone(browser: Browser, docs: str, path: str) -> None:
    page = browser.new_page(viewport=ViewportSize(width=360, height=740))
    page.goto(docs + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_the_documentation(browser: Browser, docs: str, scheme: str) -> None:
    paths = (
        "index.html",
        "tutorial.html",
        "search.html?q=sign",
        "howto/sign.html",
        "reference/problems.html",
    )
    assert not axe_violations(browser, [docs + path for path in paths], scheme)
