"""Artifacts out of images: archive, metadata, bill of materials, provenance and record of one package."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cosgen.build.archive import SUFFIXES, ArchiveSummary, Compression, write_archive
from cosgen.build.artifact import (
    ArtifactRecord,
    FileRef,
    file_ref,
    partial_path,
    store_bytes,
    store_record,
)
from cosgen.build.index import IndexStore, LayerIndex, LowerView, index_layer
from cosgen.build.luet_metadata import MetadataFacts, definition_fields, render_metadata
from cosgen.build.member import readable
from cosgen.build.packages import DistroPackage
from cosgen.build.privileges import declared_privileges, keep_declared
from cosgen.build.provenance import Builder, BuildFacts, Material, render_provenance
from cosgen.build.rules import problem
from cosgen.build.selection import Content, Losses, Picked, Selection, compile_filter, select
from cosgen.build.sources import ImageLayout, LayerReader
from cosgen.errors import BuildError
from cosgen.graph.digest import short_parts
from cosgen.graph.model import Node
from cosgen.manifest.build_spec import BuildSpec, Subpackage
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import Tree

DELTA_ANNOTATION = "cosgen.delta"  # `full`: the artifact also holds files the package changes in place
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What is to be extracted, and how."""

    node: Node
    tree: Tree
    platform: str
    output: Path
    compression: Compression
    epoch: int | None
    builder: Builder
    repository: str = ""
    seed: str = ""  # reference of the image at the bottom
    materials: Sequence[Material] = ()
    image: ImageLayout | None = None  # None: nothing was built, the artifact is empty
    beneath: int = 0  # how many of its layers are the builder's
    facts: Mapping[str, object] = field(default_factory=dict)  # for the record's `build`


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A finished artifact."""

    records: tuple[ArtifactRecord, ...]  # the package's own first, then its subpackages'
    losses: Losses
    way: str  # how the layers were read; "" when there were none


def content_of(definition: Definition, spec: BuildSpec) -> Content:
    """Return what of a package's image makes its artifact.

    Raises:
        BuildError: `package_dir` is not absolute.
    """
    if spec.package_dir:
        if not spec.package_dir.startswith("/"):
            what = f"package_dir {spec.package_dir!r} of {definition.human} is not absolute"
            raise BuildError(problem("CG461", what))
        under = "/".join(part for part in spec.package_dir.split("/") if part not in ("", "."))
        return Content(whole=True, under=under, includes=spec.includes, excludes=spec.excludes)
    changes = definition.annotations.get(DELTA_ANNOTATION, "") == "full"
    return Content(whole=spec.unpack, includes=spec.includes, excludes=spec.excludes, changes=changes)


def extract(request: Extraction, reader: LayerReader, store: IndexStore) -> Extracted:
    """Write a package's artifact set into the output folder, the records last.

    Raises:
        BuildError: The image holds what must not become an artifact, or cannot be read.
    """
    request.output.mkdir(parents=True, exist_ok=True)
    if request.image is None:
        return _write_sets(request, Selection(picked=(), losses=Losses()), (), LowerView(()), "")
    _check_platform(request, request.image)
    content = content_of(request.node.package.definition, request.node.package.spec)
    diff_ids = request.image.diff_ids
    beneath = () if content.whole else diff_ids[: request.beneath]
    above = diff_ids[len(beneath) :]
    indexed = store.missing(diff_ids)
    with reader.open(request.image, {*indexed, *above}) as layers:
        for diff_id in indexed:
            store.keep(diff_id, index_layer(layers[diff_id]))
        lower = LowerView(_indexes(store, beneath))
        selection = select([layers[diff_id] for diff_id in above], lower, content)
        declared = declared_privileges(request.node.package.definition.annotations)
        if declared is not None:
            selection = keep_declared(selection, declared)
        view = LowerView(_indexes(store, diff_ids))
        packages = _packages(view, lower, content)
        return _write_sets(request, selection, packages, view, request.image.way)


def _indexes(store: IndexStore, diff_ids: Sequence[str]) -> list[LayerIndex]:
    found = [store.find(diff_id) for diff_id in diff_ids]
    return [index for index in found if index is not None]


def _packages(view: LowerView, lower: LowerView, content: Content) -> tuple[DistroPackage, ...]:
    if content.under:
        return view.packages(content.under)
    old = set(lower.packages())
    return tuple(item for item in view.packages() if item not in old)


def _check_platform(request: Extraction, image: ImageLayout) -> None:
    wanted, found = (text.split("/")[:2] for text in (request.platform, image.platform))
    if wanted != found:
        human = request.node.package.human
        what = f"{human} is to be {request.platform}, but its image is {image.platform}"
        raise BuildError(problem("CG454", what))


def _write_sets(
    request: Extraction,
    selection: Selection,
    packages: Sequence[DistroPackage],
    view: LowerView,
    way: str,
) -> Extracted:
    package = request.node.package
    subpackages = package.spec.subpackages if selection.picked else ()
    facts = dict(request.facts) | _told(selection.losses, way)
    if subpackages:
        facts["subpackages"] = [item.definition.fingerprint for item in subpackages]
    own = _write_set(request, package.definition, selection.picked, packages, view, facts)
    others = [_write_subpackage(request, item, selection.picked, view) for item in subpackages]
    records = (own, *others)
    for record in reversed(records):  # the package's own last: it says that all are there
        store_record(request.output, record)
    return Extracted(records=records, losses=selection.losses, way=way)


def _told(losses: Losses, way: str) -> dict[str, object]:
    told: dict[str, object] = {"layers_read_from": way} if way else {}
    for name, paths in (
        ("changed", losses.changed),
        ("deleted", losses.deleted),
        ("devices", losses.devices),
        ("privileges", losses.privileges),
    ):
        if paths:
            told[f"left_out_{name}"] = {
                "count": len(paths),
                "first": [readable(path) for path in paths[:_MOST_NAMED]],
            }
    return told


def _write_subpackage(
    request: Extraction, item: Subpackage, picked: Sequence[Picked], view: LowerView
) -> ArtifactRecord:
    wanted = compile_filter(Content(includes=item.includes, excludes=item.excludes))
    kept = {entry.name for entry in picked if wanted(entry.name)}
    for name in tuple(kept):
        parts = name.split("/")
        kept.update("/".join(parts[:count]) for count in range(1, len(parts)))
    mine = [entry for entry in picked if entry.name in kept]
    facts: dict[str, object] = {"subpackage_of": request.node.fingerprint}
    facts |= {name: request.facts[name] for name in ("revision", "run") if name in request.facts}
    return _write_set(request, item.definition, mine, (), view, facts)


def _write_set(
    request: Extraction,
    definition: Definition,
    picked: Sequence[Picked],
    packages: Sequence[DistroPackage],
    view: LowerView,
    facts: Mapping[str, object],
) -> ArtifactRecord:
    started = time.monotonic()
    stem, package, variant = definition.fingerprint, request.node.package, request.tree.variant
    is_main = definition is package.definition
    archive, summary = _store_archive(request, stem, picked)
    files = tuple(readable(entry.name) for entry in summary.files)
    shown = () if definition.hidden or not is_main else files
    metadata = _store_text(
        request.output / f"{stem}.metadata.yaml", _metadata(request, definition, archive, shown)
    )
    bill = _store_text(
        request.output / f"{stem}.cdx.json", _sbom(request, definition, summary, packages, view)
    )
    statement = _provenance(request, definition, (archive, metadata, bill))
    return ArtifactRecord(
        fingerprint=stem,
        definition=definition_fields(definition),
        finalize=package.finalize if is_main else None,
        readme=package.readme if is_main else None,
        flavor=variant.flavor,
        arch=variant.arch,
        platform=request.platform,
        input_digest=request.node.input_digest,
        compression=request.compression.format,
        archive=archive,
        content_digest=summary.content_digest,
        metadata=metadata,
        sbom=bill,
        provenance=_store_text(request.output / f"{stem}.intoto.json", statement),
        files=files,
        installed_size=summary.installed_size,
        needs=request.node.needs if is_main else (request.node.fingerprint,),
        inputs=short_parts(request.node.input_parts),
        build=dict(facts) | _measured(request, facts, summary, started),
    )


def _metadata(request: Extraction, definition: Definition, archive: FileRef, files: tuple[str, ...]) -> str:
    facts = MetadataFacts(
        archive=archive,
        compression=request.compression.format,
        files=files,
        seed=request.seed,
        platform=request.platform,
        repository=request.repository,
    )
    return render_metadata(definition, request.node, request.tree, facts)


def _provenance(request: Extraction, definition: Definition, subjects: Sequence[FileRef]) -> str:
    variant, compression = request.tree.variant, request.compression
    facts = BuildFacts(
        package=f"{definition.human}@{definition.version}",
        flavor=variant.flavor,
        arch=variant.arch,
        platform=request.platform,
        input_digest=request.node.input_digest,
        subjects=subjects,
        materials=request.materials,
        internal={"compression": f"{compression.format}:{compression.level}"},
    )
    return render_provenance(facts, request.builder)


def _measured(
    request: Extraction, facts: Mapping[str, object], summary: ArchiveSummary, started: float
) -> dict[str, object]:
    """Return what was measured; `seconds`, the next plan's estimate, only where the image was built, too."""
    extraction = time.monotonic() - started
    found: dict[str, object] = {"extract_seconds": round(extraction, 3)}
    image = facts.get("image_seconds", 0.0 if request.image is None else None)
    if isinstance(image, float):
        found["seconds"] = round(image + extraction, 3)
    setuid = [readable(entry.name) for entry in summary.files if entry.setuid]
    return found | ({"setuid": setuid} if setuid else {})


def _store_archive(
    request: Extraction, stem: str, picked: Sequence[Picked]
) -> tuple[FileRef, ArchiveSummary]:
    path = request.output / f"{stem}.package.tar{SUFFIXES[request.compression.format]}"
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            summary = write_archive(picked, file, compression=request.compression, epoch=request.epoch)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return FileRef(name=path.name, digest=summary.digest, size=summary.size), summary


def _store_text(path: Path, text: str) -> FileRef:
    store_bytes(path, text.encode("utf-8", "surrogateescape"))
    return file_ref(path)


def _sbom(
    request: Extraction,
    definition: Definition,
    summary: ArchiveSummary,
    packages: Sequence[DistroPackage],
    view: LowerView,
) -> str:
    from cosgen.build.sbom import SbomFacts, render_sbom  # noqa: PLC0415 - half a second of imports

    return render_sbom(
        SbomFacts(
            definition=definition,
            content_digest=summary.content_digest,
            platform=request.platform,
            distribution=view.distribution(),
            packages=packages,
            files=summary.files,
            unread=view.unread(),
        )
    )
