"""Where scores come from: factors, their cosines, given numbers; `core.boosts` adds to any of these.

The score of a pair is computed in float64 from the stored float32 numbers, in an order that depends on the rank alone,
and rounded to float32 once: higher is better, the scale means nothing. Each scorer also gives approximate scores, fast
and for many items at a time, with a bound on their error: `core.ranking` needs no more to find the best ones exactly.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from alsriaz.model.ids import Positions

Scores = npt.NDArray[np.float32]
Factors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROUNDOFF = 2.0**-24  # of float32, to nearest
_PAIRS_AT_ONCE = 16_384
_FAINT = 1e-30  # a norm: float32 has numbers down to 1e-45, but below 1e-38 with ever fewer digits
_SURE_SHARE = 1e-5  # of a sum of squares: a difference that is larger has lost at most five of float64's 16 digits
_ROWS = 16_384  # of factors at a time: 8 MB of float64 at rank 64


class Scorer(Protocol):
    """Gives scores of items (or of customers, where these are ranked) to some rows."""

    @property
    def n_rows(self) -> int:
        """How many rows it scores for."""

    @property
    def n_items(self) -> int:
        """How many items there are."""

    def take(self, rows: Sequence[int]) -> "Scorer":
        """Return the scorer of these rows alone."""

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Return scores, shape (n_rows, len(among) or n_items), to be changed at will, and each row's error at most."""

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Return the exact scores of pairs: both arguments and the answer have one shape."""

    def spread(self, row: int, items: Mask) -> float:
        """Return the standard deviation of one row's scores, that of the population, 0 where there are none.

        `items` has shape (n_items,), True for those whose scores count. They are taken before they are rounded to
        float32; the deviation is rounded to float32.
        """


class ItemFactors:
    """The side of a factor model that is ranked, with what ranking needs to know of it."""

    def __init__(self, factors: Factors) -> None:
        """Take factors of shape (n_items, rank), finite."""
        self.factors = factors

    @cached_property
    def norms(self) -> Values:
        """Shape (n_items,): the factors' Euclidean norms; a memory-mapped array is read once, from end to end."""
        squares = [np.square(block, dtype=np.float64).sum(axis=1) for block in _blocks(self.factors)]
        norms: Values = np.sqrt(np.concatenate(squares))
        return norms

    @cached_property
    def largest_norm(self) -> float:
        """The largest of `norms`, 0 where there are none."""
        return float(self.norms.max(initial=0.0))

    @cached_property
    def inverse_norms(self) -> Scores:
        """Shape (n_items,): 1 / norm; 0 where the norm is 0, and for the `faint` ones."""
        inverse: Scores = _inverse(np.where(self.norms < _FAINT, 0.0, self.norms)).astype(np.float32)
        return inverse

    @cached_property
    def faint(self) -> Positions:
        """The ascending positions of items whose factors are so small, but not 0, that float32 products of them err."""
        return np.flatnonzero((self.norms > 0) & (self.norms < _FAINT))

    @cached_property
    def moments(self) -> tuple[Values, Values]:
        """Shapes (rank,) and (rank, rank): the factors' sum, and the sum of their outer products."""
        blocks = [block.astype(np.float64) for block in _blocks(self.factors)]
        return np.sum([block.sum(axis=0) for block in blocks], axis=0), np.sum([b.T @ b for b in blocks], axis=0)

    def scorer(self, customers: Factors) -> "FactorScorer":
        """Return the scorer for customers with these factors, shape (n_rows, rank)."""
        return FactorScorer(self, customers)

    def cosines(self, directions: Values) -> "CosineScorer":
        """Return the scorer by cosine; the directions, shape (n_rows, rank), are at most 1 long."""
        return CosineScorer(self, directions)

    def direction(self, items: Positions) -> Values:
        """Return the mean, shape (rank,), of the items' factors, each taken at length 1: `cosines` asks for that."""
        rows = self.factors[items].astype(np.float64)
        unit: Values = (rows * _inverse(self.norms[items])[:, None]).mean(axis=0)
        return unit


class FactorScorer:
    """Scores by the dot product of factors."""

    def __init__(self, items: ItemFactors, customers: Factors) -> None:
        """Score `items` for `customers`, shape (n_rows, rank)."""
        self._items = items
        self._customers = np.ascontiguousarray(customers)
        self.n_rows = len(customers)
        self.n_items = len(items.factors)

    def take(self, rows: Sequence[int]) -> "FactorScorer":
        """Return the scorer of these rows alone."""
        return FactorScorer(self._items, self._customers[list(rows)])

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Score by a float32 matrix product; the bound holds for any order in which a BLAS adds (Higham 2002, 3.1)."""
        factors = self._items.factors if among is None else self._items.factors[among]
        norms = np.sqrt(np.square(self._customers, dtype=np.float64).sum(axis=1))
        rank = self._customers.shape[1]
        largest = norms * self._items.largest_norm
        return self._customers @ factors.T, np.where(largest > 0, (rank + 4) * ROUNDOFF * largest + 1e-40, 0.0)

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Score pairs as the module's docstring defines it."""
        return rounded(_dots(self._customers, self._items.factors, rows, items))

    def spread(self, row: int, items: Mask) -> float:
        """Return the deviation from sums over all items, less those left out, where these are few."""
        vector = self._customers[row].astype(np.float64)
        count = int(np.count_nonzero(items))
        if count and self.n_items - count <= self.n_items // 8:
            apart = self._items.factors[np.flatnonzero(~items)].astype(np.float64) @ vector
            sums, squares = self._items.moments
            mean = (vector @ sums - apart.sum()) / count
            square = (vector @ squares @ vector - apart @ apart) / count
            largest = (np.abs(vector) @ np.sqrt(np.diag(squares))) ** 2 / count  # of what was added up and taken off
            if square - mean**2 > _SURE_SHARE * largest:  # else the difference is mostly rounding
                return _float32(np.sqrt(square - mean**2))
        return _deviation(_products(self._items.factors, vector, np.flatnonzero(items)))


