"""The jobs of the `child` shape: one writes the child pipeline of the plan, one runs it."""

from cosgen.pipeline.commands import Word
from cosgen.pipeline.model import (
    Call,
    Download,
    Job,
    Place,
    Upload,
    frozen,
)
from cosgen.pipeline.scene import Scene
from cosgen.pipeline.shapes import Built, hands_on
from cosgen.pipeline.stages import LIGHT_MINUTES, PLAN_FILE, READ, prepare


def child_jobs(scene: Scene, channel: str, *, request: bool) -> Built:
    """Return the job that writes the child pipeline of the plan, and the one that runs it."""
    options: tuple[tuple[str, Word | Place], ...] = (
        ("--plan", PLAN_FILE),
        *((("--channel", channel),) if channel else ()),
        ("--output", "child.yml"),
        *((("--components", ""),) if not hands_on(scene, request=request) else ()),
    )
    call = Call(title="Write the child pipeline", words="ci child", options=options)
    write = Job(
        id="child",
        title="child",
        stage="plan",
        steps=(
            *prepare(scene),
            Download(name="plan", path="."),
            call,
            Upload(name="child", paths=("child.yml",), days=1),
        ),
        needs=("plan",),
        runner=scene.request_runner("control") if request else scene.runner("control"),
        timeout=LIGHT_MINUTES,
        permissions=READ,
        interruptible=True,
    )
    run = Job(
        id="build",
        title="build",
        stage="build",
        needs=("plan", "child"),
        child="child.yml",
        runner=write.runner,
        timeout=scene.config.ci.timeout_minutes,
        interruptible=request,
        trusted=not request,
    )
    return Built(jobs=(write, run), templates=frozen(), last=("build",))
