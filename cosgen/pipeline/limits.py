"""The providers' limits, checked on emitted text read back; the numbers are of late 2026.

No validator that runs without the provider knows them, and providers refuse without a word: a GitHub
workflow of more than 512,000 bytes just never starts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from cosgen.errors import Origin, Problem
from cosgen.manifest.config import ProjectConfig
from cosgen.pipeline.drift import GeneratedFile
from cosgen.pipeline.parsed import as_list, as_map, parse, texts_in
from cosgen.pipeline.rules import report
from cosgen.pipeline.scene import Provider

MAX_BYTES = 470_000  # GitHub stops at 512,000, silently
MAX_EXPRESSION = 21_000  # characters of a text that holds an expression
MAX_MATRIX = 250  # GitHub stops at 256 a job
MAX_JOBS = 1_000  # a page of more does not load
MAX_NAME = 100
MAX_INPUTS = 10
MAX_MINUTES = 360  # of a hosted runner
GITLAB_JOBS = {"free": 450, "premium": 1_400, "ultimate": 1_900, "self-managed": 5_000}
GITLAB_NEEDS = 50
GITLAB_PARALLEL = 200
GITLAB_MEMORY = 1_900_000  # bytes in memory; GitLab stops at 2 MB a file
GITLAB_JOB_MEMORY = 1_000_000
GITLAB_CHILD = 4_000_000  # bytes; GitLab stops at 5 MB of artifact
GITLAB_INCLUDES = 150
GITLAB_NAME = 128
_SLOT = 40
_GITLAB_KEYS = {"stages", "workflow", "default", "variables", "include"}


def most_jobs(provider: Provider, config: ProjectConfig) -> int:
    """Return how many jobs a pipeline may have."""
    own = config.ci.budget.jobs_per_pipeline
    limit = MAX_JOBS if provider is Provider.GITHUB else GITLAB_JOBS[config.ci.budget.gitlab_tier]
    return min(own, limit) if own else limit


def check_limits(
    files: Sequence[GeneratedFile], provider: Provider, config: ProjectConfig
) -> tuple[Problem, ...]:
    """Return every limit that emitted files break."""
    check = _github if provider is Provider.GITHUB else _gitlab
    most = most_jobs(provider, config)
    return tuple(problem for file in files for problem in check(file, parse(file.text), most))


def _github(file: GeneratedFile, document: Mapping[str, object], most: int) -> Iterator[Problem]:
    at = Origin(file.path)
    if (size := len(file.text.encode())) > MAX_BYTES:
        yield report("CG201", f"{file.path} has {size:,} bytes, {MAX_BYTES:,} are safe", at)
    for place, text in texts_in(document):
        if "${{" in text and len(text) > MAX_EXPRESSION:
            yield report("CG202", f"{place} has {len(text):,} characters with an expression", at)
    jobs = as_map(document.get("jobs"))
    if len(jobs) > most:
        yield report("CG204", f"{file.path} has {len(jobs):,} jobs, {most:,} are the most", at)
    if not jobs:
        yield report("CG208", f"{file.path} has no jobs", at)
    yield from _github_inputs(document, at)
    for name, job in jobs.items():
        yield from _github_job(str(name), as_map(job), at)
    yield from _needs({str(name): _needs_of(as_map(job)) for name, job in jobs.items()}, at)


def _github_inputs(document: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    dispatch = as_map(as_map(document.get("on")).get("workflow_dispatch"))
    inputs = as_map(dispatch.get("inputs"))
    if len(inputs) > MAX_INPUTS:
        yield report("CG207", f"{len(inputs)} inputs by hand, {MAX_INPUTS} are the most", at)


def _github_job(name: str, job: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    if len(name) > MAX_NAME or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        yield report("CG205", f"job id {name!r} is too long, or of other signs than GitHub takes", at)
    matrix = as_map(as_map(job.get("strategy")).get("matrix"))
    rows = 1
    for values in matrix.values():
        rows *= len(values) if isinstance(values, list) else 1
    width = as_map(job.get("strategy")).get("max-parallel", "1")
    if rows > MAX_MATRIX or (str(width).isdigit() and int(str(width)) > MAX_MATRIX):
        yield report("CG203", f"the matrix of {name} may have more than {MAX_MATRIX} rows", at)
    if not job.get("uses") and not as_list(job.get("steps")):
        yield report("CG208", f"job {name} has no steps", at)
    minutes = str(job.get("timeout-minutes", "0"))
    hosted = str(job.get("runs-on", "")).startswith(("ubuntu-", "macos-", "windows-"))
    if hosted and minutes.isdigit() and int(minutes) > MAX_MINUTES:
        yield report("CG209", f"job {name} may take {minutes} minutes, a hosted runner {MAX_MINUTES}", at)
    names = [
        as_map(as_map(step).get("with")).get("name")
        for step in as_list(job.get("steps"))
        if "upload-artifact@" in str(as_map(step).get("uses", ""))
    ]
    if len(names) != len(set(names)):
        yield report("CG210", f"job {name} keeps two artifacts of one name", at)


def _needs_of(job: Mapping[str, object]) -> list[str]:
    inside = (need for need in as_list(job.get("needs")) if "pipeline" not in as_map(need))
    return [str(as_map(need).get("job", need)) for need in inside]


def _needs(needs: Mapping[str, list[str]], at: Origin) -> Iterator[Problem]:
    for name, asked in needs.items():
        if unknown := [need for need in asked if need not in needs]:
            yield report("CG206", f"job {name} needs {unknown[0]}, which is not there", at)
        if len(asked) != len(set(asked)):
            yield report("CG206", f"job {name} needs one job twice", at)
    if left := _in_circle(needs):
        yield report("CG206", f"jobs need each other in a circle: {', '.join(sorted(left)[:5])}", at)


def _in_circle(needs: Mapping[str, list[str]]) -> set[str]:
    waiting = {name: {need for need in asked if need in needs} for name, asked in needs.items()}
    behind: dict[str, list[str]] = {name: [] for name in needs}
    for name, asked in waiting.items():
        for need in asked:
            behind[need].append(name)
    ready = [name for name, asked in waiting.items() if not asked]
    while ready:
        done = ready.pop()
        del waiting[done]
        for name in behind[done]:
            waiting[name].discard(done)
            if not waiting[name]:
                ready.append(name)
    return set(waiting)


# --- GitLab -----------------------------------------------------------------------------------------


def _gitlab(file: GeneratedFile, document: Mapping[str, object], most: int) -> Iterator[Problem]:
    at = Origin(file.path)
    if (memory := deep_size(document)) > GITLAB_MEMORY:
        yield report("CG224", f"{file.path} takes {memory:,} bytes in GitLab's memory", at)
    if (size := len(file.text.encode())) > GITLAB_CHILD:
        yield report("CG227", f"{file.path} has {size:,} bytes; a child pipeline may have 5 MB", at)
    if len(as_list(document.get("include"))) > GITLAB_INCLUDES:
        yield report("CG226", f"more than {GITLAB_INCLUDES} files are included", at)
    jobs = {
        str(name): as_map(job)
        for name, job in document.items()
        if str(name) not in _GITLAB_KEYS and not str(name).startswith(".")
    }
    count = sum(_rows(job) for job in jobs.values())
    if count > most:
        yield report("CG222", f"{file.path} has {count:,} jobs, {most:,} are the most", at)
    for name, job in jobs.items():
        yield from _gitlab_job(name, job, at)
    yield from _needs({name: _needs_of(job) for name, job in jobs.items()}, at)


def _gitlab_job(name: str, job: Mapping[str, object], at: Origin) -> Iterator[Problem]:
    if len(name) > GITLAB_NAME:
        yield report("CG225", f"the job name {name[:40]}… has {len(name)} characters", at)
    if len(as_list(job.get("needs"))) > GITLAB_NEEDS:
        yield report("CG221", f"job {name} has {len(as_list(job['needs']))} needs", at)
    if _rows(job) > GITLAB_PARALLEL:
        yield report("CG223", f"job {name} runs {_rows(job)} times", at)
    if deep_size(job) > GITLAB_JOB_MEMORY:
        yield report("CG229", f"job {name} takes more than {GITLAB_JOB_MEMORY:,} bytes of memory", at)


def _rows(job: Mapping[str, object]) -> int:
    parallel = job.get("parallel")
    if isinstance(parallel, str):
        return int(parallel) if parallel.isdigit() else 1
    total = 0
    for row in as_list(as_map(parallel).get("matrix")):
        count = 1
        for values in as_map(row).values():
            count *= max(1, len(as_list(values)))
        total += count
    return total or 1


def deep_size(value: object) -> int:
    """Return the bytes a value takes in GitLab's memory: the sum over all its parts, however often shared.

    As `ObjectSpace.memsize_of` of Ruby 3.1 counts them on 64 bits: a text of up to 23 bytes, a list of up to
    3 and an empty map fit a slot of 40 bytes. Numbers and truth values take nothing there; they come here as
    text, so the figure is never too low.
    """
    if isinstance(value, dict):
        return _table(len(value)) + sum(deep_size(key) + deep_size(item) for key, item in value.items())
    if isinstance(value, list):
        return _SLOT + _row(len(value)) + sum(map(deep_size, value))
    size = len(value.encode()) if isinstance(value, str) else 0
    return _SLOT if size <= 23 else _SLOT + 1 + size


def _row(length: int) -> int:
    """Return the bytes behind the slot of a list that grew by one at a time."""
    room = 3
    while room < length:
        room += 1 + max(room // 2, 16)
    return 8 * room if length > 3 else 0


def _table(entries: int) -> int:
    """Return the bytes of a map: a short row up to 8 entries, else a hash table of powers of two."""
    if entries <= 8:
        return 168 if entries else _SLOT
    room = max(32, 1 << (entries - 1).bit_length())
    width = 1 if room <= 1 << 7 else 2 if room <= 1 << 15 else 4  # bytes that number an entry
    return 96 + 24 * room + 2 * width * room
