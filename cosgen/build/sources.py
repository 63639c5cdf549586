"""Ways to the layers of an image, cheapest first: overlay2's directories, registry blobs, `docker save`.

The first costs the size of what is asked for and reads nothing else; the second the compressed size of the
wanted layers; the third the size of the whole image, and is there for engines that allow nothing better.
"""

import gzip
import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from cosgen.build.document import Descriptor, read_descriptor, read_document, read_layers
from cosgen.build.engine import Engine
from cosgen.build.engine_info import ImageInfo
from cosgen.build.layers import Layer, Limits, OverlayLayer, TarLayer
from cosgen.build.reference import ImageName
from cosgen.build.registry import Registry
from cosgen.build.rules import problem
from cosgen.errors import BuildError, VerificationError

_IN_MEMORY = 1 << 20  # bytes of a layer; larger ones are spooled to a file without a name
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayout:
    """The layers of an image and where they are read."""

    reference: str
    diff_ids: tuple[str, ...]  # bottom first
    platform: str
    labels: tuple[tuple[str, str], ...]
    way: str  # "overlay2", "registry" or "save"
    reason: str  # why that way, for people
    folders: tuple[Path, ...] = ()  # overlay2: one per layer
    blobs: tuple[Descriptor, ...] = ()  # registry: one per layer


class LayerReader:
    """Opens layers of images, each in the best way there is."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        registry: Callable[[], Registry],
        *,
        ways: Sequence[str] = ("overlay2", "registry", "save"),
        limits: Limits | None = None,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._ways = tuple(ways)
        self._limits = limits or Limits()

    def local(self, reference: str, image: ImageInfo) -> ImageLayout:
        """Describe an image of the engine."""
        why_not = self._why_not(image)
        return ImageLayout(
            reference=reference,
            diff_ids=image.diff_ids,
            platform=image.platform,
            labels=tuple(sorted(image.labels.items())),
            way="save" if why_not else "overlay2",
            reason=why_not or "the engine's directories are on this machine, and ours to read",
            folders=() if why_not else image.overlay,
        )

    def remote(self, name: ImageName, tag: str) -> ImageLayout | None:
        """Describe an image of a registry; None when it is not there."""
        registry = self._registry()
        manifest = registry.find_manifest(name, tag)
        if manifest is None:
            return None
        where = f"{name}:{tag}"
        document = read_document(manifest.data, where)
        if "layers" not in document:
            return None
        blob = read_descriptor(document.get("config"), where)
        config = read_document(
            registry.get_blob(name, blob.digest, blob.size), f"the configuration of {where}"
        )
        diff_ids, labels = _configured(config)
        layers = read_layers(document, where)
        if len(layers) != len(diff_ids):
            raise VerificationError(
                problem("CG482", f"{where} has {len(layers)} layers and tells of {len(diff_ids)}")
            )
        parts = (str(config.get(key) or "") for key in ("os", "architecture", "variant"))
        return ImageLayout(
            reference=where,
            diff_ids=diff_ids,
            platform="/".join(part for part in parts if part),
            labels=labels,
            way="registry",
            reason="the registry has the image, and the engine has not",
            blobs=layers,
        )

    @contextmanager
    def open(self, layout: ImageLayout, wanted: Iterable[str]) -> Iterator[dict[str, Layer]]:
        """Open layers by diff-id; they are closed with the context."""
        asked = set(wanted)
        with ExitStack() as stack:
            layers: dict[str, Layer] = {}
            for layer in self._layers(layout, asked):
                stack.callback(layer.close)
                layers[layer.diff_id] = layer
            yield layers

    def _layers(self, layout: ImageLayout, wanted: set[str]) -> Iterator[Layer]:
        if not wanted:
            return
        if layout.way == "overlay2":
            for diff_id, folder in zip(layout.diff_ids, layout.folders, strict=True):
                if diff_id in wanted:
                    yield OverlayLayer(folder, diff_id, self._limits)
        elif layout.way == "registry":
            yield from self._blobs(layout, wanted)
        else:
            yield from self._saved(layout, wanted)

    def _blobs(self, layout: ImageLayout, wanted: set[str]) -> Iterator[Layer]:
        name = _repository(layout.reference)
        registry = self._registry()
        for diff_id, blob in zip(layout.diff_ids, layout.blobs, strict=True):
            if diff_id in wanted:
                chunks = _unpacked(registry.iter_blob(name, blob.digest, blob.size), blob.media_type, diff_id)
                spool, found = _spool(chunks, self._limits.size, diff_id)
                if found != diff_id:
                    spool.close()
                    what = f"a layer of {layout.reference} has the content {found}, not {diff_id}"
                    raise VerificationError(problem("CG482", what))
                yield TarLayer(spool, diff_id, self._limits)

    def _saved(self, layout: ImageLayout, wanted: set[str]) -> Iterator[Layer]:
        """Read the stream of `docker save`: its layers are known by their content, not by their names."""
        left = set(wanted)
        stream = _Chunks(self._engine().save(layout.reference))
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_BLOCK) as tar:
            for info in tar:
                if not info.isreg() or info.name.endswith(".json") or info.size < tarfile.BLOCKSIZE:
                    continue
                file = tar.extractfile(info)
                if file is None or not left:
                    continue
                spool, diff_id = _spool(_blocks(file), self._limits.size, info.name)
                if diff_id in left:
                    left.discard(diff_id)
                    yield TarLayer(spool, diff_id, self._limits)
                else:
                    spool.close()
        if left:
            what = f"`docker save {layout.reference}` did not give the layers {', '.join(sorted(left))}"
            raise BuildError(problem("CG451", what))

    def _why_not(self, image: ImageInfo) -> str:
        """Return why the engine's directories cannot be read, "" when they can and are of this image."""
        if "overlay2" not in self._ways:
            return "nothing else is allowed"
        if not image.overlay:
            return f"the engine keeps its layers as {self._engine().info.storage} does"
        if os.geteuid() != 0:
            return "only root may read the engine's directories"
        root = Path(self._engine().info.root) / "image" / "overlay2" / "layerdb" / "sha256"
        chain = ""
        for diff_id, folder in zip(image.diff_ids, image.overlay, strict=True):
            chain = _chain_id(chain, diff_id)
            if not _is_kept_in(root / chain.removeprefix("sha256:"), diff_id, folder):
                return "the engine's directories are not on this machine"
        return ""


