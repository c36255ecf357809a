import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.model.attributes import Attributes, Column, column_of, text_column
from alsriaz.model.conditions import parse_where

SHOP = Attributes.of(
    {
        "department": ["GROCERY", "PASTRY", None, "grocery", "5", "2.5", "true"],
        "price": [5, 2.5, None, -1, 0, 1e300, 5.0],
        "Größe": [None] * 7,
    },
    7,
)
G, P, NONE, LOWER, FIVE, HALF, TRUE = range(7)

MATCHES = [
    ({"department": "GROCERY"}, [G], "exact, case and all"),
    ({"department": ["PASTRY", "GROCERY", "x"]}, [G, P], "any of them; what no item has matches none"),
    ({"department": ["GROCERY", "PASTRY", "grocery", "5", "2.5", "true"]}, [G, P, 3, 4, 5, 6], "all of them"),
    ({"department": []}, [], "none of them"),
    ({"department": "GROC"}, [], "a part is not the whole"),
    ({"department": ""}, [], "an item without a value matches nothing, not even an empty text"),
    ({"department": [5, 2.5, True]}, [FIVE, HALF, TRUE], "numbers and booleans as they are written"),
    ({"department": 5.0}, [FIVE], "a whole number has no .0"),
    ({"department": [1, False]}, [], "true is not 1"),
    ({"price": 5}, [G, TRUE], "a number by value"),
    ({"price": ["5.00", " 2.5", "five", True]}, [G, P, TRUE], "texts that read as numbers"),
    ({"price": "0.0"}, [FIVE], "zero"),
    ({"price": {"below": 5}}, [P, LOWER, FIVE], "below is less; missing is never below"),
    ({"price": {"to": 5}}, [G, P, LOWER, FIVE, TRUE], "to is at most"),
    ({"price": {"above": 0}}, [G, P, HALF, TRUE], "above is more"),
    ({"price": {"from": 0}}, [G, P, FIVE, HALF, TRUE], "from is at least"),
    ({"price": {"from": 0, "below": 5, "to": 2.5, "above": -1}}, [P, FIVE], "all bounds hold"),
    ({"price": {"from": 5, "to": 2}}, [], "bounds that no number keeps"),
    ({"price": {"above": 2.5, "below": 2.5}}, [], "nor these"),
    ({"price": {"above": 1e300}}, [], "beyond all"),
    ({"price": {"from": -1e308}}, [G, P, LOWER, FIVE, HALF, TRUE], "before all: missing is not"),
    ({"price": {"below": 3}, "department": "PASTRY"}, [P], "all conditions hold"),
    ({"Größe": "x"}, [], "an attribute that no item has"),
    ({"Größe": {"below": 1}}, [], "nor has it a number"),
]


@pytest.mark.parametrize(("where", "matches", "why"), MATCHES, ids=[why for *_, why in MATCHES])
def test_which_items_match(where: dict[str, Any], matches: list[int], why: str) -> None:
    mask = SHOP.mask(parse_where(where, "where"), "where")
    assert mask.dtype == np.bool_
    assert np.flatnonzero(mask).tolist() == matches


REFUSED = [
    ({"departement": "x"}, "departement", "is no attribute of the items, did you mean 'department'?", "misspelt"),
    (
        {"Price": 5},
        "Price",
        "include.where.Price names 'Price', which is no attribute of the items, did you mean 'price'?",
        "its case",
    ),
    ({"x": 5}, "x", "of the items. Known are 'department', 'price', 'Größe'.", "like none"),
    (
        {"department": {"from": 5}},
        "department.from",
        "include.where.department.from asks for numbers, but 'department' holds text",
        "texts have no order",
    ),
]


