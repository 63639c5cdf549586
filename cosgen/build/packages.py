"""Package databases of distributions: dpkg, apk and rpm, read from their bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cosgen.build.rpmdb import RpmFormatError, read_rpm_database


@dataclass(frozen=True, slots=True, order=True)
class DistroPackage:
    """One installed package of a distribution."""

    manager: str  # "deb", "apk" or "rpm": also the purl type
    name: str
    version: str  # rpm: [epoch:]version-release
    arch: str = ""
    source: str = ""  # source package, when it has another name
    license: str = ""  # as the database spells it

    def to_row(self) -> list[str]:
        """Return the fields in order."""
        return [self.manager, self.name, self.version, self.arch, self.source, self.license]

    @classmethod
    def from_row(cls, row: list[str]) -> "DistroPackage":
        """Undo `to_row`."""
        return cls(*row)


def parse_database(path: str, data: bytes) -> tuple[DistroPackage, ...] | None:
    """Return what a database lists, sorted; None when its format is not one we read."""
    if "lib/dpkg/status" in path:
        return _sorted(_read_dpkg(data.decode("utf-8", "replace")))
    if path.endswith("lib/apk/db/installed"):
        return _sorted(_read_apk(data.decode("utf-8", "replace")))
    try:
        return _sorted(
            DistroPackage("rpm", head.name, head.full_version, head.arch, head.source, head.license)
            for head in read_rpm_database(data)
            if head.name != "gpg-pubkey"
        )
    except RpmFormatError:
        return None


def _sorted(found: Iterator[DistroPackage]) -> tuple[DistroPackage, ...]:
    return tuple(sorted(set(found)))


def _read_dpkg(text: str) -> Iterator[DistroPackage]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = _deb_fields(paragraph)
        status = fields.get("Status", "install ok installed").split()
        if "Package" in fields and "Version" in fields and status[-1:] == ["installed"]:
            source = fields.get("Source", "").split(" ")[0]
            yield DistroPackage(
                "deb", fields["Package"], fields["Version"], fields.get("Architecture", ""), source
            )


def _deb_fields(paragraph: str) -> dict[str, str]:
    fields = {}
    for line in paragraph.split("\n"):
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            fields[name] = value.strip()
    return fields


def _read_apk(text: str) -> Iterator[DistroPackage]:
    for block in text.split("\n\n"):
        fields = {line[0]: line[2:] for line in block.split("\n") if line[1:2] == ":"}
        if "P" in fields and "V" in fields:
            yield DistroPackage(
                "apk",
                fields["P"],
                fields["V"],
                fields.get("A", ""),
                fields.get("o", ""),
                fields.get("L", ""),
            )


# Where the databases lie, without leading "/". dpkg's status.d of distroless images is matched by prefix.
DATABASES: tuple[str, ...] = (
    "lib/apk/db/installed",
    "usr/lib/sysimage/rpm/Packages.db",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages",
    "var/lib/dpkg/status",
    "var/lib/rpm/Packages",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/rpmdb.sqlite",
)
