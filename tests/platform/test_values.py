import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import BadValue
from alsriaz.platform.values import (
    FLAG,
    SHARE_OR_COUNT,
    SPELLED_FLAG,
    Kind,
    a_list,
    an_id,
    an_object,
    check_fields,
    ids,
    nearest,
    number,
    one_of,
    optional,
    parse_id,
    shown,
    spelled,
    unique_ids,
    whole,
)

ABOVE_0 = number(0, 1e15, above=True, expected="a number above 0")
LAYOUT = one_of("popular", "error", quoted=True)

# ---- Kinds ----------------------------------------------------------------------------------------------------------

READ: list[tuple[Kind[Any], Any, Any, str]] = [
    (whole(1, 9), 1, 1, "the least"),
    (whole(1, 9), 9, 9, "the most"),
    (whole(1, 9), 2.0, 2, "a whole number with a point"),
    (whole(-5, 5), -0.0, 0, "a zero is a zero"),
    (number(0, 1), 0, 0.0, "the least number"),
    (number(0, 1), 1, 1.0, "the most"),
    (number(0, math.inf), 10**300, 1e300, "a whole number is a number"),
    (ABOVE_0, 5e-324, 5e-324, "just above"),
    (LAYOUT, "error", "error", "one of the names"),
    (FLAG, False, False, "a boolean"),
    (SHARE_OR_COUNT, 0, Fraction(0), "none"),
    (SHARE_OR_COUNT, 10**9, Fraction(10**9), "as many as a rule may count"),
    (SHARE_OR_COUNT, 3.0, Fraction(3), "a count with a point"),
    (SHARE_OR_COUNT, 0.1, Fraction(1, 10), "a share is meant as written, not as the float next to it"),
    (SHARE_OR_COUNT, 0.0, Fraction(0), "a share of nothing is a count of nothing"),
    (spelled(whole(0, 2**64)), "18446744073709551615", 2**64 - 1, "64 bits survive the spelling"),
    (spelled(whole(0, 9)), " +7 ", 7, "a sign and blanks"),
    (spelled(whole(0, 9)), "7.0", 7, "text with a point"),
    (spelled(number(0, 1)), "1e-2", 0.01, "an exponent"),
    (spelled(number(0, 1)), 0.5, 0.5, "what is spelled may also be a number"),
    (SPELLED_FLAG, "True", True, "Python's boolean"),
    (SPELLED_FLAG, "0", False, "a boolean as a digit"),
    (SPELLED_FLAG, 1, True, "or a number"),
    (SPELLED_FLAG, False, False, "or itself"),
    (optional(whole(1, 9)), 3, 3, "what is optional may be there"),
    *((optional(whole(1, 9)), nothing, None, f"{nothing!r} is nothing") for nothing in (None, "", " null ", "None")),
]


@pytest.mark.parametrize(("kind", "value", "expected", "why"), READ, ids=[why for *_, why in READ])
def test_a_value_of_its_kind(kind: Kind[Any], value: Any, expected: Any, why: str) -> None:
    found = kind.read(value, "x")
    assert found == expected
    assert type(found) is type(expected)


