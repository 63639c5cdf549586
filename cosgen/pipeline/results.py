"""What building left behind, as records; what they say of a plan; and the verdict."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from cosgen.graph.plan import Action, Plan, PlanNode

RESULT_SUFFIX = ".result.json"
RESULT_SCHEMA = 1


class State(StrEnum):
    """How building a package ended; the earlier of two wins when a package has several records."""

    BUILT = "built"
    KEPT = "kept"  # it was already there
    FAILED = "failed"
    BLOCKED = "blocked"  # something it needs failed
    MISSING = "missing"  # nobody says anything of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One package's result; `cosgen build` and `cosgen worker` write one beside each other a package."""

    schema: int = RESULT_SCHEMA
    key: str  # PlanNode.key
    input_digest: str
    state: State
    seconds: float = 0.0
    reason: str = ""  # one line, of FAILED and BLOCKED
    log: str = ""  # file name beside the record; "" when there is none

    def to_json(self) -> str:
        """Return the record as canonical JSON (sorted keys, one trailing newline)."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def result_from_json(text: str) -> Result:
    """Read a record that `Result.to_json` wrote.

    Raises:
        ValueError: The text is not a record of this schema.
    """
    try:
        data = json.loads(text)
        if data["schema"] != RESULT_SCHEMA:
            raise ValueError(f"a result record of schema {data['schema']!r}")
        return Result(
            key=str(data["key"]),
            input_digest=str(data["input_digest"]),
            state=State(data["state"]),
            seconds=float(data["seconds"]),
            reason=str(data["reason"]),
            log=str(data["log"]),
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a result record: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A plan with how each of its packages ended. `states` are sorted by key."""

    states: Mapping[str, State]
    reasons: Mapping[str, str]
    red: tuple[str, ...]  # keys that turn it red, sorted

    @property
    def is_green(self) -> bool:
        """Whether everything required is there."""
        return not self.red

    @property
    def verdict(self) -> str:
        """`green` or `red`."""
        return "green" if self.is_green else "red"

    def count(self, *states: State) -> int:
        """Return how many packages ended in one of these states."""
        return sum(state in states for state in self.states.values())

    def to_json(self) -> str:
        """Return the outcome as canonical JSON."""
        data = {
            "schema": RESULT_SCHEMA,
            "verdict": self.verdict,
            "red": list(self.red),
            "states": dict(self.states),
            "reasons": dict(self.reasons),
        }
        return json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def outcome_from_json(text: str) -> Outcome:
    """Read an outcome that `Outcome.to_json` wrote.

    Raises:
        ValueError: The text is not an outcome of this schema.
    """
    try:
        data = json.loads(text)
        if data["schema"] != RESULT_SCHEMA:
            raise ValueError(f"an outcome of schema {data['schema']!r}")
        return Outcome(
            states={str(key): State(state) for key, state in data["states"].items()},
            reasons={str(key): str(reason) for key, reason in data["reasons"].items()},
            red=tuple(map(str, data["red"])),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an outcome: {error}") from error


def collect_results(plan: Plan, results: Iterable[Result], optional: Iterable[str] = ()) -> Outcome:
    """Lay records beside a plan.

    Records of another input digest than the plan's are of another time and do not count. A package whose
    needs failed is blocked, whoever says so.

    Args:
        plan: What was to be built.
        results: All records found, in any order; a package may have several.
        optional: Variants (keys) that do not turn the outcome red.
    """
    best: dict[str, Result] = {}
    digests = {node.key: node.input_digest for node in plan.nodes}
    order = list(State)
    for result in results:
        if digests.get(result.key) != result.input_digest:
            continue
        known = best.get(result.key)
        if known is None or order.index(result.state) < order.index(known.state):
            best[result.key] = result
    states = {node.key: _state_of(node, best) for node in plan.nodes}
    reasons = {key: result.reason for key, result in sorted(best.items()) if result.reason}
    for node in plan.nodes:
        if node.action is Action.BLOCKED and node.reason:
            reasons[node.key] = node.reason
    lenient = frozenset(optional)
    bad = (State.FAILED, State.BLOCKED, State.MISSING)
    red = tuple(node.key for node in plan.nodes if states[node.key] in bad and node.variant not in lenient)
    return Outcome(states=states, reasons=reasons, red=red)


def _state_of(node: PlanNode, best: Mapping[str, Result]) -> State:
    match node.action:
        case Action.KEEP:
            return State.KEPT
        case Action.BLOCKED:
            return State.BLOCKED
        case Action.BUILD:
            result = best.get(node.key)
            return result.state if result else State.MISSING


MAX_SUMMARY = 900 * 1024  # bytes; GitHub drops a larger step summary whole


def summary_of(outcome: Outcome) -> str:
    """Return an outcome as Markdown for the page of a run, at most `MAX_SUMMARY` bytes."""
    counts = ", ".join(f"{outcome.count(state)} {state}" for state in State if outcome.count(state))
    lines = [f"## Outcome: {outcome.verdict}", "", counts or "Nothing was planned.", ""]
    troubled = [key for key, state in outcome.states.items() if state not in (State.BUILT, State.KEPT)]
    if troubled:
        lines += ["| package | state | why |", "| --- | --- | --- |"]
    size = sum(len(line.encode()) + 1 for line in lines)
    for number, key in enumerate(troubled):
        row = f"| {_cell(key)} | {outcome.states[key]} | {_cell(outcome.reasons.get(key, ''))} |"
        size += len(row.encode()) + 1
        if size > MAX_SUMMARY - 200:
            lines.append(f"| … and {len(troubled) - number} more | | |")
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    line = " ".join(text.split())[:300]
    for sign in "\\|<>`*_[]":
        line = line.replace(sign, f"\\{sign}")
    return line


def left_over(plan: Plan, results: Iterable[Result]) -> tuple[str, ...]:
    """Return the keys that nobody tried and that could be built: nothing below them failed."""
    outcome = collect_results(plan, results)
    by_key = plan.by_key
    stuck: dict[str, bool] = {}

    def is_stuck(key: str) -> bool:
        if key not in stuck:
            stuck[key] = False
            bad = outcome.states.get(key) in (State.FAILED, State.BLOCKED)
            stuck[key] = bad or any(is_stuck(need) for need in by_key[key].needs if need in by_key)
        return stuck[key]

    missing = (key for key, state in outcome.states.items() if state is State.MISSING)
    return tuple(key for key in missing if not is_stuck(key))
