"""Files and commands by which a machine follows a channel, for each client generation, from one value.

`client_files` gives all that work; `client_file` one of them, or the reason why there is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from cosgen.errors import Problem, PublishError
from cosgen.repository.client_address import (
    ALL_WAYS,
    Beside,
    ChannelAddress,
    Generation,
    Mode,
    Place,
    Transport,
    Way,
    find_refusal,
)
from cosgen.repository.luet_yaml import quote

__all__ = [
    "ChannelAddress",
    "ClientFile",
    "Generation",
    "MachineFile",
    "Mode",
    "Place",
    "Transport",
    "Way",
    "client_file",
    "client_files",
    "client_refusals",
    "copying_oem",
    "machine_files",
    "oem_of",
    "repository_of",
]

Node: TypeAlias = "str | int | bool | Sequence[Node] | Mapping[str, Node] | Octal | Text"


@dataclass(frozen=True, slots=True)
class Octal:
    """A file mode, written with a leading zero as YAML 1.1 reads octal numbers."""

    value: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text of several lines, written as a literal block."""

    value: str


@dataclass(frozen=True, slots=True)
class MachineFile:
    """One file as it lies on a machine."""

    path: str  # absolute
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFile:
    """One way to follow a channel, as text to copy."""

    name: str  # file name, unique among the files of one address
    text: str
    generation: Generation
    transport: Transport
    mode: Mode
    place: Place


def client_files(address: ChannelAddress) -> tuple[ClientFile, ...]:
    """Return every way to follow a channel that works, sorted by generation, transport, mode and place."""
    ways = [way for way in ALL_WAYS if find_refusal(address, way) is None]
    return tuple(file for way in ways for file in (client_file(address, way), *_files_beside(address, way)))


def client_refusals(address: ChannelAddress) -> Mapping[Way, str]:
    """Return the ways that do not work, each with the reason."""
    reasons = {way: find_refusal(address, way) for way in ALL_WAYS}
    return {way: why for way, why in reasons.items() if why is not None}


def client_file(address: ChannelAddress, way: Way) -> ClientFile:
    """Return one way to follow a channel.

    Raises:
        PublishError: The client cannot do it; the problem says why.
    """
    why = find_refusal(address, way)
    if why is not None:
        fix = "choose another generation, transport, mode or place"
        raise PublishError(Problem(what=f"{way}: {why}", fix=fix, id="CG570"))
    stem = f"{address.name}-{way.generation.lower()}-{way.transport}-{way.mode}-{way.place}"
    suffix = {Place.DOCKERFILE: "Dockerfile", Place.NODE: "sh"}.get(way.place, "yaml")
    return ClientFile(
        name=f"{stem}.{suffix}",
        text=_render(address, way),
        generation=way.generation,
        transport=way.transport,
        mode=way.mode,
        place=way.place,
    )


def _files_beside(address: ChannelAddress, way: Way) -> Iterator[ClientFile]:
    """Yield the files of the repositories beside ours, where a file holds one repository."""
    if way.place is not Place.REPOS_CONF:
        return
    own = client_file(address, way)
    for item in address.beside:
        stem = own.name.removesuffix(".yaml")
        yield replace(
            own, name=f"{stem}-{item.name}.yaml", text=_yaml(_repository_beside(address, item, way))
        )


def repository_file(address: ChannelAddress, way: Way) -> str:
    """Return the luet repository file: one mapping, for repos.conf.d and `luet repo add`."""
    return _yaml(_repository(address, way))


def repository_of(address: ChannelAddress, way: Way) -> MachineFile:
    """Return the repository file where luet looks for it."""
    return MachineFile(f"/etc/luet/repos.conf.d/{address.name}.yaml", repository_file(address, way))


def repositories_beside(address: ChannelAddress, way: Way) -> tuple[MachineFile, ...]:
    """Return the files of the repositories that are read beside ours."""
    return tuple(
        MachineFile(
            f"/etc/luet/repos.conf.d/{address.name}-{item.name}.yaml",
            _yaml(_repository_beside(address, item, way)),
        )
        for item in address.beside
    )


