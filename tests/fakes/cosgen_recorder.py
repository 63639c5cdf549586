"""Stands in for `cosgen` in emitted pipelines: plan, build, worker and publish are recorded; the rest is real.

Reads $COSGEN_TEST (a folder): `graph.json` (key -> needs), `built/` (what is in the cache registry, one
file a key), `log` (one line an event), `fail` (a key whose build fails, may be absent).
"""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosgen.cli.main import main
from cosgen.graph.plan import Action, Plan, PlanNode, plan_from_json, plan_to_json
from cosgen.pipeline.outputs import components_of
from cosgen.pipeline.results import RESULT_SUFFIX, Result, State

HOME = Path(os.environ["COSGEN_TEST"])


def option(name: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def note(text: str) -> None:
    with (HOME / "log").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(text + "\n")


def stem(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def is_built(key: str) -> bool:
    return (HOME / "built" / stem(key)).exists()


def plan() -> None:
    graph = json.loads((HOME / "graph.json").read_text())
    todo = {key for key in graph if not is_built(key)}
    levels: dict[str, int] = {}
    nodes = []
    for key, needs in graph.items():
        variant, _, rest = key.partition(":")
        human, _, version = rest.partition("@")
        kept = tuple(sorted(need for need in needs if need in todo))
        levels[key] = 1 + max((levels[need] for need in kept), default=-1)
        nodes.append(
            PlanNode(
                key=key,
                fingerprint=stem(key),
                human=human,
                version=version,
                variant=variant,
                flavor="",
                arch=variant,
                platform="linux/amd64",
                action=Action.BUILD if key in todo else Action.KEEP,
                reason="test",
                needs=kept if key in todo else (),
                input_digest="sha256:" + "0" * 64,
                estimate=1.0,
                level=levels[key],
                bottom_level=1.0,
            )
        )
    value = Plan(project="t", nodes=tuple(sorted(nodes, key=lambda node: node.key)))
    Path(option("--output")).write_text(plan_to_json(value))


def record(key: str, state: State, reason: str = "") -> None:
    folder = Path(option("--results")) / "v"
    folder.mkdir(parents=True, exist_ok=True)
    result = Result(key=key, input_digest="sha256:" + "0" * 64, state=state, reason=reason)
    (folder / f"{stem(key)}{RESULT_SUFFIX}").write_text(result.to_json())


def build(keys: Sequence[str], graph: Mapping[str, Sequence[str]], local: set[str]) -> int:
    failed = False
    bad = (HOME / "fail").read_text().split() if (HOME / "fail").exists() else []
    for key in keys:
        if is_built(key) or key in local:
            record(key, State.KEPT)
            continue
        missing = [need for need in graph[key] if not is_built(need) and need not in local]
        if missing:
            note(f"early {key} before {missing[0]}")
            record(key, State.BLOCKED, f"{missing[0]} is missing")
            failed = True
        elif key in bad:
            note(f"fail {key}")
            record(key, State.FAILED, "told to")
            failed = True
        else:
            note(f"build {key}")
            if "--push" in sys.argv:
                (HOME / "built" / stem(key)).touch()
            local.add(key)
            record(key, State.BUILT)
    return 4 if failed else 0


def build_named() -> int:
    graph = json.loads((HOME / "graph.json").read_text())
    words = option("--packages").replace(",", " ").split()
    arch = option("--arch")
    keys = [
        key for word in words for key in graph if key == f"{arch}:{word}" or key.startswith(f"{arch}:{word}@")
    ]
    order = list(graph)
    return build(sorted(keys, key=order.index), graph, set())


def worker() -> int:
    graph = json.loads((HOME / "graph.json").read_text())
    arch = option("--arch")
    nodes = [
        node for node in plan_from_json(Path(option("--plan")).read_text()).to_build if node.arch == arch
    ]
    index, count = int(option("--index")), int(option("--count"))
    ordered = sorted(nodes, key=lambda node: (node.level, node.key))
    if "--components" in sys.argv:
        groups = components_of(ordered)
        own = [node for position, group in enumerate(groups) if position % count == index for node in group]
    else:
        own = ordered if index == 0 else []  # one worker does it all: progress with a single one
    return build([node.key for node in own], graph, set())


note(f"call {' '.join(sys.argv[1:])}")
match sys.argv[1:2]:
    case ["plan"]:
        plan()
    case ["build"]:
        sys.exit(build_named())
    case ["worker"]:
        sys.exit(worker())
    case ["ci"] if sys.argv[2:3] and not sys.argv[2].startswith("-"):
        main()
    case ["site"]:
        Path("public").mkdir(exist_ok=True)
    case _:
        pass
