"""All pages but the packages': their addresses, templates and values. Pure."""

import itertools
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from cosgen.site.build_graph import view_graph
from cosgen.site.guide import guide_page
from cosgen.site.model import BuildGraph, Channel, Package, SiteData, Trend
from cosgen.site.notes import size_change, summary
from cosgen.site.page import (
    Page,
    View,
    channel_state,
    commit_text,
    current_mark,
    move_view,
    signature_state,
    snippet_tabs,
    variant_state,
    warnings,
)
from cosgen.site.picture import plot
from cosgen.site.render import maybe
from cosgen.site.signature import FIRST_ROOT
from cosgen.site.text import (
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
    slug,
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
        yield _channel_page(data, channel)
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
    rows = [
        {
            "channel": channel,
            "path": channel_path(channel.name),
            "state": state,
            "fresh": variant_state(channel, state),
            "commit": commit_text(channel.revision),
            "signature": signature_state(channel),
        }
        for channel in data.channels
        for state in channel.variants
    ]
    cards = [
        {
            "channel": channel,
            "path": channel_path(channel.name),
            "state": channel_state(channel),
            "warnings": warnings(channel),
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
        view={"rows": rows, "cards": cards, "moves": moves},
    )


def _channel_page(data: SiteData, channel: Channel) -> Page:
    rows = [
        {
            "state": state,
            "lag": maybe(
                f"{duration(state.lag)} behind" if variant_state(channel, state)["kind"] == "warn" else ""
            ),
            "query": _query(channel=channel.name, arch=state.variant.arch, flavor=state.variant.flavor),
        }
        for state in channel.variants
    ]
    return Page(
        path=channel_path(channel.name),
        template="channel.html",
        title=channel.name,
        section="channels",
        about=f"Channel {channel.name} of {data.info.title}",
        view={
            "channel": channel,
            "state": channel_state(channel),
            "signature": signature_state(channel),
            "warnings": warnings(channel),
            "commit": commit_text(channel.revision),
            "badge": badge_path(channel.name),
            "rows": rows,
            "follow": snippet_tabs([snippet for snippet in channel.snippets if snippet.mode != "verify"]),
            "signature_text": _signature_text(channel),
            "verify": _verify(data, channel),
            "history": [move_view(move) for move in channel.history],
            "differences": [
                {
                    "title": f"From {channel.name} to {difference.other}",
                    "summary": summary(difference.diff).capitalize() + ".",
                    "diff": () if difference.diff.is_empty else (difference.diff,),
                }
                for difference in channel.differences
            ],
        },
    )


def _query(**fields: str) -> str:
    return urlencode({name: value for name, value in fields.items() if value})


def _signature_text(channel: Channel) -> Iterable[str]:
    if channel.signature == "unsigned":
        yield (
            "This channel is not signed. Digests in the index protect against broken downloads, not against "
            "a changed repository."
        )
        return
    note = f" ({channel.signature_note})" if channel.signature_note else ""
    yield _SIGNATURES[channel.signature] + note + "."
    if not channel.root_digest:
        return
    yield (
        "Stock clients do not check such signatures: a machine that should follows a local copy that was "
        "checked, made with the command below. It starts from the root of trust: get the file once, by a way "
        "you trust, compare its digest, and keep it; every later key follows from it."
    )


_SIGNATURES = {
    "verified": "The channel is signed, and its signature was right when this page was made",
    "signed": "The channel is signed, but its signature was not checked",
    "expired": "The channel is signed, but its signature ran out, and clients that check it refuse it",
    "wrong": "The signature of this channel is wrong: do not follow it until its owner has explained that",
}


def _verify(data: SiteData, channel: Channel) -> Sequence[View]:
    given = [snippet for snippet in channel.snippets if snippet.mode == "verify"]
    if given:
        return [{"text": snippet.text, "caption": snippet.name or snippet.place} for snippet in given]
    if not channel.root_digest or not data.info.repository_url:
        return []
    store = data.info.repository_url.rstrip("/").removesuffix("/r")
    get = f"curl --fail --output root.json {shlex.quote(f'{store}/{FIRST_ROOT}')}\n"
    check = f"echo '{channel.root_digest.removeprefix('sha256:')}  root.json' | sha256sum --check\n"
    text = (
        f"cosgen repo mirror /var/lib/cosgen/{slug(channel.name)} --channel {shlex.quote(channel.name)} "
        f"--root root.json --storage {shlex.quote(store)}\n"
    )
    return [
        {"text": get + check, "caption": "Get the root of trust, and compare its digest with one you trust"},
        {"text": text, "caption": "Make a verified copy"},
    ]


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


def badge_path(channel: str) -> str:
    """Path of a channel's badge."""
    return f"badges/{slug(channel)}.svg"


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
