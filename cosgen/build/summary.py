"""What builds did, for people (Markdown) and machines (JSON)."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from cosgen.build.request import GOOD, BuildReport, PackageResult, Status
from cosgen.errors import Problem

SUMMARY_SCHEMA = 1
_MARKS = {
    Status.BUILT: "built",
    Status.EXTRACTED: "extracted",
    Status.KEPT: "unchanged",
    Status.PULLED: "from cache",
    Status.FAILED: "**failed**",
    Status.BLOCKED: "*blocked*",
    Status.STOPPED: "*stopped*",
}


def summary_json(reports: Sequence[BuildReport]) -> str:
    """Return the reports as canonical JSON."""
    variants = [_variant(report) for report in reports]
    return json.dumps({"schema": SUMMARY_SCHEMA, "variants": variants}, sort_keys=True, indent=1) + "\n"


def _variant(report: BuildReport) -> dict[str, object]:
    hows = [item.how for item in report.images]
    return {
        "variant": report.variant,
        "engine": report.engine,
        "seconds": report.seconds,
        "packages": [_package(item) for item in report.packages],
        "images": [asdict(item) for item in report.images],
        "cache_hits": {how: hows.count(how) for how in sorted(set(hows))},
        "problems": [_problem(item) for item in report.problems],
    }


def summary_markdown(reports: Sequence[BuildReport]) -> str:
    """Return tables of packages and a line of totals for each variant, failures first."""
    return "\n".join(_section(report) for report in reports)


def totals(report: BuildReport) -> str:
    """Return one line: how many packages of each outcome, images, seconds."""
    counts = [
        f"{count} {_MARKS[status].strip('*')}"
        for status in Status
        if (count := sum(item.status is status for item in report.packages))
    ]
    built = sum(item.how == "built" for item in report.images)
    images = f"; {built} images built" if built else ""
    return f"{', '.join(counts) or 'nothing to do'}{images}; {_seconds(report.seconds)}"


def _section(report: BuildReport) -> str:
    lines = [f"### {report.variant}", "", totals(report), ""]
    shown = [item for item in report.packages if item.status is not Status.KEPT]
    if shown:
        lines += [
            "| package | version | result | time | size | installed | files |",
            "|---|---|---|--:|--:|--:|--:|",
        ]
        lines += [_row(item) for item in sorted(shown, key=lambda item: (item.status in GOOD, item.human))]
        lines.append("")
    for item in report.failed:
        if item.problems:
            lines += [f"- `{item.human}`: {_cell(item.problems[0].what)}"]
    return "\n".join(lines) + "\n"


def _row(item: PackageResult) -> str:
    cells = [
        _cell(item.human),
        _cell(item.version),
        _MARKS[item.status],
        _seconds(item.seconds),
        _bytes(item.size),
        _bytes(item.installed_size),
        str(item.files),
    ]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Return text that cannot leave its cell or become markup."""
    flat = " ".join(text.split())
    for char in "\\`*_|<>[]":
        flat = flat.replace(char, f"\\{char}" if char not in "<>" else {"<": "&lt;", ">": "&gt;"}[char])
    return flat


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _package(item: PackageResult) -> dict[str, object]:
    problems = [_problem(problem) for problem in (*item.problems, *item.warnings)]
    return asdict(item) | {"problems": problems, "warnings": [_problem(problem) for problem in item.warnings]}


def _problem(problem: Problem) -> dict[str, object]:
    return {"id": problem.id, "severity": str(problem.severity), "what": problem.what, "fix": problem.fix}
