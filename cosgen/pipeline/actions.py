"""The actions that emitted workflows use, each pinned to a commit.

The pins are data (`actions.json`); a project's own newer ones come from its proxy workflow, which
Dependabot and Renovate keep: they see every action once there, and `cosgen ci` reads the pins back.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

# Registers emulators of other architectures with the kernel; of QEMU's builds, the one that Docker keeps.
BINFMT = "docker.io/tonistiigi/binfmt@sha256:400a4873b838d1b89194d982c45e5fb3cda4593fbfd7e08a02e76b03b21166f0"
PROXY_PATH = ".github/workflows/_cosgen-actions.yml"
_PIN = re.compile(
    r"^\s*-?\s*uses:\s*(?P<name>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40})\s+#\s*(?P<tag>\S+)\s*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One action at one commit. `tag` is what the commit was released as, for people and bots."""

    name: str  # owner/repository
    commit: str  # 40 hex
    tag: str

    @property
    def uses(self) -> str:
        """What stands after `uses:`."""
        return f"{self.name}@{self.commit}"


def shipped_pins() -> Mapping[str, Pin]:
    """Return the pins this cosgen comes with, by action name."""
    data = json.loads(files("cosgen.pipeline").joinpath("actions.json").read_text(encoding="utf-8"))
    return {name: Pin(name, entry["commit"], entry["tag"]) for name, entry in sorted(data["actions"].items())}


def pins_of_proxy(text: str) -> Mapping[str, Pin]:
    """Return the pins that stand in a proxy workflow; lines that are no full pin are passed over.

    >>> pins_of_proxy("      - uses: a/b@" + "0" * 40 + " # v1.2")["a/b"].tag
    'v1.2'
    """
    return {match["name"]: Pin(match["name"], match["commit"], match["tag"]) for match in _PIN.finditer(text)}


def choose_pins(proxy: str | None) -> Mapping[str, Pin]:
    """Return the pins to emit: the shipped ones, each replaced by the project's own where it has one."""
    shipped = dict(shipped_pins())
    own = pins_of_proxy(proxy or "")
    return {name: own.get(name, pin) for name, pin in shipped.items()}
