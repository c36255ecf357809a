import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsriaz.scoring.foldin import Equations, gram, nonnegative_solve

ITEMS = np.array([[1, 2], [0, 1], [3, -1], [1, 1]], dtype=np.float32)


def test_the_gram_matrix_is_summed_over_all_blocks_of_items() -> None:
    factors = np.ones((70_000, 2), dtype=np.float32)
    assert gram(factors).tolist() == [[70_000, 70_000], [70_000, 70_000]]


def test_an_explicit_step_solves_the_normal_equations() -> None:
    rows, ratings = ITEMS[[0, 2]], np.array([5, 1], dtype=np.float32)
    # [[10 + .2, -1], [-1, 5 + .2]] x = [8, 9], by hand
    expected = np.linalg.solve([[10.2, -1], [-1, 5.2]], [8, 9])
    got = Equations(rows, ratings, gram(ITEMS), implicit=False, alpha=7, reg_param=0.1, nonnegative=False).factors()
    assert got == pytest.approx(expected, rel=1e-6)


def test_an_implicit_step_weighs_what_was_bought_against_everything_else() -> None:
    factors = Equations(
        ITEMS[[1]], np.array([4], np.float32), gram(ITEMS), implicit=True, alpha=0.5, reg_param=0.1, nonnegative=False
    ).factors()
    # Y'Y = [[11, 0], [0, 7]]; confidence 0.5 * 4 = 2: A = Y'Y + 2 y y' + 0.1 I, b = 3 y, y = [0, 1]
    assert factors == pytest.approx([0, 3 / 9.1], rel=1e-6)


def test_a_negative_rating_is_believed_not_to_be_liked_and_not_counted() -> None:
    factors = Equations(
        ITEMS[[1, 1]],
        np.array([4, -4], np.float32),
        gram(ITEMS),
        implicit=True,
        alpha=0.5,
        reg_param=0.1,
        nonnegative=False,
    ).factors()
    assert factors == pytest.approx([0, 3 / 11.1], rel=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_the_nonnegative_solution_meets_the_conditions_of_a_minimum(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3, 4, (rank + 2, rank)).astype(float)
    left = rows.T @ rows + 0.01 * np.eye(rank)
    right = rng.integers(-5, 6, rank).astype(float)
    solution = nonnegative_solve(left, right)
    slope = left @ solution - right
    assert (solution >= 0).all()
    assert (slope >= -1e-8).all(), "no coordinate could lower the sum by growing"
    assert slope[solution > 0] == pytest.approx(0, abs=1e-8), "nor by changing at all"


def test_nothing_positive_helps_where_every_slope_is_uphill() -> None:
    assert nonnegative_solve(np.eye(3), np.array([-1.0, 0.0, -2.0])).tolist() == [0, 0, 0]
