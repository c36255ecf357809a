from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.days import parse_day
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.batches import Batch
from alsriaz.tables.cleaning import FileRows
from alsriaz.tables.collected import Collected
from alsriaz.tables.purchases import Purchases
from alsriaz.tables.refusals import Refusals, RejectedRow

Row = tuple[str, str, str, str]


def collected(*files: list[Row], numeric: tuple[str, ...] = (), **settings: Any) -> Collected:
    """Return files, each in batches of two rows; those of `numeric` as if their columns held numbers."""
    spec = parse_spec(settings)
    result = Collected(spec)
    for place, rows in enumerate(files):
        file = FileRows(f"{place}.csv", spec, frozenset(numeric))
        for start in range(0, len(rows), 2):
            columns = [pa.array(column) for column in zip(*rows[start : start + 2], strict=True)]
            numbers = np.arange(start + 2, start + 2 + len(columns[0]), dtype=np.uint32)
            file.add(Batch._make([numbers, *columns, None, None]))
        result.add(file)
    return result


def finished(*files: list[Row], **settings: Any) -> tuple[Purchases, Refusals]:
    rows = collected(*files, **settings)
    return rows.finish(), rows.refusals


def told(purchases: Purchases) -> list[tuple[str, str, float]]:
    return [
        (purchases.customer_ids[customer], purchases.item_ids[item], quantity)
        for customer, item, quantity in zip(
            purchases.customers, purchases.items, purchases.quantities.tolist(), strict=True
        )
    ]


D = "2010-12-01"


def test_purchases_come_in_reading_order_over_ids_in_code_point_order() -> None:
    first: list[Row] = [("b", "é", "1", "2010-12-02"), ("B", "z", "2", D), ("", "unseen", "1", D), ("a", "é", "3", D)]
    second: list[Row] = [("10", "Z", "4", D), ("9", "é", "5", D)]
    purchases, refusals = finished(first, second)
    assert purchases.customer_ids == ["10", "9", "B", "a", "b"]
    assert purchases.item_ids == ["Z", "z", "é"]
    assert told(purchases) == [("b", "é", 1), ("B", "z", 2), ("a", "é", 3), ("10", "Z", 4), ("9", "é", 5)]
    assert purchases.days.tolist() == [parse_day("20101202")] + [parse_day("20101201")] * 4
    assert (refusals.rows, refusals.counts["customer"]) == (6, 1)
    types = [array.dtype for array in (purchases.customers, purchases.items, purchases.quantities, purchases.days)]
    assert types == [np.int32, np.int32, np.float64, np.int32]


DOT_ZERO = [
    ([[("1.0", "A", "1", D), ("2.0", "A", "1", D)]], (), ["1", "2"], "every customer is digits.0"),
    ([[("1.0", "A", "1", D), ("", "A", "1", D)]], (), ["1"], "or empty"),
    ([[("1.0", "A", "1", D)], [("2.0", "A", "1", D)]], (), ["1", "2"], "in every file"),
    ([[("1.0", "A", "1", D)], [("2", "A", "1", D)]], (), ["1.0", "2"], "not in another file: all stays as it is"),
    ([[("1.0", "A", "1", D), ("x", "A", "six", D)]], (), ["1.0"], "not in a refused row: all stays as it is"),
    ([[("1", "A", "1", D)], [("2", "A", "1", D)]], ("customer",), ["1", "2"], "numbers have none"),
]


@pytest.mark.parametrize(
    ("files", "numeric", "customers"), [row[:3] for row in DOT_ZERO], ids=[row[-1] for row in DOT_ZERO]
)
def test_dot_zero_goes_only_where_all_have_it(
    files: list[list[Row]], numeric: tuple[str, ...], customers: list[str]
) -> None:
    purchases, _ = finished(*files, numeric=numeric, max_bad_rows=1)
    assert purchases.customer_ids == customers and purchases.item_ids == ["A"]


FILTERED: list[Row] = [
    ("1", "A", "1", D),
    ("2", "A", "1", D),
    ("3", "POST", "1", D),
    ("3", "A", "500", D),
    ("1", "B", "1", D),
    ("1", "B", "2", D),
    ("2", "C", "1", D),
    ("3", "C", "600", D),
]
KEPT = [
    ({}, {}, 8, "no filter"),
    ({"exclude_items": ["POST", "M"]}, {"exclude_items": 1}, 7, "codes that are no product"),
    ({"exclude_items": ["post"]}, {}, 8, "case matters"),
    ({"max_quantity": 500}, {"max_quantity": 1}, 7, "the limit itself is allowed"),
    ({"min_item_customers": 2}, {"min_item_customers": 3}, 5, "B and POST have one customer"),
    ({"max_quantity": 500, "min_item_customers": 2}, {"max_quantity": 1, "min_item_customers": 4}, 3, "C lost one"),
    ({"exclude_items": ["A"], "max_quantity": 9}, {"exclude_items": 3, "max_quantity": 1}, 4, "the first reason"),
]