REFUSED: list[tuple[Kind[Any], Any, str, str]] = [
    *((whole(1, 9), value, "x is {}, expected a whole number from 1 to 9.", "") for value in (0, 10, 1.5, "2", [2])),
    (whole(1, 9), True, "x is true, expected a whole number from 1 to 9.", "a boolean is not a number"),
    (whole(1, 9), None, "x is null, expected a whole number from 1 to 9.", "null is for the reader of the field"),
    (whole(1, 9), math.inf, "x is inf, expected a whole number from 1 to 9.", "infinity is not whole"),
    (whole(1, 9), 10**400, "x is 1000", "a number beyond float64"),
    (whole(1, 9, of="items"), 0, "x is 0, expected a whole number of items from 1 to 9.", "what is counted"),
    (whole(1, 9, expected="a die"), 0, "x is 0, expected a die.", "words of one's own"),
    (number(0, 1000), -1, "x is -1, expected a number from 0 to 1000.", "below the least"),
    (number(0, 1e6), 1e7, "x is 10000000.0, expected a number from 0 to 1e+06.", "above the most"),
    (number(0, 1), math.nan, "x is nan, expected a number from 0 to 1.", "NaN is in no range"),
    (number(0, 1), True, "x is true, expected a number from 0 to 1.", "a boolean is not a number either"),
    (number(0, 1), "0.5", "x is '0.5', expected a number from 0 to 1.", "text, where none is spelled"),
    (number(0, math.inf), 10**400, "x is 1000", "a whole number that no float64 holds"),
    (ABOVE_0, 0, "x is 0, expected a number above 0.", "the bound itself, where it must be above"),
    (LAYOUT, "best", 'x is \'best\', expected "popular" or "error".', "another name"),
    (LAYOUT, ["error"], 'x is [\'error\'], expected "popular" or "error".', "a list, which can't be looked up"),
    (one_of("a", "b"), "A", "x is 'A', expected one of a, b.", "names are case-sensitive"),
    (FLAG, 1, "x is 1, expected true or false.", "a number is not a boolean"),
    (FLAG, "true", "x is 'true', expected true or false.", "nor is text, where none is spelled"),
    *(
        (SHARE_OR_COUNT, value, "x is {}, expected a whole number of items from 0 to 1000000000, or a share", "")
        for value in (-1, -0.1, 1.5, 10**9 + 1, "0.1", math.nan)
    ),
    (SHARE_OR_COUNT, True, "x is true, expected a whole number of items", "all is 1.0, not true"),
    (spelled(whole(0, 99)), "1_0", "x is '1_0', expected a whole number from 0 to 99.", "Python's own spelling"),
    (spelled(whole(0, 99)), "9" * 5000, "x is '9999", "thousands of digits"),
    (spelled(number(0, 1)), "nan", "x is 'nan', expected a number from 0 to 1.", "the name of no number"),
    (SPELLED_FLAG, "yes", "x is 'yes', expected true or false.", "another word"),
    (SPELLED_FLAG, 1.0, "x is 1.0, expected true or false.", "a number with a point"),
    (SPELLED_FLAG, [], "x is [], expected true or false.", "a list"),
    (optional(whole(1, 9)), "0", "x is '0', expected a whole number from 1 to 9.", "there, and wrong"),
]


@pytest.mark.parametrize(("kind", "value", "words", "why"), REFUSED, ids=[f"{w}{v!r:.20}" for _, v, _, w in REFUSED])
def test_a_value_of_another_kind(kind: Kind[Any], value: Any, words: str, why: str) -> None:
    with pytest.raises(BadValue) as caught:
        kind.read(value, "x")
    assert words.format(shown(value)) in str(caught.value)
    assert (caught.value.field, caught.value.fault) == ("x", "bad_value")
    assert len(str(caught.value)) < 250, "no value floods a log"


# ---- Ids, lists, objects --------------------------------------------------------------------------------------------

IDS: list[tuple[Any, str, str]] = [
    ("85123A", "85123A", "text is taken as it is"),
    ("00123", "00123", "zeros in front stay"),
    (17850, "17850", "a whole number means its digits"),
    ("  x y ", "x y", "trimmed outside, not within"),
    ("é" * 128, "é" * 128, "256 bytes are the most"),
    ("x" * 256, "x" * 256, "256 letters too"),
]
NO_IDS: list[tuple[Any, str, str]] = [
    (17850.0, "expected an id as text", "a number with a point"),
    (True, "expected an id as text", "a boolean is no number"),
    (None, "expected an id as text", "nothing"),
    (["a"], "expected an id as text", "a list"),
    (" ", "never empty", "only blanks"),
    ("é" * 129, "at most 256 UTF-8 bytes, this one has 258", "too long"),
    ("x" * 257, "at most 256 UTF-8 bytes, this one has 257", "too long in ASCII"),
    ("\ud800", "without lone surrogates", "no Unicode text"),
    ("a\nb", "on one line, without NUL", "a line's end within"),
    ("a\0b", "on one line, without NUL", "a NUL within"),
]


@pytest.mark.parametrize(("value", "expected", "why"), IDS, ids=[why for *_, why in IDS])
def test_an_id_in_json(value: Any, expected: str, why: str) -> None:
    assert parse_id(value) == expected
    assert an_id(value, "item") == expected


@pytest.mark.parametrize(("value", "words", "why"), NO_IDS, ids=[why for *_, why in NO_IDS])
def test_what_is_no_id(value: Any, words: str, why: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_id(value)
    with pytest.raises(BadValue, match=words) as caught:
        an_id(value, "items[3]")
    assert str(caught.value).startswith(f"items[3] is {shown(value)}: expected an id")
    assert caught.value.field == "items[3]"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.lists(
        st.one_of(texts, st.text(" \tab\n\0", max_size=3), st.just("x" * 257), st.integers(), st.none()), max_size=5
    )
)
def test_ids_of_a_list_are_what_each_is_parsed_as(values: list[Any]) -> None:
    wrong = [place for place, value in enumerate(values) if not _is_id(value)]
    if wrong:
        with pytest.raises(BadValue) as caught:
            ids(values, "items")
        assert caught.value.field == f"items[{wrong[0]}]", "the first that is wrong is named"
    else:
        assert ids(values, "items") == [parse_id(value) for value in values]


