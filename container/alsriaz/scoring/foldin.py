"""One least-squares step of Spark's ALS: a customer's factors from the item factors and the customer's ratings.

Source: computeFactors, NormalEquation, CholeskySolver and NNLSSolver in Spark's
org/apache/spark/ml/recommendation/ALS.scala; Hu, Koren and Volinsky (2008) for implicit feedback; Zhou et al. (2008)
for the regularisation scaled by the number of ratings.
"""

import numpy as np
import numpy.typing as npt

from alsriaz.model.arrays import Factors, Values

Matrix = npt.NDArray[np.float64]

LARGEST_FACTOR = 1e15
"""Larger ones are a sign of equations without a solution, and their products could overflow float32."""


def gram(item_factors: Factors) -> Matrix:
    """Return the (rank, rank) matrix Y'Y of all item factors, which every implicit step starts from."""
    total = np.zeros((item_factors.shape[1],) * 2)
    for start in range(0, len(item_factors), 65_536):
        block = item_factors[start : start + 65_536].astype(np.float64)
        total += block.T @ block
    return total


class Equations:
    """The normal equations A x = b of one customer, whose solution x are the customer's factors.

    A and b are sums over the rated items: each adds ``weight * y`` to b, y being its factors. So the score of any item
    with factors z, which is z'x = z'A^-1 b, is a sum too, of one part for each rated item: its contribution.
    """

    def __init__(
        self,
        factors: Factors,
        ratings: npt.NDArray[np.float32],
        item_gram: Matrix,
        *,
        implicit: bool,
        alpha: float,
        reg_param: float,
        nonnegative: bool,
    ) -> None:
        """Set up the equations of the customer who gave these ratings.

        Args:
            factors: shape (n, rank), the factors of the rated items, n at least 1.
            ratings: shape (n,), finite, in the same order.
            item_gram: what `gram` says of all item factors; used where `implicit`.
            implicit: Spark's implicitPrefs.
            alpha: Spark's alpha; used where `implicit`.
            reg_param: Spark's regParam, above 0; it is scaled by the number of ratings, of positive ones where
                `implicit`.
            nonnegative: solve under factors >= 0, as Spark does where its `nonnegative` is set.
        """
        self._rows = factors.astype(np.float64)
        given = ratings.astype(np.float64)
        if implicit:
            confidence = alpha * np.abs(given)  # above 1, the confidence that everything not bought has
            self._left = item_gram + (self._rows.T * confidence) @ self._rows
            self._weights = np.where(given > 0, 1 + confidence, 0.0)
            scale = int(np.count_nonzero(given > 0))
        else:
            self._left = self._rows.T @ self._rows
            self._weights = given
            scale = len(given)
        self._left[np.diag_indices_from(self._left)] += scale * reg_param
        self._nonnegative = nonnegative

    def factors(self) -> Factors:
        """Return the customer's factors, shape (rank,), finite.

        Raises:
            ArithmeticError: the ratings are so large, or the regularisation so small, that rounding leaves no solution.
        """
        return self._solution().astype(np.float32)

    def contributions(self, factors: Factors) -> Values:
        """Return what each rating adds to the score of an item with these factors, shape (rank,): shape (n,).

        Their sum is the score. Under `nonnegative` the coordinates that the constraint holds at 0 add nothing.

        Raises:
            ArithmeticError: as in `factors`.
        """
        solution = self._solution()
        free = solution > 0 if self._nonnegative else np.ones(len(solution), dtype=np.bool_)
        through = np.zeros_like(solution)
        through[free] = np.linalg.solve(self._left[np.ix_(free, free)], factors.astype(np.float64)[free])
        parts: Values = self._weights * (self._rows @ through)
        return parts

    def _solution(self) -> Values:
        right = self._rows.T @ self._weights
        try:
            solution = nonnegative_solve(self._left, right) if self._nonnegative else _solve(self._left, right)
        except np.linalg.LinAlgError:
            raise ArithmeticError("the equations have no solution in float64") from None
        if not np.abs(solution).max() < LARGEST_FACTOR:  # also where it is NaN
            raise ArithmeticError("the factors are too large for float32")
        return solution


def _solve(left: Matrix, right: Values) -> Values:
    return np.linalg.solve(left, right).astype(np.float64)


def nonnegative_solve(left: Matrix, right: Values) -> Values:
    """Return the x >= 0 that minimises x'Ax / 2 - b'x, exactly, by the active-set method of Lawson and Hanson (1974).

    Args:
        left: A, shape (rank, rank), symmetric and positive definite.
        right: b, shape (rank,).
    """
    solution = np.zeros(len(right))
    free = np.zeros(len(right), dtype=bool)
    tolerance = 1e-12 * max(np.abs(right).max(), np.finfo(np.float64).tiny)
    for _ in range(10 * len(right)):  # far beyond what is ever needed; rounding must not make it turn for ever
        slope = np.where(free, -np.inf, right - left @ solution)
        steepest = int(np.argmax(slope))
        if slope[steepest] <= tolerance:
            break
        free[steepest] = True
        solution = _solve_free(left, right, solution, free)
    return solution


def _solve_free(left: Matrix, right: Matrix, solution: Matrix, free: npt.NDArray[np.bool_]) -> Matrix:
    """Move `solution` to the minimum over the `free` coordinates; those that reach 0 on the way stop being free."""
    while free.any():
        target = np.zeros_like(solution)
        target[free] = np.linalg.solve(left[np.ix_(free, free)], right[free])
        blocked = free & (target <= 0)
        if not blocked.any():
            return target
        steps = solution[blocked] / (solution[blocked] - target[blocked])
        solution = solution + steps.min() * (target - solution)
        free[np.flatnonzero(blocked)[steps == steps.min()]] = False
        solution[~free] = 0.0
    return np.zeros_like(solution)
