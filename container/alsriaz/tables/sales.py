"""Sales: files in, purchases out, and every refused row counted.

SalesRows decides what one file alone shows, Collected what only all files together do.
"""

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alsriaz.errors import DataError
from alsriaz.platform.progress import Progress
from alsriaz.platform.spec import Spec
from alsriaz.platform.values import shown
from alsriaz.tables.columns import NEEDED, find_columns
from alsriaz.tables.csv_files import CsvLayout, find_sales_layout
from alsriaz.tables.parquet_files import is_date, is_number, is_text, told_texts
from alsriaz.tables.reading import FileRows, TableKind, names_of, read_file
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.texts import (
    NO_DAY,
    UNFIT,
    Batch,
    DayColumn,
    DayTexts,
    IdColumn,
    IdTexts,
    RowNumbers,
    TextCodes,
    ValueTexts,
    each_distinct,
    joined,
    quantities,
)

MOST_DESCRIPTIONS: Final = 1_000_000
"""A column with more distinct texts tells about rows, not about items, and would fill the memory."""

_SAMPLED: Final = {word: word for word in NEEDED}  # what rejected.csv shows of a row
_CANCELLED = re.compile(r"[Cc]\d+", re.ASCII)


@dataclass(frozen=True)
class Purchases:
    """The accepted purchases, one entry per row, in reading order: file by file as given, row by row.

    Attributes:
        customer_ids: the customers that have a row here, unique, in code-point order.
        item_ids: the items that have a row here, unique, in code-point order.
        customers: shape (n,), places in `customer_ids`.
        items: shape (n,), places in `item_ids`.
        quantities: shape (n,), finite. Positive; where returns are netted, a return row has 0 or less.
        days: shape (n,), days since 1970-01-01.
        descriptions: what the sales call each of `item_ids`, empty where nothing; None where they say it of none.
        refused_items: items that are in the files, but all of whose rows were refused, for whatever reason.
    """

    customer_ids: list[str]
    item_ids: list[str]
    customers: NDArray[np.int32]
    items: NDArray[np.int32]
    quantities: NDArray[np.float64]
    days: NDArray[np.int32]
    descriptions: list[str] | None = None
    refused_items: frozenset[str] = frozenset()


def read_purchases(files: Sequence[Path], spec: Spec, progress: Progress) -> tuple[Purchases, Refusals]:
    """Read and clean sales files.

    Args:
        files: .csv, .csv.gz and .parquet files, in the order in which their rows shall come.
        spec: what to refuse, and what isn't to be detected.
        progress: told of each file and each million rows.

    Returns:
        The accepted rows, and what was refused.

    Raises:
        DataError: a file can't be read, columns are missing, the dates have no one format, too many rows are bad, or
            no row is accepted.
    """
    if not files:
        raise DataError("there are no sales files: expected .csv, .csv.gz or .parquet")
    names = names_of(files)
    collected = Collected(spec)
    for path, name in zip(files, names, strict=True):
        collected.add(read_file(path, SalesKind(spec, name), progress))
    if not collected.refusals.rows:
        others = f", nor has any of the other {len(files) - 1} files" if len(files) > 1 else ""
        raise DataError(f"{names[0]} has no rows: there is nothing below its header{others}")
    return collected.finish(), collected.refusals


class Chunk(NamedTuple):
    """Kept rows, as codes; those of a batch mean something in their file only, which may have no descriptions."""

    customers: TextCodes
    items: TextCodes
    quantities: NDArray[np.float64]
    days: TextCodes
    numbers: RowNumbers
    described: TextCodes | None


