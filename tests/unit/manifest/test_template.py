"""Unit tests for cosgen.manifest.template and functions."""

import json
import time

import pytest

from cosgen.errors import Origin
from cosgen.manifest.scalars import Scalar
from cosgen.manifest.template import Rendered, Renderer, TemplateFile, TemplateSettings
from cosgen.manifest.values import AnyKeyMap, Value


def render(
    text: str, shared: str = "", *, epoch: int | None = None, allow: tuple[str, ...] = (), **values: Value
) -> Rendered:
    files = [TemplateFile("templates/x.yaml", shared)] if shared else []
    settings = TemplateSettings(epoch=epoch, allow=frozenset(allow), environment=(("HOME", "/h"),))
    given: dict[Scalar, Value] = {}
    given.update(values.items())
    return Renderer(files, settings).render(text, given, "p/build.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .Values.nope }}", "<no value>"),
        ('{{ eq .Values.nope "x" }}', "false"),
        ('{{ ne .Values.nope "x" }}', "true"),
        ("{{ eq .Values.nope nil }}", "true"),
        ('{{ printf "%s" .Values.nope }}', "%!s(<nil>)"),
        ('{{ printf "%v" .Values.nope }}', "<nil>"),
        ('{{ printf "%d" (list 1 2) }}', "[1 2]"),
        ('{{ index .Values.labels "a.b" }}', "c"),
        ('{{ index .Values.labels "nope" }}', "<no value>"),
        ("{{ .Values.big }}", "2.0220508e+07"),
        ("{{ .Values.labels }}", "map[a.b:c]"),
        ("{{ .Values.labels | toJson }}", ""),
        ("{{ .Values.list | toJson }}", '["a",1]'),
        ('{{ dict "a" (list) "n" nil | toYaml }}', 'a: []\n"n": null'),
        ('{{ (fromYaml "a: {b: yes}").a.b }}', "true"),
        ('{{ dict "k10" 1 "k2" 2 "ka" 3 "k_" 4 | toYaml }}', "k_: 4\nk2: 2\nk10: 1\nka: 3"),
        ('{{ dict "x10" 1 "x1" 2 "x01" 3 | toYaml }}', "x1: 2\nx01: 3\nx10: 1"),
        ("{{ default `d` .Values.nope }}{{ or .Values.nope `d` }}", "dd"),
        ("{{ and .Values.nope `x` }}", "<no value>"),
        ("{{ if .Values.nope }}a{{ else }}b{{ end }}{{ with .Values.nope }}a{{ else }}b{{ end }}", "bb"),
        ("{{ not .Values.nope }}{{ quote .Values.nope }}", "true"),
        ('{{ keys (dict "b" 1 "a" 2) }}', "[a b]"),
        (
            '{{ dict "t" (dict "k" 1.0 "u" (dict "b" true)) "s" "a\\"b" "n" nil "l" (list 1 "x") "a b" 2 | toToml }}',
            '"a b" = 2\nl = [1, "x"]\ns = "a\\"b"\n\n[t]\n  k = 1.0\n  [t.u]\n    b = true\n',
        ),
        (
            '{{ dict "p" (list (dict "n" "a") (dict "n" "b")) "e" (list) | toToml }}',
            'e = []\n\n[[p]]\n  n = "a"\n\n[[p]]\n  n = "b"\n',
        ),
        ('{{ fromJson `{"n": 1000000, "x": [1, null, true]}` }}', "map[n:1e+06 x:[1 <nil> true]]"),
        ('{{ eq (fromJson `{"n": 1}`).n 1.0 }}', "true"),
        ("{{ (fromJson `[`).Error }}", "unexpected end of JSON input"),
        (
            "{{ fromJsonArray `{}` }}",
            "[json: cannot unmarshal object into Go value of type []interface {}]",
        ),
        (
            '{{ fromYaml "- 1" }}',
            (
                "map[Error:error unmarshaling JSON: json: cannot unmarshal array into Go value of type "
                "map[string]interface {}]"
            ),
        ),
        ("{{ fromYaml `` }}{{ fromJson `null` }}", "map[]map[]"),
        ("{{ round 1.555 2 }} {{ round -2.5 0 }} {{ round 2.3 0 0.2 }} {{ round 5 400 }}", "1.56 -3 3 NaN"),
        (
            '{{ define "x" }}{{ . }} {{ .Values.name.deep }} {{ if $ }}a{{ else }}b{{ end }}{{ end }}{{ template "x" }}',
            "<no value> <no value> b",
        ),
        (
            '{{ define "x" }}{{ range $k, $v := .a }}{{ $k }}{{ end }}{{ .b | default "d" }}{{ end }}{{ template "x"}}',
            "d",
        ),
        (
            '{{ define "x" }}{{ quote .c }}{{ eq .d "q" }}{{ get . "k" }}{{ end }}{{- template "x" -}} .',
            "false.",
        ),
        ('{{ define "x" }}{{ .Values.name }}{{ end }}{{ include "x" .Values.nope }}', "<no value>"),
        ('{{ define "x" }}{{ .a.b }}{{ end }}{{ template "x" .Values.nope -}} .', "<no value>."),
        ('{{ define "x" }}{{ .a }}{{ end }}{{ template "x" dict "a" (default "}}" .Values.nope) }}', "}}"),
        ('{{ (semver "1.2.3").Minor }}', "2"),
        ('{{ $_ := set .Values "new" "v" }}{{ .Values.new }}', "v"),
        ('{{ "{{" }}', "{{"),
    ],
)
def test_expressions_print_what_go_prints(text: str, expected: str) -> None:
    rendered = render(text, labels=AnyKeyMap({"a.b": "c"}), list=["a", 1.0], big=20220508.0, s="x")
    assert rendered.problem is None
    assert rendered.text == expected


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("{{ .Values.nope.deep }}", "CG011"),
        ('{{ index .Values.nope "x" }}', "CG011"),
        ("{{ index .Values.nope }}", "CG011"),
        ("{{ .Values.nope | upper }}", "CG011"),
        ("{{ sha512sum `x` }}", "CG010"),
        ("{{ .Values.s.upper }}", "CG011"),
        ("{{ .Values.s.__class__ }}", "CG011"),
        ('{{ get .Values.labels "a.b" }}', "CG011"),
        ("{{ eq .Values.s 5 }}", "CG011"),
        ('{{ fail "boom" }}', "CG011"),
        ("{{ div 1 0 }}", "CG011"),
        ("{{ tpl .Values.s . }}", "CG010"),
        ("{{ required .Values.s . }}", "CG010"),
        ("{{ if true }}", "CG010"),
        ("{{ .Values. }}", "CG010"),
        ("{{{.Values.s}}", "CG010"),
        ('{{ define "x" }}{{ len .a }}{{ end }}{{ template "x" }}', "CG011"),
        ('{{ template "nope" . }}', "CG011"),
        ('{{ env "HOME" }}', "CG012"),
        ("{{ uuidv4 }}", "CG012"),
        ("{{ randAlpha 5 }}", "CG012"),
        ('{{ getHostByName "x" }}', "CG012"),
        ('{{ genPrivateKey "rsa" }}', "CG012"),
        ("{{ now }}", "CG013"),
        ('{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}', "CG014"),
        ('{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}', "CG014"),
        ("{{ range until 1000 }}{{ range until 1000 }}x{{ end }}{{ end }}", "CG014"),
        ('{{ repeat 1000000000 "x" }}', "CG014"),
        ('{{ "x" | repeat 1000000 | repeat 1000000 }}', "CG014"),
        ("{{ until 1000000000 }}", "CG014"),
        ("{{ untilStep 0 -2000000000 -1 }}", "CG014"),
        ("{{ seq 1 1000000000 }}", "CG014"),
        ('{{ indent 100000000 "x" }}', "CG014"),
        ('{{ $x := repeat 500000 "a" }}{{ $x | replace "a" $x }}', "CG014"),
        ('{{ $x := repeat 900000 "a" }}{{ join $x (until 100000) }}', "CG014"),
        ("{{ $x := `aaaaaaaa` }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}", "CG014"),
        ("{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}", "CG014"),
        ("{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "CG014"),
        ('{{ $x := dict }}{{ range until 60 }}{{ $x = dict "a" $x "b" $x }}{{ end }}{{ $x }}', "CG014"),
        ("{{ range until 10000 }}{{ has . (until 10000) }}{{ end }}", "CG014"),
        ("{{ until 100000 | uniq }}", "CG014"),
        ('{{ regexMatch "((a{1,1000}){1,1000}){1,1000}" "a" }}', "CG011"),
        ('{{ $d := dict }}{{ $_ := set $d "a" $d }}{{ $d }}', "CG014"),
        ('{{ printf "%1000000000d" 1 }}', "CG011"),
    ],
)
def test_what_fails_in_go_or_must_not_be_is_a_problem(text: str, id_: str) -> None:
    start = time.monotonic()
    rendered = render(text, labels=AnyKeyMap({"a.b": "c"}), s="x")
    assert rendered.problem is not None
    assert rendered.problem.id in ({id_, "CG010"} if id_ == "CG011" else {id_})
    assert rendered.problem.fix
    assert time.monotonic() - start < 10


