"""The Dockerfiles luet would write for a package, with placeholders for the images they start from.

They are for reading and comparing; what is really built is rendered by the room `build`.
Source: luet 3f2397b6, compilerspec.go.
"""

from collections.abc import Sequence

from cosgen.manifest.build_spec import BuildSpec
from cosgen.manifest.definition import Definition

SEED = "SEEDIMAGE"
BUILDER = "BUILDERIMAGE"


def render_builder(definition: Definition, spec: BuildSpec) -> str:
    """Return the builder image's Dockerfile: base, context, copies, environment, `prelude`."""
    return _render(definition, spec, SEED, spec.prelude)


def render_package(definition: Definition, spec: BuildSpec) -> str:
    """Return the package image's Dockerfile: the same above the builder, with `steps`."""
    return _render(definition, spec, BUILDER, spec.steps)


def _render(definition: Definition, spec: BuildSpec, base: str, commands: Sequence[str]) -> str:
    lines = [
        "",
        f"FROM {base}",
        "COPY . /luetbuild",
        "WORKDIR /luetbuild",
        f"ENV PACKAGE_NAME={definition.name}",
        f"ENV PACKAGE_VERSION={definition.version}",
        f"ENV PACKAGE_CATEGORY={definition.category}",
    ]
    lines += [f"ADD {item} /luetbuild/" for item in spec.retrieve]
    lines += [
        f"COPY --from={item.image} {item.source} {item.destination}\n" for item in spec.copy if item.image
    ]
    lines += [f"ENV {item}" for item in spec.env]
    lines += [f"RUN {command}" for command in commands]
    return "\n".join(lines)
