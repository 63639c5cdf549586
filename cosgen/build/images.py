"""Images of the trie: where each is found, and how it is built when it is nowhere."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from cosgen.build.artifact import find_record
from cosgen.build.context import find_retrieved, write_context
from cosgen.build.dockerfile import (
    BASE_ARGUMENT,
    check_lines,
    copy_argument,
    image_id,
    render_builder,
    render_package,
)
from cosgen.build.engine import LABEL, ImageInfo, ImageJob
from cosgen.build.join import stream_join
from cosgen.build.reference import parse_name
from cosgen.build.request import BuildRequest, ImageResult, Progress
from cosgen.build.rules import problem
from cosgen.build.sources import ImageLayout, LayerReader
from cosgen.build.tools import Tools
from cosgen.errors import BuildError
from cosgen.graph.model import Fingerprint, ImageKey, ImageNode
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import Package

BASE_LAYERS_LABEL = "org.cosgen.base-layers"  # how many layers of a package image are its builder's
_LOOKUPS = 8  # requests to the registry at once


class Place(StrEnum):
    """Where an image is."""

    LOCAL = "local"
    REGISTRY = "pulled"
    LUET = "luet"
    NOWHERE = "built"


def package_tag(digest: str) -> str:
    """Return the tag of a package image."""
    return f"in-{digest.removeprefix('sha256:')}"


def builder_tag(digest: str) -> str:
    """Return the tag of a builder image."""
    return f"{package_tag(digest)}-builder"


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
        self._seed_locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self.results: list[ImageResult] = []

    def reference(self, key: ImageKey) -> str:
        """Return the name of a package image."""
        return f"{self._request.repository}:{package_tag(self._node(key).input_digest)}"

    def log_path(self, key: ImageKey) -> Path:
        """Return where the log of an image is written."""
        node = self._node(key)
        digest = node.input_digest.removeprefix("sha256:")
        return self._request.output / "logs" / f"{node.fingerprint}.{digest[:12]}.log"

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
            {Place.REGISTRY: self._pull, Place.LUET: self._take_luet, Place.NOWHERE: self._build}[place](key)
            good = True
        finally:
            self._progress.done(f"image {human}", ok=good)
            log = self.log_path(key)
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
        """Return a digest of a seed: the registry's when it has one, else of its list of layers; or ""."""
        pinned = self._request.seeds.get(reference, "")
        if pinned or not reference:
            return pinned
        image = self._tools.engine().find_image(reference)
        if image is None:
            return ""
        return next((item.partition("@")[2] for item in sorted(image.digests)), "")

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
        if not self._tools.engine().pull(reference, self._tools.credentials, self._foreign_platform()):
            raise BuildError(problem("CG451", f"{reference} went away while it was to be pulled"))
        self._places[key] = Place.LOCAL

    def _take_luet(self, key: ImageKey) -> None:
        node = self._node(key)
        engine, repository = self._tools.engine(), self._luet[key]
        own = ((node.luet_package_tag, package_tag), (node.luet_builder_tag, builder_tag))
        for luet_tag, our_tag in own:
            reference = f"{repository}:{luet_tag}"
            if not engine.pull(reference, self._tools.credentials, self._foreign_platform()):
                raise BuildError(problem("CG451", f"{reference} went away while it was to be pulled"))
            engine.tag(reference, f"{self._request.repository}:{our_tag(node.input_digest)}")

    def _build(self, key: ImageKey) -> None:
        node = self._node(key)
        package = self._package(node.fingerprint)
        if problems := check_lines(package.definition, package.spec):
            raise BuildError(*problems)
        with self._log(key) as log:
            base, joined = self._base(node, log)
            builder = f"{self._request.repository}:{builder_tag(node.input_digest)}"
            copies = self._copies(node, package, log)
            arguments = {BASE_ARGUMENT: base, **copies}
            engine = self._tools.engine()
            labels = self._labels(node, package)
            self._run(node, package, builder, arguments, labels, log)
            image = engine.find_image(builder)
            if image is None:
                raise BuildError(problem("CG451", f"the builder image of {package.human} is gone"))
            self._check_platform(package, image)
            arguments = {BASE_ARGUMENT: builder, **copies}
            labels = labels | {BASE_LAYERS_LABEL: str(len(image.diff_ids))}
            self._run(node, package, self.reference(key), arguments, labels, log)
            if joined:
                engine.untag(base)
            self._publish(node, log)

    def _run(
        self,
        node: ImageNode,
        package: Package,
        tag: str,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        stem = image_id(package.definition)
        texts = {
            f"{stem}-builder.dockerfile": render_builder(package.definition, package.spec),
            f"{stem}.dockerfile": render_package(package.definition, package.spec),
        }
        is_builder = tag.endswith("-builder")
        retrieved = find_retrieved(self._request.output, package.spec.retrieve)
        job = ImageJob(
            tag=tag,
            dockerfile=f"{stem}-builder.dockerfile" if is_builder else f"{stem}.dockerfile",
            context=lambda: write_context(self._request.root, package.files, texts, retrieved),
            arguments=arguments,
            labels=labels,
            platform=self._foreign_platform(),
            network=self._request.network,
            no_cache=self._request.rebuild and node.fingerprint in self._request.targets,
        )
        log(f"# {'builder' if is_builder else 'package'} image {tag}")
        try:
            self._tools.engine().build(job, log)
        except BuildError as error:
            if any(item.id == "CG451" for item in error.problems):
                name = f"{package.human}@{package.definition.version}"
                kind = "builder" if is_builder else "package"
                what = f"the {kind} image of {name} could not be built: {self._reason(node)}"
                fix = f"read {self.log_path(node.key)}"
                raise BuildError(problem("CG451", what, fix=fix, origin=package.origin)) from error
            raise

    def _reason(self, node: ImageNode) -> str:
        """Return the last telling line of an image's log."""
        lines = self.log_path(node.key).read_text("utf-8", "replace").splitlines()
        telling = [line for line in lines if "ERROR" in line or "error" in line.lower()]
        return (telling or lines or ["no output"])[-1].strip()[:300]

    def _labels(self, node: ImageNode, package: Package) -> dict[str, str]:
        definition: Definition = package.definition
        labels = {
            LABEL: node.input_digest,
            "org.cosgen.package": f"{definition.human}@{definition.version}",
            "org.opencontainers.image.title": definition.human,
            "org.opencontainers.image.version": definition.version,
            "org.opencontainers.image.description": definition.description.split("\n")[0],
            "org.opencontainers.image.licenses": definition.license,
            "org.opencontainers.image.revision": self._request.builder.revision,
            "org.opencontainers.image.source": self._request.builder.source,
        }
        return {name: value for name, value in labels.items() if value}

    def _base(self, node: ImageNode, log: Callable[[str], None]) -> tuple[str, bool]:
        """Return the reference to build from, and whether it is a join made for this image alone."""
        if node.parent is not None:
            return self.reference(node.parent), False
        if node.join:
            return self._join(node, log), True
        return (self._have_seed(node.seed, log), False) if node.seed else ("scratch", False)

    def _join(self, node: ImageNode, log: Callable[[str], None]) -> str:
        tag = f"{package_tag(node.input_digest)}-join"
        reference = f"{self._request.repository}:{tag}"
        records = []
        for fingerprint in node.join:
            record = find_record(self._request.output, fingerprint)
            if record is None:
                raise BuildError(problem("CG452", f"the artifact of {fingerprint}, to be joined, is gone"))
            records.append(record)
        log(f"# joining {', '.join(node.join)}")
        self._tools.engine().import_tar(
            stream_join(self._request.output, records),
            reference,
            {LABEL: node.input_digest},
            self._request.platform,
        )
        return reference

    def _copies(self, node: ImageNode, package: Package, log: Callable[[str], None]) -> dict[str, str]:
        found = {}
        owners = {self._package(item).human: item for item in node.copies}
        for number, entry in enumerate(package.spec.copy):
            if entry.package is not None and (entry.package.name or entry.package.version):
                fingerprint = owners.get(entry.package.human) or node.copies[0]
                found[copy_argument(number)] = self.reference(
                    self._request.graph.nodes[fingerprint].images[-1]
                )
            elif entry.image:
                found[copy_argument(number)] = self._have_seed(entry.image, log)
        return found

    def _have_seed(self, reference: str, log: Callable[[str], None]) -> str:
        """Return the name under which the engine has a seed image, pulling it once when it must."""
        digest = self._request.seeds.get(reference, "")
        name, _, tag = reference.rpartition(":")
        bare = name if name and "/" not in tag else reference
        wanted = f"{bare.partition('@')[0]}@{digest}" if digest else reference
        with self._lock:
            lock = self._seed_locks.setdefault(wanted, threading.Lock())
        with lock:
            engine = self._tools.engine()
            if engine.find_image(wanted) is None:
                log(f"# pulling {wanted}")
                if not engine.pull(wanted, self._tools.credentials, self._foreign_platform()):
                    raise BuildError(problem("CG453", f"no registry has the image {wanted}"))
        return wanted

    def _check_platform(self, package: Package, image: ImageInfo) -> None:
        wanted, found = (text.split("/")[:2] for text in (self._request.platform, image.platform))
        if wanted != found:
            what = f"{package.human} is to be {self._request.platform}, but its base is {image.platform}"
            raise BuildError(problem("CG454", what, origin=package.origin))

    def _foreign_platform(self) -> str:
        """Return the platform when it is not the engine's own, else ""."""
        own = self._tools.engine().info.platform.split("/")[:2]
        return "" if self._request.platform.split("/")[:2] == own else self._request.platform

    def _publish(self, node: ImageNode, log: Callable[[str], None]) -> None:
        engine, repository = self._tools.engine(), self._request.repository
        if self._request.luet_tags and node.luet_package_tag:
            tags = (
                (package_tag(node.input_digest), node.luet_package_tag),
                (builder_tag(node.input_digest), node.luet_builder_tag),
            )
            for ours, luets in tags:
                engine.tag(f"{repository}:{ours}", f"{repository}:{luets}")
                if self._request.push:
                    engine.push(f"{repository}:{luets}", self._tools.credentials)
        if self._request.push:
            log(f"# pushing {self.reference(node.key)}")
            engine.push(self.reference(node.key), self._tools.credentials)

    @contextmanager
    def _log(self, key: ImageKey) -> Iterator[Callable[[str], None]]:
        path = self.log_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", errors="replace") as file:

            def log(line: str) -> None:
                file.write(f"{line}\n")
                file.flush()

            yield log
