"""The terms that factors give: dot products and cosines with one side of a factor model, the one that is ranked."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import Factors, Mask, Positions, Scores, Values

ROUNDOFF = 2.0**-24  # of float32, to nearest
_FAINT = 1e-30  # a norm: float32 has numbers down to 1e-45, but below 1e-38 with ever fewer digits
_SURE_SHARE = 1e-5  # of a sum of squares: a difference that is larger has lost at most five of float64's 16 digits
_ROWS = 16_384  # of factors at a time: 8 MB of float64 at rank 64
_PAIRS_AT_ONCE = 16_384


class RankedFactors:
    """The factors of what is ranked, items or customers, with what ranking needs to know of them."""

    def __init__(self, factors: Factors) -> None:
        """Take factors of shape (n, rank), finite."""
        self.factors = factors

    @cached_property
    def norms(self) -> Values:
        """Shape (n,): the factors' Euclidean norms; a memory-mapped array is read once, from end to end."""
        squares = [np.square(block, dtype=np.float64).sum(axis=1) for block in self._blocks()]
        norms: Values = np.sqrt(np.concatenate(squares))
        return norms

    @cached_property
    def largest_norm(self) -> float:
        """The largest of `norms`, 0 where there are none."""
        return float(self.norms.max(initial=0.0))

    @cached_property
    def inverse_norms(self) -> Scores:
        """Shape (n,): 1 / norm; 0 where the norm is 0, and for the `faint` ones."""
        inverse: Scores = _inverse(np.where(self.norms < _FAINT, 0.0, self.norms)).astype(np.float32)
        return inverse

    @cached_property
    def faint(self) -> Positions:
        """The ascending positions of factors so small, but not 0, that float32 products of them err."""
        return np.flatnonzero((self.norms > 0) & (self.norms < _FAINT))

    @cached_property
    def moments(self) -> tuple[Values, Values]:
        """Shapes (rank,) and (rank, rank): the factors' sum, and the sum of their outer products."""
        blocks = [block.astype(np.float64) for block in self._blocks()]
        return np.sum([block.sum(axis=0) for block in blocks], axis=0), np.sum([b.T @ b for b in blocks], axis=0)

    def mean(self, positions: Positions) -> Factors:
        """Return the mean factors, shape (rank,): their product with others is the mean of the products."""
        mean: Factors = self.factors[positions].mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def direction(self, positions: Positions) -> Values:
        """Return the mean, shape (rank,), of the factors at these positions, each taken at length 1."""
        rows = self.factors[positions].astype(np.float64)
        unit: Values = (rows * _inverse(self.norms[positions])[:, None]).mean(axis=0)
        return unit

    def _blocks(self) -> list[Factors]:
        return [self.factors[start : start + _ROWS] for start in range(0, max(len(self.factors), 1), _ROWS)]


