"""One attribute of all items: a code each, into an ascending table of the distinct values.

Conditions are worked out on the codes alone, straight in the memory-mapped array: a text is looked up once by binary
search, a bound becomes a range of codes.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from alsriaz.model.conditions import Condition
from alsriaz.model.ids import IdTable, pack_ids
from alsriaz.platform.plain_number import parse_number

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

MISSING: Final = -1
TEXT_SIGNPOSTS: Final = 256
"""Texts of an attribute that are kept as Python objects in each worker: there may be 64 attributes."""
_FEW: Final = 8  # codes that are compared one by one, which is faster than looking each item up in a table
_WHOLE: Final = float(1 << 53)  # below it a float64 that has no fraction is a whole number, exactly


class TextValues:
    """The distinct texts of an attribute, in code-point order.

    Attributes:
        arrays: what holds them, by the names of their files.
    """

    kind: ClassVar = "text"

    def __init__(self, text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        """Take the arrays that `core.ids.pack_ids` makes of the texts."""
        self.arrays: dict[str, npt.NDArray[Any]] = {"text": text, "offsets": offsets}
        self._table = IdTable(text, offsets, TEXT_SIGNPOSTS)

    def __len__(self) -> int:
        return len(self._table)

    def at(self, code: int) -> str:
        """Return the value of a code."""
        return self._table.id_at(code)

    def code_of(self, text: str) -> int | None:
        """Return the code of the value that is spelled so, or None where no item has it."""
        return self._table.position_of(text)


class NumberValues:
    """The distinct numbers of an attribute, ascending.

    Attributes:
        arrays: what holds them, by the names of their files.
    """

    kind: ClassVar = "number"

    def __init__(self, numbers: npt.NDArray[np.float64]) -> None:
        """Take finite numbers, each once."""
        self.arrays: dict[str, npt.NDArray[Any]] = {"numbers": numbers}
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def at(self, code: int) -> int | float:
        """Return the value of a code, a whole number as an int."""
        number = float(self._numbers[code])
        return int(number) if number.is_integer() and abs(number) < _WHOLE else number

    def code_of(self, text: str) -> int | None:
        """Return the code of the number that `text` reads as, or None where it is none or no item has it."""
        number = parse_number(text)
        found = self.place_of(number, "left")
        return found if found < len(self) and float(self._numbers[found]) == number else None

    def place_of(self, number: float, side: str) -> int:
        """Return how many numbers are less than `number` (side "left"), or no more than it ("right")."""
        search = bisect.bisect_left if side == "left" else bisect.bisect_right
        return search(self._numbers.data, number)


@dataclass(frozen=True, eq=False)
class Column:
    """One attribute.

    Attributes:
        name: 1 to 64 characters.
        codes: shape (n,), places in `values`, MISSING where the item has no value.
        values: the distinct values, ascending.
    """

    name: str
    codes: Codes
    values: TextValues | NumberValues

    def mask(self, condition: Condition) -> Mask:
        """Return shape (n,), True where the item meets the condition; an item without a value meets none.

        Raises:
            TypeError: bounds are asked of texts.
        """
        if condition.any_of is None:
            return self._within(condition)
        found = {self.values.code_of(text) for text in condition.any_of}
        return self._one_of([code for code in found if code is not None])

    def _one_of(self, wanted: Sequence[int]) -> Mask:
        if len(wanted) > _FEW:
            table: Mask = np.zeros(len(self.values) + 1, dtype=np.bool_)
            table[list(wanted)] = True
            met: Mask = table.take(self.codes, mode="wrap")  # MISSING, -1, takes the last one, which is False
            return met
        if not wanted:
            return np.zeros(len(self.codes), dtype=np.bool_)
        mask: Mask = self.codes == wanted[0]
        for code in wanted[1:]:
            mask |= self.codes == code
        return mask

    def _within(self, condition: Condition) -> Mask:
        numbers = self.values
        if isinstance(numbers, TextValues):
            raise TypeError(f"{self.name} is text and has no order")
        least, most = 0, len(numbers)  # of the codes that fit: from `least` to below `most`
        if condition.least is not None:
            least = max(least, numbers.place_of(condition.least, "left"))
        if condition.above is not None:
            least = max(least, numbers.place_of(condition.above, "right"))
        if condition.below is not None:
            most = min(most, numbers.place_of(condition.below, "left"))
        if condition.most is not None:
            most = min(most, numbers.place_of(condition.most, "right"))
        # One comparison for both ends: as unsigned numbers, codes below `least`, MISSING too, are beyond all others.
        met: Mask = (self.codes - np.int32(least)).view(np.uint32) < np.uint32(max(most - least, 0))
        return met


def text_column(name: str, texts: Sequence[str], codes: npt.NDArray[np.integer[Any]]) -> Column:
    """Return an attribute of text.

    Args:
        name: the attribute's name.
        texts: values in any order; equal ones become one, and those that no item has are left out.
        codes: shape (n,), each item's place in `texts`, or MISSING.
    """
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(texts)))
    ordered = sorted({texts[code] for code in used.tolist()})
    place_of = {text: place for place, text in enumerate(ordered)}
    places = np.full(len(texts) + 1, MISSING, dtype=np.int32)  # the last one is MISSING's
    places[used] = [place_of[texts[code]] for code in used.tolist()]
    return Column(name, places[codes], TextValues(*pack_ids(ordered)))


def number_column(name: str, numbers: npt.NDArray[np.float64]) -> Column:
    """Return an attribute of numbers from shape (n,), NaN where the item has no value."""
    given = ~np.isnan(numbers)
    distinct, places = np.unique(numbers[given] + 0.0, return_inverse=True)  # -0.0 is 0.0
    codes = np.full(len(numbers), MISSING, dtype=np.int32)
    codes[given] = places
    return Column(name, codes, NumberValues(distinct))


def column_of(name: str, values: Sequence[str | float | None]) -> Column:
    """Return an attribute from plain values, None where missing: numbers where none is text."""
    if any(isinstance(value, str) for value in values):
        texts = sorted({str(value) for value in values if value is not None})
        place_of = {text: place for place, text in enumerate(texts)}
        codes = [MISSING if value is None else place_of[str(value)] for value in values]
        return text_column(name, texts, np.array(codes, dtype=np.int32))
    return number_column(name, np.array([np.nan if value is None else value for value in values], dtype=np.float64))
