"""The shop's own table of its items: files in, each item once, each attribute of one kind, every refused row counted.

ItemRows has one file's rows, as codes that stand for texts of this file; MergedItems puts the files together.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alsriaz.errors import DataError
from alsriaz.platform.limits import MOST_VALUE_BYTES
from alsriaz.platform.plain_number import parse_number, shortest_text
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.platform.values import shown
from alsriaz.tables.columns import MOST_GIVEN, find_item_id, is_later_items_header
from alsriaz.tables.csv_files import CsvLayout, find_items_layout
from alsriaz.tables.parquet_files import is_number, told_texts
from alsriaz.tables.reading import FileRows, TableKind, names_of, read_file
from alsriaz.tables.refusals import Refusals
from alsriaz.tables.texts import EMPTY, UNFIT, Batch, IdColumn, IdTexts, TextCodes, ValueTexts, joined

DESCRIPTION: Final = "description"
MOST_ROWS: Final = 10_000_000
"""Of all files: with 63 columns their codes take 2.5 GB."""

_BOOLEANS: Final = {"false", "true"}
_CODE = re.compile(r"\+.*|-?0\d.*|-?\d{16,}|-?\d+[eE]\d+", re.ASCII | re.DOTALL)
_EXACT: Final = float(1 << 53)  # whole numbers up to it are exact in float64


@dataclass(frozen=True)
class GivenColumn:
    """One attribute as the shop gave it.

    Attributes:
        name: as it is spelled in the file.
        values: distinct texts, or distinct numbers.
        codes: shape (n_given,), each item's place in `values`, -1 where it has none.
    """

    name: str
    values: list[str] | NDArray[np.float64]
    codes: TextCodes


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


def read_items(files: Sequence[Path], spec: Spec, progress: Progress) -> GivenItems:
    """Read and clean the table of items.

    Args:
        files: .csv, .csv.gz and .parquet files; they may have different columns.
        spec: ``columns.item`` names the id's column too, where the table has a column of that name; `max_bad_rows`
            holds for these files as for sales.
        progress: told of each file and each million rows.

    Raises:
        DataError: a file can't be read, has no header, no id or no rows; a value is too long; an item has two values
            for one attribute; too many rows are bad.
    """
    merged = MergedItems()
    names = [f"items/{name}" for name in names_of(files)]  # a sales file may have the same name
    for path, name in zip(files, names, strict=True):
        merged.add(read_file(path, ItemsKind(spec, name), progress))
    return merged.finish(names, spec.max_bad_rows)


class FileColumn:
    """An attribute as one file has it.

    Attributes:
        values: what the codes stand for.
        word: the reader's word for the column.
        typed: True where the file itself says that these are numbers.
        chunks: the codes of the kept rows, batch by batch.
    """

    def __init__(self, word: str, *, typed: bool) -> None:
        """Start without rows."""
        self.values = ValueTexts()
        self.word = word
        self.typed = typed
        self.chunks: list[TextCodes] = []


class ItemRows(FileRows):
    """The rows of one file that have an id, as all `readable` ones do.

    Attributes:
        ids: the ids that the codes stand for.
        chunks: the kept rows' codes, batch by batch.
        columns: the attributes by name, in the file's order.
        too_long: the id and the attribute of the first value that is too long, None where none is.
    """

    def __init__(self, file: str, names: Sequence[str], id_place: int, numeric: Sequence[bool]) -> None:
        """Start without rows; `numeric` tells of each column whether the file holds it as numbers."""
        super().__init__(file)
        self.ids = IdTexts(numeric=numeric[id_place])
        self.chunks: list[TextCodes] = []
        self.columns = {
            name: FileColumn(str(place), typed=numeric[place]) for place, name in enumerate(names) if place != id_place
        }
        self.too_long: tuple[str, str] | None = None
        self._id_word = str(id_place)

    def add(self, batch: Batch) -> None:
        """Take in a batch of rows: count the refused ones, keep the others."""
        ids = self.ids.codes(batch.columns[self._id_word])
        kept = ids >= 0
        self.refusals.rows += len(ids)
        self.readable += int(np.count_nonzero(kept))
        self.refuse("item", ~kept, int(np.count_nonzero(ids == UNFIT)), batch, {"item": self._id_word})
        self.chunks.append(ids[kept])
        for name, column in self.columns.items():
            codes = column.values.codes(batch.columns[column.word])[kept]
            long = np.flatnonzero(codes == UNFIT)
            if len(long) and not self.too_long:
                self.too_long = (self.ids.texts[ids[kept][long[0]]], name)
            column.chunks.append(codes)


class ItemsKind(TableKind[ItemRows]):
    """Items by their ids, in a file or in what a pipe gives; our words for the columns are their places as text."""

    expected = "a table of items with a header"
    has_digits = False

    def __init__(self, spec: Spec, name: str) -> None:
        """Take from `spec` what it says of the item, the one thing that a table of items shares with sales."""
        super().__init__(spec, name)
        self._wanted = spec.columns.get("item")

    def find_layout(self, beginning: str) -> CsvLayout:
        """Return how to read a CSV table that begins so; DataError where it isn't recognised."""
        return find_items_layout(beginning, self._wanted, self.name)

    def is_later_header(self, cells: Sequence[str], names: Sequence[str]) -> bool:
        """Return whether the cells of a later line make another header than the names of the first."""
        return is_later_items_header(cells, names, self._wanted)

    def csv_rows(self, layout: CsvLayout) -> ItemRows:
        """Return what a CSV file's rows will be gathered in; DataError where a column's name can't be used."""
        place = find_item_id(layout.names, self._wanted, self.name)
        return ItemRows(self.name, layout.names, place, [False] * len(layout.names))

    def parquet_rows(self, schema: Any) -> tuple[ItemRows, dict[str, str]]:
        """Return what a Parquet file's rows will be gathered in, and the names of its columns by our words for them."""
        names = [name.strip() for name in schema.names]
        place = find_item_id(names, self._wanted, self.name)
        rows = ItemRows(self.name, names, place, [is_number(kind) for kind in schema.types])
        return rows, {str(place): name for place, name in enumerate(schema.names)}

    def parquet_texts(self, column: Any, name: str, word: str) -> Any:
        """Return a Parquet column's values as Arrow strings without nulls; DataError where they have no text."""
        return told_texts(column, shown(name), self.name, finite=True)

    def right_by_lines(self, lines: ItemRows, whole: ItemRows, quotes_close: Callable[[], bool]) -> bool:
        """Return True for that line by line, where quotes are wrong: any text is an id, so all lines make sense."""
        if not super().right_by_lines(lines, whole, quotes_close):
            return False
        torn = lines.refusals.counts["shape"] > whole.refusals.counts["shape"]
        return not torn or not quotes_close()


