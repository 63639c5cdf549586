"""Plans as Markdown for people: the summary of a CI run, a comment on a pull request."""

from collections.abc import Iterable, Iterator

from cosgen.graph.plan_model import Action, Plan, PlanNode, count_actions

LIMIT = 900 * 1024  # bytes; GitHub drops a step summary of more than 1 MiB whole
_RESERVE = 200


def summary_markdown(plan: Plan, limit: int = LIMIT) -> str:
    """Return the plan as Markdown of at most `limit` bytes; what does not fit is counted at the end."""
    title = f"## Plan{f' for `{plan.channel}`' if plan.channel else ''}\n"
    return _fit([title, *_head(plan), *_problems(plan), *_tables(plan)], limit)


def _head(plan: Plan) -> Iterator[str]:
    counts = count_actions(plan.nodes)
    since = f" since `{_plain(plan.since)}`" if plan.since else ""
    told = ", ".join(f"**{counts[action]}** {action}" for action in Action)
    yield f"\n{told}{since}.\n"
    if plan.to_build:
        yield (
            f"\n{duration(plan.work_seconds)} of work, critical path {duration(plan.critical_seconds)}, "
            f"about {duration(plan.wall_seconds)} with {counted(len(plan.queues), 'worker')}.\n"
        )
        names = {node.key: node.human for node in plan.to_build}
        yield "\nCritical path: " + " → ".join(_code(names[key]) for key in plan.critical_path) + "\n"


def _problems(plan: Plan) -> Iterator[str]:
    for item in plan.problems:
        yield f"\n- **{item.severity}** {item.id}: {_plain(item.what)}"
    if plan.problems:
        yield "\n"


def _tables(plan: Plan) -> Iterator[str]:
    for action in (Action.BLOCKED, Action.BUILD):
        nodes = [node for node in plan.nodes if node.action is action]
        if nodes:
            yield f"\n### {'Blocked' if action is Action.BLOCKED else 'To build'}\n"
            yield "\n| package | variant | why | estimate | level |\n| --- | --- | --- | ---: | ---: |\n"
            yield from map(_row, sorted(nodes, key=lambda node: (node.level, node.key)))


def _row(node: PlanNode) -> str:
    cells = (
        _code(f"{node.human}@{node.version}"),
        node.variant,
        _plain(node.reason),
        duration(node.estimate),
        str(node.level),
    )
    return f"| {' | '.join(cells)} |\n"


def _fit(pieces: Iterable[str], limit: int) -> str:
    kept: list[str] = []
    size = dropped = 0
    for piece in pieces:
        weight = len(piece.encode())
        if dropped or size + weight > limit - _RESERVE:
            dropped += 1
            continue
        kept.append(piece)
        size += weight
    end = f"\n… and {dropped} more lines; see plan.json.\n" if dropped else ""
    return "".join(kept) + end


def _code(text: str) -> str:
    """Return a name as code, also in a table; one that would end either is shown as plain text."""
    return _plain(text) if set("`|\\\r\n") & set(text) else f"`{text}`"


def _plain(text: str) -> str:
    """Return text that cannot become Markdown or HTML of its own in a table."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def counted(number: int, word: str) -> str:
    """Say how many there are of something.

    >>> counted(1, "worker"), counted(2, "worker")
    ('1 worker', '2 workers')
    """
    return f"{number:,} {word}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Return seconds for people.

    >>> duration(42), duration(150), duration(7300)
    ('42 s', '2 min 30 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    return f"{whole // 3600} h {whole % 3600 // 60} min".removesuffix(" 0 min")
