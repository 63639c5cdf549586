"""The search index: one compact JSON file in columns, read by the packages page. Pure.

Schema: `api/v1/schema/search.schema.json`. `where[i]` is an index into `sets`; a set lists codes
`channel * len(variants) + variant`. All columns have one entry per package, in page order.
"""

import json
from collections.abc import Sequence

from cosgen.site.model import Package, SiteData
from cosgen.site.text import printable

_ABOUT = 120  # characters of the description that are searched and shown


def search_index(data: SiteData) -> str:
    """Return the index as JSON text, one line."""
    channels = [channel.name for channel in data.channels]
    variants = [[variant.flavor, variant.arch] for variant in data.variants]
    categories = sorted({package.category for package in data.packages})
    numbers = {name: index for index, name in enumerate(categories)}
    sets: dict[tuple[int, ...], int] = {}
    where = [sets.setdefault(_codes(data, package), len(sets)) for package in data.packages]
    index = {
        "schema": 1,
        "channels": channels,
        "variants": variants,
        "categories": categories,
        "names": [package.name for package in data.packages],
        "category": [numbers[package.category] for package in data.packages],
        "version": [package.builds[0].version for package in data.packages],
        "about": [_about(package) for package in data.packages],
        "where": where,
        "sets": [list(codes) for codes in sets],
        "bundle": [number for number, package in enumerate(data.packages) if package.bundle],
    }
    return json.dumps(index, ensure_ascii=False, separators=(",", ":")) + "\n"


def _codes(data: SiteData, package: Package) -> tuple[int, ...]:
    channels: Sequence[str] = [channel.name for channel in data.channels]
    return tuple(
        sorted(
            {
                channels.index(channel) * len(data.variants) + data.variants.index(build.variant)
                for build in package.builds
                for channel in build.channels
            }
        )
    )


def _about(package: Package) -> str:
    text = printable(" ".join(package.description.split()))
    return text if len(text) <= _ABOUT else text[: _ABOUT - 1].rstrip() + "…"
