"""Makes the `Tree` of one variant out of what was read: values, rendering, decoding, overrides. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from cosgen.errors import Origin, Problem, Severity
from cosgen.manifest.build_spec import BuildSpec, decode_build_spec
from cosgen.manifest.channel_names import VALUES_KEY, channel_values
from cosgen.manifest.collection import Entry
from cosgen.manifest.decoder import Decoder
from cosgen.manifest.foundation import lay_beneath, name_of
from cosgen.manifest.nodes import compose
from cosgen.manifest.platform import Variant
from cosgen.manifest.project import Project
from cosgen.manifest.scalars import Scalar
from cosgen.manifest.source import PackageFolder
from cosgen.manifest.template import Rendered, Renderer, TemplateSettings
from cosgen.manifest.tree import ContextFile, Package, Tree, locate_line
from cosgen.manifest.values import Value, decode_values, fill, merge_layers, report_json_faults

_REQUIRES = re.compile(r"^[\"']?requires[\"']?\s*:.*(?:\n(?![A-Za-z\"'#]).*)*", re.MULTILINE | re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\{\{-?\s*\$\w+\s*:?=[^{}]*\}\}")  # prints nothing, whatever the values
_NAMES_CHANNELS = re.compile(rf"\.{VALUES_KEY}\b|\"{VALUES_KEY}\"")
_NOT_JSON = re.compile(r"\.inf\b|\.nan\b|(?:~|null)\s*:", re.IGNORECASE)  # may be what JSON cannot have
_BRANCH = re.compile(r"\{\{-?\s*(if|with|range|block|define|end)\b")


def assemble_tree(project: Project, variant: Variant, *, source_date_epoch: int | None = None) -> Tree:
    """Render and decode all packages of a variant.

    Args:
        project: The project as it was read.
        variant: One of the project's variants.
        source_date_epoch: The time templates see, in seconds; None: they may not ask.
    """
    return _Assembly(project, variant, source_date_epoch).tree()


def variant_values(project: Project, variant: Variant) -> tuple[dict[Scalar, Value], list[Problem]]:
    """Return the merged values files of a variant, and what is wrong with them."""
    problems: list[Problem] = []
    layers = [
        _values_file(project.sources.values.get(name), name, problems)
        for name in project.values_files(variant)
    ]
    return merge_layers(layers), problems


def _values_file(text: str | None, path: str, problems: list[Problem]) -> dict[Scalar, Value]:
    if text is None:
        problems.append(
            Problem(
                what=f"the values file {path} does not exist",
                fix="create it, or correct `values`, `flavors` and `arches` in cosgen.yaml",
                id="CG005",
                origin=Origin(path),
            )
        )
        return {}
    return decode_values(compose(text, path, problems), Decoder(path, problems))


class _Assembly:
    def __init__(self, project: Project, variant: Variant, epoch: int | None) -> None:
        self.project = project
        self.variant = variant
        self.values, self.problems = variant_values(project, variant)
        self.problems += [problem for tree in project.sources.trees for problem in tree.problems]
        templates = [file for tree in project.sources.trees for file in tree.templates]
        settings = TemplateSettings(
            allow=frozenset(project.config.templates.allow_functions),
            epoch=epoch,
            environment=tuple(sorted(project.sources.environment.items())),
        )
        self.renderer = Renderer(templates, settings)
        self.channels: dict[Scalar, Value] = {
            VALUES_KEY: channel_values(project.config, variant) if project.config.channels else {}
        }
        self.templates_name_channels = any(_NAMES_CHANNELS.search(file.text) for file in templates)
        self.templates_require = any("requires:" in file.text for file in templates)
        self.problems += self.renderer.problems
        self.decoded: dict[tuple[str, str], tuple[BuildSpec, tuple[Problem, ...]]] = {}

    def tree(self) -> Tree:
        packages = sorted(self._packages(), key=lambda package: package.fingerprint.encode())
        foundation = self._foundation(packages)
        problems = {*self.problems, *(problem for package in packages for problem in package.problems)}
        return Tree(
            variant=self.variant,
            packages=tuple(packages),
            problems=tuple(sorted(problems, key=_problem_order)),
            by_fingerprint=MappingProxyType({package.fingerprint: package for package in packages}),
            shadowed=tuple(self.shadowed),
            foundation=foundation,
        )

    def _foundation(self, own: Sequence[Package]) -> tuple[Package, ...]:
        """Return what lies beneath; who takes the place of a foundation's package must say so."""
        if not self.project.foundations:
            return ()
        explicit = {
            name_of(entry.definition)
            for tree in self.project.sources.trees
            for folder in tree.folders
            for entry in (*folder.entries, *folder.singles)
            if entry.override or self.project.config.allow_override
        }
        beneath, shadowed = lay_beneath(own, self.project.foundations, self.variant.key, explicit)
        self.shadowed += shadowed
        theirs = {
            name_of(package.definition): foundation
            for foundation in reversed(self.project.foundations)
            for package in foundation.offers(self.variant.key)
        }
        for package in own:
            foundation = theirs.get(name_of(package.definition))
            if foundation is not None and name_of(package.definition) not in explicit:
                self.problems.append(
                    Problem(
                        what=f"{package.human} is also a package of the foundation {foundation.name}",
                        fix="say `override: true` in its definition to take its place, or rename it",
                        id="CG043",
                        origin=package.origin,
                    )
                )
        return beneath

    def _packages(self) -> Iterable[Package]:
        """Yield one package per fingerprint; the first one read counts, as in luet's newest generation."""
        self.shadowed: list[tuple[str, str]] = []
        seen: dict[str, Origin] = {}
        for folder, entry in self._visible():
            fingerprint = entry.definition.fingerprint
            if fingerprint in seen:
                self._duplicate(entry, seen[fingerprint])
                continue
            seen[fingerprint] = entry.origin
            yield self._package(folder, entry)

    def _visible(self) -> list[tuple[PackageFolder, Entry]]:
        """Return all entries, those of overridden packages left out."""
        trees = self.project.sources.trees
        entries = [
            (index, folder, entry)
            for index, tree in enumerate(trees)
            for folder in tree.folders
            for entry in (*folder.entries, *folder.singles)
        ]
        overriding: dict[tuple[str, str], int] = {}
        earlier: dict[tuple[str, str], int] = {}
        for index, _, entry in entries:
            key = (entry.definition.category, entry.definition.name)
            earlier.setdefault(key, index)
            if entry.override or (self.project.config.allow_override and earlier[key] < index):
                overriding[key] = max(index, overriding.get(key, 0))
        visible = []
        for index, folder, entry in entries:
            key = (entry.definition.category, entry.definition.name)
            if overriding.get(key, 0) > index:
                self.shadowed.append(
                    (f"{entry.definition.human}@{entry.definition.version}", str(entry.origin))
                )
            else:
                visible.append((folder, entry))
        return visible

    def _duplicate(self, entry: Entry, first: Origin) -> None:
        self.problems.append(
            Problem(
                what=f"{entry.definition.human}@{entry.definition.version} is defined twice; {first} counts",
                fix="remove one, or say `override: true` in the definition of the later tree",
                id="CG040",
                origin=entry.origin,
            )
        )

    def _package(self, folder: PackageFolder, entry: Entry) -> Package:
        rendered = self._render(folder, fill(self.values, entry.raw))
        problems = list(folder.problems)
        spec = BuildSpec()
        if rendered.problem is not None:
            if not self.renderer.problems:
                problems.append(rendered.problem)
            else:
                problems.append(self.renderer.problems[0])
        elif folder.build is None:
            spec = self._without_build(folder, entry, problems)
        else:
            spec, found = self._decode(folder, rendered.text)
            problems += found
            spec = self._with_load_time_lists(folder, entry.raw, rendered.text, spec)
        definition = entry.definition
        return Package(
            definition=definition,
            spec=spec,
            rendered=rendered.text,
            template=folder.build or "",
            values=rendered.reads,
            directory=folder.directory,
            tree=folder.tree,
            files=self._files(folder, definition.human),
            finalize=folder.finalize,
            origin=entry.origin,
            readme=_readme(folder, entry),
            problems=tuple(dict.fromkeys(problems)),
        )

    def _render(self, folder: PackageFolder, values: Mapping[Scalar, Value]) -> Rendered:
        if self.templates_name_channels or _NAMES_CHANNELS.search(folder.build or ""):
            values = fill(values, self.channels)
        return self.renderer.render(folder.build or "", values, folder.build_path)

    def _without_build(self, folder: PackageFolder, entry: Entry, problems: list[Problem]) -> BuildSpec:
        definition = entry.definition
        if folder.is_collection:
            problems.append(
                Problem(
                    what=f"{definition.human} is in a collection without build.yaml",
                    fix=f"add {folder.build_path}; it may be empty",
                    id="CG006",
                    origin=entry.origin,
                )
            )
        return BuildSpec(requires=definition.requires, conflicts=definition.conflicts)

    def _decode(self, folder: PackageFolder, text: str) -> tuple[BuildSpec, tuple[Problem, ...]]:
        key = (folder.build_path, text)
        if key not in self.decoded:
            problems: list[Problem] = []
            locate = partial(locate_line, folder.build_path, folder.build or "", text)
            found: list[Problem] = []
            node = compose(text, folder.build_path, found)
            problems += [_relocated(problem, locate) for problem in found]
            spec = BuildSpec()
            if node is not None:
                decoder = Decoder(folder.build_path, problems, locate, id="CG004")
                spec = decode_build_spec(decoder, node)
                if _NOT_JSON.search(text):
                    report_json_faults(node, decoder)
            self.decoded[key] = (spec, tuple(dict.fromkeys(problems)))
        return self.decoded[key]

    def _with_load_time_lists(
        self, folder: PackageFolder, raw: dict[Scalar, Value], text: str, spec: BuildSpec
    ) -> BuildSpec:
        """Keep requirements that only a rendering without values files has, when the real one has none.

        luet renders once without values files to learn what packages require, and a later empty list does
        not replace what was learnt.
        """
        build = folder.build or ""
        if not self.values or "{{" not in build or not self._may_differ(build, spec):
            return spec
        bare = self._render(folder, raw)
        if bare.problem is not None or _lists(bare.text) == _lists(text):
            return spec
        first, _ = self._decode(folder, bare.text)
        if first.requires != spec.requires:
            self._report_conditional(folder)
        return replace(
            spec, requires=spec.requires or first.requires, conflicts=spec.conflicts or first.conflicts
        )

    def _may_differ(self, build: str, spec: BuildSpec) -> bool:
        """Tell whether a rendering without values files could require something else."""
        if not spec.requires and ("equires" in build or self.templates_require):
            return True
        return (not spec.conflicts and "onflicts" in build) or _is_conditional(build)

    def _report_conditional(self, folder: PackageFolder) -> None:
        self.problems.append(
            Problem(
                what="`requires` differs with and without values files",
                fix="require the same packages in both cases",
                id="CG076",
                origin=Origin(folder.build_path),
                severity=Severity.WARNING,
            )
        )

    def _files(self, folder: PackageFolder, human: str) -> tuple[ContextFile, ...]:
        overlays = self.project.overlays(self.variant, human)
        if not overlays:
            return folder.files
        files = {file.name: file for file in folder.files}
        for overlay in overlays:
            source = self.project.sources.overlays.get(overlay.files)
            if source is not None:
                files |= {file.name: file for file in source.files}
        return tuple(sorted(files.values(), key=lambda file: file.name.encode("utf-8", "surrogateescape")))


