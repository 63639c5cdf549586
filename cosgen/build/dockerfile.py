"""Dockerfiles of builder and package images.

The instructions and their order are luet's (3f2397b6, pkg/api/core/types/compilerspec.go). Images to start
from and to copy from come in as build arguments, so that the text, which lies in the build context and so
in every image, is the same for every registry.
"""

import re
from collections.abc import Sequence

from cosgen.build.rules import problem
from cosgen.errors import Problem
from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition

BASE_ARGUMENT = "COSGEN_BASE"
_PLAIN = re.compile(r"[A-Za-z0-9._+~:@/-]*")
_BREAK = re.compile(r"(?<!\\)[\n\r]")  # begins another instruction; after a backslash it does not
_STAGE = "cosgen-copy-"


def copy_argument(number: int) -> str:
    """Return the build argument that names the image of the `copy` entry of that number, from 0."""
    return f"COSGEN_COPY_{number}"


def image_id(definition: Definition) -> str:
    """Return luet's file stem of a package: its fingerprint with `+` as `-`.

    >>> image_id(Definition(name="a", category="b", version="1+2"))
    'a-b-1-2'
    """
    return definition.fingerprint.replace("+", "-")


def render_builder(definition: Definition, spec: BuildSpec) -> str:
    """Return the Dockerfile of the builder image: everything up to and with `prelude`."""
    return _render(definition, spec, spec.prelude)


def render_package(definition: Definition, spec: BuildSpec) -> str:
    """Return the Dockerfile of the package image: the same above the builder, with `steps`."""
    return _render(definition, spec, spec.steps)


def check_lines(definition: Definition, spec: BuildSpec) -> tuple[Problem, ...]:
    """Return a problem for each value that would change the meaning of the Dockerfile it is written into.

    Commands of `prelude` and `steps` are the author's own lines, and are not looked at.
    """
    names = {"name": definition.name, "category": definition.category, "version": definition.version}
    lines = [("env", item) for item in spec.env] + [("retrieve", item) for item in spec.retrieve]
    for copy in spec.copy:
        lines += [("copy source", copy.source), ("copy destination", copy.destination)]
    bad = [(kind, value) for kind, value in names.items() if not _PLAIN.fullmatch(value)]
    bad += [(kind, value) for kind, value in lines if _BREAK.search(value.rstrip("\n"))]
    return tuple(
        problem("CG455", f"the {kind} {value!r} of {definition.human} cannot stand in a Dockerfile")
        for kind, value in bad
    )


def _render(definition: Definition, spec: BuildSpec, commands: Sequence[str]) -> str:
    copies = [(number, copy) for number, copy in enumerate(spec.copy) if copy.image or copy.package]
    arguments = [BASE_ARGUMENT, *(copy_argument(number) for number, _ in copies)]
    lines = [f"ARG {name}=scratch" for name in arguments]
    lines += [f"FROM ${{{copy_argument(number)}}} AS {_STAGE}{number}" for number, _ in copies]
    lines += [
        f"FROM ${{{BASE_ARGUMENT}}}",
        "COPY . /luetbuild",
        "WORKDIR /luetbuild",
        f"ENV PACKAGE_NAME={definition.name}",
        f"ENV PACKAGE_VERSION={definition.version}",
        f"ENV PACKAGE_CATEGORY={definition.category}",
    ]
    lines += [f"ADD {item} /luetbuild/" for item in spec.retrieve]
    lines += [f"COPY --from={_STAGE}{number} {copy.source} {copy.destination}" for number, copy in copies]
    lines += [f"ENV {item}" for item in spec.env]
    lines += [f"RUN {command}" for command in commands]
    return "\n".join(lines) + "\n"
