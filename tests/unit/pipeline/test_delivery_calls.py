"""What a project puts into registries is what its pipelines call for, after publishing and after promoting."""

from dataclasses import replace

import pytest

from cosgen.manifest.config import RegistryConfig, UpgradeConfig
from cosgen.pipeline.model import Call
from cosgen.pipeline.publishing import image_calls
from cosgen.pipeline.scene import Provider, Scene
from tests.fakes.pipelines import X86, config

IMAGES, PACKAGES = "ghcr.io/acme/os", "ghcr.io/acme/packages"


@pytest.mark.parametrize(
    ("registry", "upgrade", "words"),
    [
        (RegistryConfig(), UpgradeConfig(package="system/os"), []),
        (RegistryConfig(images=IMAGES), UpgradeConfig(package="system/os"), ["image push"]),
        (RegistryConfig(packages=PACKAGES), UpgradeConfig(), []),
        (RegistryConfig(packages=PACKAGES), UpgradeConfig(docker_type=True), ["repo push"]),
        (
            RegistryConfig(images=IMAGES, packages=PACKAGES),
            UpgradeConfig(package="system/os", docker_type=True),
            ["image push", "repo push"],
        ),
    ],
)
def test_a_channel_is_delivered_as_the_settings_say(
    registry: RegistryConfig, upgrade: UpgradeConfig, words: list[str]
) -> None:
    settings = replace(config(), registry=registry, upgrade=upgrade)
    scene = Scene(config=settings, variants=(X86,), provider=Provider.GITHUB, version="1")
    testing = next(channel for channel in scene.channels if channel.name == "testing")
    calls = image_calls(scene, testing, {})
    assert [call.words for call in calls if isinstance(call, Call)] == words
    assert all(isinstance(call, Call) and call.options == (("--channel", "testing"),) for call in calls)
