"""CSV: what the first lines tell, what the guard keeps from the parser, and the rows that come out."""

import gzip
import io
import random
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsriaz.errors import DataError
from alsriaz.platform.spec import parse_spec
from alsriaz.tables.columns import NEEDED
from alsriaz.tables.csv_files import (
    LONGEST_LINE,
    CsvLayout,
    CsvRows,
    LineGuard,
    NotUtf8,
    OutOfStep,
    find_sales_layout,
    refuse_binary,
)

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
    ("cust,item,qty,date\n1,2,3,20101201\n", {}, CsvLayout(",", NAMES, REFERENCE, 1, 0), "a header"),
    (
        "cust;item;qty;date\n1;2;3,5;20101201\n",
        {},
        CsvLayout(";", NAMES, REFERENCE, 1, 0),
        "semicolons, decimal commas",
    ),
    ("cust\titem\tqty\tdate\n", {}, CsvLayout("\t", NAMES, REFERENCE, 1, 0), "tabs, and no rows"),
    ("cust|item|qty|date\n", {}, CsvLayout("|", NAMES, REFERENCE, 1, 0), "bars"),
    ('"cust","item","qty","date"\n', {}, CsvLayout(",", NAMES, REFERENCE, 1, 0), "quoted names"),
    ('"cu\nst",item,qty,date\n', {}, CsvLayout(",", ("cu\nst", *NAMES[1:]), REFERENCE, 1, 0), "a name on two lines"),
    ("\n\n,,,\n cust ,item,qty,date\n", {}, CsvLayout(",", NAMES, REFERENCE, 4, 2), "blank rows above"),
    ("cust,item,qty,date,bill_no\n", {}, CsvLayout(",", (*NAMES, "bill_no"), WITH_INVOICE, 1, 0), "an invoice"),
    ("17850|A|6|20101201\n", {}, CsvLayout("|", UNNAMED, REFERENCE, 0, 0), "the reference's layout"),
    ("17850,A,6,2010-12-01 08:26\n", {}, CsvLayout(",", UNNAMED, REFERENCE, 0, 0), "the same with commas"),
    (
        "1|A|six|20101201\n1|A\n1|A|6|20101201\n",
        {},
        CsvLayout("|", UNNAMED, REFERENCE, 0, 0),
        "its first rows may be bad",
    ),
    ("x" * 200_000 + "\n1|A|6|20101201\n", {}, CsvLayout("|", UNNAMED, REFERENCE, 0, 0), "one of them very long"),
    ("20101201;1;A;6\n", BY_NUMBER, CsvLayout(";", UNNAMED, TURNED, 0, 0), "columns by number"),
    ("Kunde;Artikel;Menge;Datum\n", GERMAN, CsvLayout(";", GERMAN_NAMES, REFERENCE, 1, 0), "columns by name"),
    ("a;b,item,qty,date\n", ODD, CsvLayout(",", ("a;b", *NAMES[1:]), REFERENCE, 1, 0), "a number beside a header"),
]


@pytest.mark.parametrize(("text", "spec", "layout"), [row[:3] for row in LAYOUTS], ids=[row[-1] for row in LAYOUTS])
def test_a_layout_is_found(text: str, spec: dict[str, object], layout: CsvLayout) -> None:
    found = find_sales_layout(text, parse_spec(spec), "a.csv")
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
        find_sales_layout(text, parse_spec(spec), "a.csv")
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


# ---- Lines ----

MB = 1 << 20


