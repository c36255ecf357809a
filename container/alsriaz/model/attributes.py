"""What the shop says about its items: departments, brands, prices, descriptions, and which items meet conditions.

Rows are *extended positions*: those of the model's items as everywhere, then the items of the shop's table that were
never sold, in code-point order of their ids. An attribute is a code for each row, into an ascending table of the
distinct values; conditions are worked out on the codes alone, straight in the memory-mapped array: a text is looked up
once by binary search, a bound becomes a range of codes.

What a condition means: on an attribute of text a value is compared exactly, case and all, a number as its shortest
decimal text (5 is "5"), true as "true". On one of numbers a text that reads as a number is that number, and other texts
match nothing. An item without a value meets no condition.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from alsriaz.errors import BadValue
from alsriaz.model.arrays import Codes, Mask
from alsriaz.model.conditions import Condition, Where
from alsriaz.model.ids import IdTable, pack_ids
from alsriaz.platform.plain_number import parse_number
from alsriaz.platform.values import nearest, shown

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


_NAMED: Final = 10  # of the known names an error tells so many


class Attributes:
    """The attributes of all items, by extended position."""

    def __init__(self, columns: Iterable[Column], n_rows: int) -> None:
        """Take columns of unique names, in the order in which they are told, each of shape (n_rows,)."""
        self._columns = {column.name: column for column in columns}
        self._n_rows = n_rows

    @classmethod
    def empty(cls, n_rows: int) -> "Attributes":
        """Return what is known of items about which the shop has said nothing."""
        return cls((), n_rows)

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str | float | None]], n_rows: int) -> "Attributes":
        """Return attributes from plain values, None where missing; one of them is numbers where it holds no text."""
        return cls([column_of(name, values) for name, values in columns.items()], n_rows)

    def __len__(self) -> int:
        return self._n_rows

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names, in the table's order."""
        return tuple(self._columns)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The attributes themselves, in the same order."""
        return tuple(self._columns.values())

    def kind(self, name: str, path: str) -> str:
        """Return ``text`` or ``number``; BadValue at the field `path` where there is no such attribute."""
        return self._column(name, path).values.kind

    def check(self, where: Where, path: str) -> None:
        """Raise BadValue where a condition names no attribute, or asks texts for bounds.

        Args:
            where: the conditions.
            path: the field they stand in, such as ``include.where``.
        """
        for condition in where:
            field = f"{path}.{condition.column[:80]}"
            text = self.kind(condition.column, field) == "text"
            if text and (bound := next(iter(condition.bounds), None)):
                raise BadValue(
                    f"{field}.{bound}",
                    f"{field}.{bound} asks for numbers, but {shown(condition.column)} holds text: "
                    "expected a value or a list of values.",
                )

    def mask(self, where: Where, path: str) -> Mask:
        """Return shape (len(self),), True where the item meets all conditions.

        Raises:
            BadValue: see `check`.
        """
        self.check(where, path)
        masks = (self._columns[condition.column].mask(condition) for condition in where)
        return reduce(np.logical_and, masks) if where else np.ones(len(self), dtype=np.bool_)

    def absent(self, where: Where) -> list[tuple[str, str]]:
        """Return the (attribute, value) pairs of checked conditions that no item has, for a warning."""
        asked = ((one.column, text) for one in where for text in one.any_of or ())
        return [(name, text) for name, text in asked if self._columns[name].values.code_of(text) is None]

    def groups(self, name: str, path: str) -> Codes:
        """Return shape (len(self),): items with the same value share a code, those without one have -1.

        Raises:
            BadValue: there is no such attribute.
        """
        return self._column(name, path).codes

    def shown(self, position: int, names: Iterable[str]) -> dict[str, str | int | float | None]:
        """Return an item's values by name; None where it has none, a whole number as an int. Names must be known."""
        values: dict[str, str | int | float | None] = {}
        for name in names:
            column = self._columns[name]
            code = int(column.codes[position])
            values[name] = None if code < 0 else column.values.at(code)
        return values

    def _column(self, name: str, path: str) -> Column:
        if name in self._columns:
            return self._columns[name]
        if not self._columns:
            raise BadValue(
                path,
                f"{path} names the attribute {shown(name)}, but the model knows nothing about its items: "
                "give the training job a channel 'items' with a table of them.",
            )
        alike = [known for known in self._columns if known.casefold() == name.casefold()]
        told = f", did you mean {alike[0]!r}?" if alike else nearest(name, self._columns)
        unknown = f"{path} names {shown(name)}, which is no attribute of the items{told}"
        raise BadValue(path, f"{unknown} Known are {self._told_names()}.")

    def _told_names(self) -> str:
        told = [shown(name) for name in self.names[:_NAMED]]
        more = len(self._columns) - len(told)
        return ", ".join(told) + (f" and {more} more" if more else "")


@dataclass(frozen=True)
class ItemTable:
    """What a model knows of items beyond their sales.

    Attributes:
        attributes: of all items, by extended position.
        unsold_ids: the items that were never sold; the first of them has the extended position n_items.
    """

    attributes: Attributes
    unsold_ids: IdTable
