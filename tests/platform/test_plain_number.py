import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.platform.plain_number import parse_number, shortest_text

NUMBERS = [
    ("6", 6.0, "whole"),
    (" -6.50 ", -6.5, "spaces, a sign, a fraction"),
    ("+1", 1.0, "a plus"),
    (".5", 0.5, "no zero"),
    ("1e3", 1000.0, "an exponent"),
    ("", None, "nothing"),
    ("1,5", None, "a decimal comma"),
    ("1_0", None, "Python's own spelling"),
    ("nan", None, "no number by its name"),
    ("1e999", None, "beyond float64"),
    ("٣", None, "digits beyond ASCII"),
    ("9" * 401, None, "longer than any float64"),
]


@pytest.mark.parametrize(("text", "number", "why"), NUMBERS, ids=[why for *_, why in NUMBERS])
def test_a_text_is_a_number_or_none(text: str, number: float | None, why: str) -> None:
    parsed = parse_number(text)
    assert math.isnan(parsed) if number is None else parsed == number


SHORTEST = [(5.0, "5"), (-0.0, "0"), (2.5, "2.5"), (0.1, "0.1"), (1e-5, "0.00001"), (1e22, "1" + "0" * 22), (7, "7")]


@pytest.mark.parametrize(("number", "text"), SHORTEST)
def test_a_number_in_the_fewest_plain_digits(number: float, text: str) -> None:
    assert shortest_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([sys.float_info.max, 5e-324]))
def test_what_is_written_is_read_as_the_same_number(number: float) -> None:
    assert parse_number(shortest_text(number)) == number
    assert "e" not in shortest_text(number)
