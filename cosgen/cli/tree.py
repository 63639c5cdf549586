"""`cosgen tree`: the packages, one package in full, who needs whom, and the graph as a picture."""

import json
import os
import sys
from collections.abc import Sequence

import click

from cosgen.cli.context import ProjectOptions, project_options, source_date_epoch
from cosgen.cli.foundations import Grounded, load_grounded
from cosgen.cli.group import Group
from cosgen.errors import ManifestError, Problem, Severity
from cosgen.graph.draw import FORMATS, draw_graph
from cosgen.graph.graph import think_variant
from cosgen.graph.model import Fingerprint, Graph, Node
from cosgen.manifest.assemble import variant_values
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.channel_names import VALUES_KEY, channel_values
from cosgen.manifest.decoder import Decoder, nearest
from cosgen.manifest.definition import Definition
from cosgen.manifest.loader import load_tree
from cosgen.manifest.nodes import compose
from cosgen.manifest.project import Project
from cosgen.manifest.scalars import Scalar
from cosgen.manifest.tree import FoundationPart, Package
from cosgen.manifest.values import Value, decode_values, provenance
from cosgen.manifest.version import sort_key

Json = dict[str, object]
_TEXTS = ("image", "seed", "package_dir")
_LISTS = ("prelude", "steps", "env", "retrieve", "includes", "excludes")
_FLAGS = ("unpack", "requires_final_images")


@click.group(cls=Group)
def command() -> None:
    """List, show, and draw the packages of the trees."""


def read_graph(options: ProjectOptions) -> tuple[Grounded, Graph]:
    """Load the one variant the options name, and think it through.

    Raises:
        ManifestError: The options leave more than one variant, or name none.
    """
    grounded = load_grounded(
        options.project, trees=options.trees, values=options.values, environment=dict(os.environ)
    )
    variants = options.select_variants(grounded.project.variants)
    if len(variants) != 1:
        keys = ", ".join(variant.key for variant in variants)
        raise ManifestError(
            Problem(
                what=f"the project has the variants {keys}", fix="choose with --flavor and --arch", id="CG711"
            )
        )
    tree = load_tree(grounded.project, variants[0], source_date_epoch=source_date_epoch())
    return grounded, think_variant(grounded.project, tree, grounded.lock)


@command.command(
    "list", epilog="\b\nExamples:\n  cosgen tree list --flavor green --arch x86_64\n  cosgen tree list --json"
)
@project_options
@click.option("--json", "as_json", is_flag=True, help="Print all that is known, as JSON.")
def list_(options: ProjectOptions, *, as_json: bool) -> None:
    """List the packages, and which are overridden by others. The exit code is 3 when some cannot be used."""
    grounded, graph = read_graph(options)
    if as_json:
        print(json.dumps(list_document(graph), indent=1, ensure_ascii=False))
    else:
        for node in graph.nodes.values():
            mark = "!" if _error(node) else " "
            whose = f"  of the foundation {node.foundation}" if node.foundation else ""
            print(f"{mark} {node.package.human}@{node.package.definition.version}{whose}")
        for human, place in graph.tree.shadowed:
            print(f"overridden: {human} of {place}", file=sys.stderr)
    problems = [*grounded.problems, *graph.problems]
    if any(problem.severity is Severity.ERROR for problem in problems):
        for problem in dict.fromkeys(problems) if not as_json else ():
            print(problem, file=sys.stderr)
        sys.exit(ManifestError.exit_code)


def list_document(graph: Graph) -> Json:
    """Return what `tree list --json` prints: all packages, sorted by fingerprint, and what they override."""
    return {
        "packages": [package_document(graph.nodes[name]) for name in sorted(graph.nodes, key=str.encode)],
        "overridden": [{"package": human, "place": place} for human, place in graph.tree.shadowed],
    }


def package_document(node: Node) -> Json:
    """Return one package as `tree list --json` prints it.

    It has `error` when it cannot be read or resolved, and `problems` when its hashes are known and it cannot
    be built all the same.
    """
    package = node.package
    item = package.definition
    document: Json = {
        "fingerprint": package.fingerprint,
        "category": item.category,
        "name": item.name,
        "version": item.version,
        "path": package.directory,
        "hidden": item.hidden,
        "rendered": package.rendered,
        "spec": spec_document(package.spec),
        "requires": list(node.requires),
        "chain": [link.fingerprint for link in node.chain],
        "spec_hash": node.spec_hash,
        "package_hash": node.package_hash,
        "builder_tag": node.builder_tag,
        "builder_dockerfile": node.builder_dockerfile,
        "package_dockerfile": node.package_dockerfile,
        "input_digest": node.input_digest,
    }
    if node.foundation:
        document["foundation"] = node.foundation
    error = _error(node)
    if error:
        document["problems" if node.package_hash else "error"] = error
    return document


