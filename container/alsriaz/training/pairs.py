"""Purchases summed up by (customer, item) pair, and the positions of customers and items."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alsriaz.errors import DataError
from alsriaz.scoring.ratings import PairPurchases, decay
from alsriaz.tables.sales import Purchases
from alsriaz.training.window import Window

Codes = npt.NDArray[np.int32]

ROUNDING = 1e-12
"""0.1 + 0.2 - 0.3 is not quite 0: what is returned whole leaves at most this share of what was moved."""


@dataclass(frozen=True)
class Pairs:
    """The pairs of one window, by ascending customer position, then ascending item position.

    Attributes:
        customer_codes: shape (n_customers,), ascending; where each customer position stands in the purchases' ids.
        item_codes: shape (n_items,), likewise.
        customers: shape (n_pairs,), the pairs' customer positions.
        items: shape (n_pairs,), the pairs' item positions.
        purchases: what was bought, by pair.
    """

    customer_codes: Codes
    item_codes: Codes
    customers: Codes
    items: Codes
    purchases: PairPurchases

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
    Returns (quantity <= 0) lower a pair's quantity and are no purchases; a pair without a purchase, or whose quantity
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
    counts = np.add.reduceat(bought.astype(np.int32), starts) if len(rows) else np.empty(0, np.int32)
    totals = np.add.reduceat(quantities, starts) if len(rows) else np.empty(0)
    sums = np.add.reduceat(decayed, starts) if len(rows) else np.empty(0)
    gross = np.add.reduceat(np.abs(quantities), starts) if len(rows) else np.empty(0)
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


def check_enough(pairs: Pairs, window: Window) -> None:
    """Raise DataError where fewer than 2 customers or 2 items are left to learn from."""
    if pairs.n_customers < 2 or pairs.n_items < 2:
        raise DataError(
            f"The purchases of {window} leave {pairs.n_customers} customer(s) and {pairs.n_items} item(s), "
            "expected at least 2 of each: give more data, a longer window, or fewer filters."
        )


def first_sale_days(purchases: Purchases) -> npt.NDArray[np.int32]:
    """Return the day of each item's first sale over all accepted rows, by item code."""
    sold = purchases.quantities > 0
    first = np.full(len(purchases.item_ids), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(first, purchases.items[sold], purchases.days[sold])
    return first
