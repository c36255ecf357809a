"""Rows of sales: what is refused in one file, what all files together decide, and what they call their items."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.days import parse_day
from alsriaz.platform.spec import parse_spec
from alsriaz.tables import sales
from alsriaz.tables.columns import READ
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.sales import Collected, Purchases, SalesRows, read_purchases
from alsriaz.tables.texts import Batch

Row = tuple[str, ...]
D = "2010-12-01"
GOOD: Row = ("17850", "A", "6", "2010-12-01", "536365")
LONG = "x" * 257


def batch(rows: Sequence[Row], first: int = 2) -> Batch:
    """Return rows of customer, item, quantity and date, and perhaps of invoice and description."""
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    numbers = np.arange(first, first + len(rows), dtype=np.uint32)
    return Batch(numbers, dict(zip(READ, columns, strict=False)))


def cleaned(*rows: Row, returns: str = "drop") -> SalesRows:
    result = SalesRows("a.csv", parse_spec({"returns": returns}))
    result.add(batch(rows))
    return result


REFUSED = [
    (("", "A", "6", "2010-12-01", "1"), "customer", 0, "no customer: refused, not bad"),
    (("  ", "A", "6", "2010-12-01", "1"), "customer", 0, "a customer of spaces is none"),
    ((LONG, "A", "6", "2010-12-01", "1"), "customer", 1, "too long a customer is bad"),
    (("17850", "", "6", "2010-12-01", "1"), "item", 0, "no item"),
    (("17850", LONG, "6", "2010-12-01", "1"), "item", 1, "too long an item is bad"),
    (("17850", "A", "six", "2010-12-01", "1"), "quantity", 1, "no number"),
    (("17850", "A", "", "2010-12-01", "1"), "quantity", 1, "no quantity"),
    (("17850", "A", "6", "2011-02-30", "1"), "date", 1, "no such day"),
    (("17850", "A", "6", "", "1"), "date", 1, "no date"),
    (("17850", "A", "-6", "2010-12-01", "1"), "return", 0, "below 0"),
    (("17850", "A", "0", "2010-12-01", "1"), "return", 0, "0"),
    (("17850", "A", "6", "2010-12-01", "C536379"), "return", 0, "a cancelled invoice"),
    (("17850", "A", "6", "2010-12-01", " c1"), "return", 0, "a cancelled invoice, in small letters"),
    (("", "", "six", "never", "C1"), "customer", 0, "only the first reason counts"),
    (("17850", LONG, "six", "never", "C1"), "item", 1, "only the first reason counts"),
    (("17850", "A", "six", "never", "C1"), "quantity", 1, "only the first reason counts"),
    (("17850", "A", "-1", "never", "C1"), "date", 1, "only the first reason counts"),
]


@pytest.mark.parametrize(("row", "reason", "bad"), [row[:3] for row in REFUSED], ids=[row[-1] for row in REFUSED])
def test_a_row_is_refused_for_its_first_reason(row: Row, reason: str, bad: int) -> None:
    rows = cleaned(GOOD, row, GOOD)
    assert {name: count for name, count in rows.refusals.counts.items() if count} == {reason: 1}
    assert (rows.refusals.rows, rows.refusals.bad) == (3, bad)
    (chunk,) = rows.chunks
    assert chunk.numbers.tolist() == [2, 4], "the rows around it are kept"
    assert rows.refusals.samples == [RejectedRow("a.csv", 3, reason, *(text[:200] for text in row[:4]))]


SIGNS = [
    (("17850", "A", "6", "2010-12-01", "1"), 6.0, "a sale"),
    (("17850", "A", "-6", "2010-12-01", "1"), -6.0, "a return"),
    (("17850", "A", "-6", "2010-12-01", "C1"), -6.0, "a cancelled invoice with its quantity below 0"),
    (("17850", "A", "6", "2010-12-01", "C1"), -6.0, "a cancelled invoice with the quantity that was sold"),
    (("17850", "A", "0", "2010-12-01", "C1"), 0.0, "nothing"),
]


@pytest.mark.parametrize(("row", "quantity"), [row[:2] for row in SIGNS], ids=[row[-1] for row in SIGNS])
def test_netting_keeps_returns_with_their_sign(row: Row, quantity: float) -> None:
    rows = cleaned(row, returns="net")
    assert rows.chunks[0].quantities.tolist() == [quantity] and not sum(rows.refusals.counts.values())


def test_without_an_invoice_column_the_quantity_alone_tells_returns() -> None:
    rows = SalesRows("a.csv", parse_spec({}))
    rows.add(batch([GOOD[:4], ("17850", "A", "-6", D)]))
    assert rows.refusals.counts["return"] == 1 and rows.chunks[0].quantities.tolist() == [6.0]


def test_kept_rows_are_codes_of_the_files_own_texts() -> None:
    rows = cleaned(GOOD, ("b", " A ", "1.5", "2010-12-02 08:26", "2"), ("17850", "B", "1", "2010-12-01", "3"))
    customers, items, quantities, days, numbers = (array.tolist() for array in rows.chunks[0][:5] if array is not None)
    assert [rows.customers.texts[code] for code in customers] == ["17850", "b", "17850"]
    assert [rows.items.texts[code] for code in items] == ["A", "A", "B"]
    assert [rows.days.texts[code] for code in days] == ["2010-12-01", "2010-12-02", "2010-12-01"]
    assert quantities == [6.0, 1.5, 1.0] and numbers == [2, 3, 4]


def test_readable_counts_rows_with_a_quantity_and_a_date_whoever_bought() -> None:
    rows = cleaned(GOOD, ("", "", "-1", "20101201", ""), ("a", "b", "six", "20101201", ""), ("a", "b", "1", "", ""))
    assert rows.readable == 2


def test_a_row_of_another_shape_is_bad_and_shown() -> None:
    rows = SalesRows("a.csv", parse_spec({}))
    rows.refuse_shape(7, "1|2" + "x" * 500)
    assert (rows.refusals.rows, rows.refusals.bad, rows.refusals.counts["shape"]) == (1, 1, 1)
    assert rows.refusals.samples == [RejectedRow("a.csv", 7, "shape", line=("1|2" + "x" * 500)[:200])]


def test_a_thousand_refused_rows_leave_a_hundred_samples() -> None:
    rows = cleaned(*[("", "A", "1", "20101201", "")] * 1000)
    assert rows.refusals.counts["customer"] == 1000
    assert [sample.row for sample in rows.refusals.samples] == list(range(2, 102))


def test_a_given_date_format_makes_bad_rows_of_the_others() -> None:
    rows = SalesRows("a.csv", parse_spec({"date_format": "d/m/yyyy"}))
    rows.add(batch([(*GOOD[:3], date) for date in ("01/02/2011", "2011-02-01", "02/13/2011")]))
    assert rows.refusals.counts["date"] == rows.refusals.bad == 2


# ---- All files together ----


def collected(*files: list[Row], numeric: tuple[str, ...] = (), **settings: Any) -> Collected:
    """Return files, each in batches of two rows; those of `numeric` as if their columns held numbers."""
    spec = parse_spec(settings)
    result = Collected(spec)
    for place, rows in enumerate(files):
        file = SalesRows(f"{place}.csv", spec, frozenset(numeric))
        for start in range(0, len(rows), 2):
            file.add(batch(rows[start : start + 2], start + 2))
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


# ---- Descriptions ----

HEADER = "customer,item,quantity,date,description\n"


def described(*files: Path, **settings: Any) -> dict[str, str] | None:
    purchases, _ = read_purchases(list(files), parse_spec(settings), lambda _: None)
    if purchases.descriptions is None:
        return None
    return dict(zip(purchases.item_ids, purchases.descriptions, strict=True))


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def rows_of(*pairs: tuple[str, str]) -> str:
    return "".join(f'1,{item},1,2010-12-01,"{told}"\n' for item, told in pairs)


CASES: list[tuple[list[tuple[str, str]], dict[str, str] | None, str]] = [
    ([("a", "x"), ("a", "y"), ("a", "y"), ("b", "x")], {"a": "y", "b": "x"}, "what most rows say"),
    ([("a", "é"), ("a", "b"), ("a", "Z")], {"a": "Z"}, "of equally frequent ones the first in code-point order"),
    ([("a", ""), ("a", " "), ("a", "x"), ("b", "")], {"a": "x", "b": ""}, "empty ones don't count"),
    ([("a", " x"), ("a", "x "), ("a", "y")], {"a": "x"}, "they are trimmed first"),
    ([("a", "x" * 1025), ("a", "é" * 513), ("b", "é" * 512)], {"a": "", "b": "é" * 512}, "too long to be one"),
    ([("a", "x\n1,2"), ("a", 'the ""best""')], {"a": 'the "best"'}, "quotes and line ends"),
    ([("a", ""), ("b", "")], None, "nothing is told"),
]


@pytest.mark.parametrize(("pairs", "expected", "why"), CASES, ids=[why for *_, why in CASES])
def test_an_item_is_called_what_most_of_its_rows_say(
    tmp_path: Path, pairs: list[tuple[str, str]], expected: dict[str, str] | None, why: str
) -> None:
    assert described(written(tmp_path, HEADER + rows_of(*pairs))) == expected


def test_only_accepted_rows_count(tmp_path: Path) -> None:
    text = HEADER + rows_of(("a", "x")) + ",a,1,2010-12-01,y\n" * 3 + "1,a,-1,2010-12-01,y\n1,a,99,2010-12-01,y\n" * 2
    assert described(written(tmp_path, text), max_quantity=9) == {"a": "x"}


def test_files_with_and_without_descriptions_are_one_input(tmp_path: Path) -> None:
    first = written(tmp_path, "1|a|1|2010-12-01\n" * 3, "a.csv")
    second = written(tmp_path, HEADER + rows_of(("a", "x"), ("b", "y"), ("a", "z"), ("a", "z")), "b.csv.gz")
    third = written(tmp_path, "1|a|1|2010-12-01\n1|c|1|2010-12-01\n", "c.csv")
    columns = {"customer": ["1"] * 3, "item": ["a"] * 3, "qty": [1] * 3, "date": ["2010-12-01"] * 3}
    pq.write_table(
        pa.table(columns | {"description": pa.array(["x", None, "x"]).dictionary_encode()}), tmp_path / "d.parquet"
    )
    expected = {"a": "x", "b": "y", "c": ""}
    assert described(first, second, third, tmp_path / "d.parquet") == expected
    assert described(tmp_path / "d.parquet", third, second, first) == expected
    assert described(first, third) is None


@pytest.mark.parametrize(
    ("column", "why"),
    [(pa.array([["x"]]), "a list"), (pa.array([7]), "a number"), (pa.array([b"\xff"]), "bytes")],
    ids=["a list", "a number", "bytes"],
)
def test_a_parquet_column_that_is_no_text_is_no_description(tmp_path: Path, column: Any, why: str) -> None:
    columns = {"customer": ["1"], "item": ["a"], "qty": [1], "date": ["2010-12-01"], "description": column}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert described(tmp_path / "a.parquet") is None


def test_two_parquet_columns_named_description_are_none(tmp_path: Path) -> None:
    arrays = [pa.array([value]) for value in ("1", "a", "1", "2010-12-01", "x", "y")]
    names = ["customer", "item", "qty", "date", "description", "description"]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), tmp_path / "a.parquet")
    assert described(tmp_path / "a.parquet") is None


def test_texts_that_differ_in_every_row_are_no_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sales, "MOST_DESCRIPTIONS", 3)
    three = written(tmp_path, HEADER + rows_of(("a", "1"), ("a", "2"), ("a", "3"), ("a", "")), "a.csv")
    assert described(three) == {"a": "1"}
    other = written(tmp_path, HEADER + rows_of(("a", "3"), ("a", "4")), "b.csv")
    assert described(three, other) is None, "of all files together, so that how they are split makes no difference"
    four = written(tmp_path, HEADER + rows_of(("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "1")), "c.csv")
    assert described(four) is None
    assert described(four, three) is None


items_told = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y", "é", "Z"])), min_size=1, max_size=30
)


@given(items_told, st.integers(0, 30), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_their_files_matter(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], cut: int, random: Any
) -> None:
    folder = tmp_path_factory.mktemp("sales")
    expected: dict[str, str] = {}
    for item in {item for item, _ in pairs}:
        told = [text for other, text in pairs if other == item and text]
        expected[item] = min(told, key=lambda text, told=told: (-told.count(text), text), default="")  # type: ignore[misc]
    shuffled = random.sample(pairs, len(pairs))
    halves = [shuffled[:cut], shuffled[cut:]]
    files = [written(folder, HEADER + rows_of(*half), f"{n}.csv") for n, half in enumerate(halves) if half]
    assert (described(*files) or dict.fromkeys(expected, "")) == expected
