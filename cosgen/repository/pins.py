"""What a project says of its keys: who may sign, how many must, and for how long that holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cosgen.errors import Problem, VerificationError
from cosgen.manifest.config import RoleConfig, SigningConfig
from cosgen.repository.sign import KeySources, load_public_key

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from cosgen.repository.tuf import RoleKeys

LIFETIMES_SETTING = "lifetimes"  # in the log: role -> days, so that everybody signs for the same time


@dataclass(frozen=True, slots=True)
class RolePin:
    """The keys that a project trusts in one role."""

    keys: "tuple[Key, ...]" = ()
    threshold: int = 1

    @property
    def ids(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(key.keyid for key in self.keys)


NO_PIN = RolePin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Everything under `signing` in cosgen.yaml."""

    root: RolePin = NO_PIN
    targets: RolePin = NO_PIN
    channels: RolePin = NO_PIN
    required: bool = False
    days: Mapping[str, int] = field(default_factory=dict)  # role -> days, where it is set

    @property
    def demand(self) -> bool:
        """Tell whether a repository that is not signed must be refused."""
        return bool(self.required or self.root.keys or self.targets.keys or self.channels.keys)


NO_PINS = Pins()


def read_pins(config: SigningConfig, where: KeySources) -> Pins:
    """Read the keys that a project names.

    Args:
        config: `signing` of cosgen.yaml.
        where: How files are read, relative to the project.

    Raises:
        VerificationError: With one problem for each key that cannot be read.
    """
    problems: list[Problem] = []
    pins = Pins(
        root=_pin(config.root, where, problems),
        targets=_pin(config.targets, where, problems),
        channels=_pin(config.channels, where, problems),
        required=config.required,
        days=_days(config),
    )
    if problems:
        raise VerificationError(*problems)
    return pins


def _pin(role: RoleConfig, where: KeySources, problems: list[Problem]) -> RolePin:
    keys: list[Key] = []
    for path in role.keys:
        try:
            keys.append(load_public_key(path, where))
        except VerificationError as error:
            problems.extend(error.problems)
    return RolePin(tuple(keys), role.threshold)


def _days(config: SigningConfig) -> dict[str, int]:
    wanted = {
        "root": config.root.expires_days,
        "targets": config.targets.expires_days,
        "channels": config.channels.expires_days,
        "snapshot": config.channels.expires_days,
        "timestamp": config.timestamp_days,
    }
    return {role: days for role, days in wanted.items() if days}


def lifetimes_of(days: Mapping[str, object], defaults: Mapping[str, timedelta]) -> dict[str, timedelta]:
    """Return how long each role holds: as set, else as is usual."""
    set_days = {role: value for role, value in days.items() if isinstance(value, int)}
    return {
        role: timedelta(days=set_days[role]) if role in set_days else usual
        for role, usual in defaults.items()
    }


def check_roles_pinned(
    pins: Pins, roles: "Mapping[str, RoleKeys]", problem: Callable[[str], Problem]
) -> None:
    """Check that the roles of a repository have no other keys, and no lower threshold, than the project says.

    Args:
        pins: What the project says.
        roles: `root`, `targets` and `channels` as the repository has them.
        problem: Makes a problem of what is wrong.

    Raises:
        VerificationError: With all that differs.
    """
    wrong: list[Problem] = []
    for role, pin in (("targets", pins.targets), ("channels", pins.channels)):
        if not pin.keys or role not in roles:
            continue
        strange = sorted({key.keyid for key in roles[role].keys} - pin.ids)
        if strange:
            wrong.append(problem(f"role `{role}` has {_short(strange)}, not in `signing.{role}.keys`"))
        elif roles[role].threshold < pin.threshold:
            wrong.append(
                problem(f"role `{role}` asks for {roles[role].threshold} signatures, not {pin.threshold}")
            )
    if wrong:
        raise VerificationError(*wrong)


def _short(ids: Sequence[str]) -> str:
    return ", ".join(f"key {keyid[:12]}" for keyid in ids)
