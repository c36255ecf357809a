"""Scorers and lists made from plain arrays, for tests of what ranks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alsriaz.scoring.best import Ranked, Wanted, best_of_each
from alsriaz.scoring.factors import CosineTerm, DotTerm, RankedFactors
from alsriaz.scoring.scorer import GivenTerm, Scorer

Array = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
NOTHING: Positions = np.empty(0, dtype=np.int64)


def given_scores(scores: npt.ArrayLike, n_rows: int = 1) -> Scorer:
    """Return the scorer that gives each row these scores."""
    array = np.array(scores, dtype=np.float32)
    return Scorer([GivenTerm(array, np.ones(n_rows, dtype=np.bool_))], n_rows, len(array))


def by_factors(items: Array, customers: Array) -> Scorer:
    """Return the scorer of items for customers, by the dot product."""
    return Scorer([DotTerm(RankedFactors(items), customers)], len(customers), len(items))


def by_cosine(items: Array, directions: npt.NDArray[np.float64]) -> Scorer:
    """Return the scorer of items by their cosine to directions."""
    return Scorer([CosineTerm(RankedFactors(items), directions)], len(directions), len(items))


def exact(scorer: Scorer, row: int = 0) -> Array:
    """Return the exact scores of one row."""
    return scorer.exact(np.full(scorer.n_ranked, row), np.arange(scorer.n_ranked))


def best(
    scorer: Scorer,
    k: int,
    *,
    among: Positions | None = None,
    barred: Positions = NOTHING,
    row_barred: Sequence[Positions] | None = None,
) -> list[Ranked]:
    """Return the best `k` of each row, which all want the same but for what is barred in each."""
    rows = [(barred,)] * scorer.n_rows if row_barred is None else [(barred, more) for more in row_barred]
    return best_of_each(scorer, [Wanted(k, among, None, row) for row in rows])