class Drops(io.BytesIO):
    """A source whose reads give a few bytes at a time, as a pipe's may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 3))


def guarded(data: bytes, *, latin1: bool = False, closing: str | None = None, drops: bool = False) -> LineGuard:
    return LineGuard(Drops(data) if drops else io.BytesIO(data), latin1=latin1, closing=closing)


def everything(guard: LineGuard) -> bytes:
    pieces = list(iter(guard.read, b""))
    assert all(piece.endswith((b"\n", b"\r")) and len(piece) <= 4 * MB for piece in pieces)
    return b"".join(pieces)


LINES = [
    (b"a\nb\n", b"a\nb\n", 2, "clean lines stay"),
    (b"a\nb", b"a\nb\n", 2, "the last line gets an end"),
    (b"a\r\nb\r\n", b"a\r\nb\r\n", 2, "CRLF stays"),
    (b"a\rb\rc", b"a\rb\rc\n", 3, "a lone CR ends a line"),
    (b"\xef\xbb\xbfa\n", b"a\n", 1, "a byte order mark goes"),
    (b"a\n\xef\xbb\xbf\n", b"a\n\xef\xbb\xbf\n", 2, "but only at the beginning"),
    (b"\xef\xbb\xbf", b"", 0, "a byte order mark alone is nothing"),
    (b"", b"", 0, "nothing"),
    (b"\n\na\n\r\nb\n\n", b"\n\na\n\r\nb\n\n", 2, "empty lines stay and aren't counted"),
    (b"a\nb\0c\nd\n", b"a\n\x010\nd\n", 3, "a line with a NUL is replaced"),
    (b"a\nb\0c", b"a\n\x010\n", 2, "the last one too"),
    (b"a\0\r\nb\0\n", b"\x010\r\n\x011\n", 2, "each by its own word"),
    (b"\0\n", b"\x010\n", 1, "a line of NULs is no empty line"),
]


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "in drops"])
@pytest.mark.parametrize(("data", "clean", "lines"), [row[:3] for row in LINES], ids=[row[-1] for row in LINES])
def test_lines_are_clean(data: bytes, clean: bytes, lines: int, drops: bool) -> None:
    guard = guarded(data, drops=drops)
    assert everything(guard) == clean and guard.lines == lines


LONG = b'1,"' + b"x" * (10 * MB) + b'",2'


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_line_of_10_mb_is_replaced_wherever_it_stands(end: bytes) -> None:
    for before in (0, 1, 1000, 200_000):
        data = (b"1,2" + end) * before + LONG + end + b"3,4" + end
        guard = guarded(data)
        clean = everything(guard)
        assert [line for line in clean.splitlines() if line] == [b"1,2"] * before + [b"\x010", b"3,4"]
        assert guard.beginning("\x010") == '1,"' + "x" * 797


def test_the_limit_is_the_same_wherever_a_line_stands() -> None:
    for before in (0, 5, 250_000):
        start = b"1,2\n" * before
        for length, kept in ((LONGEST_LINE, True), (LONGEST_LINE + 1, False)):
            clean = everything(guarded(start + b"x" * length + b"\n3,4\n"))
            assert (clean[len(start) :] == b"x" * length + b"\n3,4\n") == kept
            assert kept or clean[len(start) :] == b"\x010\n3,4\n"


def test_memory_stays_small_under_an_endless_line() -> None:
    class Endless(io.RawIOBase):
        left = 200

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    tracemalloc.start()
    assert everything(LineGuard(Endless(), latin1=False)) == b"\x010\n"  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MB


def test_of_many_bad_lines_the_first_hundred_are_kept() -> None:
    guard = guarded(b"".join(b"%d\0\n" % number for number in range(150)))
    words = everything(guard).decode().split()
    assert guard.beginning(words[99]) == "99\0"
    assert guard.beginning(words[149]) == words[149] == "\x01100"


def test_a_text_that_only_looks_like_a_replaced_line_is_itself() -> None:
    guard = guarded(b"a\n")
    assert [guard.beginning(text) for text in ("\x010", "\x01", "\x01x", "a,b", "")] == [
        "\x010",
        "\x01",
        "\x01x",
        "a,b",
        "",
    ]


CLOSING = [
    (b'1,"a",2', True, "opened and closed"),
    (b'1,5" plate,2', True, "a quote within a value is a quote"),
    (b'1,"a"",",2', True, "two quotes within a quoted value are one"),
    (b'1,"",2', True, "quoted nothing"),
    (b'1,"a"b"c,2', True, "what follows a closed quote is plain"),
    (b'1,"a,2', False, "never closed"),
    (b'"', False, "opened at the very end"),
    (b'1,"a""b,c', False, "the quote in it is an escaped one"),
    (b'1,"a"",2', False, "the same, at the end"),
    (b'a",2', True, "the second half of a torn value"),
    (b'|"a,b|c"', True, "a bar is no delimiter here"),
]


@pytest.mark.parametrize(("line", "closed"), [row[:2] for row in CLOSING], ids=[row[-1] for row in CLOSING])
def test_an_open_quote_costs_its_line(line: bytes, closed: bool) -> None:
    guard = guarded(b"x\n" + line + b"\ny\n", closing=",")
    assert everything(guard) == (b"x\n" + line + b"\ny\n" if closed else b"x\n\x010\ny\n")
    assert everything(guarded(line + b"\n")) == line + b"\n", "and nothing where values may go beyond a line"


def test_latin_1_becomes_utf_8() -> None:
    assert everything(guarded("é£\0\nà\n".encode("latin-1"), latin1=True)) == b"\x010\n" + "à\n".encode()


def test_latin_1_in_utf_8_is_told_wherever_it_comes() -> None:
    guard = guarded("é\n".encode() * MB + b"\xe9\n")
    with pytest.raises(NotUtf8):
        everything(guard)


def test_no_character_is_cut_in_two() -> None:
    data = "€日本é\n".encode() * 300_000
    assert everything(guarded(data)) == data


def test_bytes_of_a_replaced_line_dont_decide_the_encoding() -> None:
    assert everything(guarded("é\n".encode() + b"\xe9\0\n")) == "é\n\x010\n".encode()


def test_the_source_is_closed_with_the_guard() -> None:
    source = io.BytesIO(b"a\n")
    guard = LineGuard(source, latin1=False)
    assert guard.readable()
    guard.close()
    assert source.closed and guard.closed


@given(st.text("ab\n\r\0,é").map(str.encode), st.booleans())
def test_clean_lines_pass_and_are_counted(data: bytes, drops: bool) -> None:
    guard = guarded(data, drops=drops)
    clean = everything(guard)
    lines = [line for line in re.split(rb"\r\n|\r|\n", data) if line]
    expected = [b"" if b"\0" in line else line for line in lines]
    got = [b"" if line.startswith(b"\x01") else line for line in re.split(rb"\r\n|\r|\n", clean) if line]
    assert got == expected and guard.lines == len(lines)


# ---- Rows ----

HEADER = "cust,item,qty,date,note\n"
SPEC = parse_spec({})


class Read:
    """What reading a text gave: good rows and refused ones, each with its number."""

    def __init__(self, text: str, *, newlines: bool = True) -> None:
        self.refused: list[tuple[int, str]] = []
        self.good: list[tuple[int, str, str, str, str]] = []
        guard = LineGuard(io.BytesIO(text.encode()), latin1=False)
        layout = find_sales_layout(text[:1000], SPEC, "a.csv")
        rows = CsvRows(guard, layout, lambda *row: self.refused.append(row), newlines=newlines)
        for batch in rows:
            columns = (batch.columns[word].to_pylist() for word in NEEDED)
            self.good += zip(batch.numbers.tolist(), *columns, strict=True)
        self.records, self.lines = rows.records, guard.lines


ROWS = [
    ("1,a,2,d,x\n", [(2, "1", "a", "2", "d")], [], "the header is row 1"),
    ("1,a,2,d,x", [(2, "1", "a", "2", "d")], [], "a last line without an end"),
    ("\n1,a,2,d,x\r\n\n,,,,\n", [(2, "1", "a", "2", "d"), (3, "", "", "", "")], [], "empty lines aren't counted"),
    ("1,a\n1,a,2,d,x\n1\n", [(3, "1", "a", "2", "d")], [(2, "1,a"), (4, "1")], "too few columns"),
    ("1,a,2,d,x,y\n", [], [(2, "1,a,2,d,x,y")], "too many columns"),
    ('1," a ",2,d,"x\ny"\n2,b\n', [(2, "1", " a ", "2", "d")], [(3, "2,b")], "a record over two lines is one row"),
    ("NA,null,,007,x\n", [(2, "NA", "null", "", "007")], [], "nothing is taken for missing or for a number"),
    ('1,"a,""b",2,d,x\n', [(2, "1", 'a,"b', "2", "d")], [], "quotes"),
    ('1,"a\r\nb",2,d,x\n', [(2, "1", "a\r\nb", "2", "d")], [], "CRLF within a value"),
    ("", [], [], "no rows"),
]


@pytest.mark.parametrize(("text", "good", "refused"), [row[:3] for row in ROWS], ids=[row[-1] for row in ROWS])
def test_rows_come_with_their_numbers(text: str, good: object, refused: object) -> None:
    read = Read(HEADER + text)
    assert read.good == good and read.refused == refused


def test_blank_rows_above_the_header_count_unless_empty() -> None:
    read = Read("\n,,,,\n" + HEADER + "1,a\n1,a,2,d,x\n")
    assert read.refused == [(3, "1,a")] and read.good == [(4, "1", "a", "2", "d")]
    assert read.records == read.lines == 4


def test_without_a_header_the_first_row_is_1() -> None:
    read = Read("\n1|a|2|20101201\n1|a\n2|b|3|20101202\n")
    assert read.good == [(1, "1", "a", "2", "20101201"), (3, "2", "b", "3", "20101202")]
    assert read.refused == [(2, "1|a")]


def test_numbers_hold_over_many_blocks() -> None:
    rng = random.Random(5)
    lines = ["1,a\n" if rng.random() < 0.3 else f"{row},a,2,d,{'x' * 50}\n" for row in range(2, 80_000)]
    read = Read(HEADER + "".join(lines))
    assert all(number == int(customer) for number, customer, *_ in read.good)
    assert [number for number, _ in read.refused] == [row for row, line in enumerate(lines, 2) if line == "1,a\n"]


def test_numbers_hold_where_whole_blocks_are_refused() -> None:
    bad = "1," + "a" * 200 + "\n"
    read = Read(HEADER + bad * 20_000 + "1,a,2,d,x\n" + bad * 3)
    assert read.good == [(20_002, "1", "a", "2", "d")]
    assert [number for number, _ in read.refused] == [*range(2, 20_002), 20_003, 20_004, 20_005]


def test_a_crlf_within_a_value_survives_every_place_in_the_file() -> None:
    # A parser that takes its blocks where they end by chance loses the LF of a CRLF that two blocks share.
    for padding in range(0, 40, 3):
        text = HEADER + "1,a,2,d," + "x" * padding + "\n" + '1,"a\r\nb",2,d,x\r\n' * 70_000
        assert {item for _, _, item, *_ in Read(text).good[1:]} == {"a\r\nb"}


TORN = [
    ("1,a,2,d,x\n", False, "lines are records"),
    ('1,a,2,d,"x"\n\n\n', False, "empty lines say nothing"),
    ('1,a,2,d,"x\ny"\n', True, "a value over two lines"),
    ('1,a,2,d,"x\n\n"\n', True, "a value with an empty line"),
    ("1,a\rb,2,d,x\n", False, "a lone CR ends a record, and a line"),
    ('1,"a,2,d,x\n1,a,2,d,x\n', True, "a quote that never closes"),
]


@pytest.mark.parametrize(("text", "torn"), [row[:2] for row in TORN], ids=[row[-1] for row in TORN])
def test_more_lines_than_records_show_values_over_several_lines(text: str, torn: bool) -> None:
    read = Read(HEADER + text)
    assert (read.lines > read.records) == torn


def test_a_quote_that_stays_open_for_megabytes_is_told() -> None:
    with pytest.raises(OutOfStep):
        Read(HEADER + '1,"a,2,d,x\n' + "1,a,2,d,x\n" * 2_000_000)
