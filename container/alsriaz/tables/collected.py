"""Rows of all files together: what can be decided only when everything has been read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alsriaz.tables.batches import Numbers
from alsriaz.tables.cleaning import FileRows, Mask
from alsriaz.tables.day_column import DayColumn
from alsriaz.tables.descriptions import Descriptions
from alsriaz.tables.purchases import Purchases
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.sales_spec import SalesSpec
from alsriaz.tables.texts import Codes, IdTexts


class IdColumn:
    """The customer ids, or the item ids, of all files; codes count up in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._dot_zero = True

    def add(self, ids: IdTexts) -> Codes:
        """Take in a file's ids; return for each of its codes the code here."""
        self._dot_zero = self._dot_zero and ids.dot_zero
        codes = self._codes
        return np.fromiter((codes.setdefault(text, len(codes)) for text in ids.texts), np.int32, len(ids.texts))

    def decided(self) -> tuple[list[str], Codes]:
        """Return the ids, each once, and for each code which of them it is.

        ``.0`` is gone where every value of the column ended so. Then two codes can be one id: where a typed column has
        whole numbers and another file has them as text.
        """
        codes: dict[str, int] = {}
        texts = [text.removesuffix(".0") for text in self._codes] if self._dot_zero else list(self._codes)
        which = np.fromiter((codes.setdefault(text, len(codes)) for text in texts), np.int32, len(texts))
        return list(codes), which


class Collected:
    """All kept rows, about 24 bytes each (28 with descriptions), and the ids and dates that their codes stand for.

    Attributes:
        refusals: counts and samples of all files so far.
    """

    def __init__(self, spec: SalesSpec) -> None:
        """Begin without rows."""
        self.refusals = Refusals()
        self._spec = spec
        self._customers = IdColumn()
        self._items = IdColumn()
        self._days = DayColumn()
        self._files: list[str] = []
        self._ends: list[int] = []
        self._chunks: list[list[NDArray[Any]]] = [[] for _ in range(5)]
        self._descriptions = Descriptions()

    def add(self, rows: FileRows) -> None:
        """Take in a file's rows; `rows` is used up."""
        customers = self._customers.add(rows.customers)
        items = self._items.add(rows.items)
        days = self._days.add(rows.days, rows.file)
        described = self._descriptions.of_file(rows.descriptions)
        kept = self._ends[-1] if self._ends else 0
        rows.chunks.reverse()
        while rows.chunks:
            chunk = rows.chunks.pop()
            kept += len(chunk[0])
            mapped: tuple[NDArray[Any], ...] = (
                customers[chunk[0]],
                items[chunk[1]],
                chunk[2],
                days[chunk[3]],
                chunk[4],
            )
            for chunks, values in zip(self._chunks, mapped, strict=True):
                chunks.append(values)
            self._descriptions.add(described, chunk[5], len(chunk[0]))
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
        customers, items, quantities, day_codes, numbers = (_joined(chunks) for chunks in self._chunks)
        customer_texts, which_customer = self._customers.decided()
        item_texts, which_item = self._items.decided()
        customers, items = which_customer[customers], which_item[items]
        rows = _Rows(customers, items, quantities, day_codes, numbers, customer_texts, item_texts)
        kept = np.ones(len(customers), bool)
        for reason, refused in self._filters(rows, kept):
            self._refuse(reason, np.flatnonzero(refused & kept), rows)
            kept &= ~refused
        if not kept.any():
            self.refusals.refuse_nothing_left()
        if not kept.all():
            customers, items, quantities, day_codes = (a[kept] for a in (customers, items, quantities, day_codes))
        customer_ids, customers = _ordered(rows.customer_texts, customers)
        item_ids, items = _ordered(rows.item_texts, items)
        refused_items = frozenset(rows.item_texts).difference(item_ids)
        return Purchases(
            customer_ids,
            item_ids,
            customers,
            items,
            quantities,
            days[day_codes],
            self._descriptions.decided(items, len(item_ids), kept),
            refused_items,
        )

    def _filters(self, rows: "_Rows", kept: Mask) -> Iterator[tuple[str, Mask]]:
        """Yield the rows that each filter of the spec refuses; `kept` holds what the filters before it left."""
        spec = self._spec
        if spec.exclude_items:
            excluded = np.isin(np.array(rows.item_texts, object), spec.exclude_items)
            yield "exclude_items", excluded[rows.items]
        if spec.max_quantity is not None:
            yield "max_quantity", np.abs(rows.quantities) > spec.max_quantity
        if spec.min_item_customers is not None:
            bought = kept & (rows.quantities > 0)
            pairs = np.unique(rows.items[bought].astype(np.int64) * len(rows.customer_texts) + rows.customers[bought])
            buyers = np.bincount(pairs // max(len(rows.customer_texts), 1), minlength=len(rows.item_texts))
            yield "min_item_customers", (buyers < spec.min_item_customers)[rows.items]

    def _refuse(self, reason: str, places: NDArray[np.int64], rows: "_Rows") -> None:
        self.refusals.count(reason, len(places))
        for place in places[: self.refusals.wanted(reason)]:
            file = self._files[int(np.searchsorted(self._ends, place, side="right"))]
            texts = (
                rows.customer_texts[rows.customers[place]],
                rows.item_texts[rows.items[place]],
                repr(float(rows.quantities[place])).removesuffix(".0"),
                self._days.texts[rows.days[place]],
            )
            self.refusals.sample(RejectedRow(file, int(rows.numbers[place]), reason, *texts))


@dataclass
class _Rows:
    """Kept rows in reading order: codes, and the ids that they stand for, those of refused rows included."""

    customers: Codes
    items: Codes
    quantities: NDArray[np.float64]
    days: Codes
    numbers: Numbers
    customer_texts: list[str]
    item_texts: list[str]


def _joined(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the chunks as one array, and let go of them."""
    whole = np.concatenate(chunks) if chunks else np.empty(0, np.int32)
    chunks.clear()
    return whole


def _ordered(texts: list[str], codes: Codes) -> tuple[list[str], NDArray[np.int32]]:
    """Return the ids in use in code-point order, and for each row the place of its id in them."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(texts)))
    ordered = sorted(used.tolist(), key=texts.__getitem__)
    places = np.zeros(len(texts), np.int32)
    places[ordered] = np.arange(len(ordered), dtype=np.int32)
    return [texts[code] for code in ordered], places[codes]
