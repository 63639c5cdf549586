"""Go templates: shared templates and a `build.yaml` in, text out. The only user of the template engine.

A package's text is all shared templates and its `build.yaml` glued together, rendered with `.Values`.
Gluing and parsing anew for each package would be slow, so shared templates are parsed once and a
`build.yaml` joins them; where that could differ from gluing, it is glued.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gotpl import ContextFunction, ExecutionBudget, RenderContext, SandboxPolicy, Template, TemplateError
from gotpl.errors import BudgetExceededError, TemplateExecutionError, TemplateSyntaxError
from gotpl.funcs.sprig import text_func_map
from gotpl.runtime.sync_vm import _builtin_functions
from gotpl.runtime.values import INVALID, UNTYPED_NIL

from cosgen.errors import Origin, Problem
from cosgen.manifest.bounds import Bounds, TooMuchError
from cosgen.manifest.functions import (
    ClockError,
    Function,
    NoData,
    UnsafeFunctionError,
    go_builtins,
    guarded,
    has_any_key_map,
    rounded,
    without_no_data,
)
from cosgen.manifest.go_json import from_json, from_json_array
from cosgen.manifest.go_toml import to_toml
from cosgen.manifest.go_yaml import from_yaml, from_yaml_array, to_yaml
from cosgen.manifest.scalars import Scalar
from cosgen.manifest.template_text import (
    CALL,
    DEFINE,
    NO_DATA,
    PIECE,
    give_data,
    outside_definitions,
    skeleton_of,
)
from cosgen.manifest.values import ReadLog, TracedMap, Value

MAX_OUTPUT = 4_000_000  # characters of one rendered build.yaml
_BUDGET = ExecutionBudget(
    max_output_chars=MAX_OUTPUT, max_iterations=200_000, max_template_depth=150, max_function_calls=200_000
)
_FAULTS = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
_SIMPLE = re.compile(r"(?<!\{)\{\{\s*\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)+)\s*\}\}")
_TRIMMED_START = re.compile(r"\s*\{\{-\s")
_TRIMMED_END = re.compile(r"-\}\}\s*\Z")
_NO_FIELD = re.compile(r"attribute '(.*)' is not allowed")
_NO_DATA = NoData()
_SHARED_NAME = "\x00shared"


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """One shared template file."""

    path: str  # relative to the project root
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSettings:
    """What templates may do."""

    allow: frozenset[str] = frozenset()  # unsafe functions the project allows
    epoch: int | None = None  # SOURCE_DATE_EPOCH in seconds; None: templates may not ask for the time
    environment: tuple[tuple[str, str], ...] = ()  # what `env` sees when it is allowed


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of a `build.yaml` and the values it was made from."""

    text: str
    reads: str  # canonical JSON, see ReadLog.to_json
    problem: Problem | None = None  # why there is no text