def test_unsafe_functions_can_be_allowed_and_the_time_can_be_given() -> None:
    assert render('{{ env "HOME" }}', allow=("env",)).text == "/h"
    assert render('{{ dateInZone "2006-01-02" now "UTC" }}', epoch=86400).text == "1970-01-02"


def test_the_place_of_a_fault_is_told_in_the_file_the_user_wrote() -> None:
    text = "image: x\nsteps:\n- some long plain text before it\n- {{ .Values.nope.deep }}\n"
    problem = render(text, '# head\n{{ define "a" }}x{{ end }}\n').problem
    assert problem is not None
    assert problem.origin is not None
    assert (problem.origin.path, problem.origin.line) == ("p/build.yaml", 4)


def test_a_fault_in_a_shared_template_is_told_there() -> None:
    problem = render('{{ template "a" . }}', '\n{{ define "a" }}\n{{ .Values.x.y }}{{ end }}\n').problem
    assert problem is not None
    assert problem.origin is not None
    assert (problem.origin.path, problem.origin.line) == ("templates/x.yaml", 3)


def test_shared_templates_that_clash_are_one_problem_of_their_file() -> None:
    renderer = Renderer(
        [
            TemplateFile("t/a.yaml", '{{ define "a" }}1{{ end }}'),
            TemplateFile("t/b.yaml", '{{ define "a" }}2{{ end }}'),
        ],
        TemplateSettings(),
    )
    (problem,) = renderer.problems
    assert problem.origin is not None
    assert problem.origin.path == "t/b.yaml"


