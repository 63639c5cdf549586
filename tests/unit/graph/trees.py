"""Small trees made in memory: `package("t/a@1.0", spec)` and `tree([...])`."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from cosgen.errors import Origin, Problem
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition
from cosgen.manifest.platform import Variant
from cosgen.manifest.tree import ContextFile, Package, Tree

VARIANT = Variant("green", "x86_64")


def ref(text: str) -> Definition:
    """Read `category/name@version`; without a version it means any."""
    human, _, version = text.partition("@")
    category, _, name = human.partition("/")
    return Definition(name=name, category=category, version=version or ">=0")


def refs(*texts: str) -> tuple[Definition, ...]:
    """Read several references."""
    return tuple(ref(text) for text in texts)


def package(
    text: str,
    spec: BuildSpec | None = None,
    *,
    requires: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
    runtime: Iterable[str] = (),
    provides: Iterable[str] = (),
    problems: tuple[Problem, ...] = (),
    values: str = "{}",
) -> Package:
    """Make a package; without a spec it has one step and the build requirements named."""
    it = ref(text)
    contents = {"build.yaml": f"# {text}\n"} if files is None else files
    definition = Definition(
        name=it.name,
        category=it.category,
        version=it.version,
        requires=refs(*runtime),
        provides=refs(*provides),
    )
    return Package(
        definition=definition,
        spec=spec or BuildSpec(requires=refs(*requires), steps=("make",)),
        rendered="steps: [make]\n",
        values=values,
        directory=f"packages/{it.category}/{it.name}-{it.version}",
        tree="packages",
        files=tuple(
            ContextFile(name=name, digest=sha256(body.encode()).hexdigest(), mode=0o644, size=len(body))
            for name, body in sorted(contents.items())
        ),
        finalize=None,
        origin=Origin(f"packages/{it.category}/{it.name}-{it.version}/definition.yaml"),
        problems=problems,
    )


def seed(text: str, image: str = "img") -> Package:
    """Make a package that starts from an image."""
    return package(text, BuildSpec(image=image, steps=("make",)))


def tree(packages: Iterable[Package], variant: Variant = VARIANT) -> Tree:
    """Make a tree of packages."""
    found = tuple(sorted(packages, key=lambda item: item.fingerprint))
    return Tree(
        variant=variant,
        packages=found,
        problems=tuple(problem for item in found for problem in item.problems),
        by_fingerprint={item.fingerprint: item for item in found},
    )
