"""Dates: their four ways of writing, and which one a whole column is written in."""

import re
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from alsriaz.errors import DataError
from alsriaz.platform.days import day_of
from alsriaz.platform.spec import DATE_FORMATS
from alsriaz.platform.values import shown
from alsriaz.tables.texts import Codes, each_distinct

NO_DAY: Final = -1

_MINUTES = r":[0-5]\d(?::[0-5]\d(?:[.,]\d{1,12})?)?"
_CLOCK = rf"(?:[01]?\d|2[0-3]){_MINUTES}"
_OFFSET = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)"
_HALF_DAYS = rf"(?:0?[1-9]|1[0-2]){_MINUTES}\s*[AaPp]\.?[Mm]\.?"
_ISO_TIME = rf"(?:[Tt]|\s+){_CLOCK}\s*{_OFFSET}?"
_SLASH_TIME = rf",?\s+(?:{_HALF_DAYS}|{_CLOCK})"
_DATE = re.compile(rf"(\d{{8}})|(\d{{4}}-\d\d-\d\d)(?:{_ISO_TIME})?|(\d\d?/\d\d?/\d{{4}})(?:{_SLASH_TIME})?", re.ASCII)
# For Arrow: the same dates with a time. It drops most times much faster than `_DATE` could.
_TIMED = rf"^\s*(?:(\d{{4}}-\d\d-\d\d){_ISO_TIME}|(\d\d?/\d\d?/\d{{4}}){_SLASH_TIME})\s*$"

Readings = dict[str, int]


class DayTexts(dict[str, int]):
    """The dates of one file: text of the day, without its time, to code; codes count up in order of appearance.

    Attributes:
        texts: the text of each code.
        readings: for each code the day by each format under which the text is a date: never empty.
        rows: for each code the number of the first row that has it.
    """

    def __init__(self, date_format: str | None = None, *, typed: bool = False) -> None:
        """Take dates of `date_format` only, or of any where it is None; `typed` ones are ISO and fit every format."""
        super().__init__()
        self._formats = DATE_FORMATS if date_format is None else (date_format,)
        self._typed = typed
        self.texts: list[str] = []
        self.readings: list[Readings] = []
        self.rows: list[int] = []

    def __missing__(self, text: str) -> int:
        readings = readings_of(text)
        if self._typed:
            readings = {name: day for day in readings.values() for name in DATE_FORMATS}
        readings = {name: day for name, day in readings.items() if name in self._formats}
        code = len(self.texts) if readings else NO_DAY
        if readings:
            self.texts.append(text)
            self.readings.append(readings)
        self[text] = code
        return code

    def codes(self, column: Any, numbers: NDArray[np.uint32]) -> Codes:
        """Return the code of each value of an Arrow string column, or NO_DAY where it is no date.

        Args:
            column: texts, with or without a time of day, which is checked and then forgotten.
            numbers: the values' row numbers.
        """
        known = len(self.texts)
        codes = each_distinct(column, self._code, np.int32, simpler=_without_time)
        for code in range(known, len(self.texts)):
            self.rows.append(int(numbers[np.argmax(codes == code)]))
        return codes

    def _code(self, text: str) -> int:
        match = _DATE.fullmatch(text.strip())
        return self[match[match.lastindex or 0]] if match else NO_DAY


def _without_time(dates: Any) -> Any:
    return pc.replace_substring_regex(dates, _TIMED, r"\1\2")


def readings_of(text: str) -> Readings:
    """Return the day that `text` (a day without a time) is under each format that fits; empty where none does."""
    if "/" in text:
        first, second, year = map(int, text.split("/"))
        tried = {"d/m/yyyy": (year, second, first), "m/d/yyyy": (year, first, second)}
    else:
        digits = text.replace("-", "")
        tried = {"iso" if "-" in text else "yyyymmdd": (int(digits[:4]), int(digits[4:6]), int(digits[6:]))}
    days = {name: _day(*date) for name, date in tried.items()}
    return {name: day for name, day in days.items() if day is not None}


def looks_like_date(text: str) -> bool:
    """Return whether `text` is a date under any format, with or without a time."""
    return DayTexts()._code(text) != NO_DAY


class DayColumn:
    """The dates of all files together."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, frozenset[str]], int] = {}
        self._readings: list[Readings] = []
        self._places: list[str] = []
        self.texts: list[str] = []

    def add(self, days: DayTexts, file: str) -> Codes:
        """Take in the dates of a file; return for each of its codes the code here."""
        keys = [(text, frozenset(readings)) for text, readings in zip(days.texts, days.readings, strict=True)]
        for key, text, readings, row in zip(keys, days.texts, days.readings, days.rows, strict=True):
            if key not in self._codes:
                self._codes[key] = len(self.texts)
                self.texts.append(text)
                self._readings.append(readings)
                self._places.append(f"{file} row {row}")
        return np.fromiter((self._codes[key] for key in keys), np.int32, len(keys))

    def decided(self) -> NDArray[np.int32]:
        """Return the day of each code, by the one format under which every text is a date.

        Raises:
            DataError: there is no such format, or there are two and they disagree.
        """
        fitting = [name for name in DATE_FORMATS if all(name in readings for readings in self._readings)]
        if not fitting:
            raise DataError(self._two_formats())
        days = np.array([[readings[name] for readings in self._readings] for name in fitting], np.int32)
        differing = np.flatnonzero((days != days[0]).any(axis=0))
        if len(differing):
            raise DataError(self._ambiguous(int(differing[0])))
        chosen: NDArray[np.int32] = days[0]
        return chosen

    def _two_formats(self) -> str:
        firsts: dict[frozenset[str], int] = {}
        for code, readings in enumerate(self._readings):
            firsts.setdefault(frozenset(readings), code)
        one, other = next((a, b) for a in firsts for b in firsts if not a & b)
        told = " and ".join(
            f"{shown(self.texts[firsts[formats]])} ({' or '.join(sorted(formats))}; {self._places[firsts[formats]]})"
            for formats in (one, other)
        )
        return (
            f"the dates are written in two formats: {told}. Write all in one, or give the right one in the setting "
            f"date_format (one of {', '.join(DATE_FORMATS)}): dates in another are then bad rows"
        )

    def _ambiguous(self, code: int) -> str:
        return (
            f"the dates can be read as d/m/yyyy and as m/d/yyyy, for example {shown(self.texts[code])} "
            f"({self._places[code]}). Say which in the setting date_format: d/m/yyyy or m/d/yyyy"
        )


def _day(year: int, month: int, day: int) -> int | None:
    try:
        return int(day_of(year, month, day))
    except ValueError:  # no calendar has it
        return None
