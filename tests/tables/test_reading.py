"""Whole files, read from disk: every kind, and every way in which one can be broken."""

import datetime
import gzip
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.days import day_text
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.sales import Purchases, read_purchases

HEADER = "CustomerID,StockCode,Quantity,InvoiceDate,Description\n"
GOOD = "17850,85123A,6,2010-12-01,x\n"


def read(*files: Path, said: list[str] | None = None, **settings: Any) -> tuple[Purchases, Refusals]:
    return read_purchases(list(files), parse_spec(settings), (said if said is not None else []).append)


def written(folder: Path, data: bytes | str, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def told(purchases: Purchases) -> list[tuple[str, str, float, str]]:
    columns = (purchases.customers, purchases.items, purchases.quantities.tolist(), purchases.days.tolist())
    return [
        (purchases.customer_ids[customer], purchases.item_ids[item], quantity, day_text(day))
        for customer, item, quantity, day in zip(*columns, strict=True)
    ]


ONE = ("17850", "85123A", 6.0, "2010-12-01")
TEXTS = [
    (HEADER + GOOD, [ONE], "a header and a row"),
    (HEADER + GOOD[:-1], [ONE], "the last line has no end"),
    (("\ufeff" + HEADER + GOOD).replace("\n", "\r\n"), [ONE], "Excel's CSV: a byte order mark and CRLF"),
    ((HEADER + GOOD * 2).replace("\n", "\r"), [ONE] * 2, "lone CRs"),
    ((HEADER + GOOD).replace(",", ";"), [ONE], "semicolons"),
    ((HEADER + GOOD).replace(",", "\t"), [ONE], "tabs"),
    ("17850|85123A|6|20101201\n", [ONE], "the reference's layout"),
    (HEADER + '17850,85123A,6,2010-12-01,"two\nlines, and ""quotes"""\n' + GOOD, [ONE] * 2, "RFC 4180 at its worst"),
    ('"Customer\nID",StockCode,Quantity,InvoiceDate\n17850,85123A,6,2010-12-01\n', [ONE], "a name over two lines"),
    (HEADER + "NA,00123,6,2010-12-01,\n", [("NA", "00123", 6.0, "2010-12-01")], "ids are text"),
    ("\n\n" + HEADER + "\n" + GOOD + "\n\n", [ONE], "empty lines anywhere"),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("text", "purchases"), [row[:2] for row in TEXTS], ids=[row[-1] for row in TEXTS])
def test_csv_is_read(tmp_path: Path, text: str, purchases: list[Any], packed: bool) -> None:
    data = gzip.compress(text.encode()) if packed else text.encode()
    rows, refusals = read(written(tmp_path, data, "a.CSV.gz" if packed else "a.csv"))
    assert told(rows) == purchases and not sum(refusals.counts.values())


def test_two_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(HEADER.encode()) + gzip.compress(GOOD.encode()), "a.csv.gz")
    assert told(read(path)[0]) == [ONE]


BAD_ROWS = [
    ("17850,A,six,2010-12-01,x\n", "quantity", "a quantity of six"),
    ("17850,A,6,2011-02-30,x\n", "date", "a day that isn't"),
    ("17850," + "x" * 1000 + ",6,2010-12-01,x\n", "item", "an id of 1,000 characters"),
    ("17850,A\0,6,2010-12-01,x\n", "shape", "a NUL"),
    ("\0" * 5000 + "\n", "shape", "a hole of NULs"),
    ("17850,A,6,2010-12-01," + "x" * 10_000_000 + "\n", "shape", "a line of 10 MB"),
    ('17850,A,6,2010-12-01,"' + "x" * 10_000_000 + '"\n', "shape", "a quoted line of 10 MB"),
    ("17850,A,6\n", "shape", "too few columns"),
    ("17850,A,6,2010-12-01,a,b\n", "shape", "a comma too many"),
    ('17850,"A,6,2010-12-01,x\n', "shape", "a quote that never closes"),
    (HEADER, "quantity", "the header again"),
]


@pytest.mark.parametrize(("bad", "reason"), [row[:2] for row in BAD_ROWS], ids=[row[-1] for row in BAD_ROWS])
@pytest.mark.parametrize("before", [30, 60_000], ids=["early", "late"])
def test_a_bad_row_costs_itself(tmp_path: Path, bad: str, reason: str, before: int) -> None:
    rows, refusals = read(written(tmp_path, HEADER + GOOD * before + bad + GOOD * 30))
    assert refusals.counts[reason] == refusals.bad == 1 and refusals.rows == before + 31
    assert len(rows.customers) == before + 30
    (sample,) = refusals.samples
    assert (sample.row, sample.reason) == (before + 2, reason)
    assert bad.startswith(sample.line[:190].rstrip())


