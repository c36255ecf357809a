"""The rows of all files of the table of items together: each item once, each attribute a kind."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alsriaz.errors import DataError
from alsriaz.model.attributes import MISSING, Codes, Column, number_column, text_column
from alsriaz.platform.limits import MOST_VALUE_BYTES
from alsriaz.platform.plain_number import shortest_text
from alsriaz.platform.values import shown
from alsriaz.tables.collected import IdColumn
from alsriaz.tables.item_columns import MOST_GIVEN, number_of
from alsriaz.tables.item_rows import ItemRows
from alsriaz.tables.refusals import Refusals

MOST_ROWS: Final = 10_000_000
_BOOLEANS: Final = {"false", "true"}


@dataclass(frozen=True)
class GivenColumn:
    """One attribute as the shop gave it.

    Attributes:
        name: as it is spelled in the file.
        values: distinct texts, or distinct numbers.
        codes: shape (n_given,), each item's place in `values`, MISSING where it has none.
    """

    name: str
    values: list[str] | npt.NDArray[np.float64]
    codes: Codes

    def of_rows(self, rows: npt.NDArray[np.int64]) -> Column:
        """Return the attribute of the items at `rows` of the given ones, without a value where a row is MISSING."""
        codes = np.append(self.codes, np.int32(MISSING))[rows]
        if isinstance(self.values, list):
            return text_column(self.name, self.values, codes)
        return number_column(self.name, np.append(self.values, np.nan)[codes])


@dataclass(frozen=True)
class GivenItems:
    """The table of items, each once.

    Attributes:
        ids: the items' ids, in order of appearance.
        columns: the attributes, in order of appearance.
        refusals: what was left out.
    """

    ids: list[str]
    columns: list[GivenColumn]
    refusals: Refusals

    def warnings(self) -> list[str]:
        """Return what a person should know of the rows that were left out."""
        counts = self.refusals.counts
        causes = {"item": "without an id, or with one that is too long", "shape": "of another shape than the header"}
        told = [f"{counts[reason]:,} {cause}" for reason, cause in causes.items() if counts[reason]]
        if not told:
            return []
        samples = self.refusals.samples  # by file; within a file, rows of another shape may come early
        first = min((row for row in samples if row.file == samples[0].file), key=lambda row: row.row)
        return [f"rows of the items are left out: {'; '.join(told)}. The first one is {first.file} row {first.row}."]


class MergedItems:
    """The rows of all files, as codes that mean the same in all of them."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._ids = IdColumn()
        self._id_chunks: list[Codes] = []
        self._columns: dict[str, _MergedColumn] = {}
        self._refusals = Refusals()
        self._n_rows = 0
        self._files: list[tuple[int, str]] = []  # where the rows of each begin

    def add(self, rows: ItemRows, file: str) -> None:
        """Take in a file's rows."""
        if rows.too_long:
            item, name = rows.too_long
            raise DataError(
                f"{file}: item {shown(item)} has a value of more than {MOST_VALUE_BYTES} UTF-8 bytes in the column "
                f"{shown(name)}: shorten it, or leave the column out"
            )
        self._refusals.add(rows.refusals)
        self._files.append((self._n_rows, file))
        ids = _joined(rows.chunks)
        self._id_chunks.append(self._ids.add(rows.ids)[ids])
        for name, column in rows.columns.items():
            folded = name.casefold()
            merged = self._columns.setdefault(folded, _MergedColumn(name))
            if merged.name != name:
                raise DataError(
                    f"{file} has a column {shown(name)}, which another file spells {shown(merged.name)}: spell it alike"
                )
            merged.add(column.values.texts, _joined(column.chunks), self._n_rows, typed=column.typed)
        self._n_rows += len(ids)
        if self._n_rows > MOST_ROWS:
            raise DataError(f"the channel 'items' has more than {MOST_ROWS:,} rows: expected one for each item")
        if len(self._columns) > MOST_GIVEN:
            raise DataError(
                f"the files of the channel 'items' have {len(self._columns)} different columns beside the id, "
                f"expected at most {MOST_GIVEN}"
            )

    def finish(self, names: list[str], max_bad_rows: float) -> GivenItems:
        """Return the items, each once, having seen to it that its rows agree."""
        if not self._refusals.rows:
            raise DataError(f"{names[0]} has no rows: there is nothing below its header")
        self._refusals.refuse_too_many_bad(max_bad_rows)
        if not self._n_rows:
            raise DataError(f"none of the {self._refusals.rows:,} rows of the channel 'items' has an id")
        ids, which = self._ids.decided()
        items = which[_joined(self._id_chunks)]
        columns = [column.of_items(items, ids, self._file_of) for column in self._columns.values()]
        return GivenItems(ids, columns, self._refusals)

    def _file_of(self, row: int) -> str:
        return next(file for begin, file in reversed(self._files) if begin <= row)


