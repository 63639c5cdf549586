"""What goes into an artifact: which members of which layers, under which names, and what is left out.

Additions by path (luet's rule), the whole image, or one directory of it; then `includes` and `excludes`.
Source of the rules: luet 3f2397b6, pkg/compiler/compiler.go and pkg/api/core/image/extract.go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import re2

from cosgen.build.index import LowerView
from cosgen.build.layers import Layer
from cosgen.build.member import Kind, Member, ancestors, climbs_out, order, readable
from cosgen.build.rules import problem
from cosgen.errors import BuildError, Problem

# Stubs that engines leave in the first layer above an image that lacks the mount points.
_STUB_FILES = frozenset(
    {".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"}
)
# Both images copy the build context; that is no change anybody made.
_CONTEXT = "luetbuild/"
_STUB_DIRECTORIES = frozenset({"dev", "dev/pts", "dev/shm", "dev/mqueue", "proc", "sys", "run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What of an image makes the artifact."""

    whole: bool = False  # the whole image instead of what it adds
    under: str = ""  # only this directory, and names relative to it; "" for all; without leading "/"
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    changes: bool = False  # also files that exist beneath and were changed (`delta: full`)


@dataclass(frozen=True, slots=True)
class Picked:
    """One member of the artifact: its name there, and where its bytes are."""

    name: str
    member: Member
    layer: Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What the image did and the artifact does not tell. All sorted."""

    changed: tuple[str, ...] = ()  # files changed in place
    deleted: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # device nodes under /dev
    privileges: tuple[str, ...] = ()  # files whose setuid, setgid or capabilities nobody declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The members of an artifact in archive order, and what was left out."""

    picked: tuple[Picked, ...]
    losses: Losses


@dataclass(frozen=True, slots=True)
class _Winner:
    member: Member
    layer: Layer


def select(layers: Sequence[Layer], lower: LowerView, content: Content) -> Selection:
    """Choose the members of an artifact.

    Args:
        layers: The new layers, bottom first; all layers of the image when `content` is not a delta.
        lower: What lies beneath them.
        content: Which of it is wanted.

    Raises:
        BuildError: With every hostile or impossible member, every bad pattern, or a missing directory.
    """
    wanted = compile_filter(content)
    winners, deleted = _flatten(layers, lower)
    chosen: dict[str, _Winner] = {}
    changed: list[str] = []
    for path, winner in winners.items():
        if not _is_under(path, content.under):
            continue
        is_new = content.whole or not lower.kind(path)
        if not is_new and not (content.changes and winner.member.kind is not Kind.DIRECTORY):
            told = winner.member.kind is not Kind.DIRECTORY and not path.startswith(_CONTEXT)
            if told and wanted(path):
                changed.append(path)
            continue
        if not content.whole and _is_stub(winner.member):
            continue
        if wanted(path):
            chosen[path] = winner
    _check_directory(winners, lower, content)
    _add_new_parents(chosen, winners, lower, content)
    picked, devices, problems = _name(chosen, winners, lower, content)
    if problems:
        raise BuildError(*problems)
    losses = Losses(
        changed=tuple(sorted(changed)), deleted=tuple(sorted(filter(wanted, deleted))), devices=devices
    )
    return Selection(picked=picked, losses=losses)


def compile_filter(content: Content) -> Callable[[str], bool]:
    """Return the test that `includes` and `excludes` make, for paths without leading "/".

    luet searches unanchored in `"/" + path`; below a `package_dir` it searches in that directory's name
    followed by the whole path again. Both spellings are tried there, so that anchored patterns work.

    Raises:
        BuildError: With every pattern that RE2 does not read.
    """
    problems = [
        problem("CG460", f"pattern {text!r}: {reason}")
        for text in (*content.includes, *content.excludes)
        if (reason := _pattern_error(text))
    ]
    if problems:
        raise BuildError(*problems)
    includes, excludes = (
        [_compile(text) for text in texts] for texts in (content.includes, content.excludes)
    )

    def test(path: str) -> bool:
        names = [f"/{readable(path)}"]
        if content.under:
            names.append(f"/{content.under}/{readable(path)}")
        if any(pattern.search(name) for pattern in excludes for name in names):
            return False
        return not includes or any(pattern.search(name) for pattern in includes for name in names)

    return test