def test_quotes_that_open_by_mistake_cost_their_own_rows(tmp_path: Path) -> None:
    # By RFC 4180 the second quote closes the first one: all rows between the two would be one value.
    for between in (5, 300_000):
        said: list[str] = []
        text = HEADER + '17850,"A,6,2010-12-01,x\n' + GOOD * between + '17850,"B,6,2010-12-01,x\n' + GOOD
        rows, refusals = read(written(tmp_path, text), said=said, max_bad_rows=0.5)
        assert (len(rows.customers), refusals.counts["shape"]) == (between + 1, 2)
        assert [sample.row for sample in refusals.samples] == [2, between + 3]
        assert "reading it line by line too" in said[0]


def test_values_over_several_lines_stay_whole_however_many_there_are(tmp_path: Path) -> None:
    text = HEADER + '17850,85123A,6,2010-12-01,"a\n,,,,\n,,,,\nb"\n' * 50_000
    rows, refusals = read(written(tmp_path, text))
    assert len(rows.customers) == refusals.rows == 50_000


def test_a_value_of_many_megabytes_of_lines_costs_its_lines(tmp_path: Path) -> None:
    text = HEADER + GOOD * 10 + '17850,A,6,2010-12-01,"' + "yyy\n" * 3_000 + "y" * 900_000 + '"\n' + GOOD
    rows, _ = read(written(tmp_path, text))
    assert len(rows.customers) == 12, "even so large a value is read"


def test_latin_1_is_told_by_one_byte_anywhere(tmp_path: Path) -> None:
    said: list[str] = []
    line = "17850,Café,6,2010-12-01,£\n".encode("latin-1")
    rows, _ = read(written(tmp_path, (HEADER + GOOD * 100_000).encode() + line), said=said)
    assert rows.item_ids == ["85123A", "Café"] and rows.items[-1] == 1
    assert said[0] == "a.csv is not UTF-8: reading it as Latin-1"


def test_utf_8_is_read_across_all_blocks(tmp_path: Path) -> None:
    rows, _ = read(written(tmp_path, HEADER + "日本,Café,6,2010-12-01,€\n" * 100_000))
    assert (rows.customer_ids, rows.item_ids, len(rows.items)) == (["日本"], ["Café"], 100_000)


def test_the_limit_of_an_id_is_in_bytes_of_utf_8_also_where_the_file_is_latin_1(tmp_path: Path) -> None:
    lines = [f"1,{'é' * letters},1,2010-12-01,x\n".encode("latin-1") for letters in (128, 129)]
    rows, refusals = read(written(tmp_path, HEADER.encode() + b"".join(lines)), max_bad_rows=0.5)
    assert rows.item_ids == ["é" * 128] and refusals.counts["item"] == refusals.bad == 1


def test_files_of_all_kinds_are_one_input(tmp_path: Path) -> None:
    said: list[str] = []
    table = pa.table(
        {
            "customer_id": [17850.0, None, 3.0],
            "sku": ["85123A", "85123A", "B"],
            "qty": [6.0, 1.0, 0.5],
            "date": [datetime.datetime(2010, 12, 1, 8, 26)] * 3,
        }
    )
    (tmp_path / "c").mkdir()
    pq.write_table(table, tmp_path / "c" / "d.parquet")
    rows, refusals = read(
        written(tmp_path, HEADER + GOOD.replace("17850", "17850.0") + ",A,1,2010-12-01,x\n", "a/b.csv"),
        written(tmp_path, gzip.compress(b"2.0|A|2|2010-12-03\n1\n"), "a/b.csv.gz"),
        tmp_path / "c" / "d.parquet",
        said=said,
        max_bad_rows=0.5,
    )
    three = ("3", "B", 0.5, "2010-12-01")
    assert told(rows) == [ONE, ("2", "A", 2.0, "2010-12-03"), ONE, three]
    assert refusals.rows == 7
    assert refusals.samples == [
        RejectedRow("a/b.csv", 3, "customer", "", "A", "1", "2010-12-01"),
        RejectedRow("a/b.csv.gz", 2, "shape", line="1"),
        RejectedRow("c/d.parquet", 2, "customer", "", "85123A", "1", "2010-12-01 08:26:00.000000"),
    ]
    assert said == ["read a/b.csv: 2 rows", "read a/b.csv.gz: 2 rows", "read c/d.parquet: 3 rows"]