class MergedItems:
    """The rows of all files, as codes that mean the same in all of them."""

    def __init__(self) -> None:
        """Start without rows."""
        self._ids = IdColumn()
        self._id_chunks: list[TextCodes] = []
        self._columns: dict[str, _MergedColumn] = {}
        self._refusals = Refusals()
        self._n_rows = 0
        self._files: list[tuple[int, str]] = []  # where the rows of each begin

    def add(self, rows: ItemRows) -> None:
        """Take in a file's rows; `rows` is used up."""
        file = rows.file
        if rows.too_long:
            item, name = rows.too_long
            raise DataError(
                f"{file}: item {shown(item)} has a value of more than {MOST_VALUE_BYTES} UTF-8 bytes in the column "
                f"{shown(name)}: shorten it, or leave the column out"
            )
        self._refusals.add(rows.refusals)
        self._files.append((self._n_rows, file))
        ids = joined(rows.chunks)
        self._id_chunks.append(self._ids.add(rows.ids)[ids])
        for name, column in rows.columns.items():
            merged = self._columns.setdefault(name.casefold(), _MergedColumn(name))
            if merged.name != name:
                raise DataError(
                    f"{file} has a column {shown(name)}, which another file spells {shown(merged.name)}: spell it alike"
                )
            merged.add(column, self._n_rows)
        self._n_rows += len(ids)
        if self._n_rows > MOST_ROWS:
            raise DataError(f"the channel 'items' has more than {MOST_ROWS:,} rows: expected one for each item")
        if len(self._columns) > MOST_GIVEN:
            raise DataError(
                f"the files of the channel 'items' have {len(self._columns)} different columns beside the id, "
                f"expected at most {MOST_GIVEN}"
            )

    def finish(self, names: list[str], max_bad_rows: float) -> GivenItems:
        """Return the items, each once, having seen to it that its rows agree. To be called once."""
        if not self._refusals.rows:
            raise DataError(f"{names[0]} has no rows: there is nothing below its header")
        self._refusals.refuse_too_many_bad(max_bad_rows)
        if not self._n_rows:
            raise DataError(f"none of the {self._refusals.rows:,} rows of the channel 'items' has an id")
        ids, which = self._ids.decided()
        items = which[joined(self._id_chunks)]
        columns = [column.of_items(items, ids, self._file_of) for column in self._columns.values()]
        return GivenItems(ids, columns, self._refusals)

    def _file_of(self, row: int) -> str:
        return next(file for begin, file in reversed(self._files) if begin <= row)


