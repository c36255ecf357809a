"""Boosts on top of another scorer: what is added to the scores of some items, row by row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from alsriaz.model.ids import Positions
from alsriaz.scoring.scorers import ROUNDOFF, Mask, Scorer, Scores, Values, rounded


class Boost(NamedTuple):
    """What is added to the scores of some items: `mask`, shape (n_items,) at least, is True for them."""

    mask: Mask
    amount: float


class BoostedScorer:
    """The scores of another scorer, with each row's boosts added."""

    def __init__(self, scorer: Scorer, boosts: Sequence[Sequence[Boost]]) -> None:
        """Add to each row of `scorer` what its boosts say; they are as many as the rows."""
        self._scorer = scorer
        self._boosts = boosts
        self.n_rows = scorer.n_rows
        self.n_items = scorer.n_items

    def take(self, rows: Sequence[int]) -> "BoostedScorer":
        """Return the scorer of these rows alone."""
        return BoostedScorer(self._scorer.take(rows), [self._boosts[row] for row in rows])

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Add in float32; each addition may err by half a unit in the last place of the largest sum."""
        scores, errors = self._scorer.approximate(among)
        for row, boosts in enumerate(self._boosts):
            if not boosts:
                continue
            largest = max(float(scores[row].max(initial=0.0)), -float(scores[row].min(initial=0.0)))
            largest += sum(abs(boost.amount) for boost in boosts)
            for boost in boosts:
                mask = boost.mask[: self.n_items] if among is None else boost.mask[among]
                scores[row] += np.multiply(mask, np.float32(boost.amount), dtype=np.float32)
            errors[row] += (2 * len(boosts) + 2) * ROUNDOFF * largest
        return scores, errors

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Add in float64 to the rounded scores, and round again."""
        scores = self._scorer.exact(rows, items)
        for row, boosts in enumerate(self._boosts):
            if boosts:
                pairs = np.flatnonzero(rows == row)
                scores[pairs] = rounded(scores[pairs] + _added(boosts, items[pairs]))
        return scores

    def spread(self, row: int, items: Mask) -> float:
        """Return the deviation without the boosts, which are measured by it."""
        return self._scorer.spread(row, items)


def _added(boosts: Sequence[Boost], items: Positions) -> Values:
    """Return what boosts add to the scores of `items`, in the order in which they are given."""
    total = np.zeros(len(items))
    for boost in boosts:
        total[boost.mask[items]] += boost.amount
    return total
