"""Unit tests of cosgen.build.packages, rpmdb and index: databases, and indexes that are kept."""

import sqlite3
import struct
from pathlib import Path

from cosgen.build.index import IndexStore, index_layer
from cosgen.build.packages import DistroPackage, parse_database
from tests.unit.build.layer_data import file, folder, layer, link, view

DPKG = b"""Package: bash
Status: install ok installed
Architecture: amd64
Source: bash-src (5.2)
Version: 5.2.15-2
Description: shell
 more: text

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = b"P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl-src\n\nP:busybox\nV:1.36\n\n"


def rpm_header(name: str, version: str, release: str, epoch: int | None = None) -> bytes:
    """Make a header blob as rpm keeps it."""
    store, entries = b"", []
    for tag, value in ((1000, name), (1001, version), (1002, release), (1022, "noarch")):
        entries.append(struct.pack(">IIiI", tag, 6, len(store), 1))
        store += value.encode() + b"\0"
    if epoch is not None:
        store += b"\0" * (-len(store) % 4)
        entries.append(struct.pack(">IIiI", 1003, 4, len(store), 1))
        store += struct.pack(">I", epoch)
    return struct.pack(">II", len(entries), len(store)) + b"".join(entries) + store


def ndb(*blobs: bytes) -> bytes:
    """Make an NDB database."""
    slots, body = b"", b""
    for number, blob in enumerate(blobs, 1):
        head = struct.pack("<4sIII", b"BlbS", number, 1, len(blob))
        data = head + blob + b"\0" * (-len(blob) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, (4096 + len(body)) // 16, len(data) // 16)
        body += data
    empty = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    head = struct.pack("<4sIIIIIII", b"RpmP", 0, 1, 1, len(blobs) + 1, 0, 0, 0)
    page = head + slots
    return page + empty * ((4096 - len(page)) // 16) + body


def test_dpkg_lists_what_is_installed() -> None:
    assert parse_database("var/lib/dpkg/status", DPKG) == (
        DistroPackage("deb", "bash", "5.2.15-2", "amd64", "bash-src"),
    )


def test_apk_lists_its_packages() -> None:
    found = parse_database("lib/apk/db/installed", APK)
    assert found is not None
    assert [(item.name, item.version, item.license) for item in found] == [
        ("busybox", "1.36", ""),
        ("musl", "1.2.4-r2", "MIT"),
    ]


def test_rpm_is_read_from_ndb() -> None:
    found = parse_database(
        "usr/lib/sysimage/rpm/Packages.db",
        ndb(rpm_header("zypper", "1.14", "2", 1), rpm_header("gpg-pubkey", "1", "1")),
    )
    assert found == (DistroPackage("rpm", "zypper", "1:1.14-2", "noarch"),)


def test_rpm_is_read_from_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "rpmdb.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    connection.execute("INSERT INTO Packages VALUES (1, ?)", (rpm_header("dnf", "4", "1"),))
    connection.commit()
    connection.close()
    assert parse_database("var/lib/rpm/rpmdb.sqlite", path.read_bytes()) == (
        DistroPackage("rpm", "dnf", "4-1", "noarch"),
    )


def test_a_database_of_another_format_is_told_as_unread() -> None:
    assert parse_database("var/lib/rpm/Packages", b"\0" * 64) is None
    assert parse_database("var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0" + b"\1" * 200) is None
    assert view(layer(file("var/lib/rpm/Packages", b"\0" * 64))).unread() == ("var/lib/rpm/Packages",)


def test_the_topmost_database_counts() -> None:
    lower = layer(file("var/lib/dpkg/status", DPKG), file("usr/lib/os-release", b'NAME=x\nID="debian"\n'))
    upper = layer(file("var/lib/dpkg/status", DPKG.replace(b"5.2.15-2", b"6")))
    assert [item.version for item in view(lower, upper).packages()] == ["6"]
    assert view(lower, upper).distribution() == "debian"
    assert view(lower, layer(file("var/lib/dpkg/.wh.status"))).packages() == ()
    assert view(lower).packages("output") == ()


def test_a_kept_index_is_the_index_that_was_made(tmp_path: Path) -> None:
    made = layer(
        folder("a"),
        file("a/new\nline"),
        link("a/l", "x"),
        file("a/.wh..wh..opq"),
        file(".wh.gone"),
        file("raw-\udcff"),
        file("var/lib/dpkg/status", DPKG),
    )
    index = index_layer(made)
    IndexStore(tmp_path).keep(made.diff_id, index)
    assert IndexStore(tmp_path).find(made.diff_id) == index
    assert IndexStore(tmp_path).missing([made.diff_id, "sha256:00"]) == ("sha256:00",)


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    made = layer(file("a"))
    IndexStore(tmp_path).keep(made.diff_id, index_layer(made))
    for path in tmp_path.rglob("*.zst"):
        path.write_bytes(b"damaged")
    assert IndexStore(tmp_path).find(made.diff_id) is None


def test_the_same_paths_are_seen_through_an_index_as_in_the_layers() -> None:
    seen = view(layer(folder("a"), file("a/x"), file("b")), layer(file("a"), file(".wh.b")))
    assert (seen.kind("a"), seen.kind("a/x"), seen.kind("b")) == ("f", "", "")
