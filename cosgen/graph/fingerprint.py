"""Fingerprints: the hashes and tags under which luet knows specs and images, byte for byte.

They let existing luet caches be used and fed. They do not decide rebuilds (see `digest.py`): luet's hashes
leave out the architecture, what is behind a mutable base image, and what `copy` and final images bring.

Source: luet 3f2397b6, compilerspec.go (`Signature`), assertion.go, imagehashtree.go, compiler.go.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import md5, sha256

from cosgen.graph.hashing import (
    hash_bool,
    hash_directory,
    hash_integer,
    hash_list,
    hash_mapping,
    hash_struct,
    hash_text,
    hash_texts,
)
from cosgen.manifest.build_spec import BuildSpec, CopyField
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import ContextFile, Package


def spec_hash(package: Package) -> str:
    """Return luet's SpecHash of a package: its rendered spec's number and its directory's `h1:` hash."""
    return f"{signature_hash(package.spec, package.definition.dockerfile)}{directory_hash(package.files)}"


def signature_hash(spec: BuildSpec, dockerfile: str = "") -> int:
    """Return the number that luet gives a rendered spec.

    >>> signature_hash(BuildSpec(image="x"))
    14638310524092639619
    """
    return hash_struct(
        "Signature",
        (
            ("Image", hash_text(spec.image)),
            ("Steps", hash_texts(spec.steps)),
            ("PackageDir", hash_text(spec.package_dir)),
            ("Prelude", hash_texts(spec.prelude)),
            ("Seed", hash_text(spec.seed)),
            ("Env", hash_texts(spec.env)),
            ("Retrieve", hash_texts(spec.retrieve)),
            ("Unpack", hash_bool(spec.unpack)),
            ("Includes", hash_texts(spec.includes)),
            ("Excludes", hash_texts(spec.excludes)),
            ("Copy", hash_list(map(copy_hash, spec.copy))),
            ("Requires", hash_list(map(definition_hash, spec.requires))),
            ("RequiresFinalImages", hash_bool(spec.requires_final_images)),
            ("Dockerfile", hash_text(dockerfile)),
        ),
    )


def copy_hash(copy: CopyField) -> int:
    """Return the number that luet gives one `copy` entry, as written."""
    package = hash_integer(0) if copy.package is None else definition_hash(copy.package)
    return hash_struct(
        "CopyField",
        (
            ("Package", package),
            ("Image", hash_text(copy.image)),
            ("Source", hash_text(copy.source)),
            ("Destination", hash_text(copy.destination)),
        ),
    )


def definition_hash(definition: Definition) -> int:
    """Return the number that luet gives a definition or a reference; every field counts.

    >>> definition_hash(Definition())
    5108052109936153907
    """
    name, category, version = definition.name, definition.category, definition.version
    if definition == Definition(name=name, category=category, version=version):
        return _reference_hash(name, category, version)
    return _definition_hash(definition)


@lru_cache(maxsize=1 << 14)
def _reference_hash(name: str, category: str, version: str) -> int:
    return _definition_hash(Definition(name=name, category=category, version=version))


def _definition_hash(definition: Definition) -> int:
    return hash_struct(
        "Package",
        (
            ("ID", hash_integer(definition.id)),
            ("Name", hash_text(definition.name)),
            ("Version", hash_text(definition.version)),
            ("Category", hash_text(definition.category)),
            ("UseFlags", hash_texts(definition.use_flags)),
            ("State", hash_text(definition.state)),
            ("PackageRequires", hash_list(map(definition_hash, definition.requires))),
            ("PackageConflicts", hash_list(map(definition_hash, definition.conflicts))),
            ("Provides", hash_list(map(definition_hash, definition.provides))),
            ("Hidden", hash_bool(definition.hidden)),
            ("Annotations", hash_mapping(definition.annotations)),
            ("Path", hash_text(definition.path)),
            ("Description", hash_text(definition.description)),
            ("Uri", hash_texts(definition.uri)),
            ("License", hash_text(definition.license)),
            ("BuildTimestamp", hash_text(definition.buildtimestamp)),
            ("Labels", hash_mapping(definition.labels)),
            ("TreeDir", hash_text(definition.treedir)),
            ("OriginDockerfile", hash_text(definition.dockerfile)),
        ),
    )


@lru_cache(maxsize=1 << 12)
def directory_hash(files: tuple[ContextFile, ...]) -> str:
    """Return the `h1:` hash of a package directory; modes and links do not count.

    Args:
        files: Sorted by name as bytes.
    """
    return hash_directory((file.name, file.digest) for file in files)


def hash_line(package: Package, spec_hash_: str, *, as_base: bool = False) -> bytes:
    """Return the line that stands for a package in the hash of a chain.

    `as_base` gives the marked form that names the builder of a chain's first element.
    """
    definition = package.definition
    marker = "@@" if as_base else ""
    text = f"{definition.category}/{marker}{definition.name} {definition.version} installed{spec_hash_}\n"
    return text.encode("utf-8", "surrogateescape")


def package_hash(lines: Iterable[bytes]) -> str:
    """Return luet's PackageHash of the last package of a chain from the lines of the whole chain."""
    return sha256(b"".join(lines)).hexdigest()


def builder_tag(fingerprint: str, target_hash: str) -> str:
    """Return the tag of a builder image: of the target itself, or of a dependency without `image`.

    Args:
        fingerprint: Of the package that the builder is for.
        target_hash: PackageHash of the target of the chain.
    """
    text = f"{fingerprint}-{target_hash}".encode("utf-8", "surrogateescape")
    return "builder-" + md5(text, usedforsecurity=False).hexdigest()


def join_tag(members: Sequence[tuple[str, str]]) -> str:
    """Return the tag of the image joined for `requires_final_images`.

    Args:
        members: PackageHash and fingerprint of each package, in the order they are laid over each other.
    """
    text = "".join(f"{hash_}{fingerprint}" for hash_, fingerprint in members) + "-join"
    return md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def image_id(fingerprint: str) -> str:
    """Return the tag of a final image: the fingerprint with `+` as `-`, luet's only replacement."""
    return fingerprint.replace("+", "-")