def _is_kept_in(entry: Path, diff_id: str, folder: Path) -> bool:
    """Tell whether the engine's database says that a layer lies in a folder."""
    try:
        known = (entry / "diff").read_text("ascii"), (entry / "cache-id").read_text("ascii")
    except (OSError, ValueError):
        return False
    return known == (diff_id, folder.parent.name) and folder.is_dir()


def _configured(config: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the layers' diff-ids and the labels that an image's configuration tells."""
    root, own = config.get("rootfs"), config.get("config")
    found = root.get("diff_ids") if isinstance(root, dict) else None
    labels = own.get("Labels") if isinstance(own, dict) else None
    diff_ids = tuple(str(item) for item in found) if isinstance(found, list) else ()
    pairs = sorted(labels.items()) if isinstance(labels, dict) else ()
    return diff_ids, tuple((str(key), str(value)) for key, value in pairs)


def _chain_id(parent: str, diff_id: str) -> str:
    if not parent:
        return diff_id
    return f"sha256:{hashlib.sha256(f'{parent} {diff_id}'.encode('ascii')).hexdigest()}"


def _repository(reference: str) -> ImageName:
    host, _, rest = reference.partition("/")
    return ImageName(host, rest.rpartition(":")[0])


def _spool(chunks: Iterable[bytes], limit: int, name: str) -> tuple[IO[bytes], str]:
    """Write a stream to a file without a name; return it with the digest of what was written."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the layer owns it
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            file.close()
            raise BuildError(problem("CG465", f"{name} is larger than {limit >> 20} MiB when unpacked"))
        digest.update(chunk)
        file.write(chunk)
    file.seek(0)
    return file, f"sha256:{digest.hexdigest()}"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _unpacked(chunks: Iterator[bytes], media_type: str, diff_id: str) -> Iterator[bytes]:
    try:
        if media_type.endswith("zstd"):
            reader = zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", _Chunks(chunks)))
            yield from _blocks(cast("IO[bytes]", reader))
        elif media_type.endswith("gzip"):
            with gzip.GzipFile(fileobj=cast("IO[bytes]", _Chunks(chunks)), mode="rb") as file:
                yield from _blocks(cast("IO[bytes]", file))
        else:
            yield from chunks
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        what = f"the layer {diff_id} cannot be unpacked: {error}"
        raise VerificationError(problem("CG482", what)) from error


class _Chunks:
    """An iterator of chunks as a file to read from front to back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        held = len(self._rest)
        while size < 0 or held < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            held += len(chunk)
        data = b"".join(parts)
        if size < 0:
            self._rest = b""
            return data
        self._rest = data[size:]
        return data[:size]
