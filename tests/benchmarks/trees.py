"""Makes package trees of any size, shaped like real ones, the same bytes for the same arguments.

Known trees and what is taken from them (packages; build depth; other figures):

- the cOS toolkit's: 73; 5; packages a level 17-21-30-1-3-1; 12 collections; 30 of 41 build files templated;
- a desktop distribution's: 349; 10;
- the largest one known: 3,246; 28; nearly all files templated; up to 152 direct dependencies.

Sizes between and beyond take depth and width by interpolation over the logarithm of the size. Each package builds on
one of the level beneath it and on some of any lower level, mostly on the same few (as real ones do on toolchains).
Packages without build dependencies are a seed or virtual, and a chain never holds two seeds.

    python -m tests.benchmarks.trees FOLDER --packages 3000
"""

import argparse
import bisect
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KNOWN = ((73, 5, 12), (349, 10, 30), (3246, 28, 152), (10_000, 36, 200))  # packages, depth, most dependencies
COS_WAVES = (17, 21, 30, 1, 3, 1)
CATEGORIES = (
    "system",
    "utils",
    "toolchain",
    "libs",
    "dev",
    "apps",
    "cloud-config",
    "live",
    "meta",
    "net",
    "media",
)
ENTRIES = 4  # packages a collection, on average
TEMPLATES = """\
{{- define "install" -}}
apt-get update -qq && apt-get install -y {{ . }}
{{- end -}}
{{- define "fetch" -}}
curl -sSfL https://{{ get . "host" | default "example.org" }}/{{ .org }}/{{ .repo }}/{{ .version }}.tar.gz | tar -xz
{{- end -}}
"""
VALUES = """\
image: debian:bookworm-slim
tool_image: debian:bookworm-slim
distribution: debian
codename: standard
arch: x86_64
golang_arch: amd64
packages: >-
  bash
  curl
  make
skip_checksum: [app-1, app-2]
"""
CONFIG = """\
version: 1
name: generated
trees: [packages]
values: ["values/{flavor}-{arch}.yaml"]
flavors: [standard]
arches: [x86_64]
channels:
  nightly: {on: {schedule: "0 2 * * *"}}
  testing: {on: {branch: main}}
  stable: {on: {tag: "v*"}, from: testing, approve: true}
ci: {providers: [github, gitlab]}
repository: {storage: "s3://generated", url: "https://repo.example.org"}
registry: {cache: registry.example.org/generated/cache}
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One package of a generated tree."""

    number: int
    level: int
    needs: tuple[int, ...]  # numbers of direct build dependencies, sorted
    virtual: bool  # builds nothing

    @property
    def name(self) -> str:
        """Return its name, unique in the tree."""
        return f"app-{self.number}"

    @property
    def category(self) -> str:
        """Return its category."""
        return CATEGORIES[self.number % len(CATEGORIES)]


def waves_of(packages: int) -> tuple[int, ...]:
    """Return how many packages each level has: a seed level, a bulge, a long thin tail."""
    if packages == sum(COS_WAVES):
        return COS_WAVES
    depth = round(_interpolate(packages, 1))
    weights = [0.15 if level == 0 else math.exp(-3.0 * level / depth) for level in range(depth + 1)]
    total = sum(weights)
    waves = [max(1, int(packages * weight / total)) for weight in weights]
    waves[1] += packages - sum(waves)
    return tuple(waves)


def _interpolate(packages: int, column: int) -> float:
    sizes = [row[0] for row in KNOWN]
    right = min(max(bisect.bisect_left(sizes, packages), 1), len(KNOWN) - 1)
    low, high = KNOWN[right - 1], KNOWN[right]
    share = (math.log(packages) - math.log(low[0])) / (math.log(high[0]) - math.log(low[0]))
    return max(2.0, low[column] + share * (high[column] - low[column]))


def make_members(packages: int, *, seed: int = 1) -> tuple[Member, ...]:
    """Decide the graph: which package needs which, by level."""
    chance = random.Random(seed)
    widest = round(_interpolate(packages, 2))
    members = [Member(0, 0, (), virtual=False)]
    popular: list[int] = [0]  # numbers of packages that others build on, most wanted first
    for level, count in enumerate(waves_of(packages)):
        beneath = [member.number for member in members if member.level == level - 1 and not member.virtual]
        for _ in range(count - (level == 0)):
            number = len(members)
            needs = _choose(chance, beneath, popular, widest) if level else ()
            if (
                number == packages - 1
            ):  # the one that wants everything, as a meta package or a live image does
                needs = tuple(sorted({*needs, *popular[: widest - 1]}))
            members.append(Member(number, level, needs, virtual=level == 0))
        popular += [member.number for member in members if member.level == level > 0][:8]
    return tuple(members)


