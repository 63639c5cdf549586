"""The source trees as luet's compiler tree: what `luet build --from-repositories` builds on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cosgen.repository.luet import DEFAULT_COMPRESSION, LuetFile, compiler_tree
from cosgen.repository.luet_tar import Compression


@dataclass(frozen=True, slots=True)
class Sources:
    """What a publish does with the compiler tree of the variants it touches."""

    known: bool = False  # False: leave the one that is there
    file: LuetFile | None = None  # None: there shall be none


UNKNOWN = Sources()


def read_sources(trees: Iterable[Path], *, compression: Compression = DEFAULT_COMPRESSION) -> Sources:
    """Pack source trees, each under its base name; of trees with one base name later files win.

    Args:
        trees: Their folders, in order.
        compression: How the tarball is compressed.

    Raises:
        OSError: A file cannot be read.
    """
    files = {name: path for tree in trees for name, path in _files(tree)}
    members = ((name, path.read_bytes()) for name, path in files.items())
    return Sources(known=True, file=compiler_tree(members, compression=compression))


def _files(tree: Path) -> Iterator[tuple[str, Path]]:
    """Yield the regular files of a tree; hidden folders (`.git`) are no part of it."""
    base = tree.resolve().name
    for path in tree.rglob("*"):
        inside = path.relative_to(tree)
        hidden = any(part.startswith(".") for part in inside.parts[:-1])
        if path.is_file() and not path.is_symlink() and not hidden:
            yield f"{base}/{inside.as_posix()}", path
