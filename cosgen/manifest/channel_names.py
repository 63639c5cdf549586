"""Names and addresses of channels, from the settings alone: the one place that spells them.

Templates read them as `.Values.cosgen`, the repository and its client files are made with the same functions.
"""

import re
from collections.abc import Mapping

from cosgen.manifest.config import ProjectConfig
from cosgen.manifest.platform import Variant, find_arch

CLIENT_ROOT = "r/"  # the folder that clients are given the URL of
VALUES_KEY = "cosgen"  # of template values; a project's own value of that name wins, key by key

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def reference_name(channel: str, variant_key: str) -> str:
    """Return the file name by which clients follow a channel: `stable-green-x86_64-repository.yaml`."""
    return f"{channel}-{variant_key}-repository.yaml"


def pin_name(seq: int, variant_key: str) -> str:
    """Return the immutable file name of what commit `seq` made: `s42-green-x86_64-repository.yaml`."""
    return f"s{seq}-{variant_key}-repository.yaml"


def file_stem(project: str) -> str:
    """Return a project's name as a part of file names; what is not fit for one becomes `-`.

    >>> file_stem("../Acme OS")
    'Acme-OS'
    """
    return _NOT_A_NAME.sub("-", project).lstrip(".-") or "cosgen"


def repository_name(project: str, channel: str, variant_key: str) -> str:
    """Return the name of a channel's repository on machines; it names files and luet's cache too."""
    return f"{file_stem(project)}-{channel}-{variant_key}"


def client_url(url: str) -> str:
    """Return the folder that luet reads, for the address of a repository; "" stays "".

    >>> client_url("https://repo.example.org"), client_url("https://repo.example.org/r/")
    ('https://repo.example.org/r', 'https://repo.example.org/r')
    """
    bare, folder = url.rstrip("/"), CLIENT_ROOT.rstrip("/")
    return bare if not bare or bare.endswith(f"/{folder}") else f"{bare}/{folder}"


def image_repository(images: str, flavor: str) -> str:
    """Return the repository of one flavor's upgrade images; without flavors, and for "", it stays as it is.

    >>> image_repository("ghcr.io/acme/os", "green")
    'ghcr.io/acme/os-green'
    """
    return f"{images}-{flavor}" if images and flavor else images


def docker_repository(packages: str, flavor: str, arch: str) -> str:
    """Return the registry repository of one variant's packages, luet's docker type; "" stays "".

    The tags of packages have no room for a variant, so each has a repository of its own.

    >>> docker_repository("ghcr.io/acme/packages", "green", "arm64")
    'ghcr.io/acme/packages-green-arm64'
    """
    return f"{packages}-{Variant(flavor, arch).key}" if packages else ""


def channel_values(config: ProjectConfig, variant: Variant) -> Mapping[str, object]:
    """Return what templates of a variant may read as `.Values.cosgen`.

    All of it is text. A channel's `image` is the upgrade image with its tag, `registry` the repository of
    luet's docker type; both are "" when the project has none.
    """
    arch = find_arch(variant.arch)
    project = config.repository.name or config.name or "cosgen"
    images = image_repository(config.registry.images, variant.flavor)
    packages = config.registry.packages if config.upgrade.docker_type else ""
    channels = {
        name: {
            "name": repository_name(project, name, variant.key),
            "description": channel.description,
            "url": client_url(config.repository.url),
            "reference": reference_name(name, variant.key),
            "registry": docker_repository(packages, variant.flavor, variant.arch),
            "image": f"{images}:{name}" if images else "",
        }
        for name, channel in config.channels.items()
    }
    return {
        "project": project,
        "flavor": variant.flavor,
        "arch": variant.arch,
        "go_arch": arch.go if arch else variant.arch,
        "package": config.upgrade.package,
        "recovery": config.upgrade.recovery or config.upgrade.package,
        "client": config.upgrade.client,
        "channels": channels,
    }
