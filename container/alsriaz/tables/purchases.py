"""The accepted purchases, as plain arrays: what ratings, windows and evaluation are computed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Purchases:
    """One entry per accepted row, in reading order: file by file as given, row by row.

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