class SalesRows(FileRows):
    """The rows of one file that nothing in the file itself refuses; `readable` are those with a quantity and a date.

    Attributes:
        customers: the ids that the customer codes stand for; so are `items`, `days` and `descriptions`.
        chunks: the kept rows, batch by batch.
    """

    def __init__(
        self, file: str, spec: Spec, numeric: frozenset[str] = frozenset(), *, typed_dates: bool = False
    ) -> None:
        """Start without rows.

        Args:
            file: the file's name.
            spec: what to refuse.
            numeric: the words whose column holds numbers, not texts.
            typed_dates: True where dates are written by us, as ISO, and not by the shop.
        """
        super().__init__(file)
        self.customers = IdTexts(numeric="customer" in numeric)
        self.items = IdTexts(numeric="item" in numeric)
        self.days = DayTexts(spec.date_format, typed=typed_dates)
        self.descriptions = ValueTexts(MOST_DESCRIPTIONS)
        self.chunks: list[Chunk] = []
        self._drop_returns = spec.returns == "drop"

    def add(self, batch: Batch) -> None:
        """Take in a batch of rows: count the refused ones, keep the others."""
        columns = batch.columns
        customers = self.customers.codes(columns["customer"])
        items = self.items.codes(columns["item"])
        amounts = _signed(quantities(columns["quantity"]), columns.get("invoice"))
        days = self.days.codes(columns["date"], batch.numbers)
        no_quantity, no_day = np.isnan(amounts), days == NO_DAY
        self.readable += int(np.count_nonzero(~no_quantity & ~no_day))
        self.refusals.rows += len(amounts)
        refused = np.zeros(len(amounts), bool)
        for reason, mask, bad in (
            ("customer", customers < 0, customers == UNFIT),
            ("item", items < 0, items == UNFIT),
            ("quantity", no_quantity, no_quantity),
            ("date", no_day, no_day),
            ("return", amounts <= 0 if self._drop_returns else refused, np.False_),
        ):
            first = mask & ~refused
            if first.any():
                self.refuse(reason, first, int(np.count_nonzero(first & bad)), batch, _SAMPLED)
            refused = refused | mask
        kept = ~refused
        if kept.any():
            described = None
            if "description" in columns and not self.descriptions.too_many:
                described = self.descriptions.codes(columns["description"])[kept]
            codes = (customers[kept], items[kept], amounts[kept], days[kept], batch.numbers[kept])
            self.chunks.append(Chunk(*codes, described))


def _signed(amounts: NDArray[np.float64], invoice: Any) -> NDArray[np.float64]:
    """Return quantities in which those of cancelled invoices are 0 or less."""
    if invoice is None:
        return amounts
    cancelled = each_distinct(invoice, _is_cancelled, np.bool_)
    return np.where(cancelled, -np.abs(amounts), amounts)


def _is_cancelled(invoice: str) -> bool:
    """True for C and digits, as in Online Retail: order ids of other shops begin with C too, such as CA-2016-152156."""
    return _CANCELLED.fullmatch(invoice.strip()) is not None


class SalesKind(TableKind[SalesRows]):
    """Rows of customer, item, quantity and date, in a file or in what a pipe gives."""

    expected = "rows of customer, item, quantity and date"
    has_digits = True  # in quantity and date

    def find_layout(self, beginning: str) -> CsvLayout:
        """Return how to read a CSV table that begins so; DataError where it isn't recognised."""
        return find_sales_layout(beginning, self._spec, self.name)

    def is_later_header(self, cells: Sequence[str], names: Sequence[str]) -> bool:
        """Return whether the cells have all that a header needs, be it the same as the first one's."""
        if any(isinstance(column, int) for column in self._spec.columns.values()):
            return False  # columns are known by number: any line has them
        try:
            find_columns(cells, self._spec.columns, self.name)
        except DataError:
            return False
        return True

    def csv_rows(self, layout: CsvLayout) -> SalesRows:
        """Return what a CSV file's rows will be gathered in."""
        return SalesRows(self.name, self._spec)

    def parquet_rows(self, schema: Any) -> tuple[SalesRows, dict[str, str]]:
        """Return what a Parquet file's rows will be gathered in, and the names of its columns by our words for them."""
        columns = find_columns(schema.names, self._spec.columns, self.name)
        told = columns.get("description")
        if told is not None and not (is_text(schema.types[told]) and schema.names.count(schema.names[told]) == 1):
            del columns["description"]  # nothing hangs on it, so that what can't be read is left alone
        names = {word: schema.names[place] for word, place in columns.items()}
        for name in names.values():
            if schema.names.count(name) > 1:
                raise DataError(f"{self.name} has two columns named {shown(name)}: give each its own name")
        numeric = frozenset(word for word, place in columns.items() if is_number(schema.types[place]))
        return SalesRows(self.name, self._spec, numeric, typed_dates=is_date(schema.types[columns["date"]])), names

    def parquet_texts(self, column: Any, name: str, word: str) -> Any:
        """Return a Parquet column's values as Arrow strings without nulls; DataError where they have no text."""
        return told_texts(column, f"{shown(name)} ({word})", self.name)


