"""The best k of many scores, exactly, whatever was used to find them quickly.

The score of a pair is the float64 dot product of the stored float32 factors, rounded to float32: higher is better,
the scale means nothing. Equal scores are ordered by position. A float32 matrix product only chooses candidates: a
bound on its error says which items could belong to the best k, and those alone are scored exactly. So an answer never
depends on the block it was computed in, on the BLAS, or on the machine.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alsriaz.core.ids import Positions

Scores = npt.NDArray[np.float32]
Factors = npt.NDArray[np.float32]

_ROUNDOFF = 2.0**-24  # of float32, to nearest
_PAIRS_AT_ONCE = 16_384
NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Ranked:
    """Items of one row, best first: `positions` and `scores` of one shape (at most k,)."""

    positions: Positions
    scores: Scores


class Scorer(Protocol):
    """Gives scores of items to some rows (customers)."""

    @property
    def n_rows(self) -> int:
        """How many rows it scores for."""

    @property
    def n_items(self) -> int:
        """How many items there are."""

    def approximate(self, among: Positions | None) -> tuple[Scores, npt.NDArray[np.float64]]:
        """Return scores, shape (n_rows, len(among) or n_items), to be changed at will, and each row's error at most."""

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Return the exact scores of pairs: both arguments and the answer have one shape."""


class ItemFactors:
    """The item side of a factor model, with what ranking needs to know of it."""

    def __init__(self, factors: Factors) -> None:
        """Take factors of shape (n_items, rank), finite; a memory-mapped array is read once, from end to end."""
        self.factors = factors
        squares = [np.square(block, dtype=np.float64).sum(axis=1).max() for block in _blocks(factors)]
        self.largest_norm = float(np.sqrt(max(squares)))

    def scorer(self, customers: Factors) -> "FactorScorer":
        """Return the scorer for customers with these factors, shape (n_rows, rank)."""
        return FactorScorer(self, customers)


class FactorScorer:
    """Scores by the dot product of factors."""

    def __init__(self, items: ItemFactors, customers: Factors) -> None:
        """Score `items` for `customers`, shape (n_rows, rank)."""
        self._items = items
        self._customers = np.ascontiguousarray(customers)
        self.n_rows = len(customers)
        self.n_items = len(items.factors)

    def approximate(self, among: Positions | None) -> tuple[Scores, npt.NDArray[np.float64]]:
        """Score by a float32 matrix product; the bound holds for any order in which a BLAS adds (Higham 2002, 3.1)."""
        factors = self._items.factors if among is None else self._items.factors[among]
        norms = np.sqrt(np.square(self._customers, dtype=np.float64).sum(axis=1))
        rank = self._customers.shape[1]
        largest = norms * self._items.largest_norm
        return self._customers @ factors.T, np.where(largest > 0, (rank + 4) * _ROUNDOFF * largest + 1e-40, 0.0)

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Score pairs as the module's docstring defines it."""
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            products = np.multiply(self._customers[rows[part]], self._items.factors[items[part]], dtype=np.float64)
            scores[part] = products.sum(axis=1)
        return scores + np.float32(0)  # -0.0 is written 0.0


class FixedScorer:
    """The same given scores for every row, such as the items' popularity."""

    def __init__(self, scores: Scores, n_rows: int = 1) -> None:
        """Take the scores by item position, shape (n_items,)."""
        self._scores = scores
        self.n_rows = n_rows
        self.n_items = len(scores)

    def approximate(self, among: Positions | None) -> tuple[Scores, npt.NDArray[np.float64]]:
        """Return the given scores, which don't err."""
        scores = self._scores if among is None else self._scores[among]
        return np.tile(scores, (self.n_rows, 1)), np.zeros(self.n_rows)

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Return the given scores."""
        return self._scores[items]


def best(
    scorer: Scorer,
    k: int,
    *,
    among: Positions | None = None,
    barred: Positions = NONE,
    row_barred: Sequence[Positions] | None = None,
) -> list[Ranked]:
    """Return the best `k` items for each row of `scorer`.

    Args:
        scorer: where the scores come from.
        k: how many are wanted, at least 0. Where fewer may appear, the row is shorter.
        among: the only items that may appear, ascending and unique; None for all.
        barred: the items that may not appear in any row, in any order.
        row_barred: for each row further items that may not appear in it; None for none.
    """
    if k == 0 or (scorer.n_items if among is None else len(among)) == 0:
        return [Ranked(NONE, NONE.astype(np.float32))] * scorer.n_rows
    scores, errors = scorer.approximate(among)
    if len(barred):
        scores[:, _columns(barred, among)] = -np.inf
    for row, items in enumerate(row_barred or ()):
        scores[row, _columns(items, among)] = -np.inf
    rows, columns = _candidates(scores, errors, k)
    items = columns if among is None else among[columns]
    return _ordered(scorer.n_rows, rows, items, scorer.exact(rows, items), k)


def _columns(items: Positions, among: Positions | None) -> Positions:
    """Return the columns in which `items` stand; those that are not `among` have none."""
    if among is None:
        return items
    columns = np.searchsorted(among, items)
    columns[columns == len(among)] = 0
    found: Positions = columns[among[columns] == items]
    return found


def _candidates(scores: Scores, errors: npt.NDArray[np.float64], k: int) -> tuple[Positions, Positions]:
    """Return rows and columns of all scores that may belong to their row's best `k`, by row, then by column.

    The columns are dealt to groups like cards. The k-th best of the groups' maxima is no better than the k-th best
    score, so it bounds that from below; finding it costs one pass over the scores that the processor can do many at a
    time.
    """
    n_rows, n_columns = scores.shape
    n_groups = min(n_columns, max(256, 8 * k))
    deals = n_columns // n_groups
    maxima = scores[:, : deals * n_groups].reshape(n_rows, deals, n_groups).max(axis=1)
    if n_groups > k:
        maxima.partition(n_groups - k, axis=1)
        kth = maxima[:, n_groups - k]
    else:
        kth = np.full(n_rows, -np.inf, dtype=np.float32)
    lowest = np.nextafter((kth - 2 * errors).astype(np.float32), np.float32(-np.inf))
    lowest = np.maximum(lowest, np.finfo(np.float32).min)  # what is barred, at -inf, stays out
    chosen = np.flatnonzero(scores >= lowest[:, None])
    if n_rows == 1 and errors[0] == 0 and len(chosen) > 8 * k:
        chosen = _without_late_ties(chosen, scores[0, chosen], k)
    return np.divmod(chosen, n_columns)


def _without_late_ties(columns: Positions, scores: Scores, k: int) -> Positions:
    """Return the columns that may be among the best `k` where scores don't err: of equal ones the first `k` will do.

    Popularity has long ties, and a customer whose factors are all 0 has nothing else.
    """
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.sort(np.concatenate([columns[scores > kth], columns[scores == kth][:k]]))


def _ordered(n_rows: int, rows: Positions, items: Positions, scores: Scores, k: int) -> list[Ranked]:
    """Cut the candidates, which come by row and ascending item, into the rows' best k."""
    order = np.lexsort((items, -scores, rows))
    bounds = np.searchsorted(rows, np.arange(n_rows + 1))
    ranked = []
    for start, end in itertools.pairwise(bounds):
        chosen = order[start : min(end, start + k)]
        ranked.append(Ranked(items[chosen], scores[chosen]))
    return ranked


def _blocks(factors: Factors, rows: int = 65_536) -> list[Factors]:
    return [factors[start : start + rows] for start in range(0, len(factors), rows)]
