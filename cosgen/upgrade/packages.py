"""A channel as luet's docker repository type: package images, index images and pointers in a registry.

Nothing is written that is there already, and pointers move last, so every moment of a push is a whole
repository. luet does not check packages of this type against the index: so a tag of a package, once out,
is never given to other bytes unless one asks for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cosgen.build.reference import ImageName
from cosgen.errors import CosgenError, Problem, PublishError
from cosgen.manifest.channel_names import pin_name, reference_name
from cosgen.repository.attestation import read_attestation
from cosgen.repository.client_address import docker_repository
from cosgen.repository.docker_layout import DockerTag, TagKind, docker_layout
from cosgen.repository.log import Step, read_commit
from cosgen.repository.luet import RepositoryView
from cosgen.repository.reader import Repository
from cosgen.repository.record import ObjectRef
from cosgen.repository.snapshot import VariantIndex, load_object, load_records, load_snapshot
from cosgen.repository.views import view_of
from cosgen.storage.port import Store
from cosgen.upgrade.delivery import fetch_object
from cosgen.upgrade.image import from_layers, moved_problem, put_image
from cosgen.upgrade.oci import ImageFacts, read_json
from cosgen.upgrade.registry_port import ImageRegistry
from cosgen.upgrade.rootfs import Layer, archive_layer, file_layer

CONTENT = "dev.cosgen.content"  # annotation: digest that tells what an image of this type holds
COMMIT = "dev.cosgen.commit"  # annotation of a pointer: the commit that moved the channel
SNAPSHOT = "dev.cosgen.snapshot"  # annotation of a pointer: key, digest and size of the snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesRequest:
    """Which channel goes where."""

    channel: str
    packages: ImageName  # each variant has a repository of its own, see `docker_repository`
    force: bool = False  # give tags to other bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantPush:
    """What is to be done for one variant, and in which order."""

    variant: str
    name: ImageName
    platform: str
    content: tuple[DockerTag, ...]  # packages, metadata, index: what is not there yet
    pointers: tuple[DockerTag, ...]  # what does not say the same yet; written last
    kept: int  # tags that are there already
    place: Mapping[str, str]  # annotations of pointers
    conflicts: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """What a tag of the registry says that it holds."""

    content: str = ""  # "" for an image that we did not push
    commit: int = -1
    snapshot: ObjectRef | None = None


def plan_packages(
    repository: Repository, registry: ImageRegistry, request: PackagesRequest
) -> tuple[VariantPush, ...]:
    """Find out what a channel's variants lack in the registry. Nothing is written.

    What the channel's pointer named when it was pushed last is known to be there, so only what is new since
    is asked for.

    Raises:
        PublishError: Names make no tags (CG554, CG555), or tags hold something else (CG677, CG655); with all.
    """
    snapshot = repository.snapshot(request.channel)
    plans = [
        _plan_variant(repository, registry, request, key, index)
        for key, index in sorted(snapshot.variants.items())
    ]
    conflicts = [problem for plan in plans for problem in plan.conflicts]
    if conflicts:
        raise PublishError(*conflicts)
    return tuple(plans)


def push_packages(
    store: Store,
    registry: ImageRegistry,
    plans: Sequence[VariantPush],
    folder: Path,
    *,
    tell: Callable[[str], None] = lambda text: None,  # noqa: ARG005  # silent
) -> None:
    """Push what is planned: the content of all variants, then their pointers.

    Args:
        store: The store of the repository.
        registry: Where to.
        plans: From `plan_packages`.
        folder: Scratch space for one package at a time.
        tell: Called with each tag that was pushed.
    """
    for tags_of in (_content, _pointers):
        for plan in plans:
            for tag in tags_of(plan):
                _push_tag(store, registry, plan, tag, folder)
                tell(f"{plan.name}:{tag.tag}")


def _content(plan: VariantPush) -> Iterable[DockerTag]:
    return plan.content


def _pointers(plan: VariantPush) -> Iterable[DockerTag]:
    return plan.pointers


def _plan_variant(
    repository: Repository, registry: ImageRegistry, request: PackagesRequest, key: str, index: VariantIndex
) -> VariantPush:
    state = repository.channel(request.channel)
    path = docker_repository(request.packages.path, index.flavor, index.arch)
    name = ImageName(request.packages.host, path)
    tags = docker_layout(
        repository.packages(repository.snapshot(state), key),
        index.luet,
        _views(repository, request.channel, key, name),
        seq=state.origin,
    )
    pointers = {tag.tag: tag for tag in tags if tag.kind is TagKind.POINTER}
    held = {tag: _held(registry, name, tag) for tag in pointers}
    known = _known(repository.session.patient, key, held[reference_name(request.channel, key)])
    content = [tag for tag in tags if tag.kind is not TagKind.POINTER and known.get(tag.tag) != tag.digest]
    found = {tag.tag: _held(registry, name, tag.tag) for tag in content}
    missing = [tag for tag in content if not _holds(found[tag.tag], tag)]
    moving = [tag for tag in pointers.values() if _moves(tag, held[tag.tag], state.seq)]
    conflicts = [
        *(_taken(name, tag) for tag in missing if found[tag.tag] and tag.kind is not TagKind.METADATA),
        *(
            moved_problem(name, tag.tag, registry.find_digest(name, tag.tag), None)
            for tag in moving
            if (there := held[tag.tag]) and not there.content
        ),
    ]
    return VariantPush(
        variant=key,
        name=name,
        platform=index.platform,
        content=tuple(missing),
        pointers=tuple(moving),
        kept=len(tags) - len(missing) - len(moving),
        place={COMMIT: str(state.seq), SNAPSHOT: " ".join(map(str, _words(state.snapshot)))},
        conflicts=() if request.force else tuple(conflicts),
    )


def _views(repository: Repository, channel: str, key: str, name: ImageName) -> Mapping[str, RepositoryView]:
    """Return the pointers of a variant: the channel's, the snapshot's, and the default one."""
    state, settings = repository.channel(channel), repository.settings
    snapshot = repository.snapshot(state)
    origin = read_commit(repository.session.patient, state.origin)
    made = Step(
        snapshot=state.snapshot,
        seq=state.origin,
        time=origin.time if origin else state.time,
        origin=state.origin,
    )
    follow = view_of(settings, snapshot, key, state, channel)
    views = {
        reference_name(channel, key): follow,
        pin_name(state.origin, key): replace(view_of(settings, snapshot, key, made, channel), extra=None),
    }
    if str(settings.get("default", "")).partition("/")[0] == channel:
        views["repository.yaml"] = follow
    return {file: replace(view, urls=(str(name),)) for file, view in views.items()}


def _known(store: Store, key: str, held: _Held | None) -> Mapping[str, str]:
    """Return tag → content of the packages that were pushed before the pointer was."""
    if held is None or held.snapshot is None:
        return {}
    try:
        index = load_snapshot(store, held.snapshot).variants[key]
        records = list(load_records(store, index))
    except (CosgenError, KeyError):  # collected since, or of another repository: ask for each tag
        return {}
    views: Mapping[str, RepositoryView] = {}
    tags = docker_layout(records, {}, views, seq=0)
    return {tag.tag: tag.digest for tag in tags}


def _held(registry: ImageRegistry, name: ImageName, tag: str) -> _Held | None:
    found = registry.find_manifest(name, tag)
    if found is None:
        return None
    notes = read_json(found.data, f"{name}:{tag}").get("annotations")
    if not isinstance(notes, Mapping):
        return _Held()
    commit, words = str(notes.get(COMMIT, "")), str(notes.get(SNAPSHOT, "")).split()
    return _Held(
        content=str(notes.get(CONTENT, "")),
        commit=int(commit) if commit.isdecimal() else -1,
        snapshot=ObjectRef(key=words[0], digest=words[1], size=int(words[2]))
        if len(words) == 3 and words[2].isdecimal()
        else None,
    )


def _holds(held: _Held | None, tag: DockerTag) -> bool:
    return held is not None and held.content == tag.digest


def _moves(tag: DockerTag, held: _Held | None, commit: int) -> bool:
    """Tell whether a pointer is to be written: pins stay, and no channel goes back to an older commit."""
    if held is None:
        return True
    if not tag.moves and held.content:
        return False
    return held.content != tag.digest and held.commit <= commit


def _push_tag(store: Store, registry: ImageRegistry, plan: VariantPush, tag: DockerTag, folder: Path) -> None:
    layer = _layer(store, tag, folder)
    place = plan.place if tag.kind is TagKind.POINTER else {}
    labels = {CONTENT: tag.digest, **place}
    image = from_layers([layer], ImageFacts(platform=plan.platform, created=0, labels=labels))
    put_image(registry, plan.name, image, tag=tag.tag)
    layer.path.unlink()


def _layer(store: Store, tag: DockerTag, folder: Path) -> Layer:
    target = folder / "layer"
    if tag.kind is TagKind.PACKAGE and tag.source is not None:
        archive = folder / "archive"
        fetch_object(store, tag.source, archive)
        try:
            return archive_layer(archive, target, title=tag.human, plain=tag.plain)
        finally:
            archive.unlink()
    return file_layer(tag.member, _data(store, tag), target)


def _data(store: Store, tag: DockerTag) -> bytes:
    if tag.source is None:
        return tag.data or b""
    data = load_object(store, tag.source)
    if tag.kind is not TagKind.METADATA:
        return data
    files: Iterator[bytes] = (
        content for name, content in read_attestation(data) if name.endswith(".metadata.yaml")
    )
    return next(files, b"")


def _words(ref: ObjectRef) -> tuple[str, str, int]:
    return ref.key, ref.digest, ref.size


def _taken(name: ImageName, tag: DockerTag) -> Problem:
    what = tag.human or tag.member
    return Problem(
        what=f"{name}:{tag.tag} holds something else than {what} of this channel",
        fix="bump the version: luet's docker type has one place for it, which machines do not check; --force "
        "replaces what is there, also for those that pinned it",
        id="CG677",
    )
