"""What the shop says about its items: departments, brands, prices, descriptions, and which items meet conditions.

Rows are *extended positions*: those of the model's items as everywhere, then the items of the shop's table that were
never sold, in code-point order of their ids.

What a condition means: on an attribute of text a value is compared exactly, case and all, a number as its shortest
decimal text (5 is "5"), true as "true". On one of numbers a text that reads as a number is that number, and other texts
match nothing. An item without a value meets no condition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np

from alsriaz.errors import RuleError
from alsriaz.model.attribute_columns import Codes, Column, Mask, column_of
from alsriaz.model.conditions import Where
from alsriaz.model.ids import IdTable
from alsriaz.platform.values import nearest, shown

MOST_COLUMNS: Final = 64
MOST_NAME_CHARACTERS: Final = 64
_NAMED: Final = 10
"""How many of the known names an error tells."""


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
        """Return ``text`` or ``number``; RuleError at the field `path` where there is no such attribute."""
        return self._column(name, path).values.kind

    def check(self, where: Where, path: str) -> None:
        """Raise RuleError where a condition names no attribute, or asks texts for bounds.

        Args:
            where: the conditions.
            path: the field they stand in, such as ``include.where``.
        """
        for condition in where:
            field = f"{path}.{condition.column[:80]}"
            text = self.kind(condition.column, field) == "text"
            if text and (bound := next(iter(condition.bounds), None)):
                raise RuleError(
                    f"{field}.{bound}",
                    f"{field}.{bound} asks for numbers, but {shown(condition.column)} holds text: "
                    "expected a value or a list of values.",
                )

    def mask(self, where: Where, path: str) -> Mask:
        """Return shape (len(self),), True where the item meets all conditions.

        Raises:
            RuleError: see `check`.
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
            RuleError: there is no such attribute.
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
            raise RuleError(
                path,
                f"{path} names the attribute {shown(name)}, but the model knows nothing about its items: "
                "give the training job a channel 'items' with a table of them.",
            )
        alike = [known for known in self._columns if known.casefold() == name.casefold()]
        told = f", did you mean {alike[0]!r}?" if alike else nearest(name, self._columns)
        unknown = f"{path} names {shown(name)}, which is no attribute of the items{told}"
        raise RuleError(path, f"{unknown} Known are {self._told_names()}.")

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


NO_IDS: Final = IdTable(np.empty(0, np.uint8), np.zeros(1, np.int64))
"""A table of no ids."""