@pytest.mark.parametrize(("where", "field", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_conditions_on_what_there_is_not_are_refused(where: dict[str, Any], field: str, words: str, why: str) -> None:
    for refuse in (SHOP.check, SHOP.mask):
        with pytest.raises(BadValue) as caught:
            refuse(parse_where(where, "include.where"), "include.where")
        assert caught.value.field == "include.where." + field
        assert words in str(caught.value)


def test_an_error_names_ten_attributes_at_most() -> None:
    many = Attributes.of({f"a{number}": [1] for number in range(64)}, 1)
    with pytest.raises(BadValue, match=r"at_most\.x names .x., which is no .*'a8', 'a9' and 54 more\.$"):
        many.groups("x", "at_most.x")


def test_a_model_without_attributes_says_how_to_give_it_some() -> None:
    nothing = Attributes.empty(3)
    assert (len(nothing), nothing.names) == (3, ())
    with pytest.raises(BadValue) as caught:
        nothing.mask(parse_where({"department": "x"}, "where"), "where")
    assert str(caught.value) == (
        "where.department names the attribute 'department', but the model knows nothing about its items: give the "
        "training job a channel 'items' with a table of them."
    )


def test_values_that_no_item_has_are_told() -> None:
    where = parse_where({"department": ["x", "PASTRY", 7], "price": ["five", 5, 6], "Größe": "L"}, "where")
    absent = [("Größe", "L"), ("department", "7"), ("department", "x"), ("price", "6"), ("price", "five")]
    assert SHOP.absent(where) == absent
    assert SHOP.absent(parse_where({"price": {"below": -9}}, "where")) == []


def test_items_with_one_value_are_one_group() -> None:
    groups = SHOP.groups("price", "at_most.price")
    assert groups[G] == groups[TRUE] != groups[P]
    assert groups[NONE] == -1
    assert groups.dtype == np.int32
    assert len(set(SHOP.groups("department", "at_most.department").tolist())) == 7


def test_what_an_item_shows() -> None:
    assert SHOP.shown(G, ["price", "department"]) == {"price": 5, "department": "GROCERY"}
    assert isinstance(SHOP.shown(G, ["price"])["price"], int)
    assert SHOP.shown(P, ["price"]) == {"price": 2.5}
    assert SHOP.shown(NONE, SHOP.names) == {"department": None, "price": None, "Größe": None}
    assert isinstance(SHOP.shown(HALF, ["price"])["price"], float), "digits that float64 can't tell apart are not shown"
    assert (SHOP.kind("price", "show"), SHOP.kind("department", "show")) == ("number", "text")


def naive(value: str | float | None, condition: Any) -> bool:
    """Return whether a value meets a condition: the rules, one by one."""
    if value is None:
        return False
    if isinstance(condition, dict):
        kept = {
            "below": lambda bound: value < bound,
            "above": lambda bound: value > bound,
            "from": lambda bound: value >= bound,
            "to": lambda bound: value <= bound,
        }
        return all(kept[name](bound) for name, bound in condition.items())
    if isinstance(condition, list):
        return any(naive(value, one) for one in condition)
    if isinstance(value, str):
        return value == (str(condition).lower() if isinstance(condition, bool) else str(condition))
    if isinstance(condition, bool):
        return False
    try:
        return float(condition) == value
    except ValueError:
        return False


texts = st.sampled_from(["a", "b", "A", "é", "1", "2", "-3", "10", "true", "日本"])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, -2.5, 1e9])
scalars = texts | st.integers(-3, 3) | st.booleans()
any_of = scalars | st.lists(scalars, max_size=20)
bounds = st.dictionaries(st.sampled_from(["below", "above", "from", "to"]), numbers, min_size=1)


@given(st.data(), st.integers(0, 12))
def test_masks_and_groups_are_those_of_plain_python(data: st.DataObject, n_items: int) -> None:
    word = data.draw(st.lists(st.none() | texts, min_size=n_items, max_size=n_items))
    number = data.draw(st.lists(st.none() | numbers, min_size=n_items, max_size=n_items))
    attributes = Attributes([text_of(word), column_of("number", number)], n_items)
    conditions: dict[str, st.SearchStrategy[Any]] = {"word": any_of, "number": any_of | bounds}
    where = data.draw(st.fixed_dictionaries({}, optional=conditions).filter(bool))
    values: dict[str, Any] = {"word": word, "number": number}
    expected = [all(naive(values[name][item], where[name]) for name in where) for item in range(n_items)]
    assert attributes.mask(parse_where(where, "w"), "w").tolist() == expected
    groups = attributes.groups("number", "g").tolist()
    for first in range(n_items):
        for second in range(n_items):
            same = number[first] is not None and number[first] == number[second]
            assert (groups[first] == groups[second] != -1) == same
        assert attributes.shown(first, ["word", "number"]) == {"word": word[first], "number": number[first]}


def text_of(values: list[str | None]) -> Column:
    """Return an attribute of text, from a table of texts that is in no order and has more than is used."""
    known = sorted({value for value in values if value is not None}, reverse=True)
    codes = np.array([-1 if value is None else known.index(value) for value in values], dtype=np.int64)
    return text_column("word", [*known, "unused"], codes)


def test_values_that_no_item_has_are_not_kept() -> None:
    column = text_of(["a", None])
    assert len(column.values) == 1
    assert column.values.code_of("unused") is None


def test_nan_is_no_number_of_a_column() -> None:
    assert column_of("a", [math.nan, 1.0, -0.0, 0.0]).codes.tolist() == [-1, 1, 0, 0]


def test_many_values_are_as_good_as_few() -> None:
    attributes = Attributes.of({"a": [None, *(str(number) for number in range(50))]}, 51)
    mask = attributes.mask(parse_where({"a": list(range(0, 50, 2))}, "where"), "where")
    assert np.flatnonzero(mask).tolist() == list(range(1, 51, 2))