class _MergedColumn:
    """One attribute over all files."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._codes: dict[str, int] = {}
        self._chunks: list[Codes] = []
        self._n_rows = 0
        self._numeric = True
        self._typed = False

    def add(self, texts: list[str], codes: Codes, before: int, *, typed: bool) -> None:
        """Take in a file's values, those of the rows from `before` on."""
        self._typed = self._typed or typed
        self._numeric = self._numeric and not any(math.isnan(number_of(text, typed=typed)) for text in texts)
        here = np.array([*(self._codes.setdefault(text, len(self._codes)) for text in texts), MISSING], dtype=np.int32)
        self._chunks += [np.full(before - self._n_rows, MISSING, np.int32), here[codes]]
        self._n_rows = before + len(codes)

    def of_items(self, items: npt.NDArray[Any], ids: list[str], file_of: Callable[[int], str]) -> GivenColumn:
        """Return the attribute by item; DataError where an item has two values, which 5 and 5.0 are not.

        Args:
            items: shape (n_rows,), the item of each row.
            ids: the items' ids.
            file_of: gives the file of a row.
        """
        gap = np.full(len(items) - self._n_rows, MISSING, np.int32)
        values, codes = self._decided(_joined([*self._chunks, gap]))
        given = np.flatnonzero(codes != MISSING)
        first = np.full(len(ids), -1, np.int64)
        first[items[given[::-1]]] = given[::-1]  # of several rows the last one written stands: the first given
        by_item = np.append(codes, np.int32(MISSING))[first]
        others = given[by_item[items[given]] != codes[given]]
        if len(others) and isinstance(values, list):
            numbers = np.array([number_of(text, typed=False) for text in values])
            others = others[numbers[codes[others]] != numbers[by_item[items[others]]]]  # NaN is unlike itself
        if len(others):
            raise self._two_values(values, codes, first[items[others[0]]], others[0], ids[items[others[0]]], file_of)
        return GivenColumn(self.name, values, by_item)

    def _two_values(
        self, values: Any, codes: Codes, one: int, other: int, item: str, file_of: Callable[[int], str]
    ) -> DataError:
        files = list(dict.fromkeys([file_of(one), file_of(other)]))
        return DataError(
            f"the channel 'items' has two values for item {shown(item)} in the column {shown(self.name)}: "
            f"{_quoted(values[codes[one]])} and {_quoted(values[codes[other]])}, in {' and '.join(files)}. Keep one"
        )

    def _decided(self, codes: Codes) -> tuple[list[str] | npt.NDArray[np.float64], Codes]:
        texts = list(self._codes)
        if texts and all(text.lower() in _BOOLEANS for text in texts):
            lowered = [text.lower() for text in texts]  # pandas writes True where JSON, and our rules, have true
            distinct_texts = sorted(set(lowered))
            return distinct_texts, np.array([*map(distinct_texts.index, lowered), MISSING], dtype=np.int32)[codes]
        if not self._numeric or not (texts or self._typed):
            return texts, codes
        numbers = np.array([number_of(text, typed=True) for text in texts], dtype=np.float64)
        distinct, which = np.unique(numbers, return_inverse=True)
        return distinct, np.append(which, MISSING).astype(np.int32)[codes]


def _quoted(value: Any) -> str:
    return shown(value) if isinstance(value, str) else shortest_text(float(value))


def _joined(chunks: list[Codes]) -> Codes:
    return np.concatenate(chunks) if chunks else np.empty(0, np.int32)
