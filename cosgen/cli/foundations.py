"""Reading a project with what it is built on: its foundations, exactly as cosgen.lock pins them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cosgen.errors import ManifestError, Origin, Problem, Severity
from cosgen.manifest import loader
from cosgen.manifest.lock import LOCK_PATH, Lock, LockedFoundation, read_lock
from cosgen.manifest.platform import Variant
from cosgen.manifest.project import CONFIG, FoundationConfig, Project

if TYPE_CHECKING:
    from cosgen.build.join import JoinPart
    from cosgen.graph.model import Fingerprint
    from cosgen.repository.foundation import FoundationPlace, PinnedFoundation
    from cosgen.repository.record import PackageRecord


@dataclass(frozen=True, slots=True)
class Grounded:
    """A project, what pins it, and the foundations it stands on."""

    project: Project
    lock: Lock
    foundations: "tuple[PinnedFoundation, ...]" = ()

    problems: tuple[Problem, ...] = ()  # of the settings and of the lock file

    def fetcher(self, variant: Variant) -> "Callable[[Fingerprint], JoinPart]":
        """Return what has the archive of a foundation's package here, fetched when it is not."""
        from cosgen.build.join import JoinPart  # noqa: PLC0415 - seldom needed

        records = cache(lambda: self.records(variant))

        def fetch(package: "Fingerprint") -> JoinPart:
            foundation, record = records()[package]
            return JoinPart(foundation.archive(record), record.archive.digest, record.compression)

        return fetch

    def records(self, variant: Variant) -> "dict[str, tuple[PinnedFoundation, PackageRecord]]":
        """Return all that foundations offer to a variant, by fingerprint; of two the first counts."""
        found: dict[str, tuple[PinnedFoundation, PackageRecord]] = {}
        for one in self.foundations:
            for record in one.records(variant):
                found.setdefault(record.fingerprint, (one, record))
        return found


def load_project(
    root: Path,
    *,
    trees: Sequence[str] = (),
    values: Sequence[str] = (),
    environment: Mapping[str, str],
) -> Project:
    """Read a project as `manifest.loader` does, and what it stands on; see `load_grounded`."""
    return load_grounded(root, trees=trees, values=values, environment=environment).project


def load_grounded(
    root: Path,
    *,
    trees: Sequence[str] = (),
    values: Sequence[str] = (),
    environment: Mapping[str, str],
) -> Grounded:
    """Read a project, its lock file, and its foundations as the lock pins them.

    Raises:
        ManifestError: There are foundations, and the lock cannot be used or does not pin them (CG685).
        PublishError: One cannot be read (CG686), or has nothing for a variant (CG690).
        VerificationError: What is pinned of one is not there any more (CG691).
    """
    project = loader.load_project(root, trees=trees, values=values, environment=environment)
    problems: list[Problem] = []
    lock = load_lock(root, problems)
    is_sound = not any(item.severity is Severity.ERROR for item in project.problems)
    if not project.config.foundations or not is_sound:
        return Grounded(project, lock, problems=(*project.problems, *problems))
    if problems:
        raise ManifestError(*problems)
    return replace(ground(project, lock, environment), problems=project.problems)


def load_lock(root: Path, problems: list[Problem]) -> Lock:
    """Read the lock file of a project; one that is not there pins nothing."""
    path = root / LOCK_PATH
    return read_lock(path.read_text("utf-8", "replace"), problems) if path.is_file() else Lock()


def ground(project: Project, lock: Lock, environment: Mapping[str, str]) -> Grounded:
    """Put a project on its foundations as a lock pins them.

    Raises:
        ManifestError: The lock does not pin one of them, or pins another one of its name (CG685).
        PublishError: One cannot be read (CG686), or has nothing for a variant (CG690).
        VerificationError: What is pinned of one is not there any more (CG691).
    """
    from cosgen.repository.foundation import as_foundation, open_pinned  # noqa: PLC0415 - seldom needed

    unpinned = [item for item in project.config.foundations if find_pin(item, lock) is None]
    if unpinned:
        raise ManifestError(*(_unpinned(project, item) for item in unpinned))
    cache = cache_folder(environment)
    opened = tuple(open_pinned(place, cache) for place in places(project, lock))
    variants = {variant.key: variant for variant in project.variants}
    foundations = tuple(as_foundation(one, variants, origin_of(project, one.place.name)) for one in opened)
    return Grounded(replace(project, foundations=foundations), lock, opened)


def places(project: Project, lock: Lock) -> "tuple[FoundationPlace, ...]":
    """Return where the foundations of a project are, and what is known of each.

    Raises:
        ManifestError: A file with the root of trust cannot be read (CG685).
    """
    from cosgen.repository.foundation import FoundationPlace  # noqa: PLC0415

    return tuple(
        FoundationPlace(
            config=config,
            base=Path(project.root),
            trust=_trust(project, config),
            pinned=find_pin(config, lock),
        )
        for config in project.config.foundations
    )


def find_pin(config: FoundationConfig, lock: Lock) -> LockedFoundation | None:
    """Return the pin of a foundation; None when there is none, or only one of another address."""
    pinned = lock.foundation(config.name)
    if pinned is None or (pinned.url, pinned.reference) != (config.url, config.reference):
        return None
    return pinned if config.images in ("", pinned.images) else None


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where what was read of foundations is kept: `$XDG_CACHE_HOME/cosgen/foundations`."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "cosgen" / "foundations"


def origin_of(project: Project, name: str) -> Origin:
    """Return where cosgen.yaml names a foundation."""
    numbers = [number for number, item in enumerate(project.config.foundations) if item.name == name]
    known = project.config.places
    keys = [f"foundations[{number}].name" for number in numbers] + [f"foundations[{n}]" for n in numbers]
    return next((known[key] for key in keys if key in known), known.get("foundations", Origin(CONFIG)))


def _trust(project: Project, config: FoundationConfig) -> bytes | None:
    if not config.trust:
        return None
    path = Path(project.root) / config.trust
    try:
        return path.read_bytes()
    except OSError as error:
        what = (
            f"cannot read {config.trust}, the root of trust of the foundation {config.name}: {error.strerror}"
        )
        fix = "get it from the foundation's owners over a way you trust"
        raise ManifestError(
            Problem(what=what, fix=fix, id="CG685", origin=origin_of(project, config.name))
        ) from error


def _unpinned(project: Project, config: FoundationConfig) -> Problem:
    return Problem(
        what=f"cosgen.lock does not pin the foundation {config.name} at {config.url} ({config.reference})",
        fix="run `cosgen lock` and commit cosgen.lock",
        id="CG685",
        origin=origin_of(project, config.name),
    )
