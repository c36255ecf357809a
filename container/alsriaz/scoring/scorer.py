"""A score is a sum of terms; nobody but the terms multiplies anything.

Each term is computed in float64 from stored float32 numbers, in an order that depends on the model alone; their sum is
rounded to float32 once: higher is better, the scale means nothing. A term also gives approximate scores, fast and for
many at a time, with a bound on their error: `scoring.best` needs no more to find the best ones exactly.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from alsriaz.model.arrays import Mask, Positions, Scores, Values
from alsriaz.scoring.factors import ROUNDOFF, deviation_of


class Term(Protocol):
    """One summand of the scores of some rows (customers, baskets, items) for what is ranked."""

    @property
    def active(self) -> Mask:
        """Shape (n_rows,), False where all of a row's scores by this term are 0."""

    def take(self, rows: Sequence[int]) -> "Term":
        """Return the term of these rows alone."""

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Return scores, shape (n_rows, len(among) or n_ranked), to be changed at will, and each row's error at most.

        The error is 0 where a row's scores are exact.
        """

    def exact(self, rows: Positions, positions: Positions) -> Values:
        """Return the exact scores of pairs, before rounding: both arguments and the answer have one shape."""

    def deviation(self, row: int, mask: Mask) -> float:
        """Return the standard deviation, that of the population, of one row's exact scores where `mask` is True."""


class Boost(NamedTuple):
    """What is added to the scores of some of what is ranked: `mask`, shape (n_ranked,) at least, is True for them."""

    mask: Mask
    amount: float


class Scorer:
    """Gives some rows scores of what is ranked: the sum of terms, and on top of it each row's boosts."""

    def __init__(
        self, terms: Sequence[Term], n_rows: int, n_ranked: int, boosts: Sequence[Sequence[Boost]] | None = None
    ) -> None:
        """Add up `terms`, at least one; `boosts` are as many as the rows."""
        self._terms = terms
        self._boosts = boosts
        self.n_rows = n_rows
        self.n_ranked = n_ranked

    def take(self, rows: Sequence[int]) -> "Scorer":
        """Return the scorer of these rows alone."""
        boosts = None if self._boosts is None else [self._boosts[row] for row in rows]
        return Scorer([term.take(rows) for term in self._terms], len(rows), self.n_ranked, boosts)

    def boosted(self, boosts: Sequence[Sequence[Boost]]) -> "Scorer":
        """Return this scorer with boosts for each row."""
        return Scorer(self._terms, self.n_rows, self.n_ranked, boosts)

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Return scores, shape (n_rows, len(among) or n_ranked), to be changed at will, and each row's error at most.

        Every addition in float32 may err by half a unit in the last place of its sum.
        """
        scores, errors = self._terms[0].approximate(among)
        if len(self._terms) == 1 and self._boosts is None:
            return scores, errors
        if len(self._terms) > 1:
            n_active = self._terms[0].active.astype(np.int64)
            for term in self._terms[1:]:
                more, error = term.approximate(among)
                scores += more
                errors = errors + error
                n_active += term.active
                if (both := np.flatnonzero(n_active > 1)).size:
                    errors[both] += ROUNDOFF * np.abs(scores[both]).max(axis=1, initial=0.0)
        for row, boosts in enumerate(self._boosts or ()):
            if boosts:
                errors[row] += self._add(boosts, scores[row], among)
        return scores, errors

    def _add(self, boosts: Sequence[Boost], scores: Scores, among: Positions | None) -> float:
        """Add boosts to one row's scores; return how much more these may err by.

        Each boost is rounded, and so is each sum; what the boosts stand on is rounded before and after.
        """
        largest = max(float(scores.max(initial=0.0)), -float(scores.min(initial=0.0)))
        largest += sum(abs(boost.amount) for boost in boosts)
        for boost in boosts:
            mask = boost.mask[: self.n_ranked] if among is None else boost.mask[among]
            scores += np.multiply(mask, np.float32(boost.amount), dtype=np.float32)
        return (2 * len(boosts) + 2) * ROUNDOFF * largest

    def exact(self, rows: Positions, positions: Positions) -> Scores:
        """Return the scores of pairs: both arguments and the answer have one shape.

        Boosts are added in float64 to the rounded scores, which are rounded again.
        """
        scores = rounded(self._unrounded(rows, positions))
        for row, boosts in enumerate(self._boosts or ()):
            if boosts:
                pairs = np.flatnonzero(rows == row)
                added = np.zeros(len(pairs))
                for boost in boosts:
                    added[boost.mask[positions[pairs]]] += boost.amount
                scores[pairs] = rounded(scores[pairs] + added)
        return scores

    def deviation(self, row: int, mask: Mask) -> float:
        """Return the standard deviation of one row's scores where `mask`, shape (n_ranked,), is True; 0 for none.

        It is that of the population of scores before they are rounded and boosted, and is itself rounded to float32.
        """
        terms = [term for term in self._terms if term.active[row]] or self._terms[:1]
        if len(terms) == 1:
            return float(np.float32(terms[0].deviation(row, mask)))
        positions = np.flatnonzero(mask)
        return float(np.float32(deviation_of(self._unrounded(np.full(len(positions), row), positions))))

    def _unrounded(self, rows: Positions, positions: Positions) -> Values:
        total = self._terms[0].exact(rows, positions)
        for term in self._terms[1:]:
            total = total + term.exact(rows, positions)
        return total


class GivenTerm:
    """Given scores, the same for every row that has them, such as the items' popularity."""

    def __init__(self, scores: Scores, having: Mask) -> None:
        """Take scores by position, shape (n_ranked,), and which rows have them, shape (n_rows,); the others have 0."""
        self._scores = scores
        self.active = having

    def take(self, rows: Sequence[int]) -> "GivenTerm":
        """Return the term of these rows alone."""
        return GivenTerm(self._scores, self.active[list(rows)])

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Return the given scores, which don't err."""
        scores = self._scores if among is None else self._scores[among]
        return np.multiply.outer(self.active, scores, dtype=np.float32), np.zeros(len(self.active))

    def exact(self, rows: Positions, positions: Positions) -> Values:
        """Return the given scores."""
        return self._scores[positions].astype(np.float64) * self.active[rows]

    def deviation(self, row: int, mask: Mask) -> float:
        """Return the deviation of the given scores."""
        return deviation_of(self._scores[mask].astype(np.float64)) if self.active[row] else 0.0


def rounded(values: Values) -> Scores:
    """Return exact values as scores."""
    scores: Scores = values.astype(np.float32)
    scores += 0.0  # -0.0 is written 0.0
    return scores
