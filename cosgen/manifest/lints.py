"""Lints of a tree that need no graph: what can be built and yet is hardly what was meant."""

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial

from cosgen.errors import Origin, Problem, Severity
from cosgen.manifest import build_spec, definition
from cosgen.manifest.decoder import Decoder, nearest
from cosgen.manifest.nodes import compose, is_null, map_pairs
from cosgen.manifest.pattern import pattern_fault
from cosgen.manifest.project import CONFIG, Project
from cosgen.manifest.selector import fault
from cosgen.manifest.source import PackageFolder, TreeSource
from cosgen.manifest.template_text import outside_definitions
from cosgen.manifest.tree import Package, Tree, locate_line
from cosgen.manifest.values import Value
from cosgen.manifest.version import is_version

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_WORD = r"(?:[^\s\"']|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*')*"
_ENV = re.compile(rf"[A-Za-z_][\w.-]*={_WORD}(?:\s+[A-Za-z_][\w.-]*={_WORD})*\s*", re.DOTALL)
_KNOWN_DEFINITION = definition.FIELDS | {"override"}
_KNOWN_BUILD = build_spec.FIELDS | definition.FIELDS | build_spec.IGNORED_FIELDS
_LARGE = 1_000_000
_NO_VALUE = "<no value>"


def lint_project(project: Project, trees: Iterable[Tree]) -> tuple[Problem, ...]:
    """Lint everything that does not depend on the graph.

    Args:
        project: The project.
        trees: Its trees, one per variant.

    Returns:
        Problems without repetition, sorted by place.
    """
    found: dict[Problem, None] = {}
    for source in project.sources.trees:
        found.update(dict.fromkeys(_lint_source(source)))
    humans: set[str] = set()
    for tree in trees:
        found.update(dict.fromkeys(_lint_tree(project, tree)))
        humans |= {package.human for package in tree.packages}
    found.update(dict.fromkeys(_lint_names(project, humans)))
    return tuple(sorted(found, key=lambda item: (item.origin or Origin(""), item.id, item.what)))


def _problem(id_: str, origin: Origin, what: str, fix: str, *, error: bool = False) -> Problem:
    severity = Severity.ERROR if error else Severity.WARNING
    return Problem(what=what, fix=fix, id=id_, origin=origin, severity=severity)


def _lint_source(tree: TreeSource) -> Iterator[Problem]:
    prefix = "" if tree.root == "." else f"{tree.root}/"
    for file in tree.templates:
        if not file.path.startswith(f"{prefix}templates/"):
            yield _problem(
                "CG073",
                Origin(file.path),
                "shared templates apply to every package, wherever they lie",
                f"move the file to {prefix}templates/",
            )
        text = outside_definitions(file.text)
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if lines:
            number = next(
                (i for i, line in enumerate(file.text.splitlines(), 1) if lines[0].strip() in line), 1
            )
            yield _problem(
                "CG074",
                Origin(file.path, number),
                f"the text {lines[0].strip()[:40]!r} stands before every build.yaml",
                "move it into a `define`, or make it a comment",
            )
    for folder in tree.folders:
        yield from _lint_folder(folder)


def _lint_folder(folder: PackageFolder) -> Iterator[Problem]:
    for entry in (*folder.singles, *folder.entries):
        for key, origin in entry.keys:
            if key.lower() not in _KNOWN_DEFINITION:
                near = nearest(key, _KNOWN_DEFINITION)
                if near is not None and len(key) > 3:
                    yield _problem(
                        "CG060",
                        origin,
                        f"the key `{key}` is nearly `{near}`",
                        f"write `{near}`, or rename it",
                    )
    if folder.finalize is not None and "{{" not in folder.finalize:
        yield from _lint_finalize(folder)


def _lint_finalize(folder: PackageFolder) -> Iterator[Problem]:
    path = folder.build_path.replace("build.yaml", "finalize.yaml")
    problems: list[Problem] = []
    node = compose(folder.finalize or "", path, problems)
    if node is not None and not is_null(node):
        decoder = Decoder(path, problems, id="CG080")
        for key, value in decoder.fields(node, "finalize.yaml").items():
            if key in {"shell", "install", "uninstall"}:
                decoder.texts(value, key, coerce=True)
            else:
                decoder.report(value, f"unknown key `{key}`", "it has shell, install and uninstall")
    yield from problems


def _lint_tree(project: Project, tree: Tree) -> Iterator[Problem]:
    builds = {folder.directory: folder for source in project.sources.trees for folder in source.folders}
    for package in tree.packages:
        yield from _lint_identity(package)
        folder = builds.get(package.directory)
        path = folder.build_path if folder else package.directory
        if not package.problems:
            yield from _lint_spec(package, path, project.config.compat)
        if folder is not None and folder.build is not None:
            yield from _lint_build_keys(folder, package)
        yield from _lint_reads(package, path)