class Renderer:
    """Renders the `build.yaml` files of one variant."""

    def __init__(self, shared: Sequence[TemplateFile], settings: TemplateSettings) -> None:
        self._shared = tuple(shared)
        self._settings = settings
        self._bounds = Bounds()
        self._functions = _function_table(settings, self._bounds)
        self._compiled: dict[str, Template] = {}
        self._bases: dict[tuple[int, ...], Template] = {}
        self._outcomes: dict[tuple[str, str], Rendered] = {}

    @cached_property
    def _glue(self) -> str:
        return "".join(file.text for file in self._shared)

    @cached_property
    def _prefix(self) -> str | None:
        """What shared templates put before every package; None when only gluing can tell."""
        outside = outside_definitions(self._glue)
        if "{{" in outside or _TRIMMED_END.search(self._glue):
            return None
        return outside

    @cached_property
    def _definitions(self) -> tuple[frozenset[str], ...]:
        """Names defined by each shared file."""
        return tuple(frozenset(_names(DEFINE, file.text)) for file in self._shared)

    def render(self, text: str, values: Mapping[Scalar, Value], path: str) -> Rendered:
        """Render the `build.yaml` at `path` with `.Values` = `values`."""
        if "{{" not in text and self._prefix is not None and not self.problems:
            return Rendered(self._prefix + text, "[]")
        self._bounds.reset()
        log = ReadLog()
        if self._prefix is not None and not self.problems:
            quick = _substitute(text, values, log)
            if quick is not None:
                return Rendered(self._prefix + quick, log.to_json())
            log = ReadLog()
        skeleton, pieces = skeleton_of(text)
        try:
            template, prefix = self._template(skeleton)
            body = template.render({"Values": TracedMap(values, log)})
        except _FAULTS as error:
            whole = self._fault(text, values) if pieces else None  # once more, for the place of the fault
            return Rendered("", log.to_json(), self._problem(whole or error, path))
        if pieces:
            body = PIECE.sub(lambda match: pieces[int(match[1])], body)
        return Rendered(prefix + body, log.to_json())

    def _fault(self, text: str, values: Mapping[Scalar, Value]) -> BaseException | None:
        try:
            self._template(text)[0].render({"Values": TracedMap(values, ReadLog())})
        except _FAULTS as error:
            return error
        return None

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the shared templates themselves; then no package can be rendered."""
        try:
            if "{{" in self._glue:
                self._make(self._glue)
        except _FAULTS as error:
            origin = self._shared_origin(getattr(error, "line", 1) or 1, getattr(error, "column", 1) or 1)
            return (_describe(error, origin),)
        return ()

    def _template(self, text: str) -> tuple[Template, str]:
        """Return the compiled template and what goes before its output."""
        prefix = self._prefix
        if self.problems or prefix is None or _TRIMMED_START.match(text) or DEFINE.search(text):
            return self._cached(self._glue + text, lambda: self._make(self._glue + text)), ""
        return self._cached(text, lambda: self._base(text).with_source(give_data(text), name="")), prefix

    def _cached(self, key: str, make: Callable[[], Template]) -> Template:
        template = self._compiled.get(key)
        if template is None:
            template = self._compiled[key] = make()
        return template

    def _base(self, text: str) -> Template:
        """Return the shared files that `text` can reach, compiled."""
        wanted: set[int] = set()
        pending = [text]
        while pending:
            source = pending.pop()
            names = set(_names(CALL, source))
            dynamic = source.count("include") > len(CALL.findall(source))
            for index, defined in enumerate(self._definitions):
                if index not in wanted and (dynamic or defined & names):
                    wanted.add(index)
                    pending.append(self._shared[index].text)
        key = tuple(sorted(wanted))
        if key not in self._bases:
            self._bases[key] = self._make("".join(self._shared[i].text for i in key), name=_SHARED_NAME)
        return self._bases[key]

    def _make(self, text: str, name: str = "") -> Template:
        return Template(
            give_data(text),
            name=name,
            functions=self._functions,
            missing_key="zero",
            sandbox=self._sandbox,
            budget=_BUDGET,
        )

    @cached_property
    def _sandbox(self) -> SandboxPolicy:
        return SandboxPolicy(
            allow_functions=self._functions,
            allow_custom_lookup=True,  # of NoData
            allow_context_capabilities=("render-associated",),
            allow_attributes=("Major", "Minor", "Patch"),
            allow_methods=("Prerelease", "Metadata", "Original", "Compare"),
            default_budget=_BUDGET,
            max_template_chars=16_000_000,
        )

    def _problem(self, error: BaseException, path: str) -> Problem:
        line = getattr(error, "line", None) or 1
        column = getattr(error, "column", None) or 1
        if getattr(error, "source_name", "") == _SHARED_NAME:
            return _describe(error, self._shared_origin(line, column))
        glued = self._prefix is None or bool(self.problems)
        shared_lines = self._glue.count("\n") if glued else 0
        if line <= shared_lines:
            return _describe(error, self._shared_origin(line, column))
        return _describe(error, Origin(path, max(line - shared_lines, 1), column))

    def _shared_origin(self, line: int, column: int) -> Origin:
        for file in self._shared:
            lines = file.text.count("\n")
            if line <= lines or file is self._shared[-1]:
                return Origin(file.path, max(line, 1), column)
            line -= lines
        return Origin("templates")


def _names(pattern: re.Pattern[str], text: str) -> list[str]:
    return [quoted or raw for quoted, raw in pattern.findall(text)]


def _substitute(text: str, values: Mapping[Scalar, Value], log: ReadLog) -> str | None:
    """Render a template that only prints text values; None when it does more than that."""
    if text.count("{{") != len(_SIMPLE.findall(text)):
        return None
    pieces: list[str] = []
    cursor = 0
    for match in _SIMPLE.finditer(text):
        path = tuple(match[1][1:].split("."))
        value: Value = values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, str):
            return None
        log.paths[path] = value
        pieces += (text[cursor : match.start()], value)
        cursor = match.end()
    return "".join(pieces) + text[cursor:]


def _function_table(settings: TemplateSettings, bounds: Bounds) -> dict[str, Function]:
    sprig = text_func_map(environ=dict(settings.environment))
    del sprig["sha512sum"]  # of a later sprig than luet's
    functions: dict[str, Function] = {
        **sprig,
        "fromJson": from_json,
        "fromJsonArray": from_json_array,
        "round": rounded(sprig["float64"]),
        "toToml": _to_toml,
        "toYaml": _to_yaml,
        "fromYaml": from_yaml,
        "fromYamlArray": from_yaml_array,
    }
    table = guarded(functions, allow=settings.allow, epoch=settings.epoch)
    table |= go_builtins({**table, **_builtin_functions("go")}, (INVALID, UNTYPED_NIL), UNTYPED_NIL)
    table = {name: without_no_data(name, bounds.bounded(name, function)) for name, function in table.items()}
    table[NO_DATA] = _data
    table["include"] = ContextFunction(sync=_include, capabilities=frozenset({"render-associated"}))
    return table


def _to_yaml(value: object) -> str:
    if has_any_key_map(value):
        return ""
    return to_yaml(value, _is_nothing)


def _to_toml(value: object) -> str:
    if has_any_key_map(value):
        raise TypeError("toToml cannot write maps of definition.yaml and values files; use `dict`")
    return to_toml(value, _is_nothing)


def _is_nothing(value: object) -> bool:
    return value is None or value is INVALID or value is UNTYPED_NIL


def _data(value: object = None) -> object:
    return _NO_DATA if _is_nothing(value) else value


def _include(context: RenderContext, name: str, data: object) -> object:
    return context.render_template(name, _data(data))


def _describe(error: BaseException, origin: Origin) -> Problem:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnsafeFunctionError):
            return Problem(
                what=f"template calls {cause}",
                fix=f"take it from a values file, or add {cause.name} to templates.allow_functions",
                id="CG012",
                origin=origin,
            )
        if isinstance(cause, ClockError):
            return Problem(
                what=f"{cause}, which differs in every run",
                fix="set SOURCE_DATE_EPOCH, or take the date from a values file",
                id="CG013",
                origin=origin,
            )
        if isinstance(cause, BudgetExceededError | RecursionError | MemoryError | TooMuchError):
            return Problem(
                what=f"template does too much: {_message(cause)}",
                fix="look for a loop, or a template that includes itself",
                id="CG014",
                origin=origin,
            )
        cause = cause.__cause__ or cause.__context__
    text = _message(error)
    if isinstance(error, TemplateSyntaxError):
        return Problem(what=f"template: {text}", fix="mend the template", id="CG010", origin=origin)
    return Problem(
        what=f"template: {text}", fix="mend the expression, or guard it with `if`", id="CG011", origin=origin
    )


def _message(error: BaseException) -> str:
    if isinstance(error, TemplateExecutionError):
        if match := _NO_FIELD.fullmatch(error.message):
            return f"nothing has a field `{match[1]}` here: what stands before it is missing or is no map"
        return error.message
    text = str(error)
    if isinstance(error, TemplateSyntaxError):
        return text.split(": ", 1)[-1]
    return text or type(error).__name__


__all__ = ["Rendered", "Renderer", "TemplateFile", "TemplateSettings"]
