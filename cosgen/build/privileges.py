"""Files that give more rights than their caller has: setuid, setgid, capabilities; kept where declared.

A package that says nothing keeps them all, as with luet. One with the annotation `cosgen.setuid` keeps them
on the paths it names; all others lose them in the artifact, and the build tells which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from cosgen.build.member import KEPT_XATTR, Kind, Member
from cosgen.build.selection import Picked, Selection

SETUID_ANNOTATION = "cosgen.setuid"  # patterns of absolute paths, by white space; "" declares none
_BITS = 0o6000


def declared_privileges(annotations: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the patterns (`*`, `?`, `[…]`) a package declares; None when it says nothing."""
    text = annotations.get(SETUID_ANNOTATION)
    return None if text is None else tuple(text.split())


def keep_declared(selection: Selection, patterns: Sequence[str]) -> Selection:
    """Take the privileges off the files that no pattern matches.

    A file with several names keeps them when one of its names is declared: it is one file.
    """
    granted = {_file(item) for item in selection.picked if _is_declared(item.name, patterns)}
    dropped = {
        item.name for item in selection.picked if _is_privileged(item.member) and _file(item) not in granted
    }
    picked = tuple(_without(item) if item.name in dropped else item for item in selection.picked)
    return Selection(picked=picked, losses=replace(selection.losses, privileges=tuple(sorted(dropped))))


def _file(item: Picked) -> tuple[int, str]:
    return id(item.layer), item.member.content


def _is_declared(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(f"/{name}", pattern) for pattern in patterns)


def _is_privileged(member: Member) -> bool:
    has_capability = any(name == KEPT_XATTR for name, _ in member.xattrs)
    return member.kind is Kind.FILE and (bool(member.mode & _BITS) or has_capability)


def _without(item: Picked) -> Picked:
    xattrs = tuple(pair for pair in item.member.xattrs if pair[0] != KEPT_XATTR)
    return replace(item, member=replace(item.member, mode=item.member.mode & ~_BITS, xattrs=xattrs))