class Collected:
    """All kept rows, about 24 bytes each (28 with descriptions), and the ids and dates that their codes stand for.

    Attributes:
        refusals: counts and samples of all files so far.
    """

    def __init__(self, spec: Spec) -> None:
        """Start without rows."""
        self.refusals = Refusals()
        self._spec = spec
        self._customers = IdColumn()
        self._items = IdColumn()
        self._days = DayColumn()
        self._descriptions = Descriptions()
        self._files: list[str] = []
        self._ends: list[int] = []  # of the rows of each file
        self._chunks: tuple[list[NDArray[Any]], ...] = ([], [], [], [], [])

    def add(self, rows: SalesRows) -> None:
        """Take in a file's rows; `rows` is used up."""
        customers = self._customers.add(rows.customers)
        items = self._items.add(rows.items)
        days = self._days.add(rows.days, rows.file)
        self._descriptions.begin_file(rows.descriptions)
        kept = self._ends[-1] if self._ends else 0
        rows.chunks.reverse()
        while rows.chunks:
            chunk = rows.chunks.pop()
            kept += len(chunk.numbers)
            mapped: tuple[NDArray[Any], ...] = (
                customers[chunk.customers],
                items[chunk.items],
                chunk.quantities,
                days[chunk.days],
                chunk.numbers,
            )
            for chunks, values in zip(self._chunks, mapped, strict=True):
                chunks.append(values)
            self._descriptions.add(chunk.described, len(chunk.numbers))
        self._files.append(rows.file)
        self._ends.append(kept)
        self.refusals.add(rows.refusals)

    def finish(self) -> Purchases:
        """Decide what needed all files, apply the spec's own filters, and return what is left. To be called once.

        Raises:
            DataError: the dates have no one format; too many rows are bad; nothing is left.
        """
        days = self._days.decided()
        self.refusals.refuse_too_many_bad(self._spec.max_bad_rows)
        customers, items, amounts, day_codes, numbers = map(joined, self._chunks)
        customer_texts, which_customer = self._customers.decided()
        item_texts, which_item = self._items.decided()
        rows = Chunk(which_customer[customers], which_item[items], amounts, day_codes, numbers, None)
        kept = np.ones(len(amounts), bool)
        for reason, refused in self._filters(rows, kept, customer_texts, item_texts):
            places = np.flatnonzero(refused & kept)
            self.refusals.count(reason, len(places))
            for place in places[: self.refusals.wanted(reason)].tolist():
                file = self._files[bisect.bisect_right(self._ends, place)]
                texts = (
                    customer_texts[rows.customers[place]],
                    item_texts[rows.items[place]],
                    repr(float(amounts[place])).removesuffix(".0"),
                    self._days.texts[day_codes[place]],
                )
                self.refusals.sample(RejectedRow(file, int(numbers[place]), reason, *texts))
            kept &= ~refused
        if not kept.any():
            self.refusals.refuse_nothing_left()
        customers, items = rows.customers, rows.items
        if not kept.all():
            customers, items, amounts, day_codes = (a[kept] for a in (customers, items, amounts, day_codes))
        customer_ids, customers = _ordered(customer_texts, customers)
        item_ids, items = _ordered(item_texts, items)
        described = self._descriptions.decided(items, len(item_ids), kept)
        refused_items = frozenset(item_texts).difference(item_ids)
        return Purchases(customer_ids, item_ids, customers, items, amounts, days[day_codes], described, refused_items)

    def _filters(
        self, rows: Chunk, kept: NDArray[np.bool_], customer_texts: list[str], item_texts: list[str]
    ) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield the rows that each filter of the spec refuses; `kept` holds what the filters before it left."""
        spec = self._spec
        if spec.exclude_items:
            excluded = np.isin(np.array(item_texts, object), spec.exclude_items)
            yield "exclude_items", excluded[rows.items]
        if spec.max_quantity is not None:
            yield "max_quantity", np.abs(rows.quantities) > spec.max_quantity
        if spec.min_item_customers is not None:
            bought = kept & (rows.quantities > 0)
            pairs = np.unique(rows.items[bought].astype(np.int64) * len(customer_texts) + rows.customers[bought])
            buyers = np.bincount(pairs // max(len(customer_texts), 1), minlength=len(item_texts))
            yield "min_item_customers", (buyers < spec.min_item_customers)[rows.items]


def _ordered(texts: list[str], codes: TextCodes) -> tuple[list[str], TextCodes]:
    """Return the ids in use in code-point order, and for each row the place of its id in them."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    ordered = sorted(used.tolist(), key=texts.__getitem__)
    places = np.zeros(len(texts), np.int32)
    places[ordered] = np.arange(len(ordered), dtype=np.int32)
    return [texts[code] for code in ordered], places[codes]


