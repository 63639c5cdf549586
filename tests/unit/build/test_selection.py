"""Unit tests of cosgen.build.selection, index and member: what goes into artifacts, and what is refused."""

import pytest

from cosgen.build.layers import Limits
from cosgen.build.member import clean_name, climbs_out
from cosgen.build.selection import Content, compile_filter, select
from cosgen.errors import BuildError
from tests.unit.build.layer_data import Entry, device, file, folder, layer, link, view

DELTA = Content()
BASE = layer(
    folder("etc"), file("etc/passwd", b"root"), folder("usr"), folder("usr/lib"), file("usr/lib/old", b"1")
)


def names(*layers: object, content: Content = DELTA, beneath: tuple[object, ...] = (BASE,)) -> list[str]:
    chosen = select(list(layers), view(*beneath), content)  # type: ignore[arg-type]
    return [item.name for item in chosen.picked]


def refused(*layers: object, content: Content = DELTA) -> set[str]:
    with pytest.raises(BuildError) as caught:
        names(*layers, content=content)
    return {item.id for item in caught.value.problems}


def test_only_new_paths_are_chosen_and_parents_that_exist_are_omitted() -> None:
    assert names(layer(folder("usr"), folder("usr/lib"), file("usr/lib/new"), file("etc/passwd", b"x"))) == [
        "usr/lib/new"
    ]


def test_changes_are_told_and_chosen_only_when_asked_for() -> None:
    changed = layer(file("etc/passwd", b"x"))
    assert select([changed], view(BASE), Content()).losses.changed == ("etc/passwd",)
    assert names(changed, content=Content(changes=True)) == ["etc/passwd"]


def test_a_whiteout_hides_what_lies_beneath_and_is_told_as_deleted() -> None:
    new = layer(file("a"), file("b"))
    gone = layer(file(".wh.a"), file("etc/.wh.passwd"))
    chosen = select([new, gone], view(BASE), Content())
    assert [item.name for item in chosen.picked] == ["b"]
    assert chosen.losses.deleted == ("etc/passwd",)


def test_what_was_deleted_and_made_again_shows_its_last_content() -> None:
    chosen = select(
        [layer(file("a", b"1")), layer(file(".wh.a")), layer(file("a", b"22"))], view(BASE), Content()
    )
    assert [item.member.size for item in chosen.picked] == [2]


def test_an_opaque_directory_hides_the_content_of_earlier_layers() -> None:
    assert names(
        layer(folder("d"), file("d/one")), layer(folder("d"), file("d/.wh..wh..opq"), file("d/two"))
    ) == ["d", "d/two"]


def test_a_path_below_an_opaque_directory_of_the_base_is_new() -> None:
    upper = layer(folder("usr/lib"), file("usr/lib/.wh..wh..opq"))
    assert names(layer(file("usr/lib/old", b"2")), beneath=(BASE, upper)) == ["usr/lib/old"]


def test_a_path_below_a_deleted_directory_of_the_base_is_new() -> None:
    assert names(
        layer(folder("usr/lib"), file("usr/lib/old")), beneath=(BASE, layer(file("usr/.wh.lib")))
    ) == ["usr/lib", "usr/lib/old"]


def test_order_is_a_walk_of_the_tree() -> None:
    assert names(layer(file("a-b"), folder("a"), file("a/z"), file("a.c"))) == ["a", "a/z", "a-b", "a.c"]


def test_the_whole_image_takes_every_layer() -> None:
    content = Content(whole=True)
    assert names(BASE, layer(file("etc/.wh.passwd"), file("new")), content=content, beneath=()) == [
        "etc",
        "new",
        "usr",
        "usr/lib",
        "usr/lib/old",
    ]


def test_one_directory_is_cut_out_by_whole_names() -> None:
    image = layer(folder("out"), file("out/a"), file("outx"), folder("out/d"), file("out/d/b"))
    assert names(image, content=Content(whole=True, under="out"), beneath=()) == ["a", "d", "d/b"]


@pytest.mark.parametrize("entry", [file("out"), file("other")])
def test_a_package_dir_that_is_no_directory_is_refused(entry: Entry) -> None:
    assert refused(layer(entry), content=Content(whole=True, under="out")) == {"CG461"}


def test_patterns_search_anywhere_and_excludes_win() -> None:
    test = compile_filter(Content(includes=("^/usr/", "x"), excludes=("tmp$",)))
    assert [path for path in ("usr/a", "etc/x", "usr/tmp", "etc/a") if test(path)] == ["usr/a", "etc/x"]


def test_patterns_below_package_dir_may_repeat_the_prefix_as_luet_wants() -> None:
    test = compile_filter(Content(under="output", includes=("^/output/output/usr", "^/output/etc")))
    assert test("output/usr/a")
    assert test("output/etc/a")
    assert not test("output/var/a")


def test_odd_patterns_of_real_trees_are_read() -> None:
    test = compile_filter(Content(includes=("usr/share/efi/.*/*.efi", "^/boot|^/boot/.*")))
    assert test("usr/share/efi/x86_64/grub.efi")
    assert test("boot/vmlinuz")


def test_every_bad_pattern_is_told() -> None:
    with pytest.raises(BuildError) as caught:
        compile_filter(Content(includes=("(?=x)",), excludes=("[",)))
    assert [item.id for item in caught.value.problems] == ["CG460", "CG460"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "a\0b"])
def test_names_that_leave_the_root_are_refused(name: str) -> None:
    with pytest.raises(BuildError):
        clean_name(name)


def test_hostile_layers_are_refused() -> None:
    assert refused(layer(file("../../etc/shadow", b"x"))) == {"CG462"}
    assert refused(layer(file("/etc/shadow", b"x"))) == {"CG462"}
    assert refused(layer(link("l", "../../etc", hard=True))) == {"CG462"}
    assert refused(layer(link("dir/up", "../../../etc/passwd"))) == {"CG463"}
    assert refused(layer(device("opt/sda"))) == {"CG464"}
    assert refused(layer(link("x", "/etc"), file("x/shadow", b"x"))) == {"CG466"}
    assert refused(layer(link("hard", "nowhere", hard=True))) == {"CG467"}


def test_a_member_below_a_link_of_the_base_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        names(layer(file("lnk/file", b"x")), beneath=(layer(link("lnk", "/etc")),))
    assert caught.value.problems[0].id == "CG466"


def test_bombs_are_bounded_by_entries_and_by_size() -> None:
    assert refused(layer(*(file(f"f{number}") for number in range(50)), limits=Limits(entries=10))) == {
        "CG465"
    }
    assert refused(layer(file("big", b"x" * 4096), limits=Limits(size=1024))) == {"CG465"}


def test_device_nodes_of_dev_are_left_out_and_told() -> None:
    chosen = select([layer(folder("dev"), device("dev/null"), file("a"))], view(), Content(whole=True))
    assert [item.name for item in chosen.picked] == ["a", "dev"]
    assert chosen.losses.devices == ("dev/null",)


def test_mount_point_stubs_of_engines_are_no_part_of_a_delta() -> None:
    stubs = layer(
        folder("proc"),
        folder("sys"),
        folder("dev"),
        file("etc/hosts"),
        link("etc/mtab", "/proc/mounts"),
        file("etc/real", b"x"),
    )
    assert names(stubs) == ["etc/real"]


def test_long_links_may_reach_the_root_but_not_beyond() -> None:
    assert not climbs_out("a/b/c", "../../d")
    assert climbs_out("a/b/c", "../../../d")
    assert not climbs_out("a", "/etc/passwd")
