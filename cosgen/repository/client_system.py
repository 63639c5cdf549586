"""The files inside an operating system by which it follows its own channel.

One choice of what is followed, made for the client generation; the texts are those of `client_config`.
"""

from collections.abc import Iterator
from enum import StrEnum

from cosgen.errors import Problem, PublishError
from cosgen.repository.client_address import (
    ChannelAddress,
    Generation,
    Mode,
    Place,
    Transport,
    Way,
    find_refusal,
)
from cosgen.repository.client_config import (
    MachineFile,
    copying_oem,
    machine_files,
    oem_of,
    repositories_beside,
    repository_of,
)

_REPOSITORIES = (Transport.HTTP, Transport.DOCKER)  # the first that is offered


class Follow(StrEnum):
    """What a machine upgrades to by default."""

    AUTO = "auto"  # the channel where the client can and a repository is offered, else the image
    CHANNEL = "channel"  # the system's package, from the repository
    IMAGE = "image"  # the image that the channel's tag names
    NONE = "none"  # nothing: the system's own packages say it


def system_files(address: ChannelAddress, client: Generation, follow: Follow) -> tuple[MachineFile, ...]:
    """Return the files of one variant of a channel, sorted by path; () when there is nothing to follow.

    Besides what the client reads there is a cloud-init file that says the same at every boot, after the one
    of a foundation. A system that follows the channel gets its next version from a package, which is the same
    in all channels: so it keeps that file in `/oem`, which outlives upgrades.

    Raises:
        PublishError: The generation cannot follow that, or nobody offers it (CG570); the problem says why.
    """
    way = choose_way(address, client, follow)
    if way is None:
        return ()
    files = {file.path: file for file in (*machine_files(address, way), oem_of(address, way))}
    files |= {file.path: file for file in (*_other_repository(address, way), *_kept(address, way))}
    return tuple(files[path] for path in sorted(files))


def choose_way(address: ChannelAddress, client: Generation, follow: Follow) -> Way | None:
    """Return what a system follows; None for nothing. Raises as `system_files`."""
    if follow is Follow.NONE:
        return None
    ways = [
        *(_ways(client, _REPOSITORIES, Mode.ROLLING) if follow is not Follow.IMAGE else ()),
        *(_ways(client, (Transport.DOCKER,), Mode.IMAGE_TAG) if follow is not Follow.CHANNEL else ()),
    ]
    refused = {way: find_refusal(address, way) for way in ways}
    works = next((way for way, why in refused.items() if why is None), None)
    if works is None and follow is not Follow.AUTO:
        way, why = next(iter(refused.items()))
        fix = "choose another `upgrade.follow` or `upgrade.client` in cosgen.yaml"
        raise PublishError(Problem(what=f"{way}: {why}", fix=fix, id="CG570"))
    return works


def _ways(client: Generation, transports: tuple[Transport, ...], mode: Mode) -> Iterator[Way]:
    return (Way(client, transport, mode, Place.OEM) for transport in transports)


def _other_repository(address: ChannelAddress, way: Way) -> Iterator[MachineFile]:
    """Yield the repository file of a system that follows an image, so that luet can install from it."""
    ways = _ways(way.generation, _REPOSITORIES, Mode.ROLLING) if way.mode.is_image else ()
    offered = (other for other in ways if find_refusal(address, other) is None)
    for other in list(offered)[:1]:
        yield repository_of(address, other)
        yield from repositories_beside(address, other)


def _kept(address: ChannelAddress, way: Way) -> Iterator[MachineFile]:
    if way.mode.is_image:
        return
    # One name for all channels of a project: a system of another channel puts its own in that place.
    kept = MachineFile(f"/oem/03_{address.stem}_channel.yaml", oem_of(address, way).text)
    name = f"Keep following {address.channel} of {address.project}"
    # `.before`, so that the stage itself reads the new file.
    text = copying_oem(name, "initramfs.before", [kept])
    yield MachineFile(f"/system/oem/03_{address.name}_keep.yaml", text)
