"""Plans as JSON (documented by `plan.schema.json`), and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields

from cosgen.errors import ManifestError, Origin, Problem, Severity
from cosgen.graph.plan_model import PLAN_SCHEMA, Action, Plan, PlanNode

_TIMES = ("estimate", "bottom_level", "slack")


def plan_to_json(plan: Plan) -> str:
    """Return the plan as canonical JSON: sorted keys, times rounded to milliseconds, one trailing newline."""
    return json.dumps(plan_to_data(plan), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def plan_to_data(plan: Plan) -> dict[str, object]:
    """Return the plan as JSON values, shaped as `plan.schema.json` says."""
    return {
        "schema": plan.schema,
        "project": plan.project,
        "channel": plan.channel,
        "since": plan.since,
        "nodes": [_node_to_data(node) for node in plan.nodes],
        "queues": [list(queue) for queue in plan.queues],
        "critical_path": list(plan.critical_path),
        "seconds": {
            "work": round(plan.work_seconds, 3),
            "critical": round(plan.critical_seconds, 3),
            "wall": round(plan.wall_seconds, 3),
        },
        "problems": [_problem_to_data(problem) for problem in plan.problems],
    }


def plan_from_json(text: str) -> Plan:
    """Read a plan that `plan_to_json` wrote.

    Raises:
        ManifestError: `text` is not a plan, or one of another schema.
    """
    try:
        data = json.loads(text)
        if data["schema"] != PLAN_SCHEMA:
            raise _refuse(f"the plan has schema {data['schema']!r}, this cosgen reads {PLAN_SCHEMA}")
        return _plan_from_data(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refuse(f"the file is not a plan: {error}") from error


def _refuse(what: str) -> ManifestError:
    return ManifestError(
        Problem(what=what, fix="make it anew with `cosgen plan --output plan.json`", id="CG420")
    )


def _node_to_data(node: PlanNode) -> dict[str, object]:
    data: dict[str, object] = {item.name: getattr(node, item.name) for item in fields(node)}
    data["needs"] = list(node.needs)
    data["action"] = str(node.action)
    for name in _TIMES:
        data[name] = round(getattr(node, name), 3)
    return data


def _node_from_data(data: Mapping[str, object]) -> PlanNode:
    values = {item.name: data[item.name] for item in fields(PlanNode)}
    values["action"] = Action(str(values["action"]))
    values["needs"] = _texts(values["needs"])
    for name in _TIMES:
        values[name] = _number(values[name])
    if unexpected := sorted(set(data) - set(values)):
        raise ValueError(f"unknown keys {unexpected}")
    return PlanNode(**values)  # type: ignore[arg-type]  # the schema types the rest; keys are checked above


def _plan_from_data(data: Mapping[str, object]) -> Plan:
    seconds, nodes, queues, problems = (data[key] for key in ("seconds", "nodes", "queues", "problems"))
    if not isinstance(seconds, Mapping) or not all(isinstance(v, list) for v in (nodes, queues, problems)):
        raise TypeError("seconds must be an object; nodes, queues and problems lists")
    return Plan(
        project=str(data["project"]),
        channel=str(data["channel"]),
        since=str(data["since"]),
        nodes=tuple(_node_from_data(node) for node in _objects(nodes)),
        queues=tuple(_texts(queue) for queue in _list(queues)),
        critical_path=_texts(data["critical_path"]),
        work_seconds=_number(seconds["work"]),
        critical_seconds=_number(seconds["critical"]),
        wall_seconds=_number(seconds["wall"]),
        problems=tuple(_problem_from_data(problem) for problem in _objects(problems)),
    )


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in _list(value))


def _objects(value: object) -> Sequence[Mapping[str, object]]:
    items = _list(value)
    for item in items:
        if not isinstance(item, Mapping):
            raise TypeError(f"expected an object, got {type(item).__name__}")
    return items  # type: ignore[return-value]  # checked item by item above


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def _problem_to_data(problem: Problem) -> dict[str, object]:
    at = problem.origin
    return {
        "id": problem.id,
        "severity": str(problem.severity),
        "what": problem.what,
        "fix": problem.fix,
        "origin": None if at is None else {"path": at.path, "line": at.line, "column": at.column},
    }


def _problem_from_data(data: Mapping[str, object]) -> Problem:
    at = data["origin"]
    origin = Origin(at["path"], at["line"], at["column"]) if isinstance(at, Mapping) else None
    return Problem(
        what=str(data["what"]),
        fix=str(data["fix"]),
        id=str(data["id"]),
        severity=Severity(str(data["severity"])),
        origin=origin,
    )