def _error(node: Node) -> str:
    problems = [
        problem
        for problem in dict.fromkeys((*node.package.problems, *node.problems))
        if problem.severity is Severity.ERROR
    ]
    return "\n".join(str(problem) for problem in problems)


def spec_document(spec: BuildSpec) -> Json:
    """Return the non-empty fields of a build spec, `requires` always."""
    document: Json = {"requires": [_reference(item) for item in spec.requires]}
    document |= {name: getattr(spec, name) for name in (*_TEXTS, *_FLAGS) if getattr(spec, name)}
    document |= {name: list(getattr(spec, name)) for name in _LISTS if getattr(spec, name)}
    for name in ("conflicts", "provides"):
        if references := getattr(spec, name):
            document[name] = [_reference(item) for item in references]
    if spec.copy:
        document["copy"] = [
            {
                "destination": item.destination,
                "image": item.image,
                "package": _reference(item.package) if item.package else None,
                "source": item.source,
            }
            for item in spec.copy
        ]
    if spec.subpackages:
        document["subpackages"] = [
            _reference(item.definition) | {"includes": list(item.includes), "excludes": list(item.excludes)}
            for item in spec.subpackages
        ]
    return document


def _reference(item: Definition) -> Json:
    return {"category": item.category, "name": item.name, "version": item.version}


@command.command(
    epilog="\b\nExamples:\n  cosgen tree show system/cos\n  cosgen tree show system/cos --why arch"
)
@project_options
@click.argument("package")
@click.option("--rendered", is_flag=True, help="Print only the rendered build.yaml.")
@click.option("--why", metavar="KEY", help="Say which file a value comes from, such as labels.version.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(options: ProjectOptions, package: str, *, rendered: bool, why: str | None, as_json: bool) -> None:
    """Show one package: its spec, Dockerfiles, chain and digests."""
    grounded, graph = read_graph(options)
    node = find_node(graph, package)
    if why is not None:
        print(explain_value(grounded.project, graph, node.package, why))
    elif rendered:
        print(node.package.rendered, end="")
    elif as_json:
        print(json.dumps(package_document(node), indent=1, ensure_ascii=False))
    else:
        print(_page(node, graph.tree.shadowed), end="")
    if error := _error(node):
        print(error, file=sys.stderr)
        sys.exit(ManifestError.exit_code)


def find_node(graph: Graph, text: str) -> Node:
    """Return the package that `category/name[@version]` or a fingerprint means; the newest of several.

    Raises:
        ManifestError: There is none.
    """
    human, _, version = text.partition("@")
    nodes = [
        node
        for node in graph.nodes.values()
        if text == node.fingerprint
        or (human == node.package.human and version in {"", node.package.definition.version})
    ]
    if nodes:
        return max(nodes, key=lambda node: sort_key(node.package.definition.version))
    near = nearest(human, {node.package.human for node in graph.nodes.values()})
    fix = f"did you mean {near}?" if near else "`cosgen tree list` lists the packages"
    raise ManifestError(Problem(what=f"there is no package {text!r}", fix=fix, id="CG712"))


def explain_value(project: Project, graph: Graph, package: Package, key: str) -> str:
    """Say what a template value is and which file it comes from."""
    if package.foundation is not None:
        what = f"{package.human} has no values here: the foundation {package.foundation.name} built it"
        raise ManifestError(Problem(what=what, fix="look into the foundation's own project", id="CG713"))
    folder = next(
        folder
        for tree in project.sources.trees
        for folder in tree.folders
        if folder.directory == package.directory
    )
    entry = next(
        entry for entry in (*folder.entries, *folder.singles) if entry.definition == package.definition
    )
    channels: dict[Scalar, Value] = {VALUES_KEY: dict(channel_values(project.config, graph.tree.variant))}
    layers = [("cosgen.yaml", channels), (package.origin.path, entry.raw)]
    for name in project.values_files(graph.tree.variant):
        text = project.sources.values.get(name) or ""
        layers.append((name, decode_values(compose(text, name, []), Decoder(name, []))))
    found = {".".join(map(str, path)): origin for path, origin in provenance(layers).items()}
    if key not in found:
        near = nearest(key, found)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(found)}"
        raise ManifestError(Problem(what=f"{package.human} has no value {key!r}", fix=hint, id="CG713"))
    value: object = variant_values(project, graph.tree.variant)[0]
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        value = _raw_value(entry.raw, key)
    shown = value if value is not None else _raw_value(channels, key)
    return f"{key} = {json.dumps(shown, ensure_ascii=False, default=str)}  from {found[key]}"


