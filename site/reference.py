"""Write the reference pages of cosgen's documentation from the code itself.

python site/reference.py          write docs/reference/*.md
python site/reference.py --check  exit 8 when they are not what the code would write
"""

import difflib
import importlib
import inspect
import json
import keyword
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from cosgen import errors
from cosgen.cli.main import COMMANDS, cosgen
from cosgen.site.api import SCHEMAS

FOLDER = Path(__file__).resolve().parent / "docs" / "reference"
ROOMS = ("manifest", "pipeline", "graph", "build", "repository", "site", "upgrade", "cli")
MADE = "<!-- Made by site/reference.py from the code. Change the code, then run it again. -->\n"


def main() -> None:
    """Write the pages, or compare them."""
    warnings.simplefilter("ignore", UserWarning)
    pages = {name: text.rstrip("\n") + "\n" for name, text in make_pages()}
    if "--check" not in sys.argv[1:]:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return
    drift = list(find_drift(pages))
    sys.stdout.writelines(drift)
    if drift:
        sys.stderr.write("the reference is not what the code says\n  fix: run python site/reference.py\n")
        sys.exit(errors.DriftError.exit_code)


def find_drift(pages: Mapping[str, str]) -> Iterator[str]:
    """Yield the difference between the pages on disk and the pages as they should be."""
    for name, text in pages.items():
        path = FOLDER / name
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        yield from difflib.unified_diff(
            found.splitlines(True), text.splitlines(True), name, f"{name} (from the code)"
        )
    for path in sorted(FOLDER.glob("*.md")):
        if path.name not in pages:
            yield f"{path.name} is made by nothing\n"


def make_pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of each page."""
    yield "commands.md", commands_page()
    yield "configuration.md", configuration_page()
    yield "problems.md", problems_page()
    yield "exit-codes.md", exit_codes_page()
    yield "machine-interfaces.md", interfaces_page()


# ---- commands


def commands_page() -> str:
    """Return the page of all commands, as `--help` tells them."""
    lines = [MADE, "# Commands\n"]
    lines.append(
        "Every command takes `--help`. What a command makes goes to standard output, talk to standard error.\n"
    )
    lines.append("| command | does |\n| --- | --- |")
    found = {name: _command(name) for name in COMMANDS}
    lines += [
        f"| [`cosgen {name}`](#cosgen-{name}) | {COMMANDS[name]} |" for name, one in found.items() if one
    ]
    lines.append("")
    for name, command in found.items():
        if command is not None:
            lines += _command_text(f"cosgen {name}", command, 2)
    return "\n".join(lines)


def _command(name: str) -> click.Command | None:
    try:
        return cosgen.get_command(click.Context(cosgen), name)
    except ModuleNotFoundError:  # planned in the table, not written yet
        return None


def _command_text(path: str, command: click.Command, level: int) -> Iterator[str]:
    yield f"{'#' * level} {path}\n"
    context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{path} {usage}\n```\n".replace(" \n", "\n")
    yield _prose(inspect.cleandoc(command.help or ""))
    if command.epilog:
        yield _prose(inspect.cleandoc(command.epilog))
    rows = [row for row in map(_option_row, _options(command, context)) if row]
    if rows:
        yield "| option | meaning |\n| --- | --- |"
        yield from rows
        yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _command_text(f"{path} {name}", child, min(level + 1, 4))


def _options(command: click.Command, context: click.Context) -> Iterable[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in record[0]:
            yield record


def _option_row(record: tuple[str, str]) -> str:
    name, text = record
    return f"| `{_cell(name)}` | {_cell(_escape(text))} |"


def _prose(text: str) -> str:
    """Return help text as Markdown: paragraphs, examples as code."""
    out = []
    for part in text.replace("\b\n", "").strip().split("\n\n"):
        lines = [line.strip() for line in part.strip().splitlines()]
        if lines and lines[0].startswith("Example"):
            head, _, rest = lines[0].partition(":")
            body = [line for line in (rest.strip(), *lines[1:]) if line]
            out.append(f"{head}:\n\n```console\n" + "\n".join(f"$ {line}" for line in body) + "\n```\n")
        elif lines:
            out.append(_escape(" ".join(lines)) + "\n")
    return "\n".join(out)


# ---- configuration


def configuration_page() -> str:
    """Return the page of cosgen.yaml, from its JSON Schema."""
    path = Path(errors.__file__).parent / "manifest" / "cosgen.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    lines = [MADE, "# cosgen.yaml\n"]
    lines.append(
        "A project without it works with defaults. Unknown keys are errors that name the nearest known key. The JSON "
        "Schema is `cosgen/manifest/cosgen.schema.json`; an editor that speaks YAML checks against it when the file "
        "starts with `# yaml-language-server: $schema=…/cosgen.schema.json`.\n"
    )
    lines += ["| key | kind | default | meaning |", "| --- | --- | --- | --- |"]
    lines += _settings("", schema)
    return "\n".join(lines)


def _settings(prefix: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for key, value in schema.get("properties", {}).items():
        path = f"{prefix}{key}"
        required = " (required)" if key in schema.get("required", ()) else ""
        default = json.dumps(value["default"]) if "default" in value else ""
        shown = f"`{_cell(default)}`" if default else ""
        about = _cell(_escape(value.get("description", "")))
        yield f"| `{path}`{required} | {_cell(_kind(value))} | {shown} | {about} |"
        yield from _inner(path, value)


def _inner(path: str, value: Mapping[str, Any]) -> Iterator[str]:
    for arm in (value, *value.get("anyOf", ())):
        if "properties" in arm:
            yield from _settings(f"{path}.", arm)
        items = arm.get("items", {})
        if isinstance(items, dict):
            for one in (items, *items.get("anyOf", ())):
                if "properties" in one:
                    yield from _settings(f"{path}[].", one)
        extra = arm.get("additionalProperties")
        if isinstance(extra, dict):
            for one in (extra, *extra.get("anyOf", ())):
                if "properties" in one:
                    yield from _settings(f"{path}.NAME.", one)


def _kind(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_kind(arm) for arm in value["anyOf"]))
    if "enum" in value:
        return " or ".join(f"`{_cell(str(item))}`" for item in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"list of {_kind(value.get('items', {}))}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return "mapping by name"
    names = {"string": "text", "integer": "number", "boolean": "true or false", "object": "mapping"}
    kinds = value.get("type", "any value")
    return " or ".join(names.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


# ---- problems, exit codes, interfaces


def problems_page() -> str:
    """Return the page of problem ids, from every room's table of rules."""
    lines = [MADE, "# Problem ids\n"]
    lines.append(
        "An id never changes its meaning; tools may match on it. `--format json` prints it as `id`.\n"
    )
    for room, rules in _rules():
        lines += [
            f"## {room}\n",
            "| id | what is wrong | why it matters | what to do |",
            "| --- | --- | --- | --- |",
        ]
        for rule in sorted(rules.values(), key=lambda rule: rule.id):
            cells = (rule.title, rule.why, rule.fix)
            lines.append(
                f'| <span id="{rule.id.lower()}">{rule.id}</span> | '
                + " | ".join(_cell(_escape(cell)) for cell in cells)
                + " |"
            )
        lines.append("")
    return "\n".join(lines)


