"""Rows on their way from a file to cleaning: a batch of texts, the same whatever the file's format."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint32]


class Batch(NamedTuple):
    """Some rows of one file, in order.

    Attributes:
        numbers: shape (n,), the rows' record numbers (see RejectedRow).
        customer: Arrow strings without nulls, shape (n,), as they stand in the file.
        item: the same, and so are `quantity` and `date`.
        invoice: the same, or None where the file has no such column; so is `description`.
    """

    numbers: Numbers
    customer: Any
    item: Any
    quantity: Any
    date: Any
    invoice: Any
    description: Any
