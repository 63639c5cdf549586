"""Old cOS CI configuration (`.github/config/*.yaml`), carried over to the settings of `cosgen.yaml`. Pure.

Each old file is one pipeline: `flavors.<flavor>.arches.<arch>` with some thirty switches for each pair, or
the same switches at the top for a pipeline of one pair. What has no place in `cosgen.yaml` becomes a note,
at the line where it stands: nothing is dropped in silence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from yaml.nodes import Node

from cosgen.errors import Problem, Severity
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.nodes import compose
from cosgen.manifest.platform import find_arch

Settings = dict[str, object]

# Old switches, by what becomes of them. Keys that are in none of the tables are reported as unknown.
_CARRIED = frozenset(
    ("pipeline", "flavor", "arch", "organization", "repository", "cache_repository", "on", "runs_on")
)
# Switches that need no successor: cosgen always does the right one of the two, or is pinned by ci.install.
_SETTLED = frozenset(
    (
        "local_runner",  # ci.runners.<arch>.self_hosted says so
        "push_cache",  # trusted pipelines feed the cache, pull requests never do
        "publishing_pipeline",  # a pipeline that belongs to a channel publishes
        "skip_build",  # only what changed is built
        "luet_override",
        "luet_script_override",
        "luet_install_from_cos_repo",
        "skip_images_packer",  # the old template never read it
    )
)
_JOBS: Mapping[str, str] = {
    "skip_docker_build": "the check that the builder image works",
    "build_examples_dir": "the build of example derivatives",
    "build_image_qemu": "the QEMU image",
    "build_image_vbox": "the VirtualBox image",
    "build_raw_image": "the raw image",
    "skip_images_flavor": "disk images",
    "skip_tests": "virtual machine tests",
    "skip_tests_flavor": "virtual machine tests",
    "run_tests": "virtual machine tests",
    "run_raw_image_test": "the test of the raw image",
    "run_installer_test": "the test of the installer",
    "publish_cloud": "cloud images",
    "publish_toolchain": "the toolchain image",
    "release_flavor": "the release of one flavor",
    "slack_on_failure": "the message after a failure",
    "labels": "the labels that start a pull request's build",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFile:
    """One configuration file: its path, relative to the project, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Settings for `cosgen.yaml`, in the order to write them, and what could not be carried over."""

    settings: Mapping[str, object]
    notes: tuple[Problem, ...]  # warnings, sorted by origin


@dataclass(slots=True)
class _Found:
    """What has been read so far, over all files."""

    notes: list[Problem] = field(default_factory=list)
    flavors: dict[str, None] = field(default_factory=dict)
    arches: dict[str, None] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    runners: dict[str, Settings] = field(default_factory=dict)
    channels: dict[str, Settings] = field(default_factory=dict)
    pull_requests: Settings = field(default_factory=dict)


def import_cos_config(files: Iterable[OldFile], *, name: str, values_pattern: str = "") -> Import:
    """Carry old pipelines over.

    Args:
        files: The old files.
        name: Name of the project.
        values_pattern: Values files with `{flavor}` and `{arch}`; "" when there are none.
    """
    found = _Found()
    for file in sorted(files, key=lambda old: old.path):
        _read_file(file, found)
    return Import(
        settings=_settings(found, name, values_pattern),
        notes=tuple(sorted(found.notes, key=lambda note: (note.origin is not None, note.origin, note.what))),
    )


def _read_file(file: OldFile, found: _Found) -> None:
    root = compose(file.text, file.path, found.notes)
    if root is None:
        return
    decoder = Decoder(file.path, found.notes)
    top = _fields(decoder, root)
    _read_trigger(decoder, top, found)
    pairs = list(_pairs(decoder, top))
    for _, arch, switches in pairs or [("", "", top)]:
        _read_switches(decoder, {**top, **switches}, arch, found)
    for flavor, arch, _ in pairs:
        found.flavors.setdefault(flavor)
        found.arches.setdefault(arch)


def _fields(decoder: Decoder, node: Node) -> dict[str, Node]:
    """Return the fields of a map; YAML 1.1 reads the bare key `on` as true."""
    fields = {key: value for key, (_, value) in decoder.items(node).items()}
    if "true" in fields:
        fields.setdefault("on", fields.pop("true"))
    return fields


def _pairs(decoder: Decoder, top: Mapping[str, Node]) -> Iterable[tuple[str, str, dict[str, Node]]]:
    if "flavors" in top:
        for flavor, (_, body) in decoder.items(top["flavors"]).items():
            arches = _fields(decoder, body).get("arches")
            for arch, (_, switches) in (decoder.items(arches) if arches else {}).items():
                yield flavor, arch, _fields(decoder, switches)
    elif "flavor" in top:
        arch = decoder.text(top["arch"], "arch") if "arch" in top else "x86_64"
        yield decoder.text(top["flavor"], "flavor"), arch, {}


def _read_switches(decoder: Decoder, switches: Mapping[str, Node], arch: str, found: _Found) -> None:
    for key, node in switches.items():
        if key in ("organization", "repository", "cache_repository"):
            found.registry.setdefault(key, decoder.text(node, key))
        elif key == "runs_on" and arch:
            _read_runner(decoder, node, arch, found, self_hosted="local_runner" in switches)
        elif key in _JOBS:
            _note(
                found,
                decoder,
                node,
                f"`{key}`: {_JOBS[key]} is not part of cosgen",
                "make it a job of your own under ci.jobs, with `after: build` or `after: publish`, "
                "and name it in a channel's `gates` when the channel shall wait for it",
            )
        elif key not in _CARRIED and key not in _SETTLED and key != "flavors":
            _note(found, decoder, node, f"`{key}` is not known", "see whether ci.hooks or ci.jobs can do it")


def _read_runner(decoder: Decoder, node: Node, arch: str, found: _Found, *, self_hosted: bool) -> None:
    is_list = decoder.describe(node) == "a list"
    labels = list(decoder.texts(node, "runs_on")) if is_list else [decoder.text(node, "runs_on")]
    known = find_arch(arch)
    runner: Settings = {"labels": labels}
    if self_hosted or "self-hosted" in labels:
        runner["self_hosted"] = True
    found.runners.setdefault(known.kernel if known else arch, runner)


def _read_trigger(decoder: Decoder, top: Mapping[str, Node], found: _Found) -> None:
    if "on" not in top:
        return
    events = _fields(decoder, top["on"])
    push = _fields(decoder, events["push"]) if "push" in events else {}
    for branch in _texts(decoder, push, "branches"):
        found.channels.setdefault("testing", {"on": {"branch": branch}, "keep": {"last": 10}})
    for tag in _texts(decoder, push, "tags"):
        found.channels.setdefault(
            "stable", {"on": {"tag": tag}, "keep": {"tags": "all", "last": 10}, "approve": True}
        )
    for entry in decoder.entries(events["schedule"], "schedule") if "schedule" in events else ():
        cron = _fields(decoder, entry).get("cron")
        if cron is not None:
            schedule = decoder.text(cron, "cron")
            found.channels.setdefault("nightly", {"on": {"schedule": schedule}, "keep": {"days": 14}})
    if "pull_request" in events:
        paths = _texts(decoder, _fields(decoder, events["pull_request"]), "paths")
        found.pull_requests.update({"paths": list(paths)} if paths else {})
    for key, node in events.items():
        if key not in ("push", "schedule", "pull_request", "workflow_dispatch"):
            _note(
                found,
                decoder,
                node,
                f"the trigger `{key}` has no place",
                "start such work from a job of your own",
            )


def _texts(decoder: Decoder, fields: Mapping[str, Node], key: str) -> tuple[str, ...]:
    return decoder.texts(fields[key], key) if key in fields else ()


def _note(found: _Found, decoder: Decoder, node: Node, what: str, fix: str) -> None:
    problem = Problem(what=what, fix=fix, id="CG090", origin=decoder.origin(node), severity=Severity.WARNING)
    if problem not in found.notes:
        found.notes.append(problem)


def _settings(found: _Found, name: str, values_pattern: str) -> Settings:
    organization = found.registry.get("organization", "")
    settings: Settings = {"version": 1, "name": name, "trees": ["packages"]}
    if values_pattern:
        settings["values"] = [values_pattern]
    if found.flavors:
        settings["flavors"] = list(found.flavors)
        settings["arches"] = list(found.arches)
    if organization:
        cache = found.registry.get("cache_repository", "build")
        settings["registry"] = {"cache": f"{organization}/{cache}", "luet_tags": True}
    if found.channels:
        order = ("nightly", "testing", "stable")
        settings["channels"] = {
            channel: found.channels[channel] for channel in order if channel in found.channels
        }
    ci: Settings = {"providers": ["github"]}
    if found.runners:
        ci["runners"] = found.runners
    if found.pull_requests:
        ci["pull_requests"] = found.pull_requests
    settings["ci"] = ci
    return settings
