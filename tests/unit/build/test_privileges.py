"""Unit tests of cosgen.build.privileges: who may keep setuid, setgid and capabilities."""

from cosgen.build.member import KEPT_XATTR
from cosgen.build.privileges import declared_privileges, keep_declared
from cosgen.build.selection import Content, Selection, select
from tests.unit.build.layer_data import file, folder, layer, link, view


def selection() -> Selection:
    entries = (
        folder("bin", mode=0o2755),
        file("bin/plain", b"1"),
        file("bin/ping", b"2", xattrs={KEPT_XATTR: "cap"}),
        file("bin/su", b"3", mode=0o4755),
        link("bin/su-too", "bin/su", hard=True),
        file("bin/wall", b"4", mode=0o2755),
    )
    return select([layer(*entries)], view(), Content())


def privileged(chosen: Selection) -> list[str]:
    return [item.name for item in chosen.picked if item.member.mode & 0o6000 or item.member.xattrs]


def test_without_the_annotation_nothing_is_declared() -> None:
    assert declared_privileges({}) is None
    assert declared_privileges({"cosgen.setuid": ""}) == ()
    assert declared_privileges({"cosgen.setuid": "/a\n /b/*"}) == ("/a", "/b/*")


def test_what_nobody_declares_loses_its_privileges_and_is_told() -> None:
    assert privileged(selection()) == ["bin", "bin/ping", "bin/su", "bin/su-too", "bin/wall"]
    kept = keep_declared(selection(), ["/bin/w*"])
    assert privileged(kept) == ["bin", "bin/wall"], "directories hand on their group and give nobody rights"
    assert kept.losses.privileges == ("bin/ping", "bin/su", "bin/su-too")
    assert [item.member.mode & 0o777 for item in kept.picked if item.name == "bin/su"] == [0o755]


def test_a_file_of_two_names_is_one_file() -> None:
    kept = keep_declared(selection(), ["/bin/su-too", "/bin/ping"])
    assert privileged(kept) == ["bin", "bin/ping", "bin/su", "bin/su-too"]
    assert kept.losses.privileges == ("bin/wall",)
