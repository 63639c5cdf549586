"""All pages but the packages': their addresses, templates and values. Pure."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from cosgen.site.build_graph import view_graph
from cosgen.site.channel_page import channel_page
from cosgen.site.guide import guide_page
from cosgen.site.model import BuildGraph, Package, SiteData, Trend
from cosgen.site.notes import size_change
from cosgen.site.page import (
    Page,
    View,
    channel_state,
    commit_text,
    current_mark,
    move_view,
    signature_state,
    variant_state,
    warnings,
)
from cosgen.site.picture import plot
from cosgen.site.render import maybe
from cosgen.site.text import (
    badge_path,
    category_path,
    channel_path,
    diff_path,
    duration,
    package_path,
    plural,
    printable,
    release_path,
    signed_size,
    size,
)

CATEGORY_PAGE = 400  # packages on one page of a category


def menu(data: SiteData, docs: str, active: str) -> Sequence[View]:
    """Return the entries of the menu; `docs` is the first page of the project's own docs, or ""."""
    entries = [
        ("channels", "Channels", "index.html", True),
        ("packages", "Packages", "packages/index.html", True),
        ("releases", "Releases", "releases/index.html", True),
        ("graph", "Graph", "graph.html", bool(data.graphs)),
        ("trends", "Trends", "trends.html", bool(data.trends)),
        ("guide", "Derive", "derive.html", True),
        ("docs", "Docs", docs, bool(docs)),
    ]
    return [
        {"title": title, "path": path, "active": key == active}
        for key, title, path, there in entries
        if there
    ]


def narrative_pages(data: SiteData) -> Iterable[Page]:
    """Yield the pages that mkdocs writes: few, whatever the number of packages."""
    yield _index_page(data)
    for channel in data.channels:
        yield channel_page(data, channel)
    yield _packages_page(data)
    yield _releases_page(data)
    yield from _release_pages(data)
    if data.graphs:
        yield _graph_page(data)
    if data.trends:
        yield _trends_page(data)
    yield guide_page(data)
    yield _api_page(data)


def _index_page(data: SiteData) -> Page:
    groups = [
        {
            "channel": channel,
            "path": channel_path(channel.name),
            "commit": commit_text(channel.revision),
            "signature": signature_state(channel),
            "rows": [
                {
                    "lead": maybe(
                        len(channel.variants) if number == 0 else 0
                    ),  # how many rows its cells span
                    "state": state,
                    "fresh": variant_state(channel, state),
                }
                for number, state in enumerate(channel.variants)
            ],
        }
        for channel in data.channels
    ]
    cards = [
        {
            "channel": channel,
            "path": channel_path(channel.name),
            "about": printable(channel.told.description),
            "state": channel_state(channel),
            "signature": signature_state(channel),
            "warnings": warnings(channel),
            "latest": [move_view(move) for move in channel.history[:1]],
        }
        for channel in data.channels
    ]
    moves = [move_view(move) for move in data.moves[:6]]
    return Page(
        path="index.html",
        template="index.html",
        title="Channels",
        section="channels",
        about=data.info.description,
        view={"groups": groups, "cards": cards, "moves": moves},
    )


def _packages_page(data: SiteData) -> Page:
    counts = Counter(package.category for package in data.packages)
    flavors = sorted({variant.flavor for variant in data.variants if variant.flavor})
    filters = [
        ("category", "Category", sorted(counts)),
        ("flavor", "Flavor", flavors),
        ("arch", "Architecture", sorted({variant.arch for variant in data.variants})),
        ("channel", "Channel", [channel.name for channel in data.channels]),
    ]
    return Page(
        path="packages/index.html",
        template="packages.html",
        title="Packages",
        section="packages",
        about=f"Search the packages of {data.info.title}",
        view={
            "count": len(data.packages),
            "filters": [
                {"name": name, "label": label, "options": options}
                for name, label, options in filters
                if options
            ],
            "categories": [
                {"name": printable(name), "path": category_path(name), "count": count}
                for name, count in sorted(counts.items())
            ],
        },
    )


def category_pages(data: SiteData) -> Iterable[Page]:
    """Yield the listings of each category, at most `CATEGORY_PAGE` packages each."""
    for category, group in itertools.groupby(data.packages, key=lambda package: package.category):
        packages = list(group)
        chunks = [packages[at : at + CATEGORY_PAGE] for at in range(0, len(packages), CATEGORY_PAGE)]
        for number, chunk in enumerate(chunks, start=1):
            yield _category_page(category, chunk, number, len(chunks), len(packages))