class DotTerm:
    """Dot products of factors. A row of zeros scores 0 everywhere, exactly: the term has no part in it."""

    def __init__(self, ranked: RankedFactors, vectors: Factors) -> None:
        """Score `ranked` for `vectors`, shape (n_rows, rank)."""
        self._ranked = ranked
        self._vectors = vectors

    def take(self, rows: Sequence[int]) -> "DotTerm":
        """Return the term of these rows alone."""
        return DotTerm(self._ranked, self._vectors[list(rows)])

    @cached_property
    def active(self) -> Mask:
        """Shape (n_rows,)."""
        return np.asarray(self._vectors.any(axis=1), dtype=np.bool_)

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Score by a float32 matrix product; the bound holds for any order in which a BLAS adds (Higham 2002, 3.1).

        To the rank's roundings of sum and products come the norms' own and that of a subnormal result: 4 are plenty.
        """
        factors = self._ranked.factors if among is None else self._ranked.factors[among]
        vectors = self._vectors
        rank = vectors.shape[1]
        if len(vectors) == 1:
            (vector,) = vectors
            square = float(vector.dot(vector)) * 1.001  # summed in float32, which errs by less for any rank
            if square > 1e-30:  # smaller ones may have lost all digits on the way
                largest = math.sqrt(square) * self._ranked.largest_norm
                return factors.dot(vector)[None, :], np.array([(rank + 4) * ROUNDOFF * largest + 1e-40])
        wide = vectors.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        bounds = (rank + 4) * ROUNDOFF * self._ranked.largest_norm * norms
        bounds += 1e-40 * (bounds > 0)
        return vectors @ factors.T, bounds

    def exact(self, rows: Positions, positions: Positions) -> Values:
        """Score pairs in float64. Products of two float32 are exact there; the order of a sum depends on the rank."""
        return _dots(self._vectors, self._ranked.factors, rows, positions)

    def deviation(self, row: int, mask: Mask) -> float:
        """Return the deviation from sums over all, less those left out, where these are few."""
        vector, n_ranked = self._vectors[row].astype(np.float64), len(self._ranked.factors)
        count = int(np.count_nonzero(mask))
        if count and n_ranked - count <= n_ranked // 8:
            apart = self._ranked.factors[np.flatnonzero(~mask)].astype(np.float64) @ vector
            sums, squares = self._ranked.moments
            mean = (vector @ sums - apart.sum()) / count
            square = (vector @ squares @ vector - apart @ apart) / count
            largest = (np.abs(vector) @ np.sqrt(np.diag(squares))) ** 2 / count  # of what was added up and taken off
            if square - mean**2 > _SURE_SHARE * largest:  # else the difference is mostly rounding
                return float(np.sqrt(square - mean**2))
        return deviation_of(_products(self._ranked.factors, vector, np.flatnonzero(mask)))


class CosineTerm:
    """Cosines between directions and factors; factors that are all 0 score 0."""

    def __init__(self, ranked: RankedFactors, directions: Values) -> None:
        """Score `ranked` for directions of shape (n_rows, rank), each at most 1 long."""
        self._ranked = ranked
        self._directions = directions

    def take(self, rows: Sequence[int]) -> "CosineTerm":
        """Return the term of these rows alone."""
        return CosineTerm(self._ranked, self._directions[list(rows)])

    @cached_property
    def active(self) -> Mask:
        """Shape (n_rows,)."""
        return np.ones(len(self._directions), dtype=np.bool_)

    def approximate(self, among: Positions | None) -> tuple[Scores, Values]:
        """Score by a float32 matrix product, then divide.

        Beside the sum, the direction, the norm and two products are rounded: rank + 8 roundings are plenty.
        """
        factors, inverse = self._ranked.factors, self._ranked.inverse_norms
        if among is not None:
            factors, inverse = factors[among], inverse[among]
        n_rows, rank = self._directions.shape
        scores: Scores = self._directions.astype(np.float32) @ factors.T
        scores *= inverse
        if len(self._ranked.faint):
            self._correct_faint(scores, among)
        return scores, np.full(n_rows, (rank + 8) * ROUNDOFF)

    def _correct_faint(self, scores: Scores, among: Positions | None) -> None:
        faint = self._ranked.faint
        columns = faint if among is None else np.flatnonzero(np.isin(among, faint))
        positions = faint if among is None else among[columns]
        unit = self._ranked.factors[positions].astype(np.float64) * _inverse(self._ranked.norms[positions])[:, None]
        scores[:, columns] = self._directions @ unit.T

    def exact(self, rows: Positions, positions: Positions) -> Values:
        """Score pairs in float64."""
        dots = _dots(self._directions, self._ranked.factors, rows, positions)
        return dots * _inverse(self._ranked.norms[positions])

    def deviation(self, row: int, mask: Mask) -> float:
        """Return the deviation of the float64 cosines."""
        positions = np.flatnonzero(mask)
        dots = _products(self._ranked.factors, self._directions[row], positions)
        return deviation_of(dots * _inverse(self._ranked.norms[positions]))


def deviation_of(values: Values) -> float:
    """Return the standard deviation of the population, 0 where there is none."""
    return float(values.std()) if len(values) else 0.0


def _dots(left: npt.NDArray[np.float32] | Values, right: Factors, rows: Positions, positions: Positions) -> Values:
    if len(rows) <= _PAIRS_AT_ONCE:
        own = left if len(left) == 1 else left[rows]
        dots: Values = np.add.reduce(np.multiply(own, right.take(positions, axis=0), dtype=np.float64), axis=1)
        return dots
    starts = range(0, len(rows), _PAIRS_AT_ONCE)
    parts = [slice(start, start + _PAIRS_AT_ONCE) for start in starts]
    return np.concatenate([_dots(left, right, rows[part], positions[part]) for part in parts])


def _products(factors: Factors, vector: Values, positions: Positions) -> Values:
    """Return the float64 dot products of the factors at these positions with one vector, a block at a time."""
    starts = range(0, len(positions), _ROWS)
    parts = [factors[positions[start : start + _ROWS]].astype(np.float64) @ vector for start in starts]
    return np.concatenate([np.empty(0), *parts])


def _inverse(norms: Values) -> Values:
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
