"""One file of the table of items: read as sales files are, its values as codes that stand for texts of this file."""

import csv
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from alsriaz.errors import DataError
from alsriaz.platform.values import shown
from alsriaz.tables.batches import Numbers
from alsriaz.tables.columns import offered
from alsriaz.tables.csv_rows import CsvRows
from alsriaz.tables.item_columns import find_id, is_header, is_later_header
from alsriaz.tables.lines import LineGuard, open_bytes
from alsriaz.tables.objects import TableKind
from alsriaz.tables.parquet_rows import is_number, open_parquet, parquet_batches, told_texts
from alsriaz.tables.reading import FileReader, Progress
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.sales_spec import SalesSpec
from alsriaz.tables.sniff import Layout, find_named_columns
from alsriaz.tables.texts import NO_ID, TOO_LONG, Codes, IdTexts, ValueTexts


class FileColumn:
    """An attribute as one file has it.

    Attributes:
        values: what the codes stand for.
        typed: True where the file itself says that these are numbers.
        chunks: the codes of the kept rows, batch by batch.
    """

    def __init__(self, *, typed: bool) -> None:
        """Begin without rows."""
        self.values = ValueTexts()
        self.typed = typed
        self.chunks: list[Codes] = []


class ItemRows:
    """The rows of one file that have an id.

    Attributes:
        refusals: counts and samples so far.
        readable: how many rows have an id.
        ids: the ids that the codes stand for.
        chunks: the kept rows' codes, batch by batch.
        columns: the attributes by name, in the file's order.
        too_long: the id and the attribute of the first value that is too long, None where none is.
    """

    def __init__(self, file: str, names: Sequence[str], id_place: int, numeric: Sequence[bool]) -> None:
        """Begin a file without rows; `numeric` tells of each column whether the file holds it as numbers."""
        self.refusals = Refusals()
        self.readable = 0
        self.ids = IdTexts(numeric=numeric[id_place])
        self.chunks: list[Codes] = []
        self.columns = {name: FileColumn(typed=numeric[place]) for place, name in enumerate(names) if place != id_place}
        self.too_long: tuple[str, str] | None = None
        self._file = file
        self._id_place = id_place

    def refuse_shape(self, number: int, line: str) -> None:
        """Count a row that has too few or too many columns."""
        self.refusals.rows += 1
        self.refusals.count("shape", 1, bad=1)
        if self.refusals.wanted("shape"):
            self.refusals.sample(RejectedRow(self._file, number, "shape", line=line))

    def add(self, numbers: Numbers, columns: list[Any]) -> None:
        """Take in rows: their numbers, and of each column of the file an Arrow array of texts without nulls."""
        texts = columns.pop(self._id_place)
        ids = self.ids.codes(texts)
        kept = ids >= 0
        self.refusals.rows += len(ids)
        self.readable += int(np.count_nonzero(kept))
        refused = np.flatnonzero(~kept)
        if len(refused):
            self.refusals.count("item", len(refused), bad=int(np.count_nonzero(ids == NO_ID)))
        for place in refused[: self.refusals.wanted("item")].tolist():
            self.refusals.sample(RejectedRow(self._file, int(numbers[place]), "item", item=texts[place].as_py()))
        self.chunks.append(ids[kept])
        for (name, column), values in zip(self.columns.items(), columns, strict=True):
            codes = column.values.codes(values)[kept]
            long = np.flatnonzero(codes == TOO_LONG)
            if len(long) and not self.too_long:
                self.too_long = (self.ids.texts[ids[kept][long[0]]], name)
            column.chunks.append(codes)


class ItemReader(FileReader[ItemRows]):
    """Reads one file of the table of items."""

    def __init__(self, path: Path, name: str, spec: SalesSpec, progress: Progress) -> None:
        """Prepare to read `path`, called `name` in messages; of `spec` only ``columns.item`` is looked at."""
        super().__init__(path, name, spec, progress)
        self._wanted = spec.columns.get("item")
        self._names: tuple[str, ...] = ()

    def _layout(self, beginning: str) -> Layout:
        if not beginning.strip():
            raise DataError(f"{self._name} is empty: expected a table of items with a header")
        layout = _find_layout(beginning, self._wanted, self._name)
        self._names = layout.names
        return layout

    def _no_rows(self) -> ItemRows:
        place = find_id(self._names, self._wanted, self._name)
        return ItemRows(self._name, self._names, place, [False] * len(self._names))

    def _taken(self, records: CsvRows, rows: ItemRows) -> ItemRows:
        for numbers, batch in self._told(records.tables(), rows):
            rows.add(numbers, [batch.column(str(place)) for place in range(len(self._names))])
        return rows

    def _right_by_lines(self, lines: ItemRows, whole: ItemRows, layout: Layout, latin1: bool) -> bool:
        """Return True for that line by line, where quotes are wrong: any text is an id, so all lines make sense."""
        if not super()._right_by_lines(lines, whole, layout, latin1):
            return False
        torn = lines.refusals.counts["shape"] > whole.refusals.counts["shape"]
        return not torn or not self._all_quotes_close(layout, latin1)

    def _all_quotes_close(self, layout: Layout, latin1: bool) -> bool:
        """Return whether each quote that closes a value ends it: one that opened by mistake closes where one opens."""
        with closing(LineGuard(open_bytes(self._path), latin1=latin1)) as guard:
            lines = (line.decode() for piece in iter(guard.read, b"") for line in piece.splitlines(keepends=True))
            try:
                deque(csv.reader(lines, delimiter=layout.delimiter, strict=True), maxlen=0)
            except csv.Error:
                return False
        return True

    def _from_parquet(self) -> ItemRows:
        with closing(open_parquet(self._path, self._name)) as parquet:
            schema = parquet.schema_arrow
            names = [name.strip() for name in schema.names]
            place = find_id(names, self._wanted, self._name)
            rows = ItemRows(self._name, names, place, [is_number(kind) for kind in schema.types])
            first = 1
            for batch in self._told(parquet_batches(parquet, schema.names, self._name), rows):
                numbers = np.arange(first, first + batch.num_rows, dtype=np.uint32)
                columns = zip(schema.names, batch.columns, strict=True)
                texts = [told_texts(column, shown(name), self._name, finite=True) for name, column in columns]
                rows.add(numbers, texts)
                first += batch.num_rows
        return rows


def items_kind(spec: SalesSpec, name: str) -> TableKind:
    """Return the kind of the table of items; `spec` and `name` are as for `sales_kind`."""
    wanted = spec.columns.get("item")
    return TableKind(
        lambda beginning: _find_layout(beginning, wanted, name), partial(is_later_header, wanted=wanted), digits=False
    )


def _find_layout(beginning: str, wanted: str | int | None, name: str) -> Layout:
    layout = find_named_columns(beginning, partial(is_header, wanted=wanted))
    if layout is None:
        first = next((line for line in beginning.splitlines() if line.strip()), "")
        raise DataError(
            f"{name}: no header that is recognised. Expected names in the first row, one of them for the "
            f"item's id ({offered('item')}, id and the like) and further ones, divided by , | ; or tab. "
            f"The first line is {shown(first.strip(), 200)}"
        )
    return layout
