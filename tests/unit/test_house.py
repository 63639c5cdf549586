"""The house keeps its own rules: small modules, one exit code an error, one meaning an id, a quick door."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import cosgen
from cosgen import errors
from cosgen.cli.main import COMMANDS
from cosgen.errors import CosgenError, Rule

ROOT = Path(cosgen.__file__).parent.parent
MOST_LINES = 400
SOURCES = sorted((ROOT / "cosgen").rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "manager", "handler", "data"}
TOLD = re.compile(r'"(CG[0-9]{3})"')
BLOCKS = {  # room -> numbers of its problem ids
    "manifest": range(1, 100),
    "pipeline": range(101, 400),
    "graph": range(401, 450),
    "build": range(450, 500),
    "storage": range(501, 550),
    "repository": (*range(501, 600), *range(685, 700)),  # foundations are the last
    "site": range(601, 650),
    "upgrade": range(651, 685),
    "cli": range(651, 800),
}


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(cosgen.__path__, "cosgen."):
        yield importlib.import_module(info.name)


def rules() -> Iterator[tuple[str, str, Rule]]:
    """Yield room, key and rule of every table of rules, each table once."""
    seen: set[int] = set()
    for module in modules():
        table = getattr(module, "RULES", None)
        if isinstance(table, Mapping) and id(table) not in seen:
            seen.add(id(table))
            yield from (
                (module.__name__.split(".")[1], key, rule)
                for key, rule in table.items()
                if isinstance(rule, Rule)
            )


def test_a_module_fits_on_a_few_screens() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_a_module_says_what_it_is_for() -> None:
    silent = [path for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []
    assert [path for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


def test_every_kind_of_error_has_its_own_exit_code() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, CosgenError) and kind is not CosgenError
    ]
    codes = Counter(kind.exit_code for kind in kinds)
    assert {code: count for code, count in codes.items() if count > 1} == {}
    assert not {0, 1, 2} & set(codes), "0 is success, 1 a bug, 2 the command line"


def test_an_id_has_one_meaning() -> None:
    meanings = defaultdict(set)
    for _, key, rule in rules():
        assert key == rule.id
        meanings[key].add((rule.title, rule.why, rule.fix))
    assert {key: texts for key, texts in meanings.items() if len(texts) > 1} == {}


def test_ids_lie_in_the_block_of_their_room() -> None:
    strays = [
        f"{rule.id} in {room}"
        for room, _, rule in rules()
        if int(rule.id.removeprefix("CG")) not in BLOCKS[room]
    ]
    assert strays == []


def test_every_id_that_is_told_has_a_rule() -> None:
    known = {rule.id for _, _, rule in rules()}
    told = {path.relative_to(ROOT).as_posix(): set(TOLD.findall(path.read_text())) for path in SOURCES}
    assert {name: ids - known for name, ids in told.items() if ids - known} == {}


def test_every_rule_is_explained() -> None:
    for _, _, rule in rules():
        assert all((rule.title, rule.why, rule.fix)), rule.id


def test_help_imports_no_command_and_no_library_of_weight() -> None:
    program = (
        "import sys; from cosgen.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    heavy = {
        "boto3",
        "docker",
        "gotpl",
        "github",
        "gitlab",
        "mkdocs",
        "tuf",
        "ruamel.yaml",
        "yaml",
        "jinja2",
        "rich",
    }
    assert heavy & loaded == set()
    assert all(name in done.stdout for name in COMMANDS)


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "site" / "docs" / "adr"
    index = (folder / "index.md").read_text()
    records = sorted(path.name for path in folder.glob("0*.md"))
    assert [name for name in records if f"({name})" not in index] == []
    assert len({name[:4] for name in records}) == len(records), "a number stands for one decision"
