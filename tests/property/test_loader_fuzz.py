"""Whatever lies in a tree, loading ends soon with packages and problems, never with a traceback."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosgen.manifest.config_decode import decode_config
from cosgen.manifest.lints import lint_project
from cosgen.manifest.loader import load_project, load_tree
from cosgen.manifest.os_manifest import decode_manifest
from cosgen.manifest.selector import fault, matches
from cosgen.manifest.version import compare_versions

pytestmark = pytest.mark.filterwarnings("ignore")

SEEDS = [
    'name: a\ncategory: t\nversion: "1.0"\nlabels: {a: b}\nrequires:\n- {name: b, category: t, version: ">=0"}\n',
    "packages:\n- &x {name: a, category: t, version: '1', n: 1e9}\n- {<<: *x, name: b}\n",
    "image: {{ .Values.image }}\nsteps:\n{{ range .Values.l }}- {{ . | quote }}\n{{ end }}unpack: yes\n",
    '{{ define "a" }}{{ .x }}{{ end }}{{ template "a" (dict "x" .Values) }}\nrequires: []\n',
    "channels: {a: {on: {tag: 'v*'}}}\nci: {jobs: {x: {run: [y]}}}\n",
    "shell: [bash]\ninstall: [x]\n",
]
PIECES = ["{{", "}}", "-", "*", "&a", "*a", "<<: ", "[", "]", "{", "}", ": ", "\n", "  ", "|", ">", "!!int", "\x00", "\ufeff", "é", "~", "y", "0x", "1e999", '"', "'", "`", "#", "---\n", "...", '{{ include "a" . }}', "{{ .Values }}", "{{ range", "end }}"]  # fmt: skip

words = st.sampled_from(PIECES) | st.text(max_size=4)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 5))
        text = text[:at] + draw(words) + text[at + cut :]
    content = text.encode("utf-8", "surrogatepass")
    return content if draw(st.booleans()) else content.replace(b"e", draw(st.binary(max_size=2)), 1)


@settings(max_examples=150, deadline=5000, suppress_health_check=list(HealthCheck))
@given(
    definition=mutated(),
    collection=st.none() | mutated(),
    build=mutated(),
    template=mutated(),
    values=mutated(),
    finalize=mutated(),
)
def test_mutated_manifests_never_break_the_loader(
    definition: bytes, collection: bytes | None, build: bytes, template: bytes, values: bytes, finalize: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in ("packages/a", "packages/b", "packages/templates", "values"):
            (root / path).mkdir(parents=True)
        (root / "packages/a/definition.yaml").write_bytes(definition)
        (root / "packages/a/build.yaml").write_bytes(build)
        (root / "packages/a/finalize.yaml").write_bytes(finalize)
        if collection is not None:
            (root / "packages/b/collection.yaml").write_bytes(collection)
            (root / "packages/b/build.yaml").write_bytes(build)
        (root / "packages/templates/x.yaml").write_bytes(template)
        (root / "values/x86_64.yaml").write_bytes(values)
        project = load_project(root)
        tree = load_tree(project, project.variants[0])
        again = load_tree(load_project(root), project.variants[0])
        assert tree == again
        lint_project(project, [tree])
        for problem in tree.problems:
            assert problem.what
            assert problem.fix


@settings(max_examples=200, deadline=2000, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_mutated_settings_never_break_the_decoders(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    decode_config(text, "cosgen.yaml", [])
    decode_manifest(text, "manifest.yaml", [])


versions = st.text(alphabet="0123456789.-+~:_ arcv<>=!|,*^", max_size=12)


@settings(max_examples=500, deadline=500)
@given(versions, versions, versions)
def test_versions_are_totally_ordered_and_selectors_always_answer(one: str, two: str, three: str) -> None:
    assert compare_versions(one, two) == -compare_versions(two, one)
    if compare_versions(one, two) <= 0 and compare_versions(two, three) <= 0:
        assert compare_versions(one, three) <= 0
    fault(two)
    assert matches(one, two) in {True, False}
    assert matches(one, two, "0.36") in {True, False}