def oem_of(address: ChannelAddress, way: Way) -> MachineFile:
    """Return the cloud-init file that writes `machine_files` at every boot, where the system has it."""
    return MachineFile(f"/system/oem/03_{address.name}.yaml", _oem(address, way))


def copying_oem(name: str, stage: str, files: Sequence[MachineFile]) -> str:
    """Return a cloud-init file that writes `files` in one stage of every boot."""
    written: list[Node] = [
        {
            "path": file.path,
            "permissions": Octal(0o644),
            "owner": 0,
            "group": 0,
            "content": Text(file.text),
        }
        for file in files
    ]
    return _yaml({"name": name, "stages": {stage: [{"name": name, "files": written}]}})


def _render(address: ChannelAddress, way: Way) -> str:
    match way.place:
        case Place.REPOS_CONF:
            return repository_file(address, way)
        case Place.ELEMENTAL:
            return _yaml(_elemental(address, way, repositories=True))
        case Place.OEM:
            return _oem(address, way)
        case Place.DOCKERFILE:
            return "".join(_copy(file) for file in machine_files(address, way))
        case Place.NODE:
            return _node(address, way)
        case Place.SUC:
            return _plan(address, way)


def _repository(address: ChannelAddress, way: Way) -> dict[str, Node]:
    fields: dict[str, Node] = {
        "name": address.name,
        "description": f"{address.project} {address.channel} ({address.variant.key})",
        "type": str(way.transport),
        "urls": [address.location(way.transport)],
        "reference": address.reference(way.mode),
        "priority": address.priority,
        "cached": True,
    }
    # `arch` enables the repository on that architecture only; `enable: true` would win over it.
    # Clients before generation C ship a luet that may not know it.
    return fields | ({"arch": address.arch} if way.generation is Generation.C else {"enable": True})


def _repository_beside(address: ChannelAddress, item: Beside, way: Way) -> dict[str, Node]:
    return _repository(address, way) | {
        "name": f"{address.name}-{item.name}",
        "description": f"{item.name}, which {address.project} is built on ({address.variant.key})",
        "type": str(Transport.HTTP),
        "urls": [item.url],
        "reference": item.reference,
        "priority": item.priority,
    }


def machine_files(address: ChannelAddress, way: Way) -> tuple[MachineFile, ...]:
    """Return the files on the machine: the repositories, when one is followed, and what to upgrade to."""
    repository = repository_of(address, way)
    if way.generation in {Generation.A, Generation.B}:
        upgrade = MachineFile("/etc/cos-upgrade-image", _environment(address, way))
    elif way.generation is Generation.C:
        # The name sorts behind 02, so that it wins over what the foundation ships.
        upgrade = MachineFile("/etc/elemental/config.d/upgrade_channel.yaml", _yaml(_elemental(address, way)))
    else:
        upgrade = MachineFile("/etc/elemental/config.yaml", _yaml(_elemental(address, way)))
    return (upgrade,) if way.mode.is_image else (repository, *repositories_beside(address, way), upgrade)


def _environment(address: ChannelAddress, way: Way) -> str:
    if way.mode.is_image:
        image = address.image_reference(way.mode)
        values = {"UPGRADE_IMAGE": image, "CHANNEL_UPGRADES": "false", "RECOVERY_IMAGE": image}
    else:
        values = {
            "UPGRADE_IMAGE": address.package,
            "CHANNEL_UPGRADES": "true",
            "RECOVERY_IMAGE": address.recovery_package,
        }
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def _elemental(address: ChannelAddress, way: Way, *, repositories: bool = False) -> dict[str, Node]:
    system, recovery = _uris(address, way)
    config: dict[str, Node] = {
        "upgrade": {"system": {"uri": system}, "recovery-system": {"uri": recovery}},
    }
    if repositories and not way.mode.is_image:
        entries = [_repository(address, way)]
        entries += [_repository_beside(address, item, way) for item in address.beside]
        config["repositories"] = [_elemental_repository(entry) for entry in entries]
    return config


def _elemental_repository(entry: Mapping[str, Node]) -> dict[str, Node]:
    urls = entry["urls"]
    uri = urls[0] if isinstance(urls, list) else ""
    return {"uri": uri} | {key: entry[key] for key in ("name", "type", "priority", "arch", "reference")}