def _choose(
    chance: random.Random, beneath: Sequence[int], popular: Sequence[int], widest: int
) -> tuple[int, ...]:
    """Choose direct dependencies: one of the level beneath, and as many popular ones as a heavy tail gives."""
    more = min(int(chance.paretovariate(1.1)) - 1, widest - 1)
    ranks = (int(len(popular) * chance.random() ** 2) for _ in range(more))
    return tuple(sorted({chance.choice(beneath), *(popular[rank] for rank in ranks)}))


def write_project(folder: Path, packages: int, *, seed: int = 1) -> tuple[Member, ...]:
    """Write a project with one tree of so many packages; return what is in it."""
    members = make_members(packages, seed=seed)
    for path, text in project_files(members, random.Random(seed)):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return members


def project_files(members: Sequence[Member], chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the files of a project, as path and text."""
    yield "cosgen.yaml", CONFIG
    yield "values/standard-x86_64.yaml", VALUES
    yield "packages/templates/shared.yaml", TEMPLATES
    by_needs = sorted(members, key=lambda member: (member.needs, member.virtual, member.number))
    for (needs, virtual), group in itertools.groupby(by_needs, key=lambda one: (one.needs, one.virtual)):
        alike = list(group)
        while alike:
            size = min(len(alike), 1 + int(chance.expovariate(1 / ENTRIES))) if virtual or needs else 1
            together, alike = alike[:size], alike[size:]
            folder = f"packages/{together[0].category}/{together[0].name}"
            yield from _folder_files(folder, together, members, chance)


def _folder_files(
    folder: str, together: Sequence[Member], members: Sequence[Member], chance: random.Random
) -> Iterator[tuple[str, str]]:
    if len(together) == 1:
        yield f"{folder}/definition.yaml", _definition(together[0], members, indent="")
    else:
        entries = "".join(f"  - {_definition(member, members, indent='    ')[4:]}" for member in together)
        yield f"{folder}/collection.yaml", f"packages:\n{entries}"
    first = together[0]
    yield f"{folder}/build.yaml", "" if first.virtual else _build(first, members, plain=chance.random() < 0.1)
    for number in range(chance.randrange(3)):
        yield f"{folder}/file-{number}.conf", f"# {first.name}\nsetting = {chance.randrange(10**6)}\n"


def _version(member: Member) -> str:
    return f"{1 + member.number % 3}.{member.number % 17}.{member.number % 5}"


def _definition(member: Member, members: Sequence[Member], *, indent: str) -> str:
    lines = [
        f"name: {member.name}",
        f"category: {member.category}",
        f'version: "{_version(member)}"',
        f"description: Generated package {member.number}",
        "license: Apache-2.0",
        f'uri: ["https://example.org/{member.name}"]',
        "labels:",
        "  github.owner: example",
        f"  github.repo: {member.name}",
        *_requires(member.needs[:3], members),
    ]
    return "".join(f"{indent}{line}\n" for line in lines)


def _requires(needs: Sequence[int], members: Sequence[Member]) -> list[str]:
    if not needs:
        return []
    rows = [
        f'  - {{name: {members[n].name}, category: {members[n].category}, version: ">=0"}}' for n in needs
    ]
    return ["requires:", *rows]


def _build(member: Member, members: Sequence[Member], *, plain: bool) -> str:
    """Return the text of build.yaml, in the constructs that real ones use, weighed as there."""
    lines = _requires(member.needs, members) or ['image: "{{ .Values.image }}"']
    if plain:
        lines += ["steps:", f"  - install -D file-0.conf /etc/{member.name}.conf || true"]
        return "\n".join([*lines, ""])
    lines += [
        '{{ $org := index .Values.labels "github.owner" }}',
        '{{ $repo := index .Values.labels "github.repo" }}',
        '{{ $opts := dict "version" .Values.version "org" $org "repo" $repo }}',
        "prelude:",
        '{{ if .Values.distribution }}{{ if eq .Values.distribution "debian" }}',
        '  - {{ template "install" .Values.packages }}',
        '{{ else if eq .Values.distribution "fedora" }}',
        "  - dnf install -y {{ .Values.packages }}",
        "{{ end }}{{ end }}",
        "env:",
        '  - GOARCH={{ default "amd64" .Values.golang_arch }}',
        "steps:",
        '  - {{ template "fetch" $opts }}',
        '{{ if or (eq .Values.name "app-1") (has .Values.name .Values.skip_checksum) }}',
        "  - echo no checksum for {{ .Values.name }}",
        "{{ end }}",
        "  - make -C {{ .Values.name }} install DESTDIR=/output VERSION={{ .Values.version }}",
    ]
    if member.number % 3 == 0:
        lines.append("package_dir: /output")
    elif member.number % 5 == 0:
        lines += ["includes:", f"  - ^/usr/bin/{member.name}$", "  - ^/etc/"]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write a project from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.trees", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    members = write_project(options.folder, options.packages, seed=options.seed)
    depth, widest = max(m.level for m in members), max(len(m.needs) for m in members)
    print(f"{len(members)} packages, depth {depth}, up to {widest} direct dependencies")


if __name__ == "__main__":
    main()
