"""The files of a channel as one small layer on top of a snapshot's image.

A snapshot is the same in every channel, so what a machine follows cannot be in it. The image of a channel has
the layers of the snapshot's image and this one; it is made from a few kilobytes when a channel moves.
"""

import io
import tarfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from cosgen.build.reference import ImageName
from cosgen.errors import Problem, PublishError, VerificationError
from cosgen.repository.client_config import MachineFile
from cosgen.upgrade.image import PlatformImage, read_image
from cosgen.upgrade.oci import CONFIG, MANIFEST, Document, extended_config, extended_manifest
from cosgen.upgrade.referrers import find_referrers
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.rootfs import Layer, union_layer

TITLE = "channel files"
_MOST = 16 << 20  # bytes of a layer of channel files, unpacked
CHANNEL_LABEL = "dev.cosgen.channel"


def channel_layer(
    files: Sequence[MachineFile], target: Path, *, present: Collection[str] = (), title: str = TITLE
) -> Layer:
    """Write the files as a deterministic layer: root's, mode 0644, folders 0755, no time.

    Args:
        files: What the layer holds.
        target: File to write.
        present: Paths below, relative, that are not folders. Folders that hold one of them are there already
            and stay as they are; the others are made.
        title: What the layer is called.

    Raises:
        PublishError: One of the folders is something else below (CG670).
    """
    below = frozenset(present)
    known = {str(parent) for path in below for parent in PurePosixPath(path).parents}
    wanted = {str(parent) for file in files for parent in PurePosixPath(file.path[1:]).parents} - {"."}
    if wanted & below:
        raise PublishError(*(_in_the_way(path) for path in sorted(wanted & below)))
    plain = target.with_suffix(".tar")
    with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(wanted - known):
            folder = tarfile.TarInfo(path)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for file in files:
            data = file.text.encode()
            info = tarfile.TarInfo(file.path[1:])
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return union_layer([plain], target, title=title)


def extend_image(
    registry: ImageRegistry, name: ImageName, digest: str, layer: Layer, labels: Mapping[str, str]
) -> PlatformImage:
    """Return an image of the registry with one more layer on top and labels added.

    What was attached to it, SBOM and provenance, is attached to the new one too.

    Args:
        registry: Where the image is.
        name: Its repository.
        digest: Of the manifest of one platform.
        layer: The layer.
        labels: Added to its labels and annotations.
    """
    below = read_image(registry, name, digest)
    config = Document(media_type=CONFIG, data=extended_config(below.config, layer, labels))
    manifest = Document(
        media_type=MANIFEST, data=extended_manifest(below.manifest, config.descriptor, layer, labels)
    )
    return PlatformImage(
        platform=below.platform,
        layers=(layer,),
        config=config,
        manifest=manifest,
        attachments=tuple(item.attachment for item in find_referrers(registry, name, digest)),
    )


def read_channel_files(layer: bytes) -> Mapping[str, str]:
    """Return path → text of a layer that `channel_layer` wrote; raises `VerificationError` for any other."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(layer, _MOST)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            members = [(info, _open(tar, info)) for info in tar if not info.isdir()]
            return {"/" + info.name: file.read().decode() for info, file in members}
    except (tarfile.TarError, zlib.error, KeyError, ValueError) as error:
        raise VerificationError(
            Problem(
                what=f"the topmost layer is not one of channel files: {error}",
                fix="push the channel's image again: cosgen image push",
                id="CG671",
            )
        ) from error


def _open(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info) if info.isreg() and not info.issparse() else None
    if file is None:
        raise tarfile.ReadError(f"{info.name!r} is no plain file")
    return file


def replaced_paths(files: Sequence[MachineFile], present: Collection[str]) -> tuple[str, ...]:
    """Return the paths that the system has already and the layer replaces, sorted."""
    return tuple(sorted(file.path for file in files if file.path[1:] in frozenset(present)))


def _in_the_way(path: str) -> Problem:
    return Problem(
        what=f"the channel's files need the folder /{path}, which in the system is a file or a link",
        fix="let the system's package have a folder there, or set `upgrade.follow: none`",
        id="CG670",
    )
