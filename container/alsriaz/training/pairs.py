"""The days that a run learns from, and their purchases summed up by (customer, item) pair."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from alsriaz.errors import DataError
from alsriaz.model.arrays import Codes
from alsriaz.platform.days import Day, day_text, today
from alsriaz.platform.spec import Spec
from alsriaz.scoring.ratings import PairPurchases, decay
from alsriaz.tables.sales import Purchases

ROUNDING = 1e-12
"""0.1 + 0.2 - 0.3 is not quite 0: what is returned whole leaves at most this share of what was moved."""


@dataclass(frozen=True)
class Window:
    """The days `first` to `last`, both included."""

    first: Day
    last: Day

    def until(self, last: int) -> "Window":
        """Return this window cut to end at `last`."""
        return Window(self.first, Day(last))

    def after(self, day: int) -> "Window":
        """Return the part of this window that follows `day`."""
        return Window(Day(day + 1), self.last)

    def __str__(self) -> str:
        return f"{day_text(self.first)} to {day_text(self.last)}"


def find_window(spec: Spec, purchases: Purchases) -> tuple[Window, list[str]]:
    """Return the window that the spec asks for in these purchases, and what the caller should be warned of.

    Raises:
        DataError: no purchase lies in the window.
    """
    data = Window(Day(int(purchases.days.min())), Day(int(purchases.days.max())))
    last, warnings = data.last, []
    if spec.retention_date is not None:
        last = min(spec.retention_date, data.last)
        if spec.retention_date > data.last:
            warnings.append(
                f"retention_date {day_text(spec.retention_date)} is after the data's last day: "
                f"the window was moved to end on {day_text(data.last)}."
            )
    first = data.first if spec.retention_days is None else Day(max(last - spec.retention_days + 1, data.first))
    window = Window(first, last)
    if not np.any((purchases.days >= window.first) & (purchases.days <= window.last)):
        raise DataError(
            f"No purchase lies in the retention window, which ends on {day_text(last)}: the data runs from {data}. "
            "Choose a later retention_date or more retention_days."
        )
    if last > today():
        warnings.append(
            f"The window's last day, {day_text(last)}, is in the future: are the dates read as they are meant?"
        )
    return window, warnings


@dataclass(frozen=True)
class Pairs:
    """The pairs of one window, by ascending customer position, then ascending item position."""

    customer_codes: Codes  # shape (n_customers,), ascending: where each position stands in the purchases' ids
    item_codes: Codes  # shape (n_items,), likewise
    customers: Codes  # shape (n_pairs,): the pairs' customer positions
    items: Codes  # shape (n_pairs,): the pairs' item positions
    purchases: PairPurchases  # what was bought, by pair

    def __len__(self) -> int:
        return len(self.customers)

    @property
    def n_customers(self) -> int:
        """How many customers have a pair."""
        return len(self.customer_codes)

    @property
    def n_items(self) -> int:
        """How many items have a pair."""
        return len(self.item_codes)

    @property
    def enough(self) -> bool:
        """True where at least 2 customers and 2 items are left, without which there is nothing to learn."""
        return self.n_customers >= 2 and self.n_items >= 2

    @cached_property
    def item_customers(self) -> npt.NDArray[np.int32]:
        """Shape (n_items,): how many customers bought each item."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int32)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Shape (n_customers + 1,): where each customer's pairs begin."""
        return np.searchsorted(self.customers, np.arange(self.n_customers + 1)).astype(np.int64)

    @cached_property
    def items_by_popularity(self) -> npt.NDArray[np.int32]:
        """Shape (n_items,): positions, most customers first, ties by position."""
        return np.argsort(-self.item_customers, kind="stable").astype(np.int32)

    def items_of(self, customer: int) -> npt.NDArray[np.int64]:
        """Return the item positions of one customer's pairs, ascending."""
        return self.items[self.offsets[customer] : self.offsets[customer + 1]].astype(np.int64)


def pair_up(purchases: Purchases, window: Window, half_life_days: float) -> Pairs:
    """Sum up the purchases of a window by pair.

    Rows are put in one order before anything is added, so that the sums don't depend on the order of the input.
    Returns (quantity <= 0) lower a pair's quantity and are not purchases; a pair without a purchase, or whose quantity
    is not above 0 in the end, is left out.
    """
    within = np.flatnonzero((purchases.days >= window.first) & (purchases.days <= window.last))
    key = purchases.customers[within].astype(np.int64) * len(purchases.item_ids) + purchases.items[within]
    order = np.lexsort((purchases.quantities[within], purchases.days[within], key))
    rows, key = within[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    quantities = purchases.quantities[rows]
    bought = quantities > 0
    decayed = np.where(bought, decay(window.last - purchases.days[rows], half_life_days), 0.0)
    counts, totals = _sums(bought.astype(np.int32), starts), _sums(quantities, starts)
    sums, gross = _sums(decayed, starts), _sums(np.abs(quantities), starts)
    kept = np.flatnonzero((counts > 0) & (totals > ROUNDING * gross))
    codes = np.divmod(key[starts[kept]], len(purchases.item_ids))
    customer_codes, customers = np.unique(codes[0], return_inverse=True)
    item_codes, items = np.unique(codes[1], return_inverse=True)
    return Pairs(
        customer_codes.astype(np.int32),
        item_codes.astype(np.int32),
        customers.astype(np.int32),
        items.astype(np.int32),
        PairPurchases(counts[kept].astype(np.int32), totals[kept], sums[kept]),
    )


def _sums(values: npt.NDArray[Any], starts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the sum from each start to the next; none of nothing, which NumPy itself refuses."""
    return np.add.reduceat(values, starts) if len(starts) else values


def check_enough(pairs: Pairs, window: Window) -> None:
    """Raise DataError where there is too little to learn from."""
    if not pairs.enough:
        raise DataError(
            f"The purchases of {window} leave {pairs.n_customers} customer(s) and {pairs.n_items} item(s), "
            "expected at least 2 of each: give more data, a longer window, or fewer filters."
        )
