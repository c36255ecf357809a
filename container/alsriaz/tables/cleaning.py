"""Rows of one file to numbers, refusing what can't be used: everything that doesn't depend on other files."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alsriaz.tables.batches import Batch, Numbers
from alsriaz.tables.day_column import NO_DAY, DayTexts
from alsriaz.tables.descriptions import MOST_DESCRIPTIONS
from alsriaz.tables.refusals import Refusals, RejectedRow
from alsriaz.tables.sales_spec import SalesSpec
from alsriaz.tables.texts import NO_ID, Codes, IdTexts, ValueTexts, each_distinct, quantities

Mask = NDArray[np.bool_]

_CANCELLED = re.compile(r"[Cc]\d+", re.ASCII)


class FileRows:
    """The rows of one file that nothing in the file itself refuses, as codes that mean something in this file only.

    Attributes:
        file: the file's name, for samples and messages.
        refusals: counts and samples so far.
        readable: how many rows have both a quantity and a date, refused for another reason or not.
        customers: the ids that the customer codes stand for; so are `items`, `days` and `descriptions`.
        chunks: the kept rows, batch by batch: codes of customers and of items, quantities, codes of days, row numbers,
            codes of descriptions (None where the file has none).
    """

    def __init__(
        self, file: str, spec: SalesSpec, numeric: frozenset[str] = frozenset(), *, typed_dates: bool = False
    ) -> None:
        """Begin a file without rows.

        Args:
            file: the file's name.
            spec: what to refuse.
            numeric: the words whose column holds numbers, not texts.
            typed_dates: True where dates are written by us, as ISO, and not by the shop.
        """
        self.file = file
        self.refusals = Refusals()
        self.readable = 0
        self.customers = IdTexts(numeric="customer" in numeric)
        self.items = IdTexts(numeric="item" in numeric)
        self.days = DayTexts(spec.date_format, typed=typed_dates)
        self.descriptions = ValueTexts(MOST_DESCRIPTIONS)
        self.chunks: list[tuple[Codes, Codes, NDArray[np.float64], Codes, Numbers, Codes | None]] = []
        self._drop_returns = spec.returns == "drop"

    def refuse_shape(self, number: int, line: str) -> None:
        """Count a row that has too few or too many columns."""
        self.refusals.rows += 1
        self.refusals.count("shape", 1, bad=1)
        if self.refusals.wanted("shape"):
            self.refusals.sample(RejectedRow(self.file, number, "shape", line=line))

    def add(self, batch: Batch) -> None:
        """Take in a batch of rows: count the refused ones, keep the others."""
        customers = self.customers.codes(batch.customer)
        items = self.items.codes(batch.item)
        amounts = _signed(quantities(batch.quantity), batch.invoice)
        days = self.days.codes(batch.date, batch.numbers)
        no_quantity, no_day = np.isnan(amounts), days == NO_DAY
        self.readable += int(np.count_nonzero(~no_quantity & ~no_day))
        self.refusals.rows += len(amounts)
        refused = np.zeros(len(amounts), bool)
        for reason, mask in {
            "customer": customers < 0,
            "item": items < 0,
            "quantity": no_quantity,
            "date": no_day,
            "return": amounts <= 0 if self._drop_returns else refused,
        }.items():
            self._refuse(reason, mask & ~refused, batch, {"customer": customers, "item": items})
            refused = refused | mask
        kept = ~refused
        if kept.any():
            told = None
            if batch.description is not None and not self.descriptions.too_many:
                told = self.descriptions.codes(batch.description)[kept]
            self.chunks.append((customers[kept], items[kept], amounts[kept], days[kept], batch.numbers[kept], told))

    def _refuse(self, reason: str, mask: Mask, batch: Batch, ids: Mapping[str, Codes]) -> None:
        """Count the rows of `mask`. Bad are those without a quantity or a date, and those with an id that is no id."""
        rows = int(np.count_nonzero(mask))
        if not rows:
            return
        bad = rows if reason in ("quantity", "date") else 0
        if reason in ids:
            bad = int(np.count_nonzero(ids[reason][mask] == NO_ID))
        self.refusals.count(reason, rows, bad)
        for place in np.flatnonzero(mask)[: self.refusals.wanted(reason)]:
            self.refusals.sample(RejectedRow(self.file, int(batch.numbers[place]), reason, *_texts(batch, int(place))))


def _texts(batch: Batch, place: int) -> Iterator[str]:
    return (column[place].as_py() for column in (batch.customer, batch.item, batch.quantity, batch.date))


def _signed(amounts: NDArray[np.float64], invoice: Any) -> NDArray[np.float64]:
    """Return quantities in which those of cancelled invoices are 0 or less."""
    if invoice is None:
        return amounts
    cancelled = each_distinct(invoice, _is_cancelled, np.bool_)
    return np.where(cancelled, -np.abs(amounts), amounts)


def _is_cancelled(invoice: str) -> bool:
    """True for C and digits, as in Online Retail: order ids of other shops begin with C too, such as CA-2016-152156."""
    return _CANCELLED.fullmatch(invoice.strip()) is not None