def _rules() -> Iterator[tuple[str, Mapping[str, errors.Rule]]]:
    """Yield each room with its rules."""
    for room in ROOMS:
        yield room, importlib.import_module(f"cosgen.{room}.rules").RULES


def exit_codes_page() -> str:
    """Return the page of exit codes, from the kinds of errors."""
    rows = [
        (0, "Done."),
        (1, "A bug in cosgen: please report it with the output of `-v`."),
        (2, "The command line is not understood."),
    ]
    rows += [
        (kind.exit_code, (kind.__doc__ or "").splitlines()[0]) for kind in errors.CosgenError.__subclasses__()
    ]
    rows.append((130, "Ended by Ctrl-C."))
    lines = [MADE, "# Exit codes\n", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {_escape(text)} |" for code, text in sorted(set(rows))]
    return "\n".join(lines)


def interfaces_page() -> str:
    """Return the page of machine-readable outputs, with the fields of those that have a schema."""
    lines = [MADE, "# Machine interfaces\n"]
    lines.append(
        "What other programs may rely on. Fields are added, never renamed or given another meaning, while `schema` stays.\n"
    )
    lines += [
        "## Problems\n",
        '`--format json` prints `{"problems": […]}`; each has `id`, `severity` (`error`, `warning`), `what`, `fix`, and `origin` '
        "(`path`, `line`, `column`) or `null`. `--format github` prints workflow annotations.\n",
        "## The site's JSON API\n",
        "`cosgen site build` writes static files below `api/v1/`, and their JSON Schemas below `api/v1/schema/`.\n",
    ]
    for name, schema in SCHEMAS.items():
        lines += [f"### {name}\n", f"{schema['title']}. Schema: `api/v1/schema/{name}.schema.json`.\n"]
        lines += ["| field | kind |", "| --- | --- |"]
        lines += [f"| `{key}` | {_cell(_kind(value))} |" for key, value in schema["properties"].items()]
        lines.append("")
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Take the meaning from what Markdown would read in a text, but for `code`, which it leaves alone."""
    spans = text.split("`")
    plain_tail = len(spans) % 2 == 0  # a last backtick that none closes
    return "`".join(
        span if number % 2 and not (plain_tail and number == len(spans) - 1) else _escape_plain(span)
        for number, span in enumerate(spans)
    )


def _escape_plain(text: str) -> str:
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("[", "\\[").replace("*", "\\*").replace("_", "\\_")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