@lru_cache(maxsize=1024)
def _compile(text: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


def _pattern_error(text: str) -> str:
    try:
        _compile(text)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return ""


def _is_under(path: str, under: str) -> bool:
    return not under or path.startswith(f"{under}/") or path == under


def _flatten(layers: Sequence[Layer], lower: LowerView) -> tuple[dict[str, _Winner], list[str]]:
    """Lay the layers over each other; return what is seen, and which paths beneath are gone."""
    winners: dict[str, _Winner] = {}
    hidden: set[str] = set()  # nothing at or below these shows from further down
    emptied: set[str] = set()  # nothing below these shows from further down
    gone: dict[str, None] = {}
    for layer in reversed(layers):
        new_hidden: set[str] = set()
        new_emptied: set[str] = set()
        for member in layer.members():
            path = member.path
            if _is_hidden(path, hidden, emptied):
                continue
            if member.kind is Kind.OPAQUE:
                new_emptied.add(path)
            elif member.kind is Kind.WHITEOUT:
                new_hidden.add(path)
                if path not in winners and lower.kind(path):
                    gone[path] = None
            else:
                winners.setdefault(path, _Winner(member, layer))
                if member.kind is not Kind.DIRECTORY:
                    new_hidden.add(path)
        hidden |= new_hidden
        emptied |= new_emptied
    return winners, list(gone)


def _is_hidden(path: str, hidden: set[str], emptied: set[str]) -> bool:
    if path in hidden:
        return True
    return any(ancestor in hidden or ancestor in emptied for ancestor in ancestors(path))


def _is_stub(member: Member) -> bool:
    if member.kind is Kind.DIRECTORY:
        return member.path in _STUB_DIRECTORIES
    if member.kind is Kind.SYMLINK:
        return member.path == "etc/mtab" and member.link == "/proc/mounts"
    return member.path in _STUB_FILES and not member.size


def _check_directory(winners: Mapping[str, _Winner], lower: LowerView, content: Content) -> None:
    if not content.under:
        return
    winner = winners.get(content.under)
    kind = str(winner.member.kind) if winner else lower.kind(content.under)
    implied = any(path.startswith(f"{content.under}/") for path in winners) if not kind else False
    if kind != Kind.DIRECTORY and not implied:
        what = f"package_dir `/{content.under}` is " + ("not a directory" if kind else "not in the image")
        raise BuildError(problem("CG461", what))


def _add_new_parents(
    chosen: dict[str, _Winner], winners: Mapping[str, _Winner], lower: LowerView, content: Content
) -> None:
    """Add directories above chosen members, with their real metadata, where the patterns passed them over.

    Those that exist beneath are omitted: whoever owns them describes them.
    """
    for path in list(chosen):
        for ancestor in ancestors(path):
            winner = winners.get(ancestor)
            if ancestor in chosen or winner is None or not _is_under(ancestor, content.under):
                continue
            if winner.member.kind is Kind.DIRECTORY and (content.whole or not lower.kind(ancestor)):
                chosen[ancestor] = winner


def _name(
    chosen: Mapping[str, _Winner], winners: Mapping[str, _Winner], lower: LowerView, content: Content
) -> tuple[tuple[Picked, ...], tuple[str, ...], list[Problem]]:
    picked: list[Picked] = []
    devices: list[str] = []
    problems: list[Problem] = []
    for path in sorted(chosen, key=order):
        winner = chosen[path]
        name = path[len(content.under) + 1 :] if content.under else path
        if not name:
            continue
        if winner.member.kind is Kind.DEVICE and (name.startswith("dev/") or path.startswith("dev/")):
            devices.append(path)
            continue
        problems.extend(_check_member(name, winner.member, winners, lower))
        picked.append(Picked(name, winner.member, winner.layer))
    return tuple(picked), tuple(devices), problems


def _check_member(
    name: str, member: Member, winners: Mapping[str, _Winner], lower: LowerView
) -> list[Problem]:
    problems = []
    if member.kind is Kind.DEVICE:
        problems.append(problem("CG464", f"/{member.path} is a device node or socket"))
    if member.kind is Kind.SYMLINK and climbs_out(name, member.link):
        problems.append(problem("CG463", f"/{member.path} links to {member.link}, above the root"))
    if member.missing:
        problems.append(problem("CG467", f"/{member.path} is a hard link to /{member.content}"))
    for ancestor in ancestors(member.path):
        above = winners.get(ancestor)
        kind = above.member.kind if above else lower.kind(ancestor)
        if kind and kind != Kind.DIRECTORY:
            problems.append(problem("CG466", f"/{member.path} lies below /{ancestor}, not a directory"))
            break
    return problems