def test_a_million_rows_are_told_on_the_way(tmp_path: Path) -> None:
    said: list[str] = []
    read(written(tmp_path, "1|A|6|20101201\n" * 1_100_000), said=said)
    assert len(said) == 2 and said[0].startswith("a.csv: 1,0") and said[0].endswith(" rows so far")
    assert said[1] == "read a.csv: 1,100,000 rows"


PACKED = gzip.compress((HEADER + "".join(f"{n},A,6,2010-12-01,x\n" for n in range(50_000))).encode())
BROKEN = [
    ("a.csv", b"", "a.csv is empty: expected rows of customer, item, quantity and date", "an empty file"),
    ("a.csv", b"\xef\xbb\xbf", "a.csv is empty", "a byte order mark and nothing else"),
    ("a.csv.gz", gzip.compress(b""), "a.csv.gz is empty", "nothing, packed"),
    ("a.csv.gz", b"", "a.csv.gz is empty", "not even packed"),
    ("a.csv", HEADER.encode(), "a.csv has no rows: there is nothing below its header", "a header only"),
    ("a.csv", HEADER.strip().encode(), "a.csv has no rows", "a header only, without a line end"),
    ("a.csv", PACKED, "a.csv is no CSV text but gzip-compressed data", "gzip data named .csv"),
    ("a.csv.gz", gzip.compress(PACKED), "a.csv.gz is no CSV text but gzip-compressed data", "packed twice"),
    ("a.csv", random.Random(3).randbytes(5000), "a.csv is no CSV text: it begins with b", "binary data named .csv"),
    ("a.csv.gz", HEADER.encode(), "a.csv.gz can't be unpacked: Not a gzipped file", "CSV named .csv.gz"),
    ("a.csv.gz", HEADER.encode(), "let its name end with .csv", "and what to do"),
    ("a.csv.gz", PACKED[:-9], "a.csv.gz can't be unpacked, it is cut short or damaged", "cut short at its end"),
    ("a.csv.gz", PACKED[:60], "a.csv.gz can't be unpacked, it is cut short or damaged", "cut short at its beginning"),
    ("a.csv.gz", PACKED[:-6] + b"xx" + PACKED[-4:], "a.csv.gz can't be unpacked: CRC check failed", "another checksum"),
    ("a.csv.gz", PACKED[:30] + b"\xff" * 30 + PACKED[60:], "a.csv.gz can't be unpacked, it is cut", "damaged within"),
    ("a.parquet", HEADER.encode(), "a.parquet can't be read as Parquet", "CSV named .parquet"),
    ("a.txt", HEADER.encode(), "a.txt is of an unknown kind: expected a name that ends with .csv,", "another name"),
    ("a.csv", b"cust,qty,date\n1,1,20101201\n", "a.csv: there is no column for item", "a column is missing"),
    ("a.csv", (HEADER + GOOD + "1,A,1,20101202,x\n").encode(), "a.csv row 3", "two date formats"),
    ("a.csv", (HEADER + GOOD * 9 + "1,A,six,2010-12-01,x\n").encode(), "1 of 10 rows are bad (1 quantity)", "too bad"),
    ("a.csv", (HEADER + ",A,1,2010-12-01,x\n").encode(), "none of the 1 rows is left: refused were 1 customer", "none"),
]


@pytest.mark.parametrize(("name", "data", "words"), [row[:3] for row in BROKEN], ids=[row[-1] for row in BROKEN])
def test_a_broken_file_is_told(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, data, name))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_a_file_that_isnt_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="can't be read: .*[Nn]o such file"):
        read(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv can't be read: "):
        read(tmp_path / "a.csv")


def test_no_files_at_all_are_told() -> None:
    with pytest.raises(DataError, match="there are no sales files"):
        read()


def test_a_day_without_sales_is_no_error_among_others(tmp_path: Path) -> None:
    day, none = written(tmp_path, HEADER + GOOD), written(tmp_path, HEADER, "b.csv")
    assert told(read(day, none)[0]) == [ONE]
    with pytest.raises(DataError, match=r"b\.csv has no rows: .* nor has any of the other 1 files"):
        read(none, written(tmp_path, HEADER, "c.csv"))


def test_a_file_is_closed_whatever_happens(tmp_path: Path) -> None:
    def open_files() -> set[str]:
        return {os.readlink(link.path) for link in os.scandir("/proc/self/fd") if os.path.lexists(link.path)}

    good = written(tmp_path, HEADER + GOOD)
    broken = written(tmp_path, PACKED[:-9], "b.csv.gz")
    read(good)
    with pytest.raises(DataError):
        read(broken)
    assert not {name for name in open_files() if name.startswith(str(tmp_path))}
