from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.model.ids import IdTable, pack_ids
from alsriaz.platform.values import ids as read_ids
from alsriaz.platform.values import parse_id

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.sets(ids, max_size=30), ids)
def test_ids_and_positions_are_each_others_inverse(known: set[str], stranger: str) -> None:
    ordered = sorted(known)
    table = IdTable(*pack_ids(ordered))
    assert len(table) == len(ordered)
    assert [table.id_at(position) for position in range(len(table))] == ordered
    assert [table.position_of(outside_id) for outside_id in ordered] == list(range(len(ordered)))
    assert table.position_of(stranger) == (ordered.index(stranger) if stranger in known else None)
    assert table.positions_of([stranger, *reversed(ordered)]).tolist() == (
        [ordered.index(stranger)] if stranger in known else []
    ) + list(reversed(range(len(ordered))))
    assert table.position_of("") is None


@given(st.sets(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=40), st.sampled_from([1, 3, 40]))
def test_ids_within_ids_are_told_apart(known: set[str], length: int) -> None:
    ordered = sorted(name * length for name in known)
    table = IdTable(*pack_ids(ordered), signposts=2)  # many ids lie between two, and long ones beyond what is read
    positions = {name: position for position, name in enumerate(ordered)}
    for wanted in [*ordered, *(name[:-1] for name in ordered), *(name[1:] for name in ordered)]:
        assert table.position_of(wanted) == positions.get(wanted)


@given(
    st.lists(st.one_of(ids, st.text(" \tab\n\0", max_size=3), st.just("x" * 257), st.integers(), st.none()), max_size=5)
)
def test_ids_of_a_list_are_what_each_is_parsed_as(values: list[Any]) -> None:
    try:
        expected = [parse_id(value) for value in values]
    except ValueError:
        with pytest.raises(BadValue):
            read_ids(values, "items")
    else:
        assert read_ids(values, "items") == expected


@pytest.mark.parametrize("unordered", [["b", "a"], ["a", "a"]], ids=["not in order", "not unique"])
def test_ids_must_be_in_order_and_unique(unordered: list[str]) -> None:
    with pytest.raises(ValueError, match="unique and in code-point order"):
        pack_ids(unordered)


EXAMPLES = [
    ("85123A", "85123A", "text is taken as it is"),
    ("00123", "00123", "zeros in front stay"),
    (17850, "17850", "a whole number means its digits"),
    ("  x y ", "x y", "trimmed outside, not within"),
    ("é" * 128, "é" * 128, "256 bytes are the most"),
]
REFUSED = [
    (17850.0, "expected an id as text", "a number with a point"),
    (True, "expected an id as text", "a boolean is no number"),
    (None, "expected an id as text", "nothing"),
    (["a"], "expected an id as text", "a list"),
    (" ", "never empty", "only blanks"),
    ("é" * 129, "at most 256 UTF-8 bytes, this one has 258", "too long"),
    ("\ud800", "without lone surrogates", "no Unicode text"),
]


@pytest.mark.parametrize(("value", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_an_id_in_json(value: Any, expected: str, why: str) -> None:
    assert parse_id(value) == expected


@pytest.mark.parametrize(("value", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_is_no_id(value: Any, words: str, why: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_id(value)
