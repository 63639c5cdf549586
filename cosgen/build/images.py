"""Images of the trie: where each is found, and how it is built when it is nowhere."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from cosgen.build.image_maker import BASE_LAYERS_LABEL, ImageMaker, builder_tag, package_tag
from cosgen.build.reference import parse_name, parse_reference
from cosgen.build.request import BuildRequest, ImageResult, Progress
from cosgen.build.rules import problem
from cosgen.build.sources import ImageLayout, LayerReader
from cosgen.build.tools import Tools
from cosgen.errors import BuildError
from cosgen.graph.model import Fingerprint, ImageKey, ImageNode
from cosgen.manifest.tree import Package

_LOOKUPS = 8  # requests to the registry at once


class Place(StrEnum):
    """Where an image is."""

    LOCAL = "local"
    REGISTRY = "pulled"
    LUET = "luet"
    NOWHERE = "built"


class ImageShop:
    """Finds and makes the images of one build."""

    def __init__(self, request: BuildRequest, tools: Tools, reader: LayerReader, progress: Progress) -> None:
        self._request = request
        self._tools = tools
        self._reader = reader
        self._progress = progress
        self._places: dict[ImageKey, Place] = {}
        self._luet: dict[ImageKey, str] = {}  # repository that holds luet's tags
        self._tags: Mapping[str, str] | None = None
        self._maker = ImageMaker(request, tools)
        self.results: list[ImageResult] = []

    def reference(self, key: ImageKey) -> str:
        """Return the name of a package image."""
        return self._maker.reference(key)

    def locate(self, keys: Iterable[ImageKey], anew: frozenset[ImageKey] = frozenset()) -> None:
        """Find out where images are: in the engine, in the cache registry, under luet's tags, or nowhere."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._places]
        for key in wanted:
            self._places[key] = Place.NOWHERE
        if self._tags is None and wanted:
            self._tags = self._tools.engine().tags(self._request.repository)
        tags = self._tags or {}
        asked = []
        for key in wanted:
            if key in anew:
                continue
            if package_tag(self._node(key).input_digest) in tags:
                self._places[key] = Place.LOCAL
            else:
                asked.append(key)
        if self._request.pull and asked:
            with ThreadPoolExecutor(_LOOKUPS) as pool:
                self._places.update(zip(asked, pool.map(self._ask, asked), strict=True))

    def place(self, key: ImageKey) -> Place:
        """Return where an image was found."""
        return self._places[key]

    def make(self, key: ImageKey) -> None:
        """Have an image in the engine: pull it, take luet's, or build it.

        Raises:
            BuildError: It cannot be had.
        """
        place = self._places[key]
        if place is Place.LOCAL:
            return
        node = self._node(key)
        human = self._package(node.fingerprint).human
        started = time.monotonic()
        self._progress.step(f"image {human}")
        good = False
        try:
            {Place.REGISTRY: self._pull, Place.LUET: self._take_luet, Place.NOWHERE: self._maker.make}[place](
                key
            )
            good = True
        finally:
            self._progress.done(f"image {human}", ok=good)
            log = self._maker.log_path(key)
            if place is Place.NOWHERE and log.is_file():
                self._progress.log(f"image {human}", log.read_text("utf-8", "replace"), ok=good)
            self.results.append(
                ImageResult(
                    package=human,
                    tag=package_tag(node.input_digest),
                    how=str(place) if good else "failed",
                    seconds=round(time.monotonic() - started, 3),
                    log=f"logs/{log.name}" if log.is_file() else "",
                )
            )

    def layout(self, key: ImageKey) -> tuple[ImageLayout, int]:
        """Return where the layers of a package image are read, and how many of them are the builder's."""
        reference = self.reference(key)
        image = self._tools.engine().find_image(reference) if self._may_be_local(key) else None
        if image is not None:
            layout = self._reader.local(reference, image)
        else:
            remote = self._remote_layout(key)
            if remote is None:
                raise BuildError(problem("CG451", f"the image {reference} is gone"))
            layout = remote
        return layout, self._beneath(key, layout)

    def seed_of(self, key: ImageKey) -> str:
        """Return the reference of the image at the bottom of a chain, "" for joins and scratch."""
        node = self._node(key)
        while node.parent is not None:
            node = self._node(node.parent)
        return node.seed

    def seed_digest(self, reference: str) -> str:
        """Return the digest of a seed in its own registry, "" when it has none there.

        The engine also knows digests under names to which the same image was pushed; they are not the seed's.
        """
        pinned = self._request.seeds.get(reference, "")
        if pinned or not reference:
            return pinned
        image = self._tools.engine().find_image(reference)
        own = parse_reference(reference).repository
        names = (item.partition("@") for item in sorted(image.digests)) if image else ()
        return next((digest for name, _, digest in names if parse_reference(name).repository == own), "")

    def _node(self, key: ImageKey) -> ImageNode:
        return self._request.graph.images[key]

    def _package(self, fingerprint: Fingerprint) -> Package:
        return self._request.graph.nodes[fingerprint].package

    def _may_be_local(self, key: ImageKey) -> bool:
        return self._places.get(key) in (Place.LOCAL, Place.NOWHERE, Place.LUET)

    def _remote_layout(self, key: ImageKey) -> ImageLayout | None:
        cache = self._tools.cache
        return self._reader.remote(cache, package_tag(self._node(key).input_digest)) if cache else None

    def _beneath(self, key: ImageKey, layout: ImageLayout) -> int:
        count = dict(layout.labels).get(BASE_LAYERS_LABEL, "")
        if count.isascii() and count.isdigit():
            return int(count)
        tag = builder_tag(self._node(key).input_digest)
        builder = self._tools.engine().find_image(f"{self._request.repository}:{tag}")
        if builder is None or layout.diff_ids[: len(builder.diff_ids)] != builder.diff_ids:
            what = f"{layout.reference} does not tell which layers are its builder's"
            raise BuildError(problem("CG451", what, fix="build it anew (--rebuild)"))
        return len(builder.diff_ids)

    def _ask(self, key: ImageKey) -> Place:
        node = self._node(key)
        registry, cache = self._tools.registry(), self._tools.cache
        if cache and registry.find_digest(cache, package_tag(node.input_digest)):
            return Place.REGISTRY
        if node.luet_package_tag and node.luet_builder_tag:
            own = (self._request.repository,) if self._request.luet_tags and cache else ()
            for repository in (*own, *self._request.caches):
                name, _ = parse_name(repository)
                tags = (node.luet_package_tag, node.luet_builder_tag)
                if all(registry.find_digest(name, tag) for tag in tags):
                    self._luet[key] = repository
                    return Place.LUET
        return Place.NOWHERE

    def _pull(self, key: ImageKey) -> None:
        reference = self.reference(key)
        if not self._tools.engine().pull(reference, self._tools.credentials, self._maker.foreign_platform()):
            raise BuildError(problem("CG451", f"{reference} went away while it was to be pulled"))
        self._places[key] = Place.LOCAL

    def _take_luet(self, key: ImageKey) -> None:
        node = self._node(key)
        engine, repository = self._tools.engine(), self._luet[key]
        own = ((node.luet_package_tag, package_tag), (node.luet_builder_tag, builder_tag))
        for luet_tag, our_tag in own:
            reference = f"{repository}:{luet_tag}"
            if not engine.pull(reference, self._tools.credentials, self._maker.foreign_platform()):
                raise BuildError(problem("CG451", f"{reference} went away while it was to be pulled"))
            image = engine.find_image(reference)
            if image is None:
                raise BuildError(problem("CG451", f"the engine pulled {reference} and does not have it"))
            self._maker.check_platform(self._package(node.fingerprint), image)
            engine.tag(reference, f"{self._request.repository}:{our_tag(node.input_digest)}")
