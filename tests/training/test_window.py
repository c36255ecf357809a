from typing import Any

import numpy as np
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.days import Day, day_text, today
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sales import Purchases
from alsriaz.training.window import Window, find_window


def bought_on(*days: int) -> Purchases:
    ones = np.ones(len(days))
    zeros = np.zeros(len(days), dtype=np.int32)
    return Purchases(["c"], ["i"], zeros, zeros, ones, np.array(days, dtype=np.int32))


DATA = bought_on(15_000, 15_050, 15_100)

EXAMPLES: list[tuple[dict[str, Any], tuple[int, int], str]] = [
    ({}, (15_000, 15_100), "everything"),
    ({"retention_days": 1}, (15_100, 15_100), "days alone end at the data's last day, which is one of them"),
    ({"retention_days": 51}, (15_050, 15_100), "so many days"),
    ({"retention_date": day_text(15_050)}, (15_000, 15_050), "a date alone keeps all up to it, itself included"),
    ({"retention_date": day_text(15_060), "retention_days": 20}, (15_041, 15_060), "days that end with a date"),
    ({"retention_days": 30_000}, (15_000, 15_100), "the window is no longer than the data"),
]


@pytest.mark.parametrize(("given", "expected", "why"), EXAMPLES, ids=[why for *_, why in EXAMPLES])
def test_the_window(given: dict[str, Any], expected: tuple[int, int], why: str) -> None:
    assert find_window(parse_spec(given), DATA) == (Window(Day(expected[0]), Day(expected[1])), [])


def test_a_date_after_the_data_means_the_last_day_with_a_warning() -> None:
    window, warnings = find_window(parse_spec({"retention_date": "20180205", "retention_days": 10}), DATA)
    assert window == Window(Day(15_091), Day(15_100))
    assert warnings == [
        "retention_date 2018-02-05 is after the data's last day: the window was moved to end on 2011-05-06."
    ]


REFUSED = [
    ({"retention_date": day_text(14_999)}, "the window ends before the data begins"),
    ({"retention_date": day_text(15_040), "retention_days": 10}, "the window lies in a gap"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_a_window_without_purchases(given: dict[str, Any], why: str) -> None:
    with pytest.raises(
        DataError, match=r"No purchase lies in the retention window, .* runs from 2011-01-26 to 2011-05-06"
    ):
        find_window(parse_spec(given), DATA)


def test_a_last_day_in_the_future_is_warned_about() -> None:
    _, warnings = find_window(parse_spec({}), bought_on(15_000, today() + 2))
    assert len(warnings) == 1
    assert "is in the future: are the dates read as they are meant?" in warnings[0]


def test_a_window_is_cut_in_two() -> None:
    window = Window(Day(0), Day(9))
    assert (window.until(4), window.after(4)) == (Window(Day(0), Day(4)), Window(Day(5), Day(9)))
    assert str(window) == "1970-01-01 to 1970-01-10"
