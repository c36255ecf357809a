import datetime
import math

import numpy as np
import pyarrow as pa
import pytest

from alsriaz.errors import DataError
from alsriaz.platform.days import day_text
from alsriaz.tables.texts import (
    EMPTY,
    NO_DAY,
    UNFIT,
    DayColumn,
    DayTexts,
    IdTexts,
    looks_like_date,
    parse_quantity,
    quantities,
    readings_of,
)

QUANTITIES = [
    ("6", 6.0, "a whole number"),
    ("6.0", 6.0, "a float"),
    (" 6\t", 6.0, "spaces around it don't matter"),
    ("+6", 6.0, "a sign"),
    ("-1", -1.0, "a return is a number"),
    (".5", 0.5, "nothing before the point"),
    ("5.", 5.0, "nothing after the point"),
    ("1e3", 1000.0, "an exponent"),
    ("-0", 0.0, "minus zero is zero"),
    ("six", None, "a word"),
    ("", None, "nothing"),
    ("1,000", None, "thousands are not told apart"),
    ("1_000", None, "Python's own digits are not everyone's"),
    ("0x10", None, "no other base"),
    ("nan", None, "not finite"),
    ("inf", None, "not finite"),
    ("1e999", None, "too large to be finite"),
    ("\u0661", None, "only ASCII digits are plain"),
    ("9" * 101, None, "no quantity has 101 digits"),
]


@pytest.mark.parametrize(("text", "number"), [row[:2] for row in QUANTITIES], ids=[row[-1] for row in QUANTITIES])
def test_a_quantity_is_a_plain_finite_number(text: str, number: float | None) -> None:
    parsed = parse_quantity(text)
    assert math.isnan(parsed) if number is None else parsed == number


def test_a_columns_quantities_stand_in_its_order() -> None:
    assert quantities(pa.array(["2", "1", "2", "-1"])).tolist() == [2, 1, 2, -1]


IDS = [
    (["b", "a", "b"], [0, 1, 0], ["b", "a"], "codes count up in order of appearance"),
    ([" a ", "a", "\u00a0a"], [0, 0, 0], ["a"], "ids are trimmed, of any white space"),
    (["A", "a"], [0, 1], ["A", "a"], "case matters"),
    (["00123", "123", "NA", "null"], [0, 1, 2, 3], ["00123", "123", "NA", "null"], "an id is text and nothing else"),
    (["", "  "], [EMPTY, EMPTY], [], "no id"),
    (["x" * 256, "x" * 257], [0, UNFIT], ["x" * 256], "at most 256 bytes"),
    (["é" * 128, "é" * 129], [0, UNFIT], ["é" * 128], "bytes of UTF-8, not characters"),
    (["x" + " " * 1000], [0], ["x"], "the limit holds for the trimmed id"),
    (["a\0b"], [UNFIT], [], "no id has a NUL"),
]


@pytest.mark.parametrize(("column", "codes", "texts"), [row[:3] for row in IDS], ids=[row[-1] for row in IDS])
def test_ids_become_codes(column: list[str], codes: list[int], texts: list[str]) -> None:
    ids = IdTexts()
    assert ids.codes(pa.array(column)).tolist() == codes
    assert ids.texts == texts


def test_ids_keep_their_codes_from_batch_to_batch() -> None:
    ids = IdTexts()
    assert ids.codes(pa.array(["a", "b"])).tolist() == [0, 1]
    assert ids.codes(pa.array(["c", "b", " a"])).tolist() == [2, 1, 0]


DOT_ZERO = [
    (["17850.0", "7.0"], True, "a table of floats"),
    (["17850.0", "", " "], True, "that is why they became floats: some are missing"),
    (["17850.0", "17850"], False, "one is written without"),
    (["17850.0", "x.0"], False, "one is no number"),
    (["-1.0"], False, "digits only"),
    ([".0"], False, "no digits at all"),
    (["1.0", "9" * 300 + ".0"], False, "one is no id"),
]


@pytest.mark.parametrize(("column", "expected"), [row[:2] for row in DOT_ZERO], ids=[row[-1] for row in DOT_ZERO])
def test_dot_zero_says_whether_all_ids_are_floats(column: list[str], expected: bool) -> None:
    ids = IdTexts()
    ids.codes(pa.array(column))
    assert ids.dot_zero == expected


