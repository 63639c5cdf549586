"""Builds packages: decides what is done already, makes the images that are missing, extracts artifacts."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from cosgen.build.artifact import ArtifactRecord, find_record, sweep
from cosgen.build.closure import artifacts_needed, images_beneath, with_joined
from cosgen.build.exchange import artifact_tag, pull_artifact, push_artifact
from cosgen.build.extract import Extracted, Extraction, extract
from cosgen.build.images import ImageShop, Place
from cosgen.build.index import IndexStore
from cosgen.build.member import readable
from cosgen.build.provenance import Material
from cosgen.build.request import BuildReport, BuildRequest, ImageResult, PackageResult, Progress, Status
from cosgen.build.rules import problem
from cosgen.build.sources import LayerReader
from cosgen.build.tools import Tools
from cosgen.build.work import Outcome, Task, TaskResult, run_tasks
from cosgen.errors import BuildError, Problem
from cosgen.graph.model import Fingerprint, ImageKey, ImageNode, Node

_LOOKUPS = 8  # requests to the registry at once
_IMAGE_SECONDS = 30.0  # estimate when nothing is known
_EXTRACT_SECONDS = 2.0


def build_packages(request: BuildRequest, tools: Tools, progress: Progress) -> BuildReport:
    """Build packages of one variant and leave their artifacts in the output folder.

    Finished work is found by input digest, best first: in the output folder, in the engine, in the cache
    registry. A failure blocks only what needs it. When nothing has to be built, no engine is asked.

    Raises:
        BuildError: The registry does not answer.
        MissingToolError: No engine answers, and one is needed.
        KeyboardInterrupt: As it came; what ran was ended, what was done is kept.
    """
    started = time.monotonic()
    request.output.mkdir(parents=True, exist_ok=True)
    sweep(request.output)
    return _Build(request, tools, progress).run(started)


class _Build:
    """One build under way."""

    def __init__(self, request: BuildRequest, tools: Tools, progress: Progress) -> None:
        self._request = request
        self._tools = tools
        self._progress = progress
        self._reader = LayerReader(tools.engine, tools.registry, ways=request.layer_ways)
        self._store = IndexStore(request.cache_folder)
        self._shop = ImageShop(request, tools, self._reader, progress)
        self._status: dict[Fingerprint, Status] = {}
        self._records: dict[Fingerprint, ArtifactRecord] = {}
        self._extracted: dict[Fingerprint, Extracted] = {}
        self._tasks: dict[str, Task] = {}
        self._estimates: dict[Fingerprint, float] = {}  # seconds, of builds with other inputs
        self._anew: frozenset[ImageKey] = frozenset()

    def run(self, started: float) -> BuildReport:
        request = self._request
        if request.rebuild:
            tops = (self._node(item).images[-1:] for item in request.targets)
            self._anew = frozenset(key for keys in tops for key in keys)
        self._plan()
        tools = self._tools
        self._progress.begin(len(self._tasks))
        try:
            results = run_tasks(
                self._tasks.values(),
                jobs=request.jobs,
                deadline=request.deadline,
                keep_going=request.keep_going,
                stop=lambda: tools.connected.stop() if tools.connected else None,
            )
        finally:
            if tools.connected is not None and self._tasks:
                with suppress(BuildError):  # an engine that went away was told by what it was needed for
                    tools.connected.prune()
        return self._report(results, time.monotonic() - started)

    # --- Deciding what is to be done -------------------------------------------------------------------

    def _plan(self) -> None:
        graph, targets = self._request.graph, self._request.targets
        ours = [item for item in with_joined(graph, targets) if not self._node(item).foundation]
        missing = [item for item in ours if not self._keep(item)]
        self._try_registry(missing)
        remote = self._ask_artifacts(missing)
        self._plan_pushes()
        building = [item for item in missing if item not in remote]
        needed = artifacts_needed(graph, targets, building)
        for fingerprint in missing:
            if fingerprint in remote and fingerprint in needed:
                self._add_pull(fingerprint)
        images = {key for item in building for key in images_beneath(graph, item)}
        if images:
            self._shop.locate(sorted(images), self._anew)
        for fingerprint in building:
            if fingerprint in needed:
                self._add_extraction(fingerprint)

    def _keep(self, fingerprint: Fingerprint) -> bool:
        if self._request.rebuild and fingerprint in self._request.targets:
            return False
        record = find_record(self._request.output, fingerprint)
        same = (
            record is not None
            and record.input_digest == self._node(fingerprint).input_digest
            and record.compression == self._request.compression.format
        )
        if record is not None and same:
            self._status[fingerprint] = Status.KEPT
            self._records[fingerprint] = record
        elif record is not None and isinstance(seconds := record.build.get("seconds"), float):
            self._estimates[fingerprint] = seconds
        return same

    def _try_registry(self, missing: list[Fingerprint]) -> None:
        """Learn before anything is built, and not afterwards, that the registry refuses or is not there."""
        cache = self._tools.cache
        if missing and cache is not None and self._request.push and not self._request.pull:
            tag = artifact_tag(self._node(missing[0]).input_digest)
            self._tools.registry().find_digest(cache, tag)

    def _ask_artifacts(self, missing: list[Fingerprint]) -> set[Fingerprint]:
        cache = self._tools.cache
        if not self._request.pull or cache is None:
            return set()
        asked = [item for item in missing if not self._anew.intersection(self._node(item).images[-1:])]
        tags = [artifact_tag(self._node(item).input_digest) for item in asked]
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            found = pool.map(lambda tag: self._tools.registry().find_digest(cache, tag), tags)
            return {item for item, digest in zip(asked, found, strict=True) if digest}

    def _plan_pushes(self) -> None:
        """Push what the folder has and the registry has not."""
        cache = self._tools.cache
        kept = [item for item, status in self._status.items() if status is Status.KEPT]
        if not self._request.push or cache is None or not kept:
            return
        tags = [artifact_tag(self._node(item).input_digest) for item in kept]
        with ThreadPoolExecutor(_LOOKUPS) as pool:
            found = list(pool.map(lambda tag: self._tools.registry().find_digest(cache, tag), tags))
        for item, digest in zip(kept, found, strict=True):
            if not digest:
                self._add(f"push:{item}", item, partial(self._push, item), light=True)

    def _add(
        self,
        key: str,
        item: Fingerprint,
        run: Callable[[], None],
        *,
        needs: tuple[str, ...] = (),
        light: bool = False,
    ) -> None:
        node = self._node(item)
        builds = key.startswith("image:")
        self._tasks[key] = Task(
            key=key,
            needs=needs,
            run=run,
            seconds=self._estimates.get(item, _IMAGE_SECONDS) if builds else _EXTRACT_SECONDS,
            name=f"{node.package.human}@{node.package.definition.version}",
            light=light,
        )

    def _add_pull(self, item: Fingerprint) -> None:
        self._add(f"artifact:{item}", item, partial(self._pull, item), light=True)

    def _add_extraction(self, item: Fingerprint) -> None:
        node = self._node(item)
        needs: tuple[str, ...] = ()
        if not node.package.spec.is_empty and node.images:
            top = node.images[-1]
            if self._shop.place(top) is not Place.REGISTRY:
                self._add_image(top)
            needs = (f"image:{top}",)
        self._add(f"artifact:{item}", item, partial(self._extract, item), needs=needs)

    def _add_image(self, key: ImageKey) -> None:
        """Add the making of an image, and of what it is built from."""
        name = f"image:{key}"
        place = self._shop.place(key)
        if place is Place.LOCAL or name in self._tasks:
            return
        image = self._image(key)
        needs: list[str] = []
        if place is Place.NOWHERE:
            below = [image.parent] if image.parent else []
            below += [top for item in image.copies for top in self._node(item).images[-1:]]
            for other in below:
                self._add_image(other)
            needs = [f"image:{other}" for other in below]
            needs += [f"artifact:{item}" for item in image.join]
            for item in image.join:
                self._add_fetch(item)
        make = partial(self._shop.make, key)
        self._add(name, image.fingerprint, make, needs=tuple(needs), light=place is not Place.NOWHERE)

    def _add_fetch(self, item: Fingerprint) -> None:
        """Add the fetching of what a foundation built, once."""
        if self._node(item).foundation and f"artifact:{item}" not in self._tasks:
            self._add(f"artifact:{item}", item, partial(self._fetch, item), light=True)

    # --- Doing it --------------------------------------------------------------------------------------

    def _pull(self, item: Fingerprint) -> None:
        cache = self._tools.cache
        if cache is None:
            raise AssertionError("only planned with a cache registry")
        node = self._node(item)
        name = f"artifact {node.package.human} from the registry"
        self._progress.step(name)
        good = False
        try:
            records = pull_artifact(
                self._tools.registry(),
                cache,
                node.input_digest,
                self._request.output,
                fingerprints=(item, *(part.definition.fingerprint for part in node.package.spec.subpackages)),
                platform=self._request.platform,
            )
            if records is None or records[0].fingerprint != item:
                raise BuildError(problem("CG480", f"the artifact of {item} went away while it was pulled"))
            self._status[item] = Status.PULLED
            self._records[item] = records[0]
            good = True
        finally:
            self._progress.done(name, ok=good)

    def _fetch(self, item: Fingerprint) -> None:
        name = f"artifact {self._node(item).package.human} of {self._node(item).foundation}"
        self._progress.step(name)
        good = False
        try:
            self._request.fetch_finished(item)
            good = True
        finally:
            self._progress.done(name, ok=good)

    def _push(self, item: Fingerprint) -> None:
        cache = self._tools.cache
        if cache is not None and self._request.push:
            own = self._records[item]
            names = own.build.get("subpackages") or ()
            others = [find_record(self._request.output, str(name)) for name in names]  # type: ignore[attr-defined]
            records = [own, *(record for record in others if record is not None)]
            push_artifact(self._tools.registry(), cache, self._request.output, records)

    def _extract(self, item: Fingerprint) -> None:
        node = self._node(item)
        self._progress.step(f"artifact {node.package.human}")
        good = False
        try:
            layout, beneath, seed = None, 0, ""
            if not node.package.spec.is_empty and node.images:
                layout, beneath = self._shop.layout(node.images[-1])
                self._progress.detail(f"layers of {node.package.human}: {layout.way}: {layout.reason}")
                seed = self._shop.seed_of(node.images[-1])
            extracted = extract(
                Extraction(
                    node=node,
                    tree=self._request.graph.tree,
                    platform=self._request.platform,
                    output=self._request.output,
                    compression=self._request.compression,
                    epoch=self._request.epoch,
                    builder=self._request.builder,
                    repository=self._request.repository if self._request.has_registry else "",
                    seed=seed,
                    materials=self._materials(node, seed),
                    image=layout,
                    beneath=beneath,
                    facts=self._facts(node),
                ),
                self._reader,
                self._store,
            )
            self._extracted[item] = extracted
            self._records[item] = extracted.records[0]
            built = any(result.how == "built" for result in self._images_of(node))
            self._status[item] = Status.BUILT if built or not node.images else Status.EXTRACTED
            self._push(item)
            good = True
        finally:
            self._progress.done(f"artifact {node.package.human}", ok=good)

    def _facts(self, node: Node) -> dict[str, object]:
        """Return what a record tells of a build; seconds only of an image that this run built."""
        images = self._images_of(node)
        builder = self._request.builder
        facts: dict[str, object] = {
            "cache": images[0].how if images else "local",
            "revision": builder.revision,
            "run": builder.invocation,
        }
        if images and images[0].how == Place.NOWHERE:
            facts["image_seconds"] = images[0].seconds
            facts["log"] = images[0].log
        return facts

    def _images_of(self, node: Node) -> list[ImageResult]:
        """Return what was done for a package's own image in this run."""
        return [
            item
            for item in self._shop.results
            if node.images and self._shop.reference(node.images[-1]).endswith(f":{item.tag}")
        ]

    def _materials(self, node: Node, seed: str) -> list[Material]:
        found = [Material(uri=f"docker:{seed}", digest=self._shop.seed_digest(seed))] if seed else []
        for needed in node.needs:
            other = self._node(needed)
            name = f"{other.package.human}@{other.package.definition.version}"
            found.append(Material(uri=f"cosgen-package:{name}", digest=f"inputDigest:{other.input_digest}"))
        return found

    def _node(self, fingerprint: Fingerprint) -> Node:
        return self._request.graph.nodes[fingerprint]

    def _image(self, key: ImageKey) -> ImageNode:
        return self._request.graph.images[key]

    # --- Telling ---------------------------------------------------------------------------------------

    def _report(self, results: Mapping[str, TaskResult], seconds: float) -> BuildReport:
        engine = self._tools.connected
        packages = [self._package_result(item, results) for item in sorted(self._request.targets)]
        return BuildReport(
            variant=self._request.graph.tree.variant.key,
            engine=f"{engine.info.name} {engine.info.version}, {engine.info.builder}" if engine else "",
            packages=tuple(packages),
            images=tuple(sorted(self._shop.results, key=lambda item: (item.package, item.tag))),
            seconds=round(seconds, 3),
        )

    def _package_result(self, item: Fingerprint, results: Mapping[str, TaskResult]) -> PackageResult:
        node = self._node(item)
        keys = [key for key in (f"artifact:{item}", f"push:{item}", *self._own_image(node)) if key in results]
        bad = next((results[key] for key in reversed(keys) if results[key].outcome is not Outcome.DONE), None)
        record = self._records.get(item)
        status = self._status.get(item, Status.STOPPED)
        if bad is not None:
            status = Status(str(bad.outcome))
        logs = self._images_of(node)
        return PackageResult(
            fingerprint=item,
            human=node.package.human,
            version=node.package.definition.version,
            input_digest=node.input_digest,
            status=status,
            seconds=round(sum(results[key].seconds for key in keys), 3),
            size=record.archive.size if record else 0,
            installed_size=record.installed_size if record else 0,
            files=len(record.files) if record else 0,
            problems=bad.problems if bad else (),
            warnings=self._warnings(item),
            log=logs[0].log if logs else "",
        )

    def _own_image(self, node: Node) -> list[str]:
        return [f"image:{node.images[-1]}"] if node.images else []

    def _warnings(self, item: Fingerprint) -> tuple[Problem, ...]:
        node = self._node(item)
        human = node.package.human
        found: list[Problem] = []
        extracted = self._extracted.get(item)
        if extracted and (extracted.losses.changed or extracted.losses.deleted):
            names = [*extracted.losses.changed, *(f"{path} (deleted)" for path in extracted.losses.deleted)]
            what = f"{human} changes what is beneath it, which its artifact does not tell: "
            found.append(problem("CG468", what + listed(list(map(readable, names))), warning=True))
        if extracted and extracted.losses.devices:
            what = f"{human}: left out {', '.join(extracted.losses.devices[:5])}"
            found.append(problem("CG469", what, warning=True))
        if extracted and extracted.losses.privileges:
            names = list(map(readable, extracted.losses.privileges))
            what = f"{human} does not declare the privileges of {listed(names)}"
            found.append(problem("CG458", what, origin=node.package.origin, warning=True))
        if node.package.spec.retrieve and extracted:
            what = f"{human} retrieves {', '.join(node.package.spec.retrieve)}"
            found.append(problem("CG457", what, origin=node.package.origin, warning=True))
        return tuple(found)


def listed(names: Sequence[str]) -> str:
    """Return the first three of some names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
