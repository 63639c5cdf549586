"""Bills of materials: CycloneDX 1.6, from package databases in the layers and the artifact's files."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cyclonedx.model import HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from cosgen.build.archive import FileEntry
from cosgen.build.member import readable
from cosgen.build.packages import DistroPackage
from cosgen.manifest.definition import Definition

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cosgen.dev/sbom")
_PURL_NAMESPACES = {"deb": "debian", "apk": "alpine", "rpm": "rpm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SbomFacts:
    """What a bill of materials is made of."""

    definition: Definition
    content_digest: str  # "sha256:" + 64 hex of the uncompressed tar
    platform: str
    distribution: str  # ID of os-release, "" when unknown
    packages: Sequence[DistroPackage]
    files: Sequence[FileEntry]
    unread: Sequence[str] = ()  # databases that were not read


def render_sbom(facts: SbomFacts) -> str:
    """Return the bill as JSON: sorted, without time; its serial number comes from the content."""
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, facts.content_digest))
    bom.metadata.component = package = _package(facts)
    bom.metadata.timestamp = None  # type: ignore[assignment]  # removed below: the library insists on a clock
    bom.components.update(_distro(item, facts.distribution) for item in facts.packages)
    bom.register_dependency(package, bom.components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    document["components"] = [*document.get("components", ()), *_files(facts.files)]
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def _package(facts: SbomFacts) -> Component:
    definition = facts.definition
    properties = [Property(name="cosgen:platform", value=facts.platform)]
    properties += [Property(name="cosgen:unread-database", value=path) for path in facts.unread]
    licenses = [DisjunctiveLicense(name=definition.license)] if definition.license else []
    purl = PackageURL("generic", definition.category or None, definition.name, definition.version or None)
    return Component(
        type=ComponentType.APPLICATION,
        bom_ref=str(purl),
        group=definition.category,
        name=definition.name,
        version=definition.version,
        purl=purl,
        hashes=[HashType.from_composite_str(facts.content_digest)],
        licenses=licenses,
        properties=properties,
    )


def _distro(package: DistroPackage, distribution: str) -> Component:
    qualifiers = {"arch": package.arch} if package.arch else {}
    namespace = distribution or _PURL_NAMESPACES.get(package.manager, "")
    purl = PackageURL(package.manager, namespace or None, package.name, package.version, qualifiers)
    properties = [Property(name="cosgen:source-package", value=package.source)] if package.source else []
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        name=package.name,
        version=package.version,
        purl=purl,
        licenses=[DisjunctiveLicense(name=package.license)] if package.license else [],
        properties=properties,
    )


def _files(files: Iterable[FileEntry]) -> list[dict[str, object]]:
    """Return file components; written here because the library takes seconds for ten thousand of them."""
    found = []
    for entry in files:
        component: dict[str, object] = {
            "type": "file",
            "bom-ref": f"file:{readable(entry.name)}",
            "name": readable(entry.name),
        }
        if entry.digest:
            component["hashes"] = [{"alg": "SHA-256", "content": entry.digest}]
        if entry.setuid:
            component["properties"] = [{"name": "cosgen:setuid", "value": "true"}]
        found.append(component)
    return found