def _category_page(category: str, chunk: Sequence[Package], number: int, pages: int, total: int) -> Page:
    links = [
        {"path": category_path(category, page), "title": str(page), "mark": current_mark(here=page == number)}
        for page in range(1, pages + 1)
    ]
    name = printable(category)
    return Page(
        path=category_path(category, number),
        template="category.html",
        title=name if pages == 1 else f"{name}, page {number}",
        section="packages",
        about=f"Packages of category {name}",
        view={
            "heading": name,
            "told": plural(total, "package") + (f", page {number} of {pages}" if pages > 1 else ""),
            "packages": [_category_line(package) for package in chunk],
            "pager": [links] if pages > 1 else [],
        },
    )


def _category_line(package: Package) -> View:
    return {
        "path": package_path(package.category, package.name),
        "human": printable(package.human),
        "version": printable(package.builds[0].version),
        "about": printable(package.description),
        "bundle": maybe(package.bundle),
    }


def _releases_page(data: SiteData) -> Page:
    return Page(
        path="releases/index.html",
        template="releases.html",
        title="Releases",
        section="releases",
        about=f"Releases of {data.info.title}",
        view={"moves": [move_view(move) for move in data.moves]},
    )


def _release_pages(data: SiteData) -> Iterable[Page]:
    for move in data.moves:
        told = move_view(move)
        yield Page(
            path=release_path(move.channel, move.seq),
            template="release.html",
            title=str(told["title"]),
            section="releases",
            about=f"What changed in {move.channel}",
            view={
                "move": told,
                "channel_path": channel_path(move.channel),
                "run": maybe(move.run_url if move.run_url.startswith("https://") else ""),
                "commit": commit_text(move.revision),
                "size_text": maybe(signed_size(size_change(move.diff)) if move.diff else ""),
                "diff_path": diff_path(move.previous, move.snapshot),
            },
        )


def _graph_page(data: SiteData) -> Page:
    return Page(
        path="graph.html",
        template="graph.html",
        title="Build graph",
        section="graph",
        about="The build graph with its critical path",
        view={"graphs": [_graph_view(graph) for graph in data.graphs]},
    )


def _graph_view(graph: BuildGraph) -> View:
    view = view_graph(graph, ".")
    timed = view.total_seconds > 0
    facts = [
        ("Channel", graph.channel),
        ("Packages", f"{view.total}"),
        ("Critical path", duration(view.path_seconds) if timed else f"{len(view.path)} packages"),
        ("All builds together", duration(view.total_seconds) if timed else ""),
    ]
    told = "An arrow goes from a build to what is built on it."
    if graph.edges == "runtime":
        told = "The records name no build requirements: an arrow goes from a package to what requires it."
    if view.shown < view.total:
        told += f" Shown are the critical path and the longest builds, {view.shown} of {view.total}."
    return {
        "key": graph.variant.key,
        "facts": [{"name": name, "value": value} for name, value in facts if value],
        "told": told,
        "view": view,
    }


def _trends_page(data: SiteData) -> Page:
    return Page(
        path="trends.html",
        template="trends.html",
        title="Trends",
        section="trends",
        about="Size, packages and build time over snapshots",
        view={"trends": [_trend_view(trend) for trend in data.trends if trend.points]},
    )


def _trend_view(trend: Trend) -> View:
    sizes = [float(point.size) for point in trend.points]
    counts = [float(point.packages) for point in trend.points]
    times = [point.seconds for point in trend.points]

    def drawn(title: str, values: Sequence[float], told: Sequence[str]) -> View:
        labels = [f"#{point.seq}: {text}" for point, text in zip(trend.points, told, strict=True)]
        high = told[max(range(len(values)), key=values.__getitem__)]
        return {"title": title, "svg": plot(f"{title} of {trend.channel}", values, labels, ("0", high))}

    plots = [
        drawn("Size of archives", sizes, [size(int(value)) for value in sizes]),
        drawn("Packages", counts, [f"{value:.0f}" for value in counts]),
    ]
    if any(times):
        plots.append(drawn("Build time", times, [duration(value) for value in times]))
    return {"channel": trend.channel, "plots": plots, "points": trend.points}


def _api_page(data: SiteData) -> Page:
    rows = [
        ("api/v1/index.json", "Channels, packages, and where each is told of", "index"),
        ("api/v1/c/CHANNEL.json", "A channel with its variants and history", "channel"),
        ("api/v1/p/CATEGORY/NAME.json", "A package with every build and all files", "package"),
        ("api/v1/diff/BEFORE..AFTER.json", "What differs between two snapshots", "diff"),
        ("search-index.json", "The search index, in columns", "search"),
    ]
    badges = [
        {
            "caption": channel.name,
            "text": f"[![{channel.name}]({data.info.url}{badge_path(channel.name)})]"
            f"({data.info.url}{channel_path(channel.name)})\n",
        }
        for channel in data.channels
    ]
    return Page(
        path="api/index.html",
        template="api.html",
        title="JSON API",
        about="Static JSON files beside the pages",
        view={
            "rows": [{"path": path, "what": what, "schema": schema} for path, what, schema in rows],
            "badges": badges,
        },
    )
