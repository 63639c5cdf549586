"""One entry of an image layer, whatever the layer was read from, and the order and safety of names."""

import stat
import tarfile
from dataclasses import dataclass
from enum import StrEnum

from cosgen.build.rules import problem
from cosgen.errors import BuildError

# The extended attribute that an artifact keeps, as luet does. Engines put no other into layers, so with more
# an artifact would depend on where its layers were read; most belong to the machine that built it anyway.
KEPT_XATTR = "security.capability"
WHITEOUT_PREFIX = ".wh."
OPAQUE_MARKER = ".wh..wh..opq"


class Kind(StrEnum):
    """What an entry of a layer is. The values are the letters of the stored path index."""

    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    FIFO = "p"
    DEVICE = "c"
    WHITEOUT = "w"  # `path` is gone from the layers beneath
    OPAQUE = "o"  # everything under the directory `path` is gone from the layers beneath


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of a layer. Owners are numbers: names mean nothing on another machine."""

    path: str  # without leading or trailing "/"; bytes that are not UTF-8 as surrogates
    kind: Kind
    mode: int = 0o644  # permission bits with setuid, setgid and sticky
    uid: int = 0
    gid: int = 0
    mtime: int = 0  # seconds since 1970, UTC
    size: int = 0  # bytes of content
    link: str = ""  # target of a symlink
    xattrs: tuple[tuple[str, bytes], ...] = ()  # sorted
    content: str = ""  # of a file: the path its bytes are stored under; hard links share it
    missing: bool = False  # a hard link whose file this layer does not hold


def order(path: str) -> tuple[bytes, ...]:
    """Return the sort key of a path: a walk of the tree, names as bytes, a directory before what it holds.

    >>> sorted(["a-b", "a/c", "a"], key=order)
    ['a', 'a/c', 'a-b']
    """
    return tuple(path.encode("utf-8", "surrogateescape").split(b"/"))


def ancestors(path: str) -> tuple[str, ...]:
    """Return the directories above a path, outermost first.

    >>> ancestors("a/b/c")
    ('a', 'a/b')
    """
    parts = path.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


def readable(path: str) -> str:
    """Return a path as text for people and documents: bytes that are not UTF-8 become U+FFFD.

    Go's regular expressions see paths so, too.
    """
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def clean_name(name: str) -> str:
    """Return a tar member's name without `./` and trailing `/`; "" for the root itself.

    Raises:
        BuildError: The name is absolute, climbs out with `..`, or holds a NUL.

    >>> clean_name("./usr/bin/")
    'usr/bin'
    """
    if name.startswith("/") or "\0" in name or len(name) > 4096:
        raise BuildError(problem("CG462", f"a layer holds the name {name[:200]!r}"))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BuildError(problem("CG462", f"a layer holds the name {name[:200]!r}"))
    return "/".join(parts)


def climbs_out(path: str, target: str) -> bool:
    """Tell whether a relative symlink at `path` points above the root.

    >>> climbs_out("usr/bin/sh", "../../bin/dash"), climbs_out("bin/sh", "../../etc")
    (False, True)
    """
    if target.startswith("/"):
        return False
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def kind_of_mode(mode: int) -> Kind:
    """Return the kind of a file system entry; sockets count as devices, they cannot be archived."""
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    if stat.S_ISLNK(mode):
        return Kind.SYMLINK
    return Kind.FIFO if stat.S_ISFIFO(mode) else Kind.DEVICE


def kind_of_tar(info: tarfile.TarInfo) -> Kind:
    """Return the kind of a tar member; hard links are files."""
    if info.isdir():
        return Kind.DIRECTORY
    if info.issym():
        return Kind.SYMLINK
    if info.isfifo():
        return Kind.FIFO
    return Kind.DEVICE if info.isdev() else Kind.FILE