class _MergedColumn:
    """One attribute over all files."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._codes: dict[str, int] = {}
        self._chunks: list[TextCodes] = []
        self._n_rows = 0
        self._numeric = True
        self._typed = False

    def add(self, column: FileColumn, before: int) -> None:
        """Take in a file's values, those of the rows from `before` on."""
        texts, codes = column.values.texts, joined(column.chunks)
        self._typed = self._typed or column.typed
        self._numeric = self._numeric and not any(math.isnan(number_of(text, typed=column.typed)) for text in texts)
        here = np.array([*(self._codes.setdefault(text, len(self._codes)) for text in texts), EMPTY], dtype=np.int32)
        self._chunks += [np.full(before - self._n_rows, EMPTY, np.int32), here[codes]]
        self._n_rows = before + len(codes)

    def of_items(self, items: NDArray[Any], ids: list[str], file_of: Callable[[int], str]) -> GivenColumn:
        """Return the attribute by item; DataError where an item has two values, which 5 and 5.0 are not.

        Args:
            items: shape (n_rows,), the item of each row.
            ids: the items' ids.
            file_of: gives the file of a row.
        """
        gap = np.full(len(items) - self._n_rows, EMPTY, np.int32)
        values, codes = self._decided(joined([*self._chunks, gap]))
        given = np.flatnonzero(codes != EMPTY)
        first = np.full(len(ids), -1, np.int64)
        first[items[given[::-1]]] = given[::-1]  # of several rows the last one written stands: the first given
        by_item = np.append(codes, np.int32(EMPTY))[first]
        others = given[by_item[items[given]] != codes[given]]
        if len(others) and isinstance(values, list):
            numbers = np.array([number_of(text, typed=False) for text in values])
            others = others[numbers[codes[others]] != numbers[by_item[items[others]]]]  # NaN is unlike itself
        if not len(others):
            return GivenColumn(self.name, values, by_item)
        other = others[0]
        one = first[items[other]]
        told = " and ".join(
            shown(value) if isinstance(value, str) else shortest_text(float(value))
            for value in (values[codes[one]], values[codes[other]])
        )
        files = " and ".join(dict.fromkeys([file_of(one), file_of(other)]))
        raise DataError(
            f"the channel 'items' has two values for item {shown(ids[items[other]])} in the column "
            f"{shown(self.name)}: {told}, in {files}. Keep one"
        )

    def _decided(self, codes: TextCodes) -> tuple[list[str] | NDArray[np.float64], TextCodes]:
        """Return the values, and the rows' codes as places in them."""
        texts = list(self._codes)
        if texts and all(text.lower() in _BOOLEANS for text in texts):
            lowered = [text.lower() for text in texts]  # pandas writes True where JSON, and our rules, have true
            distinct_texts = sorted(set(lowered))
            return distinct_texts, np.array([*map(distinct_texts.index, lowered), EMPTY], dtype=np.int32)[codes]
        if not self._numeric or not (texts or self._typed):
            return texts, codes
        numbers = np.array([number_of(text, typed=True) for text in texts], dtype=np.float64)
        distinct, which = np.unique(numbers, return_inverse=True)
        return distinct, np.append(which, EMPTY).astype(np.int32)[codes]


def number_of(text: str, *, typed: bool) -> float:
    """Return the number that a value is, or NaN where it is none or has the look of a code.

    Codes have a zero before another digit (007), begin with ``+``, are whole numbers of more than 15 digits, or have an
    E between digits alone (1E5; who means the number writes 1E+05).

    Args:
        text: the value, trimmed.
        typed: the file itself says that it is a number; only whole numbers that float64 would blur are none then.
    """
    number = parse_number(text)
    if typed:
        return math.nan if abs(number) >= _EXACT and text.removeprefix("-").isdecimal() else number
    return math.nan if _CODE.fullmatch(text) else number
