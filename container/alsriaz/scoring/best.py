"""The best k of many scores, exactly, whatever was used to find them quickly.

Equal scores are ordered by position. Approximate scores only choose candidates: the bound on their error says which
could belong to the best k, and those alone are scored exactly. So an answer never depends on the block it was computed
in, on the BLAS, or on the machine.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from alsriaz.model.arrays import NONE, Mask, Positions, Scores, Values
from alsriaz.scoring.scorer import Scorer

_FEW = 512  # scoring so few exactly takes less time than finding out which of them need it
_GROUPS = 256  # whose maxima bound the k-th best from below: so few are partitioned in 2 us, and k is mostly 10
_SPARE = 8  # times k: with so many groups the bound lets few more than k through; so many candidates are few


class Ranked(NamedTuple):
    """What one row ranks, best first: `positions` and `scores` of one shape (at most k,)."""

    positions: Positions
    scores: Scores


NOTHING = Ranked(NONE, np.empty(0, dtype=np.float32))


class Wanted(NamedTuple):
    """How many one row wants, and which may appear in it.

    Attributes:
        k: how many, at least 0. Where fewer may appear, the row is shorter.
        among: the only positions that may appear, ascending and unique; None for all. Rows that share one array are
            ranked together.
        hidden: shape (n_ranked,) at least, True where a position may not appear; None where all may.
        barred: positions that may not appear, in any order; an array for each owner.
    """

    k: int
    among: Positions | None = None
    hidden: Mask | None = None
    barred: tuple[Positions, ...] = ()

    def n_candidates(self, n_ranked: int) -> int:
        """Return how many may appear."""
        if self.among is None and self.hidden is None and not any(len(positions) for positions in self.barred):
            return n_ranked
        return int(np.count_nonzero(self.candidates(n_ranked)))

    def candidates(self, n_ranked: int) -> Mask:
        """Return shape (n_ranked,), True for what may appear."""
        if self.among is None:
            kept = np.ones(n_ranked, dtype=np.bool_)
        else:
            kept = np.zeros(n_ranked, dtype=np.bool_)
            kept[self.among] = True
        if self.hidden is not None:
            kept &= ~self.hidden[:n_ranked]
        for positions in self.barred:
            kept[positions] = False
        return kept


def best_of_each(scorer: Scorer, wanted: Sequence[Wanted]) -> list[Ranked]:
    """Return the best of each row of `scorer`, as many and out of which `wanted` says, row by row."""
    if len(wanted) == 1 and wanted[0].k and wanted[0].among is None and scorer.n_ranked:
        return [_best_of_one(scorer, wanted[0])]
    ranked = [NOTHING] * scorer.n_rows
    for rows in _alike(wanted, scorer.n_ranked):
        if len(rows) == scorer.n_rows:
            return _best(scorer, wanted)
        for row, found in zip(rows, _best(scorer.take(rows), [wanted[row] for row in rows]), strict=True):
            ranked[row] = found
    return ranked


def _alike(wanted: Sequence[Wanted], n_ranked: int) -> Iterator[list[int]]:
    """Yield the rows that can be ranked together: they share their columns, and want about as many."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(wanted):
        if one.k and (n_ranked if one.among is None else len(one.among)):
            groups.setdefault((id(one.among), one.k.bit_length()), []).append(row)
    yield from groups.values()


def _best(scorer: Scorer, wanted: Sequence[Wanted]) -> list[Ranked]:
    among = wanted[0].among
    few = among is not None and len(among) <= _FEW
    scores, errors = _unscored(scorer, among) if few else scorer.approximate(among)
    for row, one in enumerate(wanted):
        if one.hidden is not None:
            _hide(scores[row], one.hidden[: scorer.n_ranked] if among is None else one.hidden[among])
        for positions in one.barred:
            if len(positions):
                scores[row, _columns(positions, among)] = -np.inf
    rows, columns = np.nonzero(scores == 0) if few else _candidates(scores, errors, max(one.k for one in wanted))
    positions = columns if among is None else among[columns]
    return _ordered(rows, positions, scorer.exact(rows, positions), [one.k for one in wanted])


def _hide(scores: Scores, hidden: Mask) -> None:
    """Set the scores of what is hidden to -inf; infinite bounds do it in a third of a masked assignment's time."""
    bounds = np.subtract(np.float32(0.5), hidden, dtype=np.float32)
    bounds *= np.float32(np.inf)
    np.minimum(scores, bounds, out=scores)


def _unscored(scorer: Scorer, among: Positions | None) -> tuple[Scores, Values]:
    """Return scores of 0, for so few that all that may appear are scored exactly at once."""
    n_columns = scorer.n_ranked if among is None else len(among)
    return np.zeros((scorer.n_rows, n_columns), dtype=np.float32), np.zeros(scorer.n_rows)


