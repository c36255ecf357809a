import gzip
import random

import pytest

from alsriaz.errors import DataError
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.sniff import Layout, find_layout, refuse_binary

REFERENCE = {"customer": 0, "item": 1, "quantity": 2, "date": 3}
UNNAMED = ("column 1", "column 2", "column 3", "column 4")
NAMES = ("cust", "item", "qty", "date")
BY_NUMBER = {"columns": {"customer": 2, "item": 3, "quantity": 4, "date": 1}}
GERMAN = {"columns": {"customer": "Kunde", "item": "Artikel", "quantity": "Menge", "date": "Datum"}}
GERMAN_NAMES = ("Kunde", "Artikel", "Menge", "Datum")
FOREIGN = "Kunde;Artikel;Menge;Datum\n1;2;3;20101201\n"
TURNED = {"customer": 1, "item": 2, "quantity": 3, "date": 0}
WITH_INVOICE = REFERENCE | {"invoice": 4}
ODD = {"delimiter": ",", "columns": {"customer": 1}}

LAYOUTS = [
    ("cust,item,qty,date\n1,2,3,20101201\n", {}, Layout(",", NAMES, REFERENCE, 1, 0), "a header"),
    ("cust;item;qty;date\n1;2;3,5;20101201\n", {}, Layout(";", NAMES, REFERENCE, 1, 0), "semicolons, decimal commas"),
    ("cust\titem\tqty\tdate\n", {}, Layout("\t", NAMES, REFERENCE, 1, 0), "tabs, and no rows"),
    ("cust|item|qty|date\n", {}, Layout("|", NAMES, REFERENCE, 1, 0), "bars"),
    ('"cust","item","qty","date"\n', {}, Layout(",", NAMES, REFERENCE, 1, 0), "quoted names"),
    ('"cu\nst",item,qty,date\n', {}, Layout(",", ("cu\nst", *NAMES[1:]), REFERENCE, 1, 0), "a name on two lines"),
    ("\n\n,,,\n cust ,item,qty,date\n", {}, Layout(",", NAMES, REFERENCE, 4, 2), "blank rows above"),
    ("cust,item,qty,date,bill_no\n", {}, Layout(",", (*NAMES, "bill_no"), WITH_INVOICE, 1, 0), "an invoice"),
    ("17850|A|6|20101201\n", {}, Layout("|", UNNAMED, REFERENCE, 0, 0), "the reference's layout"),
    ("17850,A,6,2010-12-01 08:26\n", {}, Layout(",", UNNAMED, REFERENCE, 0, 0), "the same with commas"),
    ("1|A|six|20101201\n1|A\n1|A|6|20101201\n", {}, Layout("|", UNNAMED, REFERENCE, 0, 0), "its first rows may be bad"),
    ("x" * 200_000 + "\n1|A|6|20101201\n", {}, Layout("|", UNNAMED, REFERENCE, 0, 0), "one of them very long"),
    ("20101201;1;A;6\n", BY_NUMBER, Layout(";", UNNAMED, TURNED, 0, 0), "columns by number"),
    ("Kunde;Artikel;Menge;Datum\n", GERMAN, Layout(";", GERMAN_NAMES, REFERENCE, 1, 0), "columns by name"),
    ("a;b,item,qty,date\n", ODD, Layout(",", ("a;b", *NAMES[1:]), REFERENCE, 1, 0), "a number beside a header"),
]


@pytest.mark.parametrize(("text", "spec", "layout"), [row[:3] for row in LAYOUTS], ids=[row[-1] for row in LAYOUTS])
def test_a_layout_is_found(text: str, spec: dict[str, object], layout: Layout) -> None:
    found = find_layout(text, parse_spec(spec), "a.csv")
    assert found == layout


ERRORS = [
    ("", {}, "a.csv is empty: expected rows of customer, item, quantity and date", "an empty file"),
    ("\n \n", {}, "a.csv is empty", "blank lines only"),
    ("cust,qty,date\n1,2,20101201\n", {}, "a.csv: there is no column for item", "a header without an item"),
    (FOREIGN, {}, "split at ';', is 'Kunde', 'Artikel', 'Menge', 'Datum'", "a foreign header is not taken for data"),
    ("Sales report\n\ncust,item,qty,date\n", {}, "is 'Sales report'", "a title above the header"),
    ("1,2,3\n", {}, "Recognised are customer: customerid, customer,", "the names that would be recognised"),
    ("1|A|6|1.12.2010\n", {}, '{"customer": 1, "item": 2, "quantity": 3, "date": 4}', "an unknown date: what to do"),
    ("Kunde;Artikel\n", GERMAN, "quantity is 'Menge', which is none of them.", "a column of the setting is missing"),
    ("1;2;20101201\n", BY_NUMBER, "quantity is column 4, but the file has 3 columns", "too few for the setting"),
]


@pytest.mark.parametrize(("text", "spec", "words"), [row[:3] for row in ERRORS], ids=[row[-1] for row in ERRORS])
def test_what_isnt_recognised_is_told(text: str, spec: dict[str, object], words: str) -> None:
    with pytest.raises(DataError) as caught:
        find_layout(text, parse_spec(spec), "a.csv")
    assert words in str(caught.value) and len(str(caught.value)) < 1024


BINARY = [
    (gzip.compress(b"a"), "a.csv is no CSV text but gzip-compressed data: let its name end with .csv.gz", "gzip"),
    (b"PK\x03\x04rest", "an Excel workbook (.xlsx)", "xlsx, or zip"),
    (b"\xd0\xcf\x11\xe0rest", "an old Excel workbook", "xls"),
    (b"PAR1rest", "a Parquet file: let its name end with .parquet", "Parquet"),
    ("cust,item".encode("utf-16"), "text in UTF-16: save it as UTF-8", "UTF-16 with its mark"),
    ("cust,item".encode("utf-16-le"), "text in UTF-16: save it as UTF-8", "UTF-16 without it"),
    ("cust,item".encode("utf-16-be"), "text in UTF-16: save it as UTF-8", "UTF-16 the other way round"),
    (b"\0" * 65536, r"it begins with b'\x00\x00", "NULs only"),
    (b"\x28\xb5\x2f\xfdrest", "compressed with zstd", "zstd"),
    (b"BZh9", "compressed with bzip2", "bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz", "xz"),
    (b"%PDF-1.7", "a PDF", "PDF"),
    (random.Random(1).randbytes(65536), "Expected a table in UTF-8 or Latin-1", "random bytes"),
    (random.Random(2).randbytes(200), "Expected a table in UTF-8 or Latin-1", "few random bytes"),
]


@pytest.mark.parametrize(("data", "words"), [row[:2] for row in BINARY], ids=[row[-1] for row in BINARY])
def test_binary_data_is_told_by_its_kind(data: bytes, words: str) -> None:
    with pytest.raises(DataError) as caught:
        refuse_binary(data, "a.csv")
    assert words in str(caught.value)


TEXT = [
    (b"", "nothing is no binary"),
    (b"cust,item\n" * 100 + b"\0" * 5000, "a hole of NULs is a bad row"),
    ("café,日本\n".encode() * 1000, "UTF-8"),
    ("café\n".encode("latin-1") * 1000, "Latin-1"),
    ("日本".encode()[:-1], "a character cut by the end of what was looked at"),
]


@pytest.mark.parametrize("data", [row[0] for row in TEXT], ids=[row[1] for row in TEXT])
def test_text_is_no_binary(data: bytes) -> None:
    refuse_binary(data, "a.csv")
