"""CSV rows, batch by batch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from alsriaz.tables.batches import Batch, Numbers
from alsriaz.tables.columns import READ
from alsriaz.tables.lines import LineGuard
from alsriaz.tables.sniff import Layout

_BLOCK = 8 << 20  # more than LineGuard ever hands over at once


class OutOfStep(Exception):
    """A quote never closes, or not for megabytes: the file is to be read again, line by line."""


class CsvRows:
    """The rows of one CSV file, read once from beginning to end.

    Attributes:
        records: how many records have been read, header and refused ones included.
    """

    def __init__(
        self, guard: LineGuard, layout: Layout, refused: Callable[[int, str], None], *, newlines: bool
    ) -> None:
        """Prepare to read `guard`.

        Args:
            guard: the file; closed by the caller.
            layout: how to read it.
            refused: called with the number and the text of each row that has too few or too many columns.
            newlines: whether a quoted value may hold line ends.
        """
        self._guard = guard
        self._layout = layout
        self._refused = refused
        self._newlines = newlines
        self._refused_numbers: list[int] = []
        self.records = layout.skip - layout.empty
        self._next = self.records + 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rows with the right number of columns, as sales.

        Raises:
            OutOfStep: see there.
            NotUtf8: see LineGuard.
        """
        for numbers, rows in self.tables():
            columns = [rows.column(name) if name in rows.schema.names else None for name in READ]
            yield Batch(numbers, *columns)

    def tables(self) -> Iterator[tuple[Numbers, Any]]:
        """Yield them as they are: the rows' numbers, and an Arrow batch of the layout's columns by its words for them.

        Raises:
            OutOfStep: see there.
            NotUtf8: see LineGuard.
        """
        try:
            with self._open() as reader:
                for batch in reader:
                    self.records += batch.num_rows
                    yield self._numbers(batch.num_rows), batch
        except pa.ArrowInvalid as error:
            raise OutOfStep(str(error)) from error

    def _open(self) -> Any:
        columns = self._layout.columns
        roles = {place: role for role, place in columns.items()}
        names = [roles.get(place, f"#{place}") for place in range(len(self._layout.names))]
        return pa.csv.open_csv(
            self._guard,
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK, column_names=names, skip_rows_after_names=self._layout.skip
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self._layout.delimiter, newlines_in_values=self._newlines, invalid_row_handler=self._invalid
            ),
            # Every text stays as it is: NA and null are ids like others. The guard has checked the encoding.
            convert_options=pa.csv.ConvertOptions(
                check_utf8=False, include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string())
            ),
        )

    def _invalid(self, row: Any) -> str:
        number = row.number - self._layout.empty  # Arrow counts empty lines while it skips, and not later
        self.records += 1
        if number == self._next:  # nothing is waiting before it, so nothing needs to know it
            self._next += 1
        else:
            self._refused_numbers.append(number)
        self._refused(number, self._guard.beginning(row.text))
        return "skip"

    def _numbers(self, rows: int) -> Numbers:
        """Return the numbers of the next `rows` good rows: those of the refused rows between them are left out."""
        if not rows:
            return np.empty(0, np.uint32)
        refused = np.array(self._refused_numbers, np.int64) - self._next
        # The j-th refused row has refused[j] - j good rows before it.
        before = np.searchsorted(refused - np.arange(len(refused)), np.arange(rows), side="right")
        numbers = self._next + np.arange(rows) + before
        self._next = int(numbers[-1]) + 1
        self._refused_numbers = [number for number in self._refused_numbers if number >= self._next]
        return numbers.astype(np.uint32)