def _columns(positions: Positions, among: Positions | None) -> Positions:
    """Return the columns in which `positions` stand; those that are not `among` have none."""
    if among is None:
        return positions
    columns = np.searchsorted(among, positions)
    columns[columns == len(among)] = 0
    found: Positions = columns[among[columns] == positions]
    return found


_LOWEST = float(np.finfo(np.float32).min)
_DOWN = np.float32(-np.inf)
_SLACK = 2.0**-22  # more than what rounding to float32 adds to a number


def _best_of_one(scorer: Scorer, wanted: Wanted) -> Ranked:
    """Return what `_best` does for one row out of all, in fewer steps: steps are what one question spends time on."""
    (scores,), (error,) = scorer.approximate(None)
    if wanted.hidden is not None:
        _hide(scores, wanted.hidden[: len(scores)])
    for positions in wanted.barred:
        scores[positions] = -np.inf
    positions = _candidates_of_one(scores, float(error), wanted.k)
    exact = scorer.exact(np.zeros(len(positions), dtype=np.int64), positions)
    order = (-exact).argsort(kind="stable")[: wanted.k]
    return Ranked(positions[order], exact[order])


def _candidates_of_one(scores: Scores, error: float, k: int) -> Positions:
    n_columns = len(scores)
    n_groups = min(n_columns, max(_GROUPS, _SPARE * k))
    lowest = _LOWEST  # what is barred, at -inf, stays out
    if n_groups > k:
        dealt = n_columns - n_columns % n_groups
        maxima = np.maximum.reduce(scores[:dealt].reshape(-1, n_groups), axis=0)
        maxima.partition(n_groups - k)
        kth = float(maxima[n_groups - k]) - 2 * error
        lowest = max(lowest, kth - _SLACK * abs(kth))
    positions = (scores >= lowest).nonzero()[0]
    if not error and len(positions) > _SPARE * k:
        return _first_of_equals(positions, scores[positions], k)
    return positions


def _candidates(scores: Scores, errors: Values, k: int) -> tuple[Positions, Positions]:
    """Return rows and columns of all scores that may belong to their row's best `k`, by row, then by column.

    The columns are dealt to groups like cards. The k-th best of the groups' maxima is no better than the k-th best
    score, so it bounds that from below; finding it costs one pass over the scores that the processor can do many at a
    time.
    """
    n_rows, n_columns = scores.shape
    n_groups = min(n_columns, max(_GROUPS, _SPARE * k))
    if n_groups > k:
        deals = n_columns // n_groups
        maxima = scores[:, : deals * n_groups].reshape(n_rows, deals, n_groups).max(axis=1)
        maxima.partition(n_groups - k, axis=1)
        lowest = np.nextafter((maxima[:, n_groups - k] - 2 * errors).astype(np.float32), _DOWN)
        np.maximum(lowest, _LOWEST, out=lowest)  # what is barred, at -inf, stays out
    else:
        lowest = np.full(n_rows, _LOWEST, dtype=np.float32)
    rows, columns = np.divmod((scores >= lowest[:, None]).ravel().nonzero()[0], n_columns)
    if len(rows) > _SPARE * k * n_rows and not errors.all():
        return _without_late_ties(scores, errors, rows, columns, k)
    return rows, columns


def _without_late_ties(
    scores: Scores, errors: Values, rows: Positions, columns: Positions, k: int
) -> tuple[Positions, Positions]:
    """Return the pairs without those that are late among equals, in the rows whose scores don't err.

    Popularity has long ties, and a customer whose factors are all 0 has nothing else.
    """
    kept = []
    for row, (start, end) in enumerate(itertools.pairwise(np.searchsorted(rows, np.arange(len(scores) + 1)))):
        few = columns[start:end]
        kept.append(_first_of_equals(few, scores[row, few], k) if errors[row] == 0 and len(few) > _SPARE * k else few)
    return np.repeat(np.arange(len(scores)), [len(few) for few in kept]), np.concatenate(kept)


def _first_of_equals(columns: Positions, scores: Scores, k: int) -> Positions:
    """Return the columns that may be among the best `k`: of equal ones the first `k` will do."""
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return np.sort(np.concatenate([columns[scores > kth], columns[scores == kth][:k]]))


def _ordered(rows: Positions, positions: Positions, scores: Scores, wanted: Sequence[int]) -> list[Ranked]:
    """Cut the candidates, which come by row and ascending position, into the rows' best."""
    order = np.lexsort((-scores, rows))  # stable: equal scores stay by position
    positions, scores = positions[order], scores[order]
    starts = np.searchsorted(rows, np.arange(len(wanted) + 1)).tolist()
    return [
        Ranked(positions[start : min(end, start + k)], scores[start : min(end, start + k)])
        for k, (start, end) in zip(wanted, itertools.pairwise(starts), strict=True)
    ]
