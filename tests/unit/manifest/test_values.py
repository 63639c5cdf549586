"""Unit tests for cosgen.manifest.values."""

import json
from collections.abc import Callable
from typing import Any

from cosgen.manifest.values import AnyKeyMap, ReadLog, TracedMap, fill, merge_layers, provenance


def test_an_upper_layer_wins_and_maps_merge_key_by_key() -> None:
    assert fill({"a": 1, "m": {"x": 1}}, {"a": 2, "b": 3, "m": {"x": 9, "y": 2}}) == {
        "a": 1,
        "b": 3,
        "m": {"x": 1, "y": 2},
    }


def test_empty_values_give_way() -> None:
    upper = {"a": False, "b": 0, "c": "", "d": [], "e": {}, "f": None, "g": 0.0}
    lower = dict.fromkeys(upper, "x")
    assert fill(upper, lower) == lower  # type: ignore[arg-type]  # keys are text


def test_null_fills_nothing_and_types_may_differ() -> None:
    assert fill({"a": "text"}, {"a": {"m": 1}, "b": None}) == {"a": "text"}


def test_an_empty_map_keeps_its_kind_when_it_is_filled() -> None:
    filled = fill({"m": AnyKeyMap()}, {"m": {"a": 1, "b": None}})["m"]
    assert isinstance(filled, AnyKeyMap)
    assert filled == {"a": 1}


def test_an_empty_map_gives_way_to_one_that_fills_nothing() -> None:
    assert fill({"m": {}}, {"m": {"a": None}}) == {"m": {"a": None}}


def test_the_rightmost_file_wins() -> None:
    assert merge_layers([{"a": 1, "b": 1}, {"a": 2}, {"a": 0}]) == {"a": 2, "b": 1}


def test_merging_never_changes_a_layer() -> None:
    lower: dict[Any, Any] = {"m": {"a": 1}}
    fill({"m": {"b": 2}}, lower)
    assert lower == {"m": {"a": 1}}


def test_provenance_names_the_layer_of_every_leaf() -> None:
    layers = [("definition", {"a": 1, "m": {"x": 1}, "z": 5}), ("values", {"a": 2, "m": {"y": 2}, "z": 0})]
    assert provenance(layers) == {  # type: ignore[arg-type]  # keys are text
        ("a",): "values",
        ("m", "x"): "definition",
        ("m", "y"): "values",
        ("z",): "definition",
    }


def test_reads_are_logged_by_path_absent_ones_too() -> None:
    log = ReadLog()
    values = TracedMap({"a": 1, "m": AnyKeyMap({"x": 2, "y": 3}), "unread": 4}, log)
    assert values["a"] == 1
    nested = values["m"]
    assert isinstance(nested, TracedMap)
    assert nested["x"] == 2
    assert values.get("nope") is None
    assert "other" not in values
    assert json.loads(log.to_json()) == [[["a"], 1], [["m", "x"], 2], [["nope"], None], [["other"], None]]


def test_a_number_and_its_text_may_both_be_keys() -> None:
    log = ReadLog()
    log.paths = {("m", 2): {"x": 1}, ("m", "2"): "text", ("a",): None}
    assert json.loads(log.to_json()) == [[["a"], None], [["m", "2"], {"x": 1}], [["m", "2"], "text"]]


def test_looking_at_a_whole_map_logs_it_whole() -> None:
    looks: list[Callable[[Any], object]] = [len, list, bool, dict, lambda m: m.items(), lambda m: m.values()]
    for look in looks:
        log = ReadLog()
        nested = TracedMap({"m": {"x": 1}}, log)["m"]
        look(nested)
        assert [["m"], {"x": 1}] in json.loads(log.to_json())


def test_changes_stay_in_the_copy() -> None:
    source: dict[Any, Any] = {"m": {"x": 1}, "l": [{"k": 1}]}
    values = TracedMap(source, ReadLog())
    values["m"]["x"] = 2  # type: ignore[index]  # it is a map
    values["l"][0]["k"] = 2  # type: ignore[index]  # it is a list
    assert source == {"m": {"x": 1}, "l": [{"k": 1}]}