@pytest.mark.parametrize(
    ("shared", "text", "expected"),
    [
        ("# head\n", "a: b\n", "# head\na: b\n"),
        ("# head\n", "a: {{ .Values.s }}\n", "# head\na: x\n"),
        ("# head  \n", "{{- .Values.s }}", "# headx"),
        ('{{ define "d" }}1{{ end -}}\n', "\n a: {{ .Values.s }}", "a: x"),
        ("{{ $x := 5 }}", "{{ $x }}", "5"),
        ("{{ if .Values.s }}yes{{ end }}", "a", "yesa"),
        ('{{ define "d" }}1{{ end }}', '{{ template "d" }}{{ include "d" . }}', "11"),
        ('{{/* c */}}x{{ define "d" }}1{{ end }}y', "z", "xyz"),
    ],
)
def test_joining_shared_templates_gives_what_gluing_gives(shared: str, text: str, expected: str) -> None:
    assert render(text, shared, s="x").text == expected


def test_only_the_values_read_are_told() -> None:
    rendered = render(
        "{{ .Values.a }} {{ if .Values.m.b }}{{ end }}{{ .Values.nope }}",
        a="x",
        m={"b": 1, "c": 2},
        z="unused",
    )
    assert json.loads(rendered.reads) == [[["a"], "x"], [["m", "b"], 1], [["nope"], None]]


def test_the_quick_way_for_plain_fields_equals_the_engine() -> None:
    quick = render("a {{ .Values.s }} {{.Values.m.k}}!", s="x", m={"k": "v"})
    slow = render('a {{ .Values.s }} {{.Values.m.k}}!{{ "" }}', s="x", m={"k": "v"})
    assert (quick.text, quick.reads) == (slow.text, slow.reads)


def test_faults_name_their_file_and_line() -> None:
    problem = render("{{ nosuch }}").problem
    assert problem is not None
    assert problem.origin == Origin("p/build.yaml", 1, problem.origin.column if problem.origin else 0)
