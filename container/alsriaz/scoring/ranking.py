"""The best k of many scores, exactly, whatever was used to find them quickly.

Equal scores are ordered by position. Approximate scores only choose candidates: the bound on their error says which
items could belong to the best k, and those alone are scored exactly. So an answer never depends on the block it was
computed in, on the BLAS, or on the machine.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alsriaz.model.ids import Positions
from alsriaz.scoring.scorers import Mask, Scorer, Scores

NONE = np.empty(0, dtype=np.int64)
_FEW = 512  # items: scoring them exactly takes less time than finding out which of them need it


@dataclass(frozen=True)
class Ranked:
    """Items of one row, best first: `positions` and `scores` of one shape (at most k,)."""

    positions: Positions
    scores: Scores


@dataclass(frozen=True)
class Wanted:
    """How many items one row wants, and which may appear in it.

    Attributes:
        k: how many, at least 0. Where fewer may appear, the row is shorter.
        among: the only items that may appear, ascending and unique; None for all. Rows that share one array are ranked
            together.
        hidden: shape (n_items,) at least, True where an item may not appear; None where all may.
        barred: items that may not appear, in any order; an array each for what has its own owner.
    """

    k: int
    among: Positions | None = None
    hidden: Mask | None = None
    barred: tuple[Positions, ...] = ()

    def n_candidates(self, n_items: int) -> int:
        """Return how many items may appear."""
        if self.among is None and self.hidden is None and not any(len(items) for items in self.barred):
            return n_items
        return int(np.count_nonzero(self.candidates(n_items)))

    def candidates(self, n_items: int) -> Mask:
        """Return shape (n_items,), True for what may appear."""
        if self.among is None:
            kept = np.ones(n_items, dtype=np.bool_)
        else:
            kept = np.zeros(n_items, dtype=np.bool_)
            kept[self.among] = True
        if self.hidden is not None:
            kept &= ~self.hidden[:n_items]
        for items in self.barred:
            kept[items] = False
        return kept


def best(
    scorer: Scorer,
    k: int,
    *,
    among: Positions | None = None,
    barred: Positions = NONE,
    row_barred: Sequence[Positions] | None = None,
) -> list[Ranked]:
    """Return the best `k` items for each row of `scorer`, which all want the same.

    Args:
        scorer: where the scores come from.
        k: how many are wanted, at least 0.
        among: the only items that may appear, ascending and unique; None for all.
        barred: the items that may not appear in any row, in any order.
        row_barred: for each row further items that may not appear in it; None for none.
    """
    rows = [(barred,)] * scorer.n_rows if row_barred is None else [(barred, more) for more in row_barred]
    return best_of_each(scorer, [Wanted(k, among, None, row) for row in rows])


def best_of_each(scorer: Scorer, wanted: Sequence[Wanted]) -> list[Ranked]:
    """Return the best items for each row of `scorer`, as many and out of which `wanted` says, row by row."""
    ranked = [Ranked(NONE, NONE.astype(np.float32))] * scorer.n_rows
    for rows in _alike(wanted, scorer.n_items):
        some = scorer if len(rows) == scorer.n_rows else scorer.take(rows)
        for row, found in zip(rows, _best(some, [wanted[row] for row in rows]), strict=True):
            ranked[row] = found
    return ranked


def _alike(wanted: Sequence[Wanted], n_items: int) -> Iterator[list[int]]:
    """Yield the rows that can be ranked together: they share their columns, and want about as many."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(wanted):
        if one.k and (n_items if one.among is None else len(one.among)):
            groups.setdefault((id(one.among), one.k.bit_length()), []).append(row)
    yield from groups.values()


def _best(scorer: Scorer, wanted: Sequence[Wanted]) -> list[Ranked]:
    among = wanted[0].among
    few = among is not None and len(among) <= _FEW
    scores, errors = _unscored(scorer, among) if few else scorer.approximate(among)
    for row, one in enumerate(wanted):
        if one.hidden is not None:
            hidden = one.hidden[: scorer.n_items] if among is None else one.hidden[among]
            _hide(scores[row], hidden)
        for items in one.barred:
            if len(items):
                scores[row, _columns(items, among)] = -np.inf
    rows, columns = np.nonzero(scores == 0) if few else _candidates(scores, errors, max(one.k for one in wanted))
    items = columns if among is None else among[columns]
    return _ordered(rows, items, scorer.exact(rows, items), [one.k for one in wanted])


def _hide(scores: Scores, hidden: Mask) -> None:
    """Set the scores of what is hidden to -inf; infinite bounds do it in a third of a masked assignment's time."""
    bounds = np.subtract(np.float32(0.5), hidden, dtype=np.float32)
    bounds *= np.float32(np.inf)
    np.minimum(scores, bounds, out=scores)


def _unscored(scorer: Scorer, among: Positions | None) -> tuple[Scores, npt.NDArray[np.float64]]:
    """Return scores of 0, for so few items that all that may appear are scored exactly at once."""
    n_columns = scorer.n_items if among is None else len(among)
    return np.zeros((scorer.n_rows, n_columns), dtype=np.float32), np.zeros(scorer.n_rows)


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
    rows, columns = np.divmod(np.flatnonzero(scores >= lowest[:, None]), n_columns)
    if len(rows) > 8 * k * n_rows and not errors.all():
        return _without_late_ties(scores, errors, rows, columns, k)
    return rows, columns


def _without_late_ties(
    scores: Scores, errors: npt.NDArray[np.float64], rows: Positions, columns: Positions, k: int
) -> tuple[Positions, Positions]:
    """Return the pairs without those that are late among equals, in the rows whose scores don't err.

    Popularity has long ties, and a customer whose factors are all 0 has nothing else.
    """
    kept = []
    for row, (start, end) in enumerate(itertools.pairwise(np.searchsorted(rows, np.arange(len(scores) + 1)))):
        few = columns[start:end]
        kept.append(_first_of_equals(few, scores[row, few], k) if errors[row] == 0 and len(few) > 8 * k else few)
    return np.repeat(np.arange(len(scores)), [len(few) for few in kept]), np.concatenate(kept)


def _first_of_equals(columns: Positions, scores: Scores, k: int) -> Positions:
    """Return the columns that may be among the best `k`: of equal ones the first `k` will do."""
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.sort(np.concatenate([columns[scores > kth], columns[scores == kth][:k]]))


def _ordered(rows: Positions, items: Positions, scores: Scores, wanted: Sequence[int]) -> list[Ranked]:
    """Cut the candidates, which come by row and ascending item, into the rows' best."""
    order = np.lexsort((items, -scores, rows))
    bounds = np.searchsorted(rows, np.arange(len(wanted) + 1))
    ranked = []
    for k, (start, end) in zip(wanted, itertools.pairwise(bounds), strict=True):
        chosen = order[start : min(end, start + k)]
        ranked.append(Ranked(items[chosen], scores[chosen]))
    return ranked
