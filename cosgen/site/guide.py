"""The derivative guide: what the system is made of as published, and how to build on it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote

from cosgen.site.model import SiteData
from cosgen.site.page import Page, View
from cosgen.site.render import maybe, page_link
from cosgen.site.text import channel_path, plural, printable

_BASES = 8  # packages that others are built on which are named
_SECTIONS = {
    "rootfs": "The system",
    "uefi": "The EFI partition",
    "image": "Boot files of the medium",
    "initramfs": "The first RAM disk",
}


def guide_page(data: SiteData) -> Page:
    """Return the guide; files in it are as `cosgen` reads them."""
    known = {package.human for package in data.packages}
    bases = _bases(data)
    start = next((human for human, _ in bases), "") or _any_foundation(data) or "system/base"
    key = data.variants[0].key if data.variants else "x86_64"
    return Page(
        path="derive.html",
        template="guide.html",
        title="Build a derivative",
        section="guide",
        about=f"How to build your own system on {data.info.title}",
        view={
            "made": _made(data, known),
            "foundations": [
                {"name": one.name, "packages": [_link(human, known) for human in one.packages]}
                for one in data.foundations
            ],
            "foundation_text": _foundation_text(data),
            "bases": [{**_link(human, known), "told": plural(count, "build")} for human, count in bases],
            "trees": maybe(", ".join(data.project.trees)),
            "variants": _variants(data),
            "values": _values(data),
            "start": _start(data),
            "project": _project(data),
            "project_name": "cosgen.yaml",
            "definition": 'name: "hello"\ncategory: "apps"\nversion: "1.0.0"\ndescription: "Says hello"\n',
            "build": _build(start),
            "base": _link(start, known),
            "own_values": 'greeting: "hello"\n',
            "own_values_name": f"values/{key}.yaml",
            "override": _override(start),
            "commands": (
                "cosgen lock --update\ncosgen check\ncosgen plan\n"
                "cosgen build --all --output build/artifacts\n"
                "cosgen publish --channel testing build/artifacts\n"
            ),
        },
    )


def _link(human: str, known: Iterable[str]) -> View:
    return {"human": printable(human), "link": page_link(human, frozenset(known))}


def _made(data: SiteData, known: Iterable[str]) -> Sequence[View]:
    """Return what the manifest's sections name, and what machines upgrade to."""
    rows = [
        {
            "name": _SECTIONS.get(name, printable(name)),
            "packages": [_link(human, known) for human in packages],
        }
        for name, packages in data.project.media.items()
    ]
    if data.project.package:
        rows.insert(0, {"name": "Machines upgrade to", "packages": [_link(data.project.package, known)]})
    return rows


def _foundation_text(data: SiteData) -> str:
    if not data.foundations:
        return "None of systemd, dracut and grub is published here; build on the packages you need."
    return "What a system stands on is published ready-made; build on it whole or in part."


def _any_foundation(data: SiteData) -> str:
    return next((human for one in data.foundations for human in one.packages), "")


def _bases(data: SiteData) -> Sequence[tuple[str, int]]:
    """Return the packages that most others are built on, the most used first."""
    graph = next((graph for graph in data.graphs if graph.edges == "build"), None)
    counts = Counter(need for node in graph.nodes for need in node.needs) if graph else Counter[str]()
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_BASES]


def _variants(data: SiteData) -> Sequence[View]:
    return [
        {
            "key": variant.key,
            "channels": [
                {"name": channel.name, "path": channel_path(channel.name)}
                for channel in data.channels
                if any(state.variant == variant for state in channel.variants)
            ],
        }
        for variant in data.variants
    ]


def _values(data: SiteData) -> Sequence[View]:
    """Return a table of the values that the packages were made with; a column for each variant."""
    tables = data.project.values
    names = sorted({name for table in tables.values() for name in table})
    if not names:
        return []
    rows = [{"name": name, "cells": [table.get(name, "") for table in tables.values()]} for name in names]
    return [{"columns": list(tables), "rows": rows}]


def _project(data: SiteData) -> str:
    flavors = sorted({variant.flavor for variant in data.variants if variant.flavor})
    arches = sorted({variant.arch for variant in data.variants})
    lines = [
        "version: 1",
        "name: my-os",
        "trees: [packages]",
        "foundations:",
        "- name: foundation",
        f"  url: {_yaml(_address(data))}",
        f"  reference: {_yaml(_reference(data))}",
        'values: ["values/{flavor}-{arch}.yaml"]' if flavors else 'values: ["values/{arch}.yaml"]',
        *([f"flavors: [{', '.join(map(_yaml, flavors))}]"] if flavors else []),
        f"arches: [{', '.join(map(_yaml, arches))}]",
        "repository:",
        "  storage: build/repository",
        "channels:",
        "  testing: {on: {branch: main}, keep: {last: 10}}",
    ]
    return "\n".join(lines) + "\n"


def _start(data: SiteData) -> str:
    return f"cosgen init my-os --from {quote(_address(data))} --reference {quote(_reference(data))}\n"


def _reference(data: SiteData) -> str:
    """Return the name that follows the channel to build on, whatever the variant."""
    names = [channel.name for channel in data.channels]
    return f"{'stable' if 'stable' in names else names[0]}-repository.yaml"


def _address(data: SiteData) -> str:
    """Return the repository's own address: the folder above the one that clients read."""
    return data.info.repository_url.rstrip("/").removesuffix("/r") or "https://repo.example.org"


def _fields(fields: Mapping[str, str], indent: str = "") -> str:
    return "".join(f"{indent}{name}: {value}\n" for name, value in fields.items())


def _build(base: str) -> str:
    category, _, name = base.partition("/")
    need = _fields({"category": _yaml(category), "name": _yaml(name), "version": '">=0"'}, "  ")
    return f'requires:\n-{need[1:]}steps:\n- printf "%s\\n" "{{{{ .Values.greeting }}}}" > /etc/motd\n'


def _override(base: str) -> str:
    category, _, name = base.partition("/")
    return _fields(
        {"name": _yaml(name), "category": _yaml(category), "version": '"1.0.0"', "override": "true"}
    )


def _yaml(text: str) -> str:
    """Return `text` as one YAML scalar."""
    plain = text.replace("-", "").replace("_", "").replace(".", "").replace("/", "").isalnum()
    if (
        plain
        and text[0].isalpha()
        and text.lower() not in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    ):
        return text
    escaped = printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
