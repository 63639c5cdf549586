"""Makes one image of the trie: builder and package image, from their base, with what they copy or join."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cosgen.build.artifact import find_record
from cosgen.build.build_log import find_reason
from cosgen.build.context import find_retrieved, write_context
from cosgen.build.dockerfile import (
    BASE_ARGUMENT,
    check_lines,
    copy_argument,
    image_id,
    render_builder,
    render_package,
)
from cosgen.build.engine import LABEL, ImageJob
from cosgen.build.engine_info import ImageInfo
from cosgen.build.join import JoinPart, part_of, stream_join
from cosgen.build.reference import reference_problem
from cosgen.build.request import BuildRequest
from cosgen.build.rules import problem
from cosgen.build.tools import Tools
from cosgen.errors import BuildError
from cosgen.graph.model import Fingerprint, ImageKey, ImageNode
from cosgen.manifest.definition import Definition
from cosgen.manifest.tree import Package

BASE_LAYERS_LABEL = "org.cosgen.base-layers"  # how many layers of a package image are its builder's


def package_tag(digest: str) -> str:
    """Return the tag of a package image."""
    return f"in-{digest.removeprefix('sha256:')}"


def builder_tag(digest: str) -> str:
    """Return the tag of a builder image."""
    return f"{package_tag(digest)}-builder"


class ImageMaker:
    """Builds the images of one request, each when it is asked for."""

    def __init__(self, request: BuildRequest, tools: Tools) -> None:
        self._request = request
        self._tools = tools
        self._seed_locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def reference(self, key: ImageKey) -> str:
        """Return the name of a package image."""
        return f"{self._request.repository}:{package_tag(self._node(key).input_digest)}"

    def log_path(self, key: ImageKey) -> Path:
        """Return where the log of an image is written."""
        node = self._node(key)
        digest = node.input_digest.removeprefix("sha256:")
        return self._request.output / "logs" / f"{node.fingerprint}.{digest[:12]}.log"

    def make(self, key: ImageKey) -> None:
        """Build an image, and push it when that is asked for.

        Raises:
            BuildError: It cannot be built; its log tells why.
        """
        node = self._node(key)
        package = self._package(node.fingerprint)
        if problems := check_lines(package.definition, package.spec):
            raise BuildError(*problems)
        with self._log(key) as log:
            copies = self._copies(node, package, log)
            with self._base(node, log) as base:
                self._build_pair(node, package, base, copies, log)
            self._publish(node, log)

    def _build_pair(
        self,
        node: ImageNode,
        package: Package,
        base: str,
        copies: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        """Build the builder image on its base, and the package image on the builder."""
        builder = f"{self._request.repository}:{builder_tag(node.input_digest)}"
        labels = self._labels(node, package)
        self._run(node, package, builder, {BASE_ARGUMENT: base, **copies}, labels, log)
        image = self._tools.engine().find_image(builder)
        if image is None:
            raise BuildError(problem("CG451", f"the builder image of {package.human} is gone"))
        self.check_platform(package, image)
        labels = labels | {BASE_LAYERS_LABEL: str(len(image.diff_ids))}
        self._run(node, package, self.reference(node.key), {BASE_ARGUMENT: builder, **copies}, labels, log)

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
            platform=self.foreign_platform(),
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
                text = self.log_path(node.key).read_text("utf-8", "replace")
                what = f"the {kind} image of {name} could not be built: {find_reason(text)}"
                fix = f"read {self.log_path(node.key)}"
                raise BuildError(problem("CG451", what, fix=fix, origin=package.origin)) from error
            raise

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

    @contextmanager
    def _base(self, node: ImageNode, log: Callable[[str], None]) -> Iterator[str]:
        """Have the image to build from; a join, made for this image alone, is untagged afterwards."""
        if node.parent is not None:
            yield self.reference(node.parent)
        elif node.join:
            base = self._join(node, log)
            try:
                yield base
            finally:
                self._tools.engine().untag(base)
        else:
            yield self._have_seed(node.seed, log) if node.seed else "scratch"

    def _join(self, node: ImageNode, log: Callable[[str], None]) -> str:
        tag = f"{package_tag(node.input_digest)}-join"
        reference = f"{self._request.repository}:{tag}"
        parts = [self._part(fingerprint) for fingerprint in node.join]
        log(f"# joining {', '.join(node.join)}")
        self._tools.engine().import_tar(
            stream_join(parts),
            reference,
            {LABEL: node.input_digest},
            self._request.platform,
        )
        return reference

    def _part(self, fingerprint: Fingerprint) -> JoinPart:
        if self._package(fingerprint).foundation is not None:
            return self._request.fetch_finished(fingerprint)
        record = find_record(self._request.output, fingerprint)
        if record is None:
            raise BuildError(problem("CG452", f"the artifact of {fingerprint}, to be joined, is gone"))
        return part_of(self._request.output, record)

    def _copies(self, node: ImageNode, package: Package, log: Callable[[str], None]) -> dict[str, str]:
        found = {}
        owners = {self._package(item).human: item for item in node.copies}
        for number, entry in enumerate(package.spec.copy):
            if entry.package is not None and (entry.package.name or entry.package.version):
                fingerprint = owners.get(entry.package.human) or node.copies[0]
                found[copy_argument(number)] = self._image_of(fingerprint, log)
            elif entry.image:
                found[copy_argument(number)] = self._have_seed(entry.image, log)
        return found

    def _image_of(self, fingerprint: Fingerprint, log: Callable[[str], None]) -> str:
        """Return the name of a package's image; one of a foundation is had as a seed is."""
        part = self._package(fingerprint).foundation
        if part is not None:
            return self._have_seed(part.image, log)
        return self.reference(self._request.graph.nodes[fingerprint].images[-1])

    def _have_seed(self, reference: str, log: Callable[[str], None]) -> str:
        """Return the name under which the engine has a seed image, pulling it once when it must."""
        if wrong := reference_problem(reference):
            raise BuildError(wrong)
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
                if not engine.pull(wanted, self._tools.credentials, self.foreign_platform()):
                    raise BuildError(problem("CG453", f"no registry has the image {wanted}"))
        return wanted

    def check_platform(self, package: Package, image: ImageInfo) -> None:
        """Refuse an image of another platform than was asked for (BuildError)."""
        wanted, found = (text.split("/")[:2] for text in (self._request.platform, image.platform))
        if wanted != found:
            what = f"{package.human} is to be {self._request.platform}, but its image is {image.platform}"
            raise BuildError(problem("CG454", what, origin=package.origin))

    def foreign_platform(self) -> str:
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

    def _node(self, key: ImageKey) -> ImageNode:
        return self._request.graph.images[key]

    def _package(self, fingerprint: Fingerprint) -> Package:
        return self._request.graph.nodes[fingerprint].package
