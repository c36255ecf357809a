import numpy as np
import pyarrow as pa
import pytest

from alsriaz.platform.spec import parse_spec
from alsriaz.tables.batches import Batch
from alsriaz.tables.cleaning import FileRows
from alsriaz.tables.refusals import RejectedRow

Row = tuple[str, str, str, str, str]
GOOD: Row = ("17850", "A", "6", "2010-12-01", "536365")
LONG = "x" * 257


def cleaned(*rows: Row, returns: str = "drop") -> FileRows:
    result = FileRows("a.csv", parse_spec({"returns": returns}))
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    result.add(Batch._make([np.arange(2, 2 + len(rows), dtype=np.uint32), *columns, None]))
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
    assert chunk[4].tolist() == [2, 4], "the rows around it are kept"
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
    assert rows.chunks[0][2].tolist() == [quantity] and not sum(rows.refusals.counts.values())


def test_without_an_invoice_column_the_quantity_alone_tells_returns() -> None:
    rows = FileRows("a.csv", parse_spec({}))
    columns = [pa.array([text, text]) for text in GOOD[:2]] + [pa.array(["6", "-6"]), pa.array([GOOD[3]] * 2)]
    rows.add(Batch._make([np.array([2, 3], np.uint32), *columns, None, None]))
    assert rows.refusals.counts["return"] == 1 and rows.chunks[0][2].tolist() == [6.0]


def test_kept_rows_are_codes_of_the_files_own_texts() -> None:
    rows = cleaned(GOOD, ("b", " A ", "1.5", "2010-12-02 08:26", "2"), ("17850", "B", "1", "2010-12-01", "3"))
    customers, items, quantities, days, numbers = (array.tolist() for array in rows.chunks[0][:5])
    assert [rows.customers.texts[code] for code in customers] == ["17850", "b", "17850"]
    assert [rows.items.texts[code] for code in items] == ["A", "A", "B"]
    assert [rows.days.texts[code] for code in days] == ["2010-12-01", "2010-12-02", "2010-12-01"]
    assert quantities == [6.0, 1.5, 1.0] and numbers == [2, 3, 4]


def test_readable_counts_rows_with_a_quantity_and_a_date_whoever_bought() -> None:
    rows = cleaned(GOOD, ("", "", "-1", "20101201", ""), ("a", "b", "six", "20101201", ""), ("a", "b", "1", "", ""))
    assert rows.readable == 2


def test_a_row_of_another_shape_is_bad_and_shown() -> None:
    rows = FileRows("a.csv", parse_spec({}))
    rows.refuse_shape(7, "1|2" + "x" * 500)
    assert (rows.refusals.rows, rows.refusals.bad, rows.refusals.counts["shape"]) == (1, 1, 1)
    assert rows.refusals.samples == [RejectedRow("a.csv", 7, "shape", line=("1|2" + "x" * 500)[:200])]


def test_a_thousand_refused_rows_leave_a_hundred_samples() -> None:
    rows = cleaned(*[("", "A", "1", "20101201", "")] * 1000)
    assert rows.refusals.counts["customer"] == 1000
    assert [sample.row for sample in rows.refusals.samples] == list(range(2, 102))


def test_a_given_date_format_makes_bad_rows_of_the_others() -> None:
    rows = FileRows("a.csv", parse_spec({"date_format": "d/m/yyyy"}))
    columns = [pa.array([text] * 3) for text in GOOD[:3]] + [pa.array(["01/02/2011", "2011-02-01", "02/13/2011"])]
    rows.add(Batch._make([np.arange(3, dtype=np.uint32), *columns, None, None]))
    assert rows.refusals.counts["date"] == rows.refusals.bad == 2
