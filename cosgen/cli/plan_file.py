"""Reading the plan that an earlier job wrote."""

from pathlib import Path

from cosgen.build.rules import problem
from cosgen.errors import ManifestError
from cosgen.graph.plan_json import plan_from_json
from cosgen.graph.plan_model import Plan


def read_plan(path: Path) -> Plan:
    """Read plan.json.

    Raises:
        ManifestError: It is not there (CG494), or is no plan of this version (CG420).
    """
    try:
        return plan_from_json(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError as error:
        fix = "run `cosgen plan --output` first; in CI, look whether the plan job kept it as an artifact"
        raise ManifestError(problem("CG494", f"there is no {path}", fix=fix)) from error
    except OSError as error:
        raise ManifestError(problem("CG494", f"{path}: {error}")) from error
