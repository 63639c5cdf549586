"""The files inside a system are those that machines read, and say what one asked for."""

from dataclasses import replace

import pytest
import yaml

from cosgen.errors import PublishError
from cosgen.manifest.platform import Variant
from cosgen.repository.client_address import ChannelAddress, Generation, Mode, Place, Transport, Way
from cosgen.repository.client_config import client_file
from cosgen.repository.client_system import Follow, choose_way, system_files

ADDRESS = ChannelAddress(
    project="acme",
    channel="stable",
    variant=Variant("green", "arm64"),
    url="https://repo.example/r",
    registry="registry.example/acme/packages-green-arm64",
    image="registry.example/acme/os-green",
)
CONF = "/etc/luet/repos.conf.d/acme-stable-green-arm64.yaml"
OEM = "/system/oem/03_acme-stable-green-arm64.yaml"
KEEP = "/system/oem/03_acme-stable-green-arm64_keep.yaml"


def texts(client: Generation, follow: Follow, address: ChannelAddress = ADDRESS) -> dict[str, str]:
    return {file.path: file.text for file in system_files(address, client, follow)}


@pytest.mark.parametrize(
    ("client", "follow", "paths"),
    [
        (Generation.A, Follow.CHANNEL, {CONF, OEM, KEEP, "/etc/cos-upgrade-image"}),
        (Generation.B, Follow.AUTO, {CONF, OEM, KEEP, "/etc/cos-upgrade-image"}),
        (Generation.C, Follow.AUTO, {CONF, OEM, KEEP, "/etc/elemental/config.d/upgrade_channel.yaml"}),
        (Generation.A, Follow.IMAGE, {CONF, OEM, "/etc/cos-upgrade-image"}),
        (Generation.C, Follow.IMAGE, {CONF, OEM, "/etc/elemental/config.d/upgrade_channel.yaml"}),
        (Generation.D, Follow.AUTO, {OEM, "/etc/elemental/config.yaml"}),
        (Generation.C, Follow.NONE, set()),
    ],
)
def test_each_generation_has_the_files_it_reads(client: Generation, follow: Follow, paths: set[str]) -> None:
    assert set(texts(client, follow)) == paths


@pytest.mark.parametrize("client", [Generation.A, Generation.B, Generation.C])
def test_the_cloud_init_file_says_the_same_as_the_files(client: Generation) -> None:
    files = texts(client, Follow.CHANNEL)
    (stage,) = yaml.safe_load(files[OEM])["stages"]["initramfs"]
    for written in stage["files"]:
        assert written["content"] == files[written["path"]]
    way = Way(client, Transport.HTTP, Mode.ROLLING, Place.OEM)
    assert files[OEM] == client_file(ADDRESS, way).text


def test_what_is_kept_has_one_name_in_all_channels() -> None:
    kept = [
        yaml.safe_load(texts(Generation.C, Follow.CHANNEL, replace(ADDRESS, channel=channel))[path])
        for channel, path in (("stable", KEEP), ("testing", KEEP.replace("stable", "testing")))
    ]
    paths = [file["path"] for one in kept for file in one["stages"]["initramfs.before"][0]["files"]]
    assert paths == ["/oem/03_acme_channel.yaml"] * 2


@pytest.mark.parametrize(
    ("client", "follow", "address", "why"),
    [
        (Generation.D, Follow.CHANNEL, ADDRESS, "no release channels"),
        (Generation.B, Follow.IMAGE, ADDRESS, "ignores an image"),
        (Generation.C, Follow.IMAGE, replace(ADDRESS, image=""), "pushes no upgrade images"),
        (Generation.C, Follow.CHANNEL, replace(ADDRESS, url="", registry=""), "is not offered"),
    ],
)
def test_what_cannot_work_is_refused(
    client: Generation, follow: Follow, address: ChannelAddress, why: str
) -> None:
    with pytest.raises(PublishError, match=why):
        system_files(address, client, follow)


def test_auto_takes_what_is_offered() -> None:
    only_docker, only_image = replace(ADDRESS, url=""), replace(ADDRESS, url="", registry="")
    ways = [choose_way(one, Generation.C, Follow.AUTO) for one in (ADDRESS, only_docker, only_image)]
    assert [(way.transport, way.mode) for way in ways if way] == [
        (Transport.HTTP, Mode.ROLLING),
        (Transport.DOCKER, Mode.ROLLING),
        (Transport.DOCKER, Mode.IMAGE_TAG),
    ]
    assert system_files(only_image, Generation.B, Follow.AUTO) == ()


def test_the_name_of_a_project_cannot_lead_elsewhere() -> None:
    hostile = replace(ADDRESS, project="../../etc/Acme OS\n")
    places = ("/etc/luet/repos.conf.d/etc-Acme-OS-", "/etc/elemental/", "/system/oem/03_etc-Acme-OS-")
    assert all(path.startswith(places) for path in texts(Generation.C, Follow.CHANNEL, hostile))