class Descriptions:
    """The descriptions of all kept rows of all files, a code each; no codes are kept while no file has any."""

    def __init__(self) -> None:
        """Start without rows."""
        self._codes: dict[str, int] = {}
        self._here = np.empty(0, np.int32)  # for each code of the file at hand the code here
        self._chunks: list[TextCodes] = []
        self._undescribed = 0  # rows since the last of `_chunks`
        self._too_many = False

    def begin_file(self, texts: ValueTexts) -> None:
        """Take in a file's texts, those of the rows that will be added next."""
        codes = self._codes
        self._here = np.full(len(texts.texts) + 2, -1, np.int32)  # the last two are those of UNFIT and EMPTY
        self._here[:-2] = [codes.setdefault(text, len(codes)) for text in texts.texts]
        self._too_many = self._too_many or texts.too_many or len(codes) > MOST_DESCRIPTIONS
        if self._too_many:
            self._codes, self._chunks = {}, []

    def add(self, chunk: TextCodes | None, n_rows: int) -> None:
        """Take in the next `n_rows` rows, whose codes in their file are `chunk`."""
        if self._too_many:
            return
        if chunk is None:
            self._undescribed += n_rows
            return
        if self._undescribed:
            self._chunks.append(np.full(self._undescribed, -1, np.int32))
            self._undescribed = 0
        self._chunks.append(self._here[chunk])

    def decided(self, items: TextCodes, n_items: int, kept: NDArray[np.bool_]) -> list[str] | None:
        """Return each item's most frequent description, the first in code-point order of equally frequent ones.

        Args:
            items: shape (n,), the items of the rows that were kept in the end.
            n_items: how many items there are.
            kept: which of the rows taken in these are.

        Returns:
            Shape (n_items,), empty texts where an item has none; None where no row has one, or too many differ.
        """
        if not self._chunks or not self._codes:
            return None
        codes = joined([*self._chunks, np.full(self._undescribed, -1, np.int32)])[kept]
        self._chunks.clear()
        texts = sorted(self._codes)
        place = np.empty(len(texts), np.int64)
        place[[self._codes[text] for text in texts]] = np.arange(len(texts))
        described = np.flatnonzero(codes >= 0)
        pairs = items[described].astype(np.int64) * len(texts) + place[codes[described]]
        pairs, counts = np.unique(pairs, return_counts=True)
        of_item, text = np.divmod(pairs, len(texts))
        order = np.lexsort((text, -counts, of_item))
        first = order[np.flatnonzero(np.diff(of_item[order], prepend=-1))]
        result = [""] * n_items
        for item, chosen in zip(of_item[first].tolist(), text[first].tolist(), strict=True):
            result[item] = texts[chosen]
        return result
