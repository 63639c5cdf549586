"""The page of a package: the values its template shows. Pure."""

import shlex
from collections.abc import Collection, Mapping, Sequence

from cosgen.site.api import package_api_path
from cosgen.site.model import Build, Package, SiteData
from cosgen.site.page import Page, View
from cosgen.site.picture import neighbours
from cosgen.site.readme import render_readme
from cosgen.site.render import page_link, shown_and_more
from cosgen.site.text import category_path, channel_path, duration, package_path, plural, printable, safe_url

FILES_SHOWN = 500  # lines of a file list on the page; the JSON API has all


def package_page(data: SiteData, package: Package, known: Collection[str]) -> Page:
    """Return the page of a package; `known` are the packages that have a page."""
    requires = {edge.human: edge.selector for build in reversed(package.builds) for edge in build.requires}
    return Page(
        path=package_path(package.category, package.name),
        template="package.html",
        title=printable(package.human),
        section="packages",
        about=printable(package.description),
        view={
            "package": {
                "human": printable(package.human),
                "category": printable(package.category),
                "description": printable(package.description),
            },
            "category_path": category_path(package.category),
            "bundle_text": _bundle_text(package),
            "facts": _facts(package),
            "install": f"luet install {shlex.quote(printable(package.human))}\n",
            "columns": data.variants,
            "matrix": _matrix(data, package),
            "requirements": _requirements(package, requires, known),
            "readme": [render_readme(package.readme)] if package.readme.strip() else [],
            "builds": [_build_view(data, build) for build in package.builds],
            "files": _files(package.builds[0]),
            "api": package_api_path(package),
        },
    )


def _bundle_text(package: Package) -> tuple[str, ...]:
    if not package.bundle:
        return ()
    return (
        f"It holds no files of its own: installing it installs {plural(len(package.requires), 'package')}.",
    )


def _facts(package: Package) -> Sequence[View]:
    safe = [safe_url(uri) for uri in package.uris]
    unsafe = [printable(uri) for uri, link in zip(package.uris, safe, strict=True) if not link]
    provides = sorted({edge.human for build in package.builds for edge in build.provides})
    conflicts = sorted(
        {f"{edge.human} {edge.selector}" for build in package.builds for edge in build.conflicts}
    )
    facts = (
        ("Licence", [package.license] if package.license else []),
        ("Upstream", unsafe),
        ("Provides", provides),
        ("Conflicts with", conflicts),
        ("Labels", [f"{key}: {value}" for key, value in package.labels]),
    )
    return [
        {
            "name": name,
            "links": [url for url in safe if url] if name == "Upstream" else [],
            "texts": [printable(text) for text in texts],
        }
        for name, texts in facts
        if texts or (name == "Upstream" and any(safe))
    ]


def _matrix(data: SiteData, package: Package) -> Sequence[View]:
    versions: dict[tuple[str, str], str] = {}
    for build in reversed(package.builds):
        versions.update({(channel, build.variant.key): build.version for channel in build.channels})
    return [
        {
            "channel": channel.name,
            "path": channel_path(channel.name),
            "cells": [printable(versions.get((channel.name, variant.key), "")) for variant in data.variants],
        }
        for channel in data.channels
    ]


def _requirements(package: Package, selectors: Mapping[str, str], known: Collection[str]) -> Sequence[View]:
    requires, dependents = package.requires, package.dependents
    picture = neighbours(printable(package.human), [*map(printable, requires)], [*map(printable, dependents)])
    title = "In the bundle" if package.bundle else "Requires"
    parts = []
    for name, names in ((title, requires), ("Required by", dependents)):
        shown, more = shown_and_more(names)
        entries = [
            {
                "human": printable(human),
                "link": page_link(human, known),
                "selector": _selector(selectors.get(human, "")) if name == title else "",
            }
            for human in map(str, shown)
        ]
        if names:
            parts.append(
                {"title": name, "count": len(names), "entries": entries, "more": more, "picture": ()}
            )
    if parts:
        parts[0] = {**parts[0], "picture": (picture,)}
    return parts


def _selector(text: str) -> str:
    """Return a version selector as shown; one that any version meets is not worth a word."""
    return "" if text in {">=0", "*"} else printable(text)


def _build_view(data: SiteData, build: Build) -> View:
    root = data.info.repository_url.rstrip("/").removesuffix("/r")  # clients' folder is `r` in the repository
    links = (
        ("archive", f"{root}/{build.key}" if build.key and root else ""),
        ("SBOM and provenance", f"{root}/{build.attestation}" if build.attestation and root else ""),
        ("log", build.log_url),
    )
    digests = (
        ("archive", build.digest),
        ("inputs", build.input_digest),
        ("SBOM", build.sbom_digest),
        ("provenance", build.provenance_digest),
    )
    return {
        "build": build,
        "channels": ", ".join(build.channels),
        "time": duration(build.seconds) if build.seconds else "",
        "links": [{"title": title, "url": safe} for title, url in links if url and (safe := safe_url(url))],
        "digests": [{"name": name, "value": value} for name, value in digests if value],
    }


def _files(build: Build) -> Sequence[View]:
    if not build.files:
        return []
    shown = [printable(path) for path in build.files[:FILES_SHOWN]]
    told = f"Of version {build.version} for {build.variant.key}"
    if len(build.files) > FILES_SHOWN:
        told += f"; the first {FILES_SHOWN}, the JSON API has all"
    return [{"count": len(build.files), "told": f"{told}.", "text": "\n".join(shown) + "\n"}]
