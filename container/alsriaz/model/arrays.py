"""The arrays of a model, each in a file of its own, and what the types of arrays are called everywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_type_hints

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
"""Row indices of customers or of items."""
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
Factors = npt.NDArray[np.float32]
"""Shape (n, rank)."""
Codes = npt.NDArray[np.int32]
"""Places in a table of distinct values."""
Values = npt.NDArray[np.float64]
"""What scores are before they are rounded."""

NONE: Positions = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class ModelArrays:
    """The arrays of a model, each in a file of its own name with ``.npy``.

    Rows are positions: the ids' code-point order. The purchases of customer c are the pairs ``purchase_offsets[c]`` to
    ``purchase_offsets[c + 1]``, by ascending item; the buyers of item i, by ascending position, are
    ``buyers[buyer_offsets[i]:buyer_offsets[i + 1]]``. The ids of one kind lie end to end, see `model.ids`.

    Each field has the array's type and its shape.

    Attributes:
        item_gram: Y'Y of the item factors, for fold-in.
        purchase_counts: purchases of the pair in the window.
        purchase_quantities: their quantity in all.
        purchase_decayed: see `scoring.ratings.PairPurchases`.
        item_customers: how many customers bought the item in the window.
        items_by_popularity: positions, most customers first, ties by position.
        item_first_days: day of the item's first sale over all accepted rows.
    """

    customer_factors: Annotated[Factors, "<f4", "customers", "rank"]
    item_factors: Annotated[Factors, "<f4", "items", "rank"]
    item_gram: Annotated[Values, "<f8", "rank", "rank"]
    customer_id_text: Annotated[npt.NDArray[np.uint8], "|u1", "customer bytes"]
    customer_id_offsets: Annotated[npt.NDArray[np.int64], "<i8", "customers + 1"]
    item_id_text: Annotated[npt.NDArray[np.uint8], "|u1", "item bytes"]
    item_id_offsets: Annotated[npt.NDArray[np.int64], "<i8", "items + 1"]
    purchase_offsets: Annotated[npt.NDArray[np.int64], "<i8", "customers + 1"]
    purchase_items: Annotated[npt.NDArray[np.int32], "<i4", "pairs"]
    purchase_counts: Annotated[npt.NDArray[np.int32], "<i4", "pairs"]
    purchase_quantities: Annotated[Values, "<f8", "pairs"]
    purchase_decayed: Annotated[Values, "<f8", "pairs"]
    buyer_offsets: Annotated[npt.NDArray[np.int64], "<i8", "items + 1"]
    buyers: Annotated[npt.NDArray[np.int32], "<i4", "pairs"]
    item_customers: Annotated[npt.NDArray[np.int32], "<i4", "items"]
    items_by_popularity: Annotated[npt.NDArray[np.int32], "<i4", "items"]
    item_first_days: Annotated[npt.NDArray[np.int32], "<i4", "items"]

    def problems(self) -> Iterator[str]:
        """Yield what doesn't fit together, in words; nothing where all is well."""
        lengths = {
            "customers": len(self.customer_id_offsets) - 1,
            "customers + 1": len(self.customer_id_offsets),
            "items": len(self.item_id_offsets) - 1,
            "items + 1": len(self.item_id_offsets),
            "rank": self.item_gram.shape[0],
            "pairs": len(self.purchase_items),
            "customer bytes": len(self.customer_id_text),
            "item bytes": len(self.item_id_text),
        }
        for name, (dtype, *_) in ARRAYS.items():
            array = getattr(self, name)
            if array.dtype != np.dtype(dtype):
                yield f"{name} holds {array.dtype}, expected {np.dtype(dtype)}"
        for name, (_, *shape) in ARRAYS.items():
            array, expected = getattr(self, name), tuple(lengths[length] for length in shape)
            if array.shape != expected:
                yield f"{name} has shape {array.shape}, expected {expected}"


ARRAYS: dict[str, tuple[str, ...]] = {
    name: hint.__metadata__ for name, hint in get_type_hints(ModelArrays, include_extras=True).items()
}
"""The type of each array, then its shape, whose lengths are told by their names."""


def transposed(
    offsets: npt.NDArray[np.int64], items: npt.NDArray[np.int32], n_items: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return `buyer_offsets` and `buyers` of the pairs that `purchase_offsets` and `purchase_items` hold."""
    order = np.argsort(items, kind="stable")  # the pairs come by customer, so an item's buyers stay ascending
    customers = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    counts = np.bincount(items, minlength=n_items)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), customers[order]