def _lists(text: str) -> list[str]:
    return _REQUIRES.findall(text) if "equires" in text else []


def _is_conditional(build: str) -> bool:
    """Tell whether `requires` of a `build.yaml` stands inside a condition, or holds an action."""
    for match in _REQUIRES.finditer(build):
        before = [word == "end" for word in _BRANCH.findall(build, 0, match.start())]
        if "{{" in _ASSIGNMENT.sub("", match[0]) or before.count(False) > before.count(True):
            return True
    return False


def _readme(folder: PackageFolder, entry: Entry) -> str | None:
    definition = entry.definition
    own = folder.readmes.get(f"README-{definition.category}-{definition.name}.md")
    if own is not None or len(folder.entries) + len(folder.singles) > 1:
        return own
    return folder.readmes.get("README.md")


def _relocated(problem: Problem, locate: partial[Origin]) -> Problem:
    if problem.origin is None:
        return problem
    return replace(
        problem,
        what=f"{problem.what} (line {problem.origin.line} of the rendered text)",
        origin=locate(problem.origin.line, problem.origin.column),
    )


def _problem_order(problem: Problem) -> tuple[Origin, str, str]:
    return (problem.origin or Origin(""), problem.id, problem.what)


def has_errors(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem is an error."""
    return any(problem.severity is Severity.ERROR for problem in problems)
