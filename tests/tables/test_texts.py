import math

import pyarrow as pa
import pytest

from alsriaz.tables.texts import EMPTY, NO_ID, IdTexts, parse_quantity, quantities

QUANTITIES = [
    ("6", 6.0, "a whole number"),
    ("6.0", 6.0, "a float"),
    (" 6\t", 6.0, "spaces around it don't matter"),
    ("+6", 6.0, "a sign"),
    ("-1", -1.0, "a return is a number"),
    (".5", 0.5, "nothing before the point"),
    ("5.", 5.0, "nothing after the point"),
    ("1e3", 1000.0, "an exponent"),
    ("-0", 0.0, "minus zero is zero"),
    ("six", None, "a word"),
    ("", None, "nothing"),
    ("1,000", None, "thousands are not told apart"),
    ("1_000", None, "Python's own digits are not everyone's"),
    ("0x10", None, "no other base"),
    ("nan", None, "not finite"),
    ("inf", None, "not finite"),
    ("1e999", None, "too large to be finite"),
    ("\u0661", None, "only ASCII digits are plain"),
    ("9" * 101, None, "no quantity has 101 digits"),
]


@pytest.mark.parametrize(("text", "number"), [row[:2] for row in QUANTITIES], ids=[row[-1] for row in QUANTITIES])
def test_a_quantity_is_a_plain_finite_number(text: str, number: float | None) -> None:
    parsed = parse_quantity(text)
    assert math.isnan(parsed) if number is None else parsed == number


def test_a_columns_quantities_stand_in_its_order() -> None:
    assert quantities(pa.array(["2", "1", "2", "-1"])).tolist() == [2, 1, 2, -1]


IDS = [
    (["b", "a", "b"], [0, 1, 0], ["b", "a"], "codes count up in order of appearance"),
    ([" a ", "a", "\u00a0a"], [0, 0, 0], ["a"], "ids are trimmed, of any white space"),
    (["A", "a"], [0, 1], ["A", "a"], "case matters"),
    (["00123", "123", "NA", "null"], [0, 1, 2, 3], ["00123", "123", "NA", "null"], "an id is text and nothing else"),
    (["", "  "], [EMPTY, EMPTY], [], "no id"),
    (["x" * 256, "x" * 257], [0, NO_ID], ["x" * 256], "at most 256 bytes"),
    (["é" * 128, "é" * 129], [0, NO_ID], ["é" * 128], "bytes of UTF-8, not characters"),
    (["x" + " " * 1000], [0], ["x"], "the limit holds for the trimmed id"),
    (["a\0b"], [NO_ID], [], "no id has a NUL"),
]


@pytest.mark.parametrize(("column", "codes", "texts"), [row[:3] for row in IDS], ids=[row[-1] for row in IDS])
def test_ids_become_codes(column: list[str], codes: list[int], texts: list[str]) -> None:
    ids = IdTexts()
    assert ids.codes(pa.array(column)).tolist() == codes
    assert ids.texts == texts


def test_ids_keep_their_codes_from_batch_to_batch() -> None:
    ids = IdTexts()
    assert ids.codes(pa.array(["a", "b"])).tolist() == [0, 1]
    assert ids.codes(pa.array(["c", "b", " a"])).tolist() == [2, 1, 0]


DOT_ZERO = [
    (["17850.0", "7.0"], True, "a table of floats"),
    (["17850.0", "", " "], True, "that is why they became floats: some are missing"),
    (["17850.0", "17850"], False, "one is written without"),
    (["17850.0", "x.0"], False, "one is no number"),
    (["-1.0"], False, "digits only"),
    ([".0"], False, "no digits at all"),
    (["1.0", "9" * 300 + ".0"], False, "one is no id"),
]


@pytest.mark.parametrize(("column", "expected"), [row[:2] for row in DOT_ZERO], ids=[row[-1] for row in DOT_ZERO])
def test_dot_zero_says_whether_all_ids_are_floats(column: list[str], expected: bool) -> None:
    ids = IdTexts()
    ids.codes(pa.array(column))
    assert ids.dot_zero == expected


def test_a_column_of_numbers_says_nothing_about_dot_zero() -> None:
    ids = IdTexts(numeric=True)
    ids.codes(pa.array(["17850"]))
    assert ids.dot_zero