def _is_id(value: Any) -> bool:
    try:
        parse_id(value)
    except ValueError:
        return False
    return True


def test_ids_of_a_list_are_kept_as_given_or_each_once() -> None:
    assert ids(["b", 7, "a", "b"], "items") == ["b", "7", "a", "b"]
    assert unique_ids(["b", 7, "a", " b", "7"], "items", 5) == ("b", "7", "a")
    assert unique_ids([], "items", 0) == ()


UNREADABLE: list[tuple[Callable[[], Any], str, str, str]] = [
    (lambda: a_list("a", "x", 2, "rules"), "x", "bad_value", "x is 'a', expected a list of rules."),
    (lambda: a_list({}, "x", 2, "rules"), "x", "bad_value", "x is {}, expected a list of rules."),
    (lambda: a_list([1, 2, 3], "x", 2, "rules"), "x", "bad_value", "x has 3 entries, expected at most 2."),
    (lambda: unique_ids(["a", "a", "a"], "x", 2), "x", "bad_value", "x has 3 entries, expected at most 2."),
    (lambda: unique_ids(["a", 1.5], "x", 2), "x[1]", "bad_value", "x[1] is 1.5: expected an id as text."),
    (lambda: unique_ids(None, "x", 2), "x", "bad_value", "x is null, expected a list of item ids."),
    (lambda: unique_ids(7, "x", 2, "ids"), "x", "bad_value", "x is 7, expected a list of ids."),
    (
        lambda: an_object([], "x", ("below", "above")),
        "x",
        "bad_value",
        "x is [], expected an object with below, above.",
    ),
    (
        lambda: an_object({"bellow": 1}, "x", ("below", "above")),
        "x.bellow",
        "unknown_field",
        "x has no field 'bellow', did you mean 'below'?",
    ),
    (lambda: an_object({"z": 1}, "x", ("below",)), "x.z", "unknown_field", "x has no field 'z'."),
    (
        lambda: check_fields({"quantiti": 1}, ("item", "quantity"), "history[2]"),
        "history[2].quantiti",
        "unknown_field",
        "There is no field 'quantiti', did you mean 'quantity'? Known are item, quantity.",
    ),
    (
        lambda: check_fields({"y" * 500: 1}, ("item",)),
        "y" * 80,
        "unknown_field",
        f"There is no field '{'y' * 76}.... Known are item.",
    ),
]


@pytest.mark.parametrize(("read", "field", "fault", "words"), UNREADABLE, ids=[words for *_, words in UNREADABLE])
def test_what_can_not_be_read_is_named_with_its_path(
    read: Callable[[], Any], field: str, fault: str, words: str
) -> None:
    with pytest.raises(BadValue) as caught:
        read()
    assert (caught.value.field, caught.value.fault, str(caught.value)) == (field, fault, words)


def test_what_can_be_read_is_returned_as_it_is() -> None:
    entries, fields = [1, "a"], {"below": 1}
    assert a_list(entries, "x", 2, "rules") is entries
    assert an_object(fields, "x", ("below", "above")) is fields
    check_fields(fields, ("below", "above"))


# ---- Words for messages ---------------------------------------------------------------------------------------------

SHOWN: list[tuple[Any, str, str]] = [
    (None, "null", "as JSON has it"),
    (True, "true", "as JSON has it, too"),
    ("it's", '"it\'s"', "text is quoted"),
    (b"\xff", "b'\\xff'", "bytes too"),
    (1e16, "1e+16", "a number is not"),
    ("x" * 78, f"'{'x' * 78}'", "as long as may be"),
    ("x" * 79, f"'{'x' * 76}...", "cut"),
    ([[]] * 10**6, ("[" + "[], " * 30)[:77] + "...", "a million entries"),
    (10**5000, "a int that is too large to show", "more digits than Python writes out"),
]


@pytest.mark.parametrize(("value", "text", "why"), SHOWN, ids=[why for *_, why in SHOWN])
def test_a_value_is_shown(value: Any, text: str, why: str) -> None:
    assert shown(value) == text
    assert len(text) <= 80


def test_what_is_nested_to_the_limit_is_not_shown() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    assert shown(nested) == "a dict that is too large to show"
    while nested:  # or its end would recurse as deep
        nested = nested["a"]


def test_the_nearest_name_ends_the_sentence() -> None:
    assert nearest("exlude", ("include", "exclude")) == ", did you mean 'exclude'?"
    assert nearest("zzz", ("include", "exclude")) == "."
    assert nearest("x" * 10**6, ("x" * 80,)) == f", did you mean '{'x' * 80}'?", "no more of a name is looked at"
