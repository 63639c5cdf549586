"""Architectures under all their names, and the variants (flavor x arch) a project builds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arch:
    """One architecture, as each of our neighbours spells it."""

    kernel: str  # `uname -m`; the name users write in cosgen.yaml and values files
    go: str  # Go's GOARCH, also what luet's `arch:` compares with
    oci: str  # OCI platform, os/arch[/variant]
    aliases: tuple[str, ...] = ()  # further spellings accepted on input


# Sorted by kernel name. The one table of architectures; nothing else may spell them.
ARCHES: tuple[Arch, ...] = (
    Arch("aarch64", "arm64", "linux/arm64", ("arm64", "arm64v8")),
    Arch("armv6l", "arm", "linux/arm/v6", ("armv6",)),
    Arch("armv7l", "arm", "linux/arm/v7", ("armv7", "armhf")),
    Arch("i686", "386", "linux/386", ("i386", "386", "x86")),
    Arch("ppc64le", "ppc64le", "linux/ppc64le"),
    Arch("riscv64", "riscv64", "linux/riscv64"),
    Arch("s390x", "s390x", "linux/s390x"),
    Arch("x86_64", "amd64", "linux/amd64", ("amd64", "x86-64")),
)


def find_arch(text: str) -> Arch | None:
    """Return the architecture that `text` names in any spelling, or None.

    >>> find_arch("amd64").kernel
    'x86_64'
    """
    for arch in ARCHES:
        if text in (arch.kernel, arch.oci, *arch.aliases):
            return arch
    return None


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """One flavor on one architecture; the unit a tree is rendered, planned and published for.

    `flavor` may be "" (a project without flavors). `arch` is the word written in `cosgen.yaml`
    (it fills `{arch}` in file names), any spelling that `find_arch` knows.
    """

    flavor: str
    arch: str

    @property
    def key(self) -> str:
        """Name of the variant in file names, job names and snapshots: `green-x86_64` or `x86_64`."""
        return f"{self.flavor}-{self.arch}" if self.flavor else self.arch
