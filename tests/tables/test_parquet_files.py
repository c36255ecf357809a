import datetime
import math
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.parquet_files import as_texts, open_parquet, parquet_batches
from alsriaz.tables.sales import SalesKind
from alsriaz.tables.texts import Batch

MOMENT = datetime.datetime(2010, 12, 1, 23, 30)
TEXTS = [
    (pa.array(["00123", "NA", None, ""]), ["00123", "NA", "", ""], "text"),
    (pa.array(["a", None], pa.large_string()), ["a", ""], "large text"),
    (pa.array(["a"], pa.string_view()), ["a"], "a view of text"),
    (pa.array(["a", "b", None, "a"]).dictionary_encode(), ["a", "b", "", "a"], "categories"),
    (pa.array([7.0, None]).dictionary_encode(), ["7", ""], "categories of numbers"),
    (pa.array([b"caf\xc3\xa9", None]), ["café", ""], "bytes that are UTF-8"),
    (pa.array([17850, None, -1]), ["17850", "", "-1"], "whole numbers"),
    (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"], "large whole numbers"),
    (pa.array([17850.0, None, float("nan"), 0.5, -1.0]), ["17850", "", "", "0.5", "-1"], "floats"),
    (pa.array([1e15, 123456789012345678.0]), ["1000000000000000", "1.2345678901234568e+17"], "large floats"),
    (pa.array([17850.0, 2.99, 1e20], pa.float32()), ["17850", "2.99", "1e+20"], "small floats have no false digits"),
    (pa.array(np.array([2048, 0.1], np.float16)), ["2048", "0.099975586"], "the smallest floats"),
    (pa.array([math.inf, -math.inf, 1.0]), ["inf", "-inf", "1"], "no finite number: for who reads it to refuse"),
    (pa.array([Decimal("17850"), None]), ["17850", ""], "decimals"),
    (pa.array([Decimal("17850.00"), Decimal("1.50")]), ["17850", "1.50"], "decimals with a fraction"),
    (pa.array([MOMENT.date(), None]), ["2010-12-01", ""], "days"),
    (pa.array([MOMENT.date()], pa.date64()), ["2010-12-01"], "days in milliseconds"),
    (pa.array([MOMENT], pa.timestamp("s")), ["2010-12-01 23:30:00"], "moments"),
    (pa.array([MOMENT], pa.timestamp("ns")), ["2010-12-01 23:30:00.000000000"], "exact moments"),
    (pa.array([MOMENT], pa.timestamp("us", "UTC")), ["2010-12-01 23:30:00.000000Z"], "moments of UTC"),
    (pa.array([MOMENT], pa.timestamp("s", "+02:00")), ["2010-12-02 01:30:00+0200"], "the zone's own day"),
    (pa.array([20101201, 20101202]), ["20101201", "20101202"], "yyyymmdd as a number"),
    (pa.array([20101201.0, None]), ["20101201", ""], "yyyymmdd as a float"),
    (pa.nulls(2), ["", ""], "nothing at all"),
]


@pytest.mark.parametrize(("column", "texts"), [row[:2] for row in TEXTS], ids=[row[-1] for row in TEXTS])
def test_a_typed_column_becomes_texts(column: Any, texts: list[str]) -> None:
    assert as_texts(column).to_pylist() == texts
    assert as_texts(column.slice(1)).to_pylist() == texts[1:]


FINITE = [
    (pa.array([math.inf, -math.inf, math.nan, None, 0.5]), ["", "", "", "", "0.5"], "float64"),
    (pa.array([math.inf, 2.99], pa.float32()), ["", "2.99"], "float32"),
    (pa.array(np.array([-np.inf, 0.5], np.float16)), ["", "0.5"], "float16"),
    (pa.array([math.inf, 7.0]).dictionary_encode(), ["", "7"], "categories"),
    (pa.array(["inf", "7"]), ["inf", "7"], "text is no number"),
]


@pytest.mark.parametrize(("column", "texts"), [row[:2] for row in FINITE], ids=[row[-1] for row in FINITE])
def test_what_is_infinite_may_count_as_missing(column: Any, texts: list[str]) -> None:
    assert as_texts(column, finite=True).to_pylist() == texts


def written(folder: Path, row_group_size: int = 1 << 20, **columns: Any) -> Path:
    path = folder / "a.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def batches_of(path: Path, **settings: Any) -> list[Batch]:
    kind = SalesKind(parse_spec(settings), path.name)
    with closing(open_parquet(path, path.name)) as parquet:
        _, columns = kind.parquet_rows(parquet.schema_arrow)
        return list(parquet_batches(parquet, columns, path.name, kind.parquet_texts))


def test_rows_come_in_order_numbered_from_1(tmp_path: Path) -> None:
    n = 300_000
    path = written(tmp_path, 7000, note=["x"] * n, qty=range(n), date=[20101201] * n, item=["a"] * n, cust=range(n))
    numbers: list[int] = []
    for batch in batches_of(path):
        assert set(batch.columns) == {"customer", "item", "quantity", "date"}
        assert batch.columns["customer"].to_pylist() == [str(number - 1) for number in batch.numbers]
        numbers += batch.numbers.tolist()
    assert numbers == list(range(1, n + 1))


def test_columns_may_be_given_by_name_or_number(tmp_path: Path) -> None:
    path = written(tmp_path, who=["c"], item=["a"], qty=[1.0], date=["20101201"], bill=["C1"])
    (batch,) = batches_of(path, columns={"customer": "who", "invoice": 5})
    assert batch.columns["customer"].to_pylist() == ["c"] and batch.columns["invoice"].to_pylist() == ["C1"]


def errors_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        batches_of(path)
    return str(caught.value)


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for data in (b"", b"cust,item\n", b"PAR1" + b"x" * 100 + b"PAR1"):
        path.write_bytes(data)
        words = errors_of(path)
        assert words.startswith("a.parquet can't be read as Parquet: ")
        assert words.endswith(". Is it whole, and not CSV under another name?")


def test_damage_within_is_told(tmp_path: Path) -> None:
    n = 10_000
    path = written(tmp_path, cust=range(n), item=range(n), qty=range(n), date=range(n))
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\xff" * 1996
    path.write_bytes(data)
    assert errors_of(path).startswith("a.parquet is damaged: ")


ELSEWHERE = pa.array([MOMENT], pa.timestamp("ms", "Nowhere/At all"))
ERRORS = [
    ({"item": None}, "there is no column for item", "a column is missing"),
    ({"cust": [["c"]]}, "a.parquet: the column 'cust' (customer) is of type list<", "a list"),
    (
        {"cust": [b"\xff"]},
        "is of type binary: expected text in UTF-8, numbers or dates (Invalid UTF8",
        "bytes that are no UTF-8",
    ),
    ({"date": ELSEWHERE}, "the column 'date' (date) is of type timestamp[ms, tz=Nowhere/At all]", "an unknown zone"),
]


@pytest.mark.parametrize(("columns", "words"), [row[:2] for row in ERRORS], ids=[row[-1] for row in ERRORS])
def test_a_column_that_has_no_text_is_told(tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    columns = {"cust": ["c"], "item": ["a"], "qty": [1], "date": ["20101201"]} | columns
    columns = {name: values for name, values in columns.items() if values is not None}
    assert words in errors_of(written(tmp_path, **columns))


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    arrays = [pa.array([value]) for value in ("c", "a", "1", "d", "d")]
    pq.write_table(pa.Table.from_arrays(arrays, names=["cust", "item", "qty", "date", "date"]), path)
    with pytest.raises(DataError, match=r"a\.parquet has two columns named 'date': give each its own name"):
        batches_of(path, columns={"date": 4})