def test_a_column_of_numbers_says_nothing_about_dot_zero() -> None:
    ids = IdTexts(numeric=True)
    ids.codes(pa.array(["17850"]))
    assert ids.dot_zero


DATES = [
    ("20101201", {"yyyymmdd": "2010-12-01"}, "the reference's own way"),
    ("2010-12-01", {"iso": "2010-12-01"}, "ISO"),
    ("2010-12-01 08:26:00", {"iso": "2010-12-01"}, "with a time"),
    ("2010-12-01T08:26", {"iso": "2010-12-01"}, "with T, without seconds"),
    ("2010-12-01T08:26:59.123456Z", {"iso": "2010-12-01"}, "a fraction, and Z"),
    ("2010-12-01 23:30:00+02:00", {"iso": "2010-12-01"}, "the day stays as written, whatever the offset"),
    ("2010-12-01 23:30:00 -0500", {"iso": "2010-12-01"}, "an offset without a colon"),
    (" 2010-12-01\t", {"iso": "2010-12-01"}, "spaces around it"),
    ("2010-12-01  8:26", {"iso": "2010-12-01"}, "an hour of one digit"),
    ("25/12/2010", {"d/m/yyyy": "2010-12-25"}, "only d/m fits"),
    ("12/25/2010", {"m/d/yyyy": "2010-12-25"}, "only m/d fits"),
    ("1/12/2010 8:26", {"d/m/yyyy": "2010-12-01", "m/d/yyyy": "2010-01-12"}, "both fit"),
    ("1/2/2010 8:26:05 PM", {"d/m/yyyy": "2010-02-01", "m/d/yyyy": "2010-01-02"}, "AM and PM"),
    ("1/2/2010, 8:26 p.m.", {"d/m/yyyy": "2010-02-01", "m/d/yyyy": "2010-01-02"}, "as some locales write it"),
    ("2012-02-29", {"iso": "2012-02-29"}, "a leap day"),
    ("2011-02-29", {}, "no leap day"),
    ("2011-02-30", {}, "no such day"),
    ("31/02/2011", {}, "no such day either way"),
    ("20111301", {}, "no such month"),
    ("00000101", {}, "no such year"),
    ("2010-12-01 24:00", {}, "no such hour"),
    ("2010-12-01 08:60", {}, "no such minute"),
    ("1/2/2010 13:00 PM", {}, "no such hour of half a day"),
    ("2010-12-01 08", {}, "an hour is no time"),
    ("2010-12-01 noon", {}, "nor is a word"),
    ("2010-12-1", {}, "ISO has two digits"),
    ("1/12/10", {}, "a year has four digits"),
    ("01.12.2010", {}, "not one of the four ways"),
    ("2010/12/01", {}, "not one of the four ways"),
    ("", {}, "nothing"),
    ("\u0662\u0660\u0661\u0660-12-01", {}, "only ASCII digits"),
    ("2010-12-01 08:26:00." + "0" * 100, {}, "no clock has a hundred digits"),
]


@pytest.mark.parametrize(("text", "readings"), [row[:2] for row in DATES], ids=[row[-1] for row in DATES])
def test_a_date_is_read_in_every_way_that_fits(text: str, readings: dict[str, str]) -> None:
    days = DayTexts()
    codes = days.codes(pa.array([text]), np.array([7], np.uint32)).tolist()
    assert looks_like_date(text) == bool(readings)
    if not readings:
        assert codes == [NO_DAY] and not days.texts
        return
    assert codes == [0] and days.rows == [7]
    assert {name: day_text(day) for name, day in days.readings[0].items()} == readings


def test_a_day_is_a_whole_number_of_days_since_1970() -> None:
    assert readings_of("1970-01-02") == {"iso": 1}
    assert readings_of("19691231") == {"yyyymmdd": -1}


def test_times_of_a_day_share_its_code() -> None:
    days = DayTexts()
    column = pa.array(["2010-12-02 08:00", "2010-12-01", "never", "2010-12-02T09:00", "2010-12-01 10:00"])
    assert days.codes(column, np.arange(2, 7, dtype=np.uint32)).tolist() == [0, 1, NO_DAY, 0, 1]
    assert days.texts == ["2010-12-02", "2010-12-01"] and days.rows == [2, 3]


