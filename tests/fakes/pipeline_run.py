"""A small interpreter of pipelines: runs their jobs in order over a plan, by the conditions of the model.

It knows nothing of providers. Builds are remembered instead of done; a worker has room for so many packages a
wave. What runs is what a provider would run: whether a job runs is decided by its condition alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cosgen.build.worker import divide
from cosgen.graph.plan import Action, Plan, PlanNode
from cosgen.pipeline.model import Call, Fail, Job, Pipeline, When
from cosgen.pipeline.outputs import outputs_of
from cosgen.pipeline.results import Result, State, collect_results, left_over
from cosgen.pipeline.units import BuildNode

DIGEST = "sha256:" + "0" * 64


def plan_of(nodes: Sequence[BuildNode], kept: Iterable[str] = ()) -> Plan:
    """Return the plan of some packages, needs first, of which some are there already."""
    there = set(kept)
    needs: dict[str, set[str]] = {}
    levels: dict[str, int] = {}
    made: list[PlanNode] = []
    for node in nodes:
        # what is there is taken out of the graph, and its neighbours joined
        through = (needs[need] if need in there else {need} for need in node.needs)
        needs[node.key] = set().union(*through)
        levels[node.key] = 1 + max((levels[need] for need in needs[node.key]), default=-1)
        building = node.key not in there
        made.append(
            PlanNode(
                key=f"{node.key}@1",
                fingerprint=node.key,
                human=node.word,
                version="1",
                variant=node.variant.key,
                flavor=node.variant.flavor,
                arch=node.variant.arch,
                platform="linux/amd64",
                action=Action.BUILD if building else Action.KEEP,
                reason="",
                needs=tuple(sorted(f"{need}@1" for need in needs[node.key])) if building else (),
                input_digest=DIGEST,
                estimate=1.0,
                level=levels[node.key] if building else 0,
                bottom_level=1.0,
            )
        )
    return Plan(nodes=tuple(sorted(made, key=lambda node: node.key)))


@dataclass
class Run:
    """One run of a pipeline; `ran` is job -> whether it succeeded, `built` is in order."""

    plan: Plan
    fails: frozenset[str] = frozenset()  # keys that cannot be built
    room: int = 10**6  # packages a worker builds in a wave
    built: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ran: dict[str, bool] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def go(self, pipeline: Pipeline) -> "Run":
        """Run all jobs that are to run; of those that may, the last of the file first, to find missing needs."""
        needs = {job.id: job.needs for job in pipeline.jobs}
        left = {job.id: job for job in pipeline.jobs}
        while left:
            ready = [job for job in left.values() if not set(job.needs) & set(left)]
            job = left.pop(ready[-1].id)
            if self._runs(job, needs):
                self.outputs[job.id] = {}
                template = pipeline.templates.get(job.template, job)
                self.ran[job.id] = self._do(job, template)
        return self

    def _runs(self, job: Job, needs: Mapping[str, Sequence[str]]) -> bool:
        condition, plan = job.condition, self.outputs.get("plan", {})
        failed = any(self.ran.get(name) is False for name in _above(job.id, needs))
        wanted = [f" {key} " in plan.get("todo", "") for key in condition.todo]
        return all(
            (
                condition.when is not When.NEEDS_GOOD or not failed,
                all(self.ran.get(name) for name in condition.good),
                not condition.verdict or self.outputs[condition.verdict].get("verdict") == "green",
                not (condition.work or condition.workers) or plan.get("work") == "true",
                not condition.workers or "0" in plan.get(f"workers_{condition.workers}", ""),
                not condition.left or self.outputs.get(condition.left, {}).get("left") == "true",
                not condition.todo or any(wanted),
            )
        )

    def _do(self, job: Job, template: Job) -> bool:
        good = True
        for step in template.steps:
            match step:
                case Call(words="ci outputs", options=options):
                    workers = int(str(dict(options).get("--workers", "0")))
                    lines = outputs_of(
                        self.plan,
                        todo="--todo" in dict(options),
                        workers=workers,
                        components="--components" in dict(options),
                    )
                    self.outputs[job.id] |= dict(line.split("=", 1) for line in lines)
                case Call(words="build"):
                    good &= self._build(job.builds)
                case Call(words="worker", options=options):
                    good &= self._work(job, shared="--components" not in dict(options))
                case Call(words="ci left"):
                    left = left_over(self.plan, self._results())
                    self.outputs[job.id]["left"] = "true" if left else "false"
                case Call(words="ci collect"):
                    self.outputs[job.id]["verdict"] = collect_results(self.plan, self._results()).verdict
                case Fail(good=names, verdict=verdict):
                    good &= all(self.ran.get(name) for name in names)
                    good &= verdict not in names or self.outputs[verdict]["verdict"] == "green"
                case _:
                    pass
        return good

    def _build(self, words: Sequence[str]) -> bool:
        known = {node.fingerprint: node for node in self.plan.to_build}
        ended = [self._one(known[word]) for word in words if word in known]
        return all(ended)

    def _one(self, node: PlanNode) -> bool:
        missing = [need for need in node.needs if need not in self.built]
        if node.key in self.fails or missing:
            self.failed += [node.key] if not missing else []
            return False
        assert node.key not in self.built, f"{node.key} is built twice"
        self.built.append(node.key)
        return True

    def _work(self, job: Job, *, shared: bool) -> bool:
        nodes = [node for node in self.plan.to_build if _slug(node.arch) == job.workers_of]
        count = int(self.outputs["plan"][f"count_{job.workers_of}"])
        shares = [divide(nodes, index=index, count=count, by_components=not shared) for index in range(count)]
        room = [self.room] * count
        good, moved = True, True
        while moved:
            moved = False
            for index, share in enumerate(shares):
                ready = [
                    key
                    for key in share.own
                    if key not in (*self.built, *self.failed)
                    and all(need in self.built for need in share.nodes[key].needs)
                ]
                if ready and room[index]:
                    room[index] -= 1
                    moved = True
                    good &= self._one(share.nodes[ready[0]])
        return good

    def _results(self) -> list[Result]:
        states = {State.BUILT: self.built, State.FAILED: self.failed}
        return [
            Result(key=key, input_digest=DIGEST, state=state)
            for state, keys in states.items()
            for key in keys
        ]


def _above(job: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    left = list(needs[job])
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs[name]
    return found


def _slug(arch: str) -> str:
    return arch.replace("-", "_")
