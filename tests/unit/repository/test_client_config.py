"""Client files are parsed back, as the client would."""

import re
from dataclasses import replace

import pytest
import yaml

from cosgen.errors import PublishError
from cosgen.manifest.platform import Variant
from cosgen.repository.client_address import ALL_WAYS, Beside, Way
from cosgen.repository.client_config import (
    ChannelAddress,
    ClientFile,
    Generation,
    Mode,
    Place,
    Transport,
    client_file,
    client_files,
    client_refusals,
)

ADDRESS = ChannelAddress(
    project="acme-os",
    channel="stable",
    variant=Variant("green", "x86_64"),
    url="https://example.org/r/",
    registry="registry.example.org/acme/repo",
    disk="/var/lib/acme",
    image="registry.example.org/acme/os",
    image_digest=f"sha256:{'ab' * 32}",
    recovery="recovery/os",
    seq=42,
)
FILES = client_files(ADDRESS)
NAME = "acme-os-stable-green-x86_64"


def repositories(file: ClientFile) -> list[dict[str, object]]:
    """Every luet repository that a file configures, wherever it is put."""
    texts = [file.text] if file.place is Place.REPOS_CONF else []
    if file.place is Place.OEM:
        stage = yaml.safe_load(file.text)["stages"]["initramfs"][0]
        texts = [item["content"] for item in stage["files"] if "/repos.conf.d/" in item["path"]]
    if file.place in {Place.DOCKERFILE, Place.NODE}:
        texts = re.findall(
            r"repos\.conf\.d/\S+(?: <<'EOF')?\n(.*?)^EOF$", file.text, re.DOTALL | re.MULTILINE
        )
    return [yaml.safe_load(text) for text in texts]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_name_and_reference_cannot_disagree(file: ClientFile) -> None:
    found = repositories(file)
    assert len(found) == (not file.mode.value.startswith("image") and file.place is not Place.ELEMENTAL)
    for entry in found:
        assert entry["name"] == NAME
        assert entry["type"] == file.transport
        assert entry["urls"] == [ADDRESS.location(file.transport)]
        pinned = file.mode is Mode.PINNED
        assert entry["reference"] == f"{'s42' if pinned else 'stable'}-green-x86_64-repository.yaml"
        assert entry.get("arch") == "amd64" or entry["enable"] is True
    assert file.name.startswith(NAME)


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.mode in {Mode.IMAGE_TAG, Mode.IMAGE_DIGEST}],
    ids=lambda file: file.name,
)
def test_an_image_is_named_where_the_client_looks(file: ClientFile) -> None:
    reference = ADDRESS.image_reference(file.mode)
    if file.place is Place.SUC:
        spec = yaml.safe_load(file.text)["spec"]
        reference = f"{spec['upgrade']['image']}:{spec['version']}"
        assert reference == ADDRESS.image_reference(Mode.IMAGE_TAG)
    else:
        scheme = {Generation.C: "docker:", Generation.D: "oci:"}.get(file.generation, "")
        assert f"{scheme}{reference}" in file.text


def test_elemental_reads_its_upgrade() -> None:
    way = Way(Generation.C, Transport.HTTP, Mode.ROLLING, Place.ELEMENTAL)
    config = yaml.safe_load(client_file(ADDRESS, way).text)
    assert config["upgrade"] == {
        "system": {"uri": "channel:system/os"},
        "recovery-system": {"uri": "channel:recovery/os"},
    }
    assert config["repositories"][0]["reference"] == "stable-green-x86_64-repository.yaml"


def test_oem_files_are_readable_by_all() -> None:
    way = Way(Generation.A, Transport.HTTP, Mode.ROLLING, Place.OEM)
    stage = yaml.safe_load(client_file(ADDRESS, way).text)["stages"]["initramfs"][0]
    files = {item["path"]: item for item in stage["files"]}
    assert {item["permissions"] for item in files.values()} == {0o644}
    assert 'CHANNEL_UPGRADES="true"' in files["/etc/cos-upgrade-image"]["content"]


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (Way(Generation.D, Transport.HTTP, Mode.ROLLING, Place.OEM), "generation D has no release channels"),
        (
            Way(Generation.B, Transport.DOCKER, Mode.IMAGE_TAG, Place.OEM),
            "only the option --docker-image works",
        ),
        (Way(Generation.C, Transport.HTTP, Mode.IMAGE_TAG, Place.OEM), "an image comes from a registry"),
        (Way(Generation.C, Transport.DOCKER, Mode.ROLLING, Place.SUC), "names an image"),
        (Way(Generation.C, Transport.DOCKER, Mode.IMAGE_DIGEST, Place.SUC), "makes no digest"),
        (Way(Generation.A, Transport.HTTP, Mode.ROLLING, Place.ELEMENTAL), "only generations C and D"),
    ],
)
def test_what_a_client_cannot_do_is_refused_with_the_reason(way: Way, why: str) -> None:
    with pytest.raises(PublishError, match=why):
        client_file(ADDRESS, way)


def test_what_is_not_offered_is_refused() -> None:
    bare = replace(ADDRESS, registry="", disk="", image="", seq=None)
    assert {(file.transport, file.mode) for file in client_files(bare)} == {(Transport.HTTP, Mode.ROLLING)}


def test_every_way_is_given_or_refused() -> None:
    assert len(FILES) + len(client_refusals(ADDRESS)) == len(ALL_WAYS)
    assert len({file.name for file in FILES}) == len(FILES)


def test_a_foundation_is_read_beside_us_and_ours_wins() -> None:
    beside = Beside(name="cos", url="https://cos.example.org/r", reference="stable-repository.yaml")
    address = replace(ADDRESS, beside=(beside,))
    plain = {file.name for file in FILES}
    more = {file.name: file for file in client_files(address)}
    assert {name for name in more if name not in plain} == {
        file.name.replace(".yaml", "-cos.yaml") for file in FILES if file.place is Place.REPOS_CONF
    }
    for name in sorted(plain):
        if more[name].mode.is_image or more[name].place is Place.REPOS_CONF:
            assert more[name].text == next(file.text for file in FILES if file.name == name)
            continue
        if more[name].place is Place.ELEMENTAL:
            found = yaml.safe_load(more[name].text)["repositories"]
            assert [item["uri"] for item in found] == [address.location(more[name].transport), beside.url]
        else:
            found = repositories(more[name])
            assert [item["urls"] for item in found] == [
                [address.location(more[name].transport)],
                [beside.url],
            ]
        ours, theirs = found
        assert (theirs["name"], theirs["type"]) == (f"{NAME}-cos", "http")
        assert theirs["reference"] == beside.reference
        assert int(str(ours["priority"])) < int(str(theirs["priority"]))
