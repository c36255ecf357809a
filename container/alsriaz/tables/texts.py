"""A column's texts as codes and numbers: each distinct text is looked at once, however many rows have it.

IdTexts, ValueTexts and DayTexts code what one file has. IdColumn and DayColumn put the files together and decide what
only all of them show: how ids are spelled, and in which format dates are written.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from alsriaz.errors import DataError
from alsriaz.platform.days import day_of
from alsriaz.platform.limits import FORBIDDEN_IN_IDS, MOST_ID_BYTES, MOST_VALUE_BYTES
from alsriaz.platform.plain_number import parse_number
from alsriaz.platform.spec import DATE_FORMATS
from alsriaz.platform.values import shown

T = TypeVar("T", bound=np.generic)
TextCodes = NDArray[np.int32]
RowNumbers = NDArray[np.uint32]
Readings = dict[str, int]

EMPTY: Final = -1
UNFIT: Final = -2
"""The code of a text that is too long, or can't be an id."""
NO_DAY: Final = -1

_DOT_ZERO = re.compile(r"\d+\.0", re.ASCII)
_QUANTITY_LENGTH: Final = 100  # characters: a float64's digits and exponent take 24, what is longer isn't a quantity


class Batch(NamedTuple):
    """Some rows of one file, in order; the same whatever the file's format.

    Attributes:
        numbers: shape (n,), the rows' record numbers (see RejectedRow).
        columns: by the reader's word for each, Arrow strings without nulls, shape (n,), as they stand in the file.
    """

    numbers: RowNumbers
    columns: Mapping[str, Any]


def each_distinct(
    column: Any, function: Callable[[str], float], dtype: type[T], simpler: Callable[[Any], Any] | None = None
) -> NDArray[T]:
    """Return `function` of every value of an Arrow string column without nulls, called once per distinct value.

    Args:
        column: shape (n,).
        function: what a text becomes.
        dtype: the type of the result, shape (n,).
        simpler: makes an Arrow array of distinct texts simpler first, so that fewer distinct ones are left.
    """
    encoded = column.dictionary_encode()
    if simpler:
        results = each_distinct(simpler(encoded.dictionary), function, dtype)
    else:
        texts = encoded.dictionary.to_pylist()
        results = np.fromiter(map(function, texts), dtype, len(texts))
    # Not to_numpy(), which imports pandas: half a second.
    return results[np.asarray(np.from_dlpack(encoded.indices), np.int32)]


def joined(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the chunks as one array, and let go of them."""
    whole = np.concatenate(chunks) if chunks else np.empty(0, np.int32)
    chunks.clear()
    return whole


# ---- Quantities -----------------------------------------------------------------------------------------------------


def quantities(column: Any) -> NDArray[np.float64]:
    """Return the numbers in an Arrow string column; NaN where a text is not a finite plain decimal number."""
    return each_distinct(column, parse_quantity, np.float64)


def parse_quantity(text: str) -> float:
    """Return the number that `text` is (``6``, ``6.0``, ``-1``, ``.5``, ``1e3``), or NaN."""
    text = text.strip()
    return parse_number(text) if len(text) <= _QUANTITY_LENGTH else math.nan


# ---- Ids and other values -------------------------------------------------------------------------------------------


class _CodedTexts(dict[str, int]):
    """Raw text to code, of one column of one file; codes count up in order of appearance.

    Attributes:
        texts: the trimmed text of each code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, raw: str) -> int:
        text = raw.strip()
        if not self._fits(text):
            return UNFIT  # and not remembered: such texts may be long and many
        if text != raw:
            return self[text]
        self[text] = code = len(self.texts) if text else EMPTY
        if text:
            self.texts.append(text)
        return code

    def _fits(self, text: str) -> bool:
        raise NotImplementedError

    def codes(self, column: Any) -> TextCodes:
        """Return the code of each value of an Arrow string column, EMPTY or UNFIT where it has none."""
        return each_distinct(column, self.__getitem__, np.int32)


class IdTexts(_CodedTexts):
    """The ids of one column of one file.

    Attributes:
        dot_zero: True while every value seen was ``digits.0`` or empty: what a table of floats makes of whole numbers.
    """

    def __init__(self, *, numeric: bool = False) -> None:
        """Start without ids. The digits of a `numeric` column say nothing about ``.0``: `dot_zero` stays True."""
        super().__init__()
        self._numeric = numeric
        self.dot_zero = True

    def _fits(self, text: str) -> bool:
        if len(text) > MOST_ID_BYTES or len(text.encode()) > MOST_ID_BYTES or not FORBIDDEN_IN_IDS.isdisjoint(text):
            self.dot_zero = False
            return False
        if text and not self._numeric and self.dot_zero:
            self.dot_zero = _DOT_ZERO.fullmatch(text) is not None
        return True


