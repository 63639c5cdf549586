"""Plan: which packages to build, which to keep, which cannot be built, and why."""

from cosgen.graph.plan_json import plan_from_json, plan_to_data, plan_to_json
from cosgen.graph.plan_model import (
    PLAN_SCHEMA,
    Action,
    Plan,
    PlanNode,
    PublishedPackage,
    count_actions,
    package_key,
)

__all__ = [
    "PLAN_SCHEMA",
    "Action",
    "Plan",
    "PlanNode",
    "PublishedPackage",
    "count_actions",
    "package_key",
    "plan_from_json",
    "plan_to_data",
    "plan_to_json",
]
