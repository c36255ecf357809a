"""How a pair's purchases become its rating: one definition, for the training run and for a customer folded in later."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ratings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PairPurchases:
    """What was bought, summed over the purchases of each (customer, item) pair; arrays of one shape (n_pairs,).

    Attributes:
        counts: number of purchases, at least 1.
        quantities: sum of their quantities, above 0; returns are taken off where the spec says `net`.
        decayed: sum over the purchases of 2 ** -(age in days / half_life_days), above 0.
    """

    counts: npt.NDArray[np.int32]
    quantities: npt.NDArray[np.float64]
    decayed: npt.NDArray[np.float64]


def rate(ranking_type: str, pairs: PairPurchases, item_customers: npt.NDArray[np.int32]) -> Ratings:
    """Return the ratings that ALS is given.

    Args:
        ranking_type: one of `platform.spec.RANKING_TYPES`.
        pairs: the purchases of each pair.
        item_customers: shape (n_pairs,), how many customers bought the pair's item in the training window.

    Returns:
        Shape (n_pairs,), each finite and above 0: what is too small for float32 becomes its smallest normal number,
        since for Spark a rating of 0 means "did not buy".
    """
    match ranking_type:
        case "incident":
            exact = np.ones(len(pairs.counts))
        case "count":
            exact = pairs.counts.astype(np.float64)
        case "total_qty":
            exact = pairs.quantities
        case "normalize_count":
            exact = pairs.counts / item_customers
        case "recency":
            exact = pairs.decayed
        case _:
            raise ValueError(f"{ranking_type!r} is not a ranking type")
    limits = np.finfo(np.float32)
    return np.clip(exact, limits.tiny, limits.max).astype(np.float32)


def decay(ages: npt.NDArray[np.int32], half_life_days: float) -> npt.NDArray[np.float64]:
    """Return how much purchases of these ages in days count for `recency`: 1 at age 0, half at `half_life_days`.

    A purchase after the window's last day has a negative age and counts 1: none counts more.
    """
    return np.exp2(-np.maximum(ages, 0) / half_life_days)