def _uris(address: ChannelAddress, way: Way) -> tuple[str, str]:
    if way.mode.is_image:
        scheme = "oci" if way.generation is Generation.D else "docker"
        uri = f"{scheme}:{address.image_reference(way.mode)}"
        return uri, uri
    return f"channel:{address.package}", f"channel:{address.recovery_package}"


def _oem(address: ChannelAddress, way: Way) -> str:
    head = f"# /system/oem/03_{address.name}.yaml: applied at every boot, after 02_upgrades.yaml\n"
    name = f"Follow {address.channel} of {address.project}"
    return head + copying_oem(name, "initramfs", machine_files(address, way))


def _copy(file: MachineFile) -> str:
    return f"COPY --chmod=0644 <<'EOF' {file.path}\n{file.text}EOF\n"


def _node(address: ChannelAddress, way: Way) -> str:
    if way.mode.is_image:
        return _upgrade_command(address, way) + "\n"
    files = (repository_of(address, way), *repositories_beside(address, way))
    names = [address.name, *(f"{address.name}-{item.name}" for item in address.beside)]
    return (
        "# Until the next boot only: /etc is made anew at every boot.\n"
        + "".join(f"cat > {file.path} <<'EOF'\n{file.text}EOF\n" for file in files)
        + "".join(f"luet repo update {name}\n" for name in names)
        + f"{_upgrade_command(address, way)}\n"
    )


def _upgrade_command(address: ChannelAddress, way: Way) -> str:
    image = address.image_reference(way.mode) if way.mode.is_image else ""
    match way.generation:
        case Generation.A if image:
            return f"cos-upgrade --docker-image {image}"
        case Generation.A:
            return f"CHANNEL_UPGRADES=true UPGRADE_IMAGE={address.package} cos-upgrade"
        case Generation.B if image:
            return f"elemental upgrade --docker-image {image}"
        case Generation.B:
            prefix = "ELEMENTAL_"
            return f"{prefix}CHANNEL_UPGRADES=true {prefix}UPGRADE_IMAGE={address.package} elemental upgrade"
        case _:
            return f"elemental upgrade --system.uri {_uris(address, way)[0]}"


def _plan(address: ChannelAddress, way: Way) -> str:
    plan: dict[str, Node] = {
        "apiVersion": "upgrade.cattle.io/v1",
        "kind": "Plan",
        "metadata": {
            "name": address.name.lower().replace("_", "-").replace(".", "-"),
            "namespace": "cattle-system",
        },
        "spec": {
            "concurrency": 1,
            "version": address.image_reference(way.mode).rpartition(":")[2],
            "nodeSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/arch", "operator": "In", "values": [address.arch]}
                ]
            },
            "serviceAccountName": "system-upgrade",
            "cordon": True,
            "upgrade": {"image": address.image, "command": ["/usr/sbin/suc-upgrade"]},
        },
    }
    return _yaml(plan)


def _yaml(mapping: Mapping[str, Node]) -> str:
    return "".join(line + "\n" for line in _lines(mapping))


def _lines(node: Mapping[str, Node] | Sequence[Node]) -> list[str]:
    """Block style in the order given: keys plain (they are ours), strings in double quotes."""
    if isinstance(node, Mapping):
        return [line for key, value in node.items() for line in _entry(f"{key}:", value)]
    return [line for value in node for line in _item(value)]


def _entry(label: str, value: Node) -> list[str]:
    if isinstance(value, Text):
        return [f"{label} |", *(f"  {line}" if line else "" for line in value.value.splitlines())]
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return [label, *(f"  {line}" for line in _lines(value))]
    return [f"{label} {_scalar(value)}"]


def _item(value: Node) -> list[str]:
    if isinstance(value, Mapping):
        first, *rest = _lines(value)
        return [f"- {first}", *(f"  {line}" if line else "" for line in rest)]
    if isinstance(value, (str, bool, int, Octal)):
        return [f"- {_scalar(value)}"]
    raise TypeError("lists of lists are not needed")


def _scalar(value: str | int | bool | Octal) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Octal():
            return f"0{value.value:o}"
        case int():
            return str(value)
        case _:
            return quote(value)