def _lint_identity(package: Package) -> Iterator[Problem]:
    item = package.definition
    tag = package.fingerprint.replace("+", "-")
    if item.name and not _TAG.fullmatch(tag):
        yield _problem(
            "CG064",
            package.origin,
            f"{package.human}@{item.version} makes no valid image tag",
            "use letters, digits, `.`, `-` and `+`, at most 128 in all",
            error=True,
        )
    if item.version and not is_version(item.version):
        yield _problem(
            "CG071",
            package.origin,
            f"the version {item.version!r} of {package.human} cannot be ordered; `>=0` does not find it",
            "start it with a digit",
        )


def _lint_spec(package: Package, path: str, compat: str) -> Iterator[Problem]:
    spec, human = package.spec, package.human
    told = partial(_told_at, path, package.template)
    if spec.package_dir and not spec.package_dir.startswith("/"):
        what = f"`package_dir: {spec.package_dir}` of {human} is not absolute; the artifact would be empty"
        yield _problem("CG070", told(spec.package_dir), what, f"write /{spec.package_dir}", error=True)
    for pattern in (*spec.includes, *spec.excludes):
        if reason := pattern_fault(pattern):
            what = f"the pattern {pattern!r} of {human} is no regular expression: {reason}"
            yield _problem("CG067", told(pattern), what, "mend it (RE2 syntax)", error=True)
    for entry in spec.env:
        if not _ENV.fullmatch(entry):
            what = f"the `env` entry {entry[:60]!r} of {human} is not NAME=value"
            yield _problem("CG075", told(entry), what, 'write NAME="value"')
    for reference in (*spec.requires, *package.definition.requires) if compat == "head" else ():
        if reason := fault(reference.version):
            what = f"{human} requires {reference.human} {reference.version!r}: {reason}"
            yield _problem(
                "CG072", package.where(reference), what, "use one of >= > <= < = != and one version"
            )


def _lint_build_keys(folder: PackageFolder, package: Package) -> Iterator[Problem]:
    node = compose(package.rendered, folder.build_path, [])
    if node is None:
        return
    for key, (key_node, _) in map_pairs(node).items():
        mark = key_node.start_mark
        origin = locate_line(
            folder.build_path, package.template, package.rendered, mark.line + 1, mark.column + 1
        )
        if key.lower() in build_spec.IGNORED_FIELDS:
            yield _problem("CG062", origin, f"`{key}` has no effect", "remove it")
        elif key.lower() not in _KNOWN_BUILD:
            near = nearest(key, build_spec.FIELDS)
            if near:
                yield _problem("CG060", origin, f"the key `{key}` is nearly `{near}`", f"write `{near}`")
            else:
                yield _problem("CG061", origin, f"`{key}` is no key of a build spec", "remove it")


def _told_at(path: str, template: str, text: str) -> Origin:
    """Return where a text stands in a template, if it stands there once; else the template's beginning."""
    if not text or template.count(text) != 1:
        return Origin(path)
    before, _, _ = template.partition(text)
    return Origin(path, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _lint_reads(package: Package, path: str) -> Iterator[Problem]:
    if _NO_VALUE in package.rendered:
        before = package.rendered[: package.rendered.index(_NO_VALUE)]
        line = before.rpartition("\n")[2].strip()
        yield _problem(
            "CG066",
            _told_at(path, package.template, line),
            f"{package.human} is built with a value that is missing: `{line[:40]}{_NO_VALUE}`",
            "set the value, or use `default`",
        )
    if '"' in package.values and "e+" in package.rendered:
        for keys, value in json.loads(package.values):
            if _is_large(value):
                name = ".".join(keys)
                yield _problem(
                    "CG078",
                    Origin(path),
                    f"`{name}` of {package.human} prints as {value:.3g}",
                    "quote the number",
                )


def _is_large(value: Value) -> bool:
    return isinstance(value, float) and abs(value) >= _LARGE


def _lint_names(project: Project, humans: set[str]) -> Iterator[Problem]:
    config = project.config
    if not humans:
        return
    origin = config.places.get("select", Origin(CONFIG))
    if config.select == "manifest":
        origin = Origin(config.manifest or CONFIG)
    for name in project.selected or ():
        if name.partition("@")[0] not in humans:
            near = nearest(name, humans)
            fix = f"write {near}" if near else "correct the name, or add the package"
            yield _problem("CG081", origin, f"{name} is selected and no tree has it", fix, error=True)
    rules = [(f"skip[{i}].packages", rule.packages) for i, rule in enumerate(config.skip)]
    rules += [(f"overlays[{i}].packages", rule.packages) for i, rule in enumerate(config.overlays)]
    for place, patterns in rules:
        for pattern in patterns:
            if not any(fnmatchcase(human, pattern) for human in humans):
                where = config.places.get(place, Origin(CONFIG))
                near = nearest(pattern, humans)
                fix = f"write {near}" if near else "remove it"
                yield _problem("CG081", where, f"`{place}` names {pattern}, which no tree has", fix)