def test_a_given_format_takes_no_other_dates() -> None:
    days = DayTexts("d/m/yyyy")
    column = pa.array(["01/02/2010", "02/13/2010", "2010-02-01"])
    assert days.codes(column, np.arange(3, dtype=np.uint32)).tolist() == [0, NO_DAY, NO_DAY]


def decided(*files: list[str]) -> list[str]:
    column, codes = DayColumn(), []
    for number, texts in enumerate(files):
        days = DayTexts()
        local = days.codes(pa.array(texts, pa.string()), np.arange(2, 2 + len(texts), dtype=np.uint32))
        codes += column.add(days, f"{number}.csv")[local].tolist()
    return [day_text(day) for day in column.decided()[codes]]


DECIDED = [
    ([["20101201", "20101130"]], ["2010-12-01", "2010-11-30"], "one way only"),
    ([["01/02/2010", "13/02/2010"]], ["2010-02-01", "2010-02-13"], "a 13th can't be a month: d/m"),
    ([["01/02/2010", "02/13/2010"]], ["2010-01-02", "2010-02-13"], "a 13th can't be a month: m/d"),
    ([["01/02/2010"], ["13/02/2010"]], ["2010-02-01", "2010-02-13"], "another file decides"),
    ([["03/03/2010", "5/5/2010"]], ["2010-03-03", "2010-05-05"], "both ways fit, and agree"),
    ([[]], [], "no dates at all"),
]


@pytest.mark.parametrize(("files", "expected"), [row[:2] for row in DECIDED], ids=[row[-1] for row in DECIDED])
def test_one_format_is_decided_for_all_files(files: list[list[str]], expected: list[str]) -> None:
    assert decided(*files) == expected


UNDECIDED = [
    (
        [["2010-12-01"], ["20101202"]],
        "two formats: '2010-12-01' (iso; 0.csv row 2) and '20101202' (yyyymmdd; 1.csv row 2)",
        "two ways of writing",
    ),
    (
        [["01/02/2010", "13/02/2010", "02/13/2010"]],
        "two formats: '13/02/2010' (d/m/yyyy; 0.csv row 3) and '02/13/2010' (m/d/yyyy; 0.csv row 4)",
        "one fits only d/m, another only m/d",
    ),
    (
        [["01/02/2010", "2010-02-01"]],
        "two formats: '01/02/2010' (d/m/yyyy or m/d/yyyy; 0.csv row 2) and '2010-02-01' (iso; 0.csv row 3)",
        "slashes and dashes",
    ),
    (
        [["03/03/2010", "01/02/2010"]],
        "as d/m/yyyy and as m/d/yyyy, for example '01/02/2010' (0.csv row 3). Say which in the setting date_format",
        "both ways fit, and differ",
    ),
]


@pytest.mark.parametrize(("files", "words"), [row[:2] for row in UNDECIDED], ids=[row[-1] for row in UNDECIDED])
def test_where_no_format_can_be_decided_the_error_quotes_the_dates(files: list[list[str]], words: str) -> None:
    with pytest.raises(DataError) as caught:
        decided(*files)
    assert words in str(caught.value) and "date_format" in str(caught.value)


def test_dates_that_no_calendar_has_decide_nothing() -> None:
    column, days = DayColumn(), DayTexts()
    days.codes(pa.array(["20101201", "2011-02-30", "31/02/2011"]), np.arange(3, dtype=np.uint32))
    column.add(days, "a.csv")
    assert [day_text(day) for day in column.decided()] == ["2010-12-01"]


def test_every_day_of_four_centuries_is_read_back() -> None:
    first = datetime.date(1800, 1, 1).toordinal()
    for ordinal in range(first, first + 146_097, 97):
        date = datetime.date.fromordinal(ordinal)
        expected = ordinal - datetime.date(1970, 1, 1).toordinal()
        for name, text in {
            "yyyymmdd": f"{date:%Y%m%d}",
            "iso": date.isoformat(),
            "d/m/yyyy": f"{date.day}/{date.month}/{date.year}",
            "m/d/yyyy": f"{date.month:02}/{date.day:02}/{date.year}",
        }.items():
            assert readings_of(text)[name] == expected