@pytest.mark.parametrize(("settings", "counts", "left"), [row[:3] for row in KEPT], ids=[row[-1] for row in KEPT])
def test_filters_refuse_and_count(settings: dict[str, Any], counts: dict[str, int], left: int) -> None:
    purchases, refusals = finished(FILTERED, **settings)
    assert {reason: count for reason, count in refusals.counts.items() if count} == counts
    assert len(purchases.customers) == left and refusals.bad == 0


FILTERS = {"max_quantity": 500, "min_item_customers": 2, "exclude_items": ["POST"]}
REFUSED_ITEMS: list[tuple[list[Row], dict[str, Any], set[str], str]] = [
    (FILTERED, {}, set(), "all have a row"),
    (FILTERED, FILTERS, {"POST", "B", "C"}, "the spec's filters"),
    ([("1", "A", "1", D), ("", "Z", "1", D)], {}, {"Z"}, "sold, but nobody knows to whom"),
    ([("1", "A", "1", D), ("1", "Z", "-1", D)], {}, {"Z"}, "returned: it was sold before"),
    ([("1", "A", "1", D), ("1", "Z", "-1", D)], {"returns": "net"}, set(), "a netted return is a row"),
    ([("1", "A", "1", D), ("1", "Z", "six", D)], {}, {"Z"}, "no quantity"),
    ([("1", "A", "1", D), ("1", "Z", "1", "never")], {}, {"Z"}, "no date"),
    ([("1", "A", "1", D), ("", "A", "1", D), ("1", "", "1", D)], {}, set(), "one row of several, and no item"),
    ([("1", "7.0", "1", D), ("", "8.0", "1", D)], {}, {"8"}, "spelled as ids are decided"),
]


@pytest.mark.parametrize(
    ("rows", "settings", "items"), [row[:3] for row in REFUSED_ITEMS], ids=[row[-1] for row in REFUSED_ITEMS]
)
def test_items_without_a_row_left_are_told(rows: list[Row], settings: dict[str, Any], items: set[str]) -> None:
    purchases, _ = finished(rows, max_bad_rows=1, **settings)
    assert purchases.refused_items == items


def test_an_item_whose_rows_one_file_refuses_and_another_has_is_no_refused_one() -> None:
    purchases, _ = finished([("", "A", "1", D), ("", "B", "1", D)], [("1", "A", "1", D)])
    assert purchases.item_ids == ["A"] and purchases.refused_items == {"B"}


def test_excluded_items_are_spelled_as_in_the_purchases() -> None:
    purchases, refusals = finished([("a", "7.0", "1", D), ("b", "8.0", "1", D)], exclude_items=["7"])
    assert purchases.item_ids == ["8"] and refusals.counts["exclude_items"] == 1


def test_a_return_is_no_customer_of_an_item() -> None:
    rows: list[Row] = [("1", "A", "1", D), ("2", "A", "-1", D), ("1", "B", "1", D), ("2", "B", "2", D)]
    purchases, refusals = finished(rows, returns="net", min_item_customers=2)
    assert told(purchases) == [("1", "B", 1), ("2", "B", 2)] and refusals.counts["min_item_customers"] == 2


def test_a_large_return_is_as_absurd_as_a_large_sale() -> None:
    _, refusals = finished([("1", "A", "1", D), ("2", "A", "-80995", D)], returns="net", max_quantity=1000)
    assert refusals.counts["max_quantity"] == 1


def test_filtered_rows_are_shown_as_understood_with_their_file_and_row() -> None:
    first: list[Row] = [("1", "A", "1", D)] * 3
    second: list[Row] = [("1", "A", "1", D), (" 2 ", "A", "7000.0", "2010-12-01 08:26"), ("3", "A", "0.5", D)]
    _, refusals = finished(first, second, max_quantity=100)
    assert refusals.samples == [RejectedRow("1.csv", 3, "max_quantity", "2", "A", "7000", D)]


def test_too_many_bad_rows_fail_before_the_filters() -> None:
    with pytest.raises(DataError, match="1 of 3 rows are bad"):
        finished([("1", "A", "six", D), ("1", "A", "1", D), ("1", "B", "1", D)], exclude_items=["A", "B"])


def test_nothing_left_fails_and_says_why() -> None:
    with pytest.raises(DataError) as caught:
        finished([("1", "A", "1", D), ("", "A", "1", D), ("", "A", "1", D)], exclude_items=["A"])
    assert str(caught.value) == "none of the 3 rows is left: refused were 2 customer, 1 exclude_items."


def test_rows_of_which_none_was_kept_fail_too() -> None:
    with pytest.raises(DataError, match="none of the 1 rows is left: refused were 1 customer"):
        finished([("", "A", "1", D)])


def test_dates_of_two_files_must_agree() -> None:
    with pytest.raises(
        DataError, match=r"'2010-12-01' \(iso; 0\.csv row 2\) and '20101201' \(yyyymmdd; 1\.csv row 2\)"
    ):
        finished([("1", "A", "1", D)], [("1", "A", "1", "20101201")])
