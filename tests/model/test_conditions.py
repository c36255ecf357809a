from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.model.conditions import Condition, parse_where, where_as_json

READ = [
    ({"brand": "A"}, (Condition("brand", ("A",)),), "one value"),
    ({"brand": ["B", "A", "B"]}, (Condition("brand", ("A", "B")),), "any of some: order and repeats say nothing"),
    ({"brand": " A "}, (Condition("brand", ("A",)),), "values are trimmed, as the items' own are"),
    ({"brand": []}, (Condition("brand", ()),), "none of them: nothing matches"),
    (
        {"size": [5, 5.0, 2.5, 1e-5, True, False]},
        (Condition("size", ("0.00001", "2.5", "5", "false", "true")),),
        "text",
    ),
    ({"size": 10**300}, (Condition("size", ("1" + "0" * 300,)),), "a large number"),
    ({"size": -0.0}, (Condition("size", ("0",)),), "zero has no sign"),
    ({"price": {"below": 5}}, (Condition("price", None, below=5.0),), "a bound"),
    (
        {"price": {"from": 1, "to": 2.5, "above": None}},
        (Condition("price", None, least=1.0, most=2.5),),
        "two bounds, and one that says nothing",
    ),
    ({"b": "x", "a": "y", "c": None}, (Condition("a", ("y",)), Condition("b", ("x",))), "in order of their names"),
    ({str(n): "x" for n in range(16)} | {"z": None}, 16, "null is no condition, and none of the 16 allowed"),
    ({"brand": ["x"] * 1000}, 1, "a thousand values"),
    ({"brand": "é" * 512}, 1, "the longest value"),
]


@pytest.mark.parametrize(("given", "where", "why"), READ, ids=[why for *_, why in READ])
def test_conditions_are_read(given: Any, where: Any, why: str) -> None:
    read = parse_where(given, "where")
    assert (len(read) if isinstance(where, int) else read) == where


REFUSED: list[tuple[Any, str, str, str]] = [
    ([], "", "include.where is [], expected an object such as", "no object"),
    (None, "", "include.where is null, expected an object", "what null means is the caller's to know"),
    ({}, "", "include.where has no condition, so that every item would match", "nothing"),
    ({"a": None}, "", "include.where has no condition", "only null"),
    ({str(n): "x" for n in range(17)}, "", "include.where has 17 conditions, expected at most 16.", "too many"),
    ({"a": ["x"] * 1001}, ".a", "include.where.a has 1001 values, expected at most 1000.", "too many values"),
    ({"a": [["x"]]}, ".a[0]", "include.where.a[0] is ['x'], expected text, a number, true or false.", "a nested list"),
    ({"a": ["x", None]}, ".a[1]", "include.where.a[1] is null, expected text", "null among values"),
    ({"a": {}}, ".a", "include.where.a has no bound: expected a value, a list of values, or an object", "no bound"),
    ({"a": {"below": None}}, ".a", "include.where.a has no bound", "a bound that says nothing"),
    ({"a": {"bellow": 1}}, ".a.bellow", "has no field 'bellow', did you mean 'below'?", "a bound misspelt"),
    ({"a": {"below": "x"}}, ".a.below", "include.where.a.below is 'x', expected a number.", "text as a bound"),
    ({"a": {"to": "5"}}, ".a.to", "include.where.a.to is '5', expected a number.", "digits in text"),
    ({"a": {"to": True}}, ".a.to", "include.where.a.to is true, expected a number.", "a boolean as a bound"),
    ({"a": {"to": [1]}}, ".a.to", "include.where.a.to is [1], expected a number.", "a list as a bound"),
    ({"a": {"from": 10**400}}, ".a.from", "is 1000", "a bound beyond float64"),
    ({"a": {"from": float("nan")}}, ".a.from", "include.where.a.from is nan, expected a finite number.", "no number"),
    ({"a": float("inf")}, ".a", "include.where.a is inf, expected a finite number.", "no value"),
    ({"a": 10**5000}, ".a", "include.where.a is a int that is too large to show, expected a finite", "absurd"),
    ({"a": "é" * 513}, ".a", "include.where.a has 1026 UTF-8 bytes, expected at most 1024.", "too long"),
    ({"a": ["\ud800"]}, ".a[0]", "is '\\ud800', expected Unicode text without lone surrogates.", "half a character"),
    ({"x" * 200: ["\ud800"]}, "." + "x" * 80 + "[0]", "expected Unicode text", "a long name is cut"),
]


@pytest.mark.parametrize(("given", "field", "words", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_malformed_conditions_name_the_field(given: Any, field: str, words: str, why: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_where(given, "include.where")
    assert caught.value.field == "include.where" + field
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


scalars = st.text(max_size=3) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
numbers = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False)
bounds = st.dictionaries(st.sampled_from(["below", "above", "from", "to"]), numbers, min_size=1)
conditions = st.dictionaries(
    st.text(max_size=3), scalars | st.lists(scalars, max_size=4) | bounds, min_size=1, max_size=5
)


@given(conditions)
def test_conditions_written_to_the_model_are_read_back_the_same(given_conditions: dict[str, Any]) -> None:
    where = parse_where(given_conditions, "where")
    assert parse_where(where_as_json(where), "where") == where
    assert hash(parse_where(where_as_json(where), "where")) == hash(where)


def test_true_and_1_are_two_values_however_python_compares_them() -> None:
    assert parse_where({"a": True}, "where") != parse_where({"a": 1}, "where")
