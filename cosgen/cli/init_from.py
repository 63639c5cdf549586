"""`cosgen init --from`: what a starter says of the foundation it stands on, as that tells of itself."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from cosgen.build.reference import parse_name
from cosgen.build.registry import Registry
from cosgen.errors import CosgenError, ManifestError, Problem
from cosgen.manifest.config import WORD, FoundationConfig
from cosgen.manifest.platform import Variant
from cosgen.repository.description import read_description
from cosgen.repository.foundation import FoundationPlace, PinnedFoundation, open_pinned
from cosgen.repository.foundation_pin import pin
from cosgen.repository.reader import open_repository
from cosgen.repository.record import PackageRecord

_JOINED = "requires_final_images: true # no image to build on is known: finished packages are joined\n"
_SYSTEMS = ("os", "cos", "base", "system")  # names of systems, where the foundation does not tell which it is


@dataclass(frozen=True, slots=True)
class Ground:
    """What a starter has to know of a foundation."""

    name: str
    reference: str
    flavors: tuple[str, ...]  # () when it has none
    arches: tuple[str, ...]
    system: PackageRecord  # what the starter's own system is laid over
    client: str  # generation of the upgrade client
    has_image: bool  # the system's image can be built on

    def words(self, name: str, url: str) -> dict[str, str]:
        """Return words of the starter -> what to say.

        Args:
            name: Of the project.
            url: Address of the foundation, as cosgen.yaml shall name it.
        """
        own = name if (self.system.category, self.system.name) != ("system", name) else f"{name}-os"
        words = {
            "the-foundation": self.name,
            "https://foundation.example.org": url,
            "stable-repository.yaml": self.reference,
            "the-category": self.system.category,
            "the-system": self.system.name,
            "system/my-os": f"system/{own}",
            "name: my-os\ncategory: system": f"name: {own}\ncategory: system",
            "MY_OS": re.sub(r"[^A-Z0-9]", "_", name.upper()),
            "flavors: [standard]\n": f"flavors: [{', '.join(self.flavors)}]\n" if self.flavors else "",
            "arches: [x86_64]\n": f"arches: [{', '.join(self.arches)}]\n",
            "client: C": f"client: {self.client or 'C'}",
        }
        return {**words, _JOINED: ""} if self.has_image else words


def survey(url: str, reference: str, cache: Path) -> Ground:
    """Look at a published repository that a project is to be started on.

    Args:
        url: Its address.
        reference: The repository file to follow.
        cache: Where what is read is kept.

    Raises:
        PublishError: It cannot be read (CG686), has no such channel (CG689), or no package (CG704).
        VerificationError: It is not to be trusted (CG688).
    """
    config = FoundationConfig(name="foundation", url=url, reference=reference)
    place = FoundationPlace(config=config, base=Path())
    opened = open_pinned(replace(place, pinned=pin(place)), cache)
    settings = open_repository(place.open().store).settings
    told = read_description(settings)
    flavors, arches = _variants(opened)
    system = _system(opened, Variant(flavors[0] if flavors else "", arches[0]), told.package)
    return Ground(
        name=_word(str(settings.get("name") or "")) or "foundation",
        reference=reference,
        flavors=flavors,
        arches=arches,
        system=system,
        client=told.client,
        has_image=_has_image(opened.offers(system).image),
    )


def _variants(opened: PinnedFoundation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return flavors and architectures that are all there in every combination."""
    pairs = {(index.flavor, index.arch) for index in opened.snapshot.variants.values()}
    flavors = sorted({flavor for flavor, _ in pairs})
    whole = [
        arch for arch in sorted({arch for _, arch in pairs}) if all((one, arch) in pairs for one in flavors)
    ]
    if not whole:
        flavors = flavors[:1]
        whole = sorted(arch for flavor, arch in pairs if flavor == flavors[0])
    return tuple(flavor for flavor in flavors if flavor), tuple(whole)


def _system(opened: PinnedFoundation, variant: Variant, told: str) -> PackageRecord:
    records = [record for record in opened.records(variant) if record.definition.get("hidden") is not True]
    names = {f"{record.category}/{record.name}": record for record in records}
    if told in names:
        return names[told]
    for name in _SYSTEMS:
        for record in records:
            if record.name == name:
                return record
    if not records:
        what = f"the foundation has no packages for {variant.key}"
        raise ManifestError(Problem(what=what, fix="choose another channel with --reference", id="CG704"))
    return max(records, key=lambda record: record.installed_size)


def _has_image(reference: str) -> bool:
    """Tell whether an image can be had; a registry that does not answer has none for us."""
    if not reference:
        return False
    try:
        return Registry(retries=1).find_digest(*parse_name(reference)) is not None
    except CosgenError:
        return False


def _word(text: str) -> str:
    word = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")
    return word if re.fullmatch(WORD, word) else ""