def _raw_value(raw: object, key: str) -> object:
    for part in key.split("."):
        raw = raw.get(part) if isinstance(raw, dict) else None
    return raw


def _finished_page(package: Package, part: FoundationPart) -> str:
    """Tell of a package that a foundation built: how it was built is not known here."""
    lines = [
        f"{package.human}@{package.definition.version}",
        f"  built by      the foundation {part.name} ({package.origin})",
        f"  image         {part.image or '-'}",
        f"  input digest  {part.input_digest}",
        "  built on      " + (", ".join(sorted(part.holds)) or "-"),
        "  requires      " + (", ".join(item.human for item in package.definition.requires) or "-"),
    ]
    return "\n".join(lines)


def _page(node: Node, shadowed: Sequence[tuple[str, str]]) -> str:
    package = node.package
    if package.foundation is not None:
        return _finished_page(package, package.foundation)
    lines = [
        f"{package.human}@{package.definition.version}",
        f"  defined in    {package.origin}",
        *(
            f"  overrides     {human} of {place}"
            for human, place in shadowed
            if human.partition("@")[0] == package.human
        ),
        f"  files         {len(package.files)}, {sum(file.size for file in package.files)} bytes",
        f"  spec hash     {node.spec_hash or '-'}",
        f"  package tag   {node.package_hash or '-'}",
        f"  builder tag   {node.builder_tag or '-'}",
        f"  input digest  {node.input_digest or '-'}",
        "  chain         " + (" → ".join(link.fingerprint for link in node.chain) or "-"),
    ]
    if node.final:
        lines.append("  joined from   " + ", ".join(node.final))
    lines += ["", "build.yaml, rendered:", *_indented(package.rendered)]
    if node.builder_dockerfile:
        lines += ["", "builder image:", *_indented(node.builder_dockerfile.strip("\n"))]
        lines += ["", "package image:", *_indented(node.package_dockerfile.strip("\n"))]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.rstrip("\n").split("\n")]


@command.command(
    epilog="\b\nExamples:\n  cosgen tree deps system/cos\n  cosgen tree deps distro/base --reverse --all"
)
@project_options
@click.argument("package")
@click.option("--reverse", is_flag=True, help="Who needs it, in place of what it needs.")
@click.option("--runtime", is_flag=True, help="What it needs on the machine, in place of what builds it.")
@click.option("--all", "deep", is_flag=True, help="Follow them all the way.")
def deps(options: ProjectOptions, package: str, *, reverse: bool, runtime: bool, deep: bool) -> None:
    """List who needs whom."""
    _, graph = read_graph(options)
    start = find_node(graph, package).fingerprint
    for name in dependencies(graph, start, reverse=reverse, runtime=runtime, deep=deep):
        item = graph.nodes[name].package
        print(f"{item.human}@{item.definition.version}")


def dependencies(
    graph: Graph, start: Fingerprint, *, reverse: bool = False, runtime: bool = False, deep: bool = False
) -> Sequence[Fingerprint]:
    """Return the neighbours of a package, sorted; with `deep` all that can be reached."""
    forward = {name: node.runtime if runtime else node.needs for name, node in graph.nodes.items()}
    edges: dict[Fingerprint, list[Fingerprint]] = {name: [] for name in graph.nodes}
    for name, targets in forward.items():
        for target in targets:
            if target in edges:
                edges[target if reverse else name].append(name if reverse else target)
    found: set[Fingerprint] = set()
    pending = list(edges[start])
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += edges[name] if deep else []
    return sorted(found)


@command.command(
    epilog="\b\nExamples:\n  cosgen tree graph --format svg > graph.svg\n  cosgen tree graph system/cos"
)
@project_options
@click.argument("packages", nargs=-1)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True, help="Form."
)
def graph(options: ProjectOptions, packages: tuple[str, ...], format_: str) -> None:
    """Draw the build graph, whole or what the PACKAGES need."""
    _, whole = read_graph(options)
    names: set[Fingerprint] | None = None
    if packages:
        starts = [find_node(whole, package).fingerprint for package in packages]
        names = {name for start in starts for name in (start, *dependencies(whole, start, deep=True))}
    print(draw_graph(whole, format_, names), end="")