class ValueTexts(_CodedTexts):
    """The values of one column that tells about items.

    Attributes:
        too_many: True once there were more distinct values than were allowed; those beyond are UNFIT.
    """

    def __init__(self, most: int | None = None) -> None:
        """Start without values, `most` distinct ones of which are allowed."""
        super().__init__()
        self.too_many = False
        self._most = most

    def _fits(self, text: str) -> bool:
        if len(text) > MOST_VALUE_BYTES or len(text.encode()) > MOST_VALUE_BYTES:
            return False
        self.too_many = self.too_many or (len(self.texts) == self._most and bool(text) and text not in self)
        return not self.too_many


class IdColumn:
    """The customer ids, or the item ids, of all files; codes count up in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._dot_zero = True

    def add(self, ids: IdTexts) -> TextCodes:
        """Take in a file's ids; return for each of its codes the code here."""
        self._dot_zero = self._dot_zero and ids.dot_zero
        codes = self._codes
        return np.fromiter((codes.setdefault(text, len(codes)) for text in ids.texts), np.int32, len(ids.texts))

    def decided(self) -> tuple[list[str], TextCodes]:
        """Return the ids, each once, and for each code which of them it is.

        ``.0`` is gone where every value of the column ended so. Then two codes can be one id: where a typed column has
        whole numbers and another file has them as text.
        """
        codes: dict[str, int] = {}
        texts = [text.removesuffix(".0") for text in self._codes] if self._dot_zero else list(self._codes)
        which = np.fromiter((codes.setdefault(text, len(codes)) for text in texts), np.int32, len(texts))
        return list(codes), which


# ---- Dates ----------------------------------------------------------------------------------------------------------

_MINUTES = r":[0-5]\d(?::[0-5]\d(?:[.,]\d{1,12})?)?"
_CLOCK = rf"(?:[01]?\d|2[0-3]){_MINUTES}"
_OFFSET = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)"
_HALF_DAYS = rf"(?:0?[1-9]|1[0-2]){_MINUTES}\s*[AaPp]\.?[Mm]\.?"
_ISO_TIME = rf"(?:[Tt]|\s+){_CLOCK}\s*{_OFFSET}?"
_SLASH_TIME = rf",?\s+(?:{_HALF_DAYS}|{_CLOCK})"
_DATE = re.compile(rf"(\d{{8}})|(\d{{4}}-\d\d-\d\d)(?:{_ISO_TIME})?|(\d\d?/\d\d?/\d{{4}})(?:{_SLASH_TIME})?", re.ASCII)
# For Arrow: the same dates with a time. It drops most times much faster than `_DATE` could.
_TIMED = rf"^\s*(?:(\d{{4}}-\d\d-\d\d){_ISO_TIME}|(\d\d?/\d\d?/\d{{4}}){_SLASH_TIME})\s*$"


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

    def codes(self, column: Any, numbers: RowNumbers) -> TextCodes:
        """Return the code of each value of an Arrow string column, or NO_DAY where it is not a date.

        Args:
            column: texts, with or without a time of day, which is checked and then forgotten.
            numbers: the values' row numbers.
        """
        known = len(self.texts)
        codes = each_distinct(column, self.code_of, np.int32, simpler=_without_time)
        for code in range(known, len(self.texts)):
            self.rows.append(int(numbers[np.argmax(codes == code)]))
        return codes

    def code_of(self, text: str) -> int:
        """Return the code of one text, or NO_DAY."""
        match = _DATE.fullmatch(text.strip())
        return self[match[match.lastindex or 0]] if match else NO_DAY


def _without_time(dates: Any) -> Any:
    return pc.replace_substring_regex(dates, _TIMED, r"\1\2")


def looks_like_date(text: str) -> bool:
    """Return whether `text` is a date under any format, with or without a time."""
    return DayTexts().code_of(text) != NO_DAY


def readings_of(text: str) -> Readings:
    """Return the day that `text` (a day without a time) is under each format that fits; empty where none does."""
    if "/" in text:
        first, second, year = map(int, text.split("/"))
        tried = {"d/m/yyyy": (year, second, first), "m/d/yyyy": (year, first, second)}
    else:
        digits = text.replace("-", "")
        tried = {"iso" if "-" in text else "yyyymmdd": (int(digits[:4]), int(digits[4:6]), int(digits[6:]))}
    readings: Readings = {}
    for name, date in tried.items():
        try:
            readings[name] = int(day_of(*date))
        except ValueError:  # no calendar has it
            continue
    return readings


class DayColumn:
    """The dates of all files together.

    Attributes:
        texts: the text of each code, without its time.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[str, frozenset[str]], int] = {}
        self._readings: list[Readings] = []
        self._places: list[str] = []
        self.texts: list[str] = []

    def add(self, days: DayTexts, file: str) -> TextCodes:
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