class CosineScorer:
    """Scores by the cosine between a direction and an item's factors; an item whose factors are all 0 scores 0."""

    def __init__(self, items: ItemFactors, directions: Values) -> None:
        """Score `items` for `directions`, shape (n_rows, rank), each at most 1 long."""
        self._items = items
        self._directions = directions
        self.n_rows = len(directions)
        self.n_items = len(items.factors)

    def take(self, rows: Sequence[int]) -> "CosineScorer":
        """Return the scorer of these rows alone."""
        return CosineScorer(self._items, self._directions[list(rows)])

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Score by a float32 matrix product, then divide; the direction's and the norm's rounding err too."""
        factors, inverse = self._items.factors, self._items.inverse_norms
        if among is not None:
            factors, inverse = factors[among], inverse[among]
        rank = self._directions.shape[1]
        scores: Scores = self._directions.astype(np.float32) @ factors.T
        scores *= inverse
        if len(self._items.faint):
            self._correct_faint(scores, among)
        return scores, np.full(self.n_rows, (rank + 8) * ROUNDOFF)

    def _correct_faint(self, scores: Scores, among: Positions | None) -> None:
        faint = self._items.faint
        columns = faint if among is None else np.flatnonzero(np.isin(among, faint))
        items = faint if among is None else among[columns]
        unit = self._items.factors[items].astype(np.float64) * _inverse(self._items.norms[items])[:, None]
        scores[:, columns] = self._directions @ unit.T

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Score pairs in float64, rounded once."""
        dots = _dots(self._directions, self._items.factors, rows, items)
        return rounded(dots * _inverse(self._items.norms[items]))

    def spread(self, row: int, items: Mask) -> float:
        """Return the deviation of the float64 cosines."""
        positions = np.flatnonzero(items)
        dots = _products(self._items.factors, self._directions[row], positions)
        return _deviation(dots * _inverse(self._items.norms[positions]))


class FixedScorer:
    """The same given scores for every row, such as the items' popularity."""

    def __init__(self, scores: Scores, n_rows: int = 1) -> None:
        """Take the scores by item position, shape (n_items,)."""
        self._scores = scores
        self.n_rows = n_rows
        self.n_items = len(scores)

    def take(self, rows: Sequence[int]) -> "FixedScorer":
        """Return the scorer of so many rows."""
        return FixedScorer(self._scores, len(rows))

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Return the given scores, which don't err."""
        scores = self._scores if among is None else self._scores[among]
        return np.tile(scores, (self.n_rows, 1)), np.zeros(self.n_rows)

    def exact(self, rows: Positions, items: Positions) -> Scores:
        """Return the given scores."""
        return self._scores[items]

    def spread(self, row: int, items: Mask) -> float:
        """Return the deviation of the given scores."""
        return _deviation(self._scores[items].astype(np.float64))


def _dots(left: npt.NDArray[np.floating], right: Factors, rows: Positions, items: Positions) -> Values:
    """Return the float64 dot products of pairs; a sum's order depends on the rank alone."""
    dots = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        dots[part] = np.multiply(left[rows[part]], right[items[part]], dtype=np.float64).sum(axis=1)
    return dots


def _products(factors: Factors, vector: Values, items: Positions) -> Values:
    """Return the float64 dot products of items' factors with one vector, a block at a time."""
    parts = [factors[items[start : start + _ROWS]].astype(np.float64) @ vector for start in range(0, len(items), _ROWS)]
    return np.concatenate([np.empty(0), *parts])


def _deviation(values: Values) -> float:
    return _float32(values.std()) if len(values) else 0.0


def _float32(value: float) -> float:
    return float(np.float32(value))


def rounded(values: Values) -> Scores:
    """Return exact values as scores."""
    scores: Scores = values.astype(np.float32) + np.float32(0)  # -0.0 is written 0.0
    return scores


def _inverse(norms: Values) -> Values:
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)


def _blocks(factors: Factors) -> list[Factors]:
    return [factors[start : start + _ROWS] for start in range(0, max(len(factors), 1), _ROWS)]
