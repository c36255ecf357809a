import io
import random

import pytest

from alsriaz.platform.spec import parse_spec
from alsriaz.tables.csv_rows import CsvRows, OutOfStep
from alsriaz.tables.lines import LineGuard
from alsriaz.tables.sniff import find_layout

HEADER = "cust,item,qty,date,note\n"
SPEC = parse_spec({})


class Read:
    """What reading a text gave: good rows and refused ones, each with its number."""

    def __init__(self, text: str, *, newlines: bool = True) -> None:
        self.refused: list[tuple[int, str]] = []
        self.good: list[tuple[int, str, str, str, str]] = []
        guard = LineGuard(io.BytesIO(text.encode()), latin1=False)
        layout = find_layout(text[:1000], SPEC, "a.csv")
        rows = CsvRows(guard, layout, lambda *row: self.refused.append(row), newlines=newlines)
        for batch in rows:
            columns = (batch.numbers.tolist(), *(column.to_pylist() for column in batch[1:5]))
            self.good += zip(*columns, strict=True)
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
