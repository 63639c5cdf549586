"""The jinja2 environment of the pages: escaping always on, undefined names are errors, few filters."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from cosgen.site.model import Change, ComponentChange, Diff, GraphNode
from cosgen.site.notes import change_versions, components_summary, list_names, version_step
from cosgen.site.text import (
    day_time,
    duration,
    iso_time,
    package_path,
    printable,
    short,
    size,
    visible,
)

SHOWN = 200  # entries of a list on one page; the JSON API has all


def template_folders() -> tuple[Path, Path]:
    """Return the folders of page templates and of the theme, in a wheel or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_templates" / "site", package / "_theme"
    checkout = package.parent / "templates" / "site", package.parent / "site" / "theme"
    return shipped if shipped[0].is_dir() else checkout


def make_environment(known: Collection[str]) -> jinja2.Environment:
    """Return an environment over the templates; `known` are the packages that have a page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(folder) for folder in template_folders()]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    prepare(environment, known)
    return environment


def prepare(environment: jinja2.Environment, known: Collection[str]) -> None:
    """Turn on escaping and add the filters; mkdocs' own environment is prepared the same way."""
    environment.autoescape = True
    environment.finalize = _finalize
    filters: Mapping[str, Callable[..., Any]] = {
        "iso": iso_time,
        "day": day_time,
        "size": size,
        "duration": duration,
        "short": short,
        "number": number,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "dash": lambda text: text or "–",
        "maybe": maybe,
        "title_once": lambda items: (True,) if items else (),
        "parts": lambda diff: diff_parts(diff, known),
        "components": component_parts,
        "page": _node_page,
    }
    environment.filters.update(filters)


def _finalize(value: object) -> object:
    """Show characters that would hide or reorder what stands beside them; markup of our own stays."""
    return visible(value) if type(value) is str else value


def maybe(value: object) -> tuple[object, ...]:
    """Return the value alone, or nothing when it is empty: templates repeat, they do not decide."""
    return (value,) if value else ()


def number(count: int) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def _node_page(node: GraphNode) -> str:
    category, _, name = node.human.partition("/")
    return package_path(category, name)


def page_link(human: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the path of a package's page, or nothing when it has none (hidden, or no longer published)."""
    if human not in known:
        return ()
    category, _, name = human.partition("/")
    return (package_path(category, name),)


def diff_parts(diff: Diff, known: Collection[str]) -> Iterable[Mapping[str, object]]:
    """Return the non-empty parts of a difference, ready to show."""
    parts = (("Added", "added", "+", diff.added), ("Changed", "changed", "~", diff.changed))
    for title, kind, mark, changes in (*parts, ("Removed", "removed", "−", diff.removed)):
        if changes:
            yield {
                "title": title,
                "kind": kind,
                "mark": mark,
                "changes": changes,
                "shown": [_change(change, diff, known) for change in changes[:SHOWN]],
                "more": maybe(len(changes) - SHOWN if len(changes) > SHOWN else 0),
            }


def _change(change: Change, diff: Diff, known: Collection[str]) -> Mapping[str, object]:
    return {
        "human": printable(change.human),
        "link": page_link(change.human, known),
        "versions": change_text(change, diff),
    }


def component_parts(diff: Diff) -> Iterable[Mapping[str, object]]:
    """Return how the bills of materials differ, ready to show; nothing when there is nothing to say."""
    if diff.components or diff.uncompared:
        yield {
            "count": maybe(len(diff.components)),
            "summary": components_summary(diff),
            "shown": [_component(change) for change in diff.components[:SHOWN]],
            "more": maybe(max(0, len(diff.components) - SHOWN)),
        }


def _component(change: ComponentChange) -> Mapping[str, object]:
    kind, mark = (
        ("added", "+") if not change.before else ("changed", "~") if change.after else ("removed", "−")
    )
    return {
        "kind": kind,
        "mark": mark,
        "name": printable(change.name),
        "versions": printable(version_step(change.before, change.after)),
        "where": printable(list_names(change.packages)),
    }


def change_text(change: Change, diff: Diff) -> str:
    """Return versions, size and variants of a change on one line; not the variants when it is all of them."""
    where = f" · {', '.join(change.variants)}" if change.variants != diff.variants else ""
    return change_versions(change) + where


def shown_and_more(items: Sequence[object]) -> tuple[Sequence[object], tuple[object, ...]]:
    """Cut a list for a page; the second value is how many are left out, if any."""
    return items[:SHOWN], maybe(max(0, len(items) - SHOWN))
