"""The one door to mkdocs: the pages people write, and the generated pages that are few.

A plugin hands mkdocs the generated pages as empty Markdown files with a template, turns on escaping in its
jinja2 environment, and gives each template its values. mkdocs runs in this process, without its own search.
"""

import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import jinja2
from mkdocs.commands.build import build as mkdocs_build
from mkdocs.config.base import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import MkDocsException
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page as MkdocsPage
from mkdocs.utils.templates import TemplateContext

from cosgen.errors import Problem, PublishError
from cosgen.site.frame import docs_entry, frame_values
from cosgen.site.model import SiteData
from cosgen.site.page import Page
from cosgen.site.render import prepare, template_folders


class _SitePlugin(BasePlugin):  # type: ignore[type-arg,no-untyped-call]  # it has no options
    """Generated pages for mkdocs."""

    def __init__(self, data: SiteData, pages: Mapping[str, Page], entry: str) -> None:
        super().__init__()
        self.data = data
        self.pages = pages
        self.entry = entry

    def on_files(self, files: Files, /, *, config: MkDocsConfig) -> Files:
        """Add a file for each generated page; only the first page may be opened by the project's own text."""
        for path in self.pages:
            source = _source(path)
            given = files.get_file_from_path(source)
            if given is None:
                files.append(File.generated(config, source, content=""))
            elif source != "index.md":
                what = f"{source} in the project's docs has the name of a generated page"
                raise PublishError(Problem(what=what, fix="rename it", id="CG609"))
        return files

    def on_env(self, env: jinja2.Environment, /, *, config: MkDocsConfig, files: Files) -> jinja2.Environment:
        """Escape by default, and add the filters of the pages."""
        del config, files
        env.undefined = jinja2.StrictUndefined
        prepare(env, frozenset(package.human for package in self.data.packages))
        return env

    def on_page_markdown(
        self, markdown: str, /, *, page: MkdocsPage, config: MkDocsConfig, files: Files
    ) -> str:
        """Choose the template."""
        del config, files
        found = self.pages.get(page.file.dest_uri)
        if found is not None:
            page.meta["template"] = found.template
        return markdown

    def on_page_context(
        self, context: TemplateContext, /, *, page: MkdocsPage, config: MkDocsConfig, nav: Navigation
    ) -> TemplateContext:
        """Give the page its values."""
        del config, nav
        found = self.pages.get(page.file.dest_uri)
        if found is None:
            about = str(page.meta.get("description", ""))
            found = Page(
                path=page.file.dest_uri,
                template="main.html",
                title=str(page.title),
                section="docs",
                about=about,
                view={},
            )
        self._extend(context, found)
        return context

    def on_template_context(
        self, context: TemplateContext, /, *, template_name: str, config: MkDocsConfig
    ) -> TemplateContext:
        """Give the page for missing pages its frame."""
        del template_name, config
        context["base_url"] = context["base_url"].rstrip("/")
        self._extend(context, Page(path="404.html", template="404.html", title="Not found", view={}))
        return context

    def on_post_page(self, output: str, /, *, page: MkdocsPage, config: MkDocsConfig) -> str:
        """End every page in one newline."""
        del page, config
        return output.rstrip("\n") + "\n"

    def _extend(self, context: TemplateContext, page: Page) -> None:
        context.update(frame_values(self.data, self.entry, page))  # type: ignore[typeddict-item]  # names of our own


def _source(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(".md"))


def build_narrative(data: SiteData, pages: Mapping[str, Page], docs: Path | None, output: Path) -> None:
    """Build the narrative pages and the theme's files into `output`, a folder of their own.

    Raises:
        PublishError: mkdocs cannot build a page (CG604), or two pages have one name (CG609).
    """
    empty = output.parent / "empty"
    empty.mkdir()
    (output.parent / "mkdocs.yml").write_text("site_name: replaced below\n", encoding="utf-8")
    pages_folder, theme_folder = template_folders()
    complaints = _Complaints()
    logger = logging.getLogger("mkdocs")
    logger.addHandler(complaints)
    try:
        config = load_config(
            config_file=str(output.parent / "mkdocs.yml"),
            site_name=data.info.title,
            site_url=data.info.url or None,
            site_dir=str(output),
            docs_dir=str(docs or empty),
            theme={"name": None, "custom_dir": str(pages_folder)},
            use_directory_urls=False,
            nav=["index.md"],
            not_in_nav="*",
            plugins=[],
            strict=False,
        )
        config.theme.dirs.insert(1, str(theme_folder))
        config.theme.static_templates.add("404.html")
        config.plugins["cosgen"] = _SitePlugin(data, pages, docs_entry(docs))
        mkdocs_build(config)
    except (MkDocsException, jinja2.TemplateError) as error:
        fix = "mend what is named: a page in the --docs folder, or the site's --url"
        problem = Problem(what=f"mkdocs: {error}", fix=fix, id="CG604")
        raise PublishError(problem, *complaints.problems) from error
    finally:
        logger.removeHandler(complaints)
    complaints.stop()
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        (output / name).unlink(missing_ok=True)  # lists only some pages, with dates of today


class _Complaints(logging.Handler):
    """Collects what mkdocs warns of (a link to nowhere, say): all of it stops the build."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.problems: list[Problem] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one warning."""
        what = f"mkdocs: {record.getMessage()}"
        self.problems.append(Problem(what=what, fix="mend the page in the --docs folder", id="CG604"))

    def stop(self) -> None:
        """Raise when there was a warning.

        Raises:
            PublishError: With all of them.
        """
        if self.problems:
            raise PublishError(*self.problems)
